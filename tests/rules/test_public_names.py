"""The public names are the documented ones, and each is fit to be public."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING

import pytest

import tinker_lite
from tests.rules.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = ROOT / "docs" / "public-names.md"
# The order is ruff's (RUF022): constants, classes, functions, each by name.
LISTED_NAME = re.compile(r"^- `(\w+)`", re.MULTILINE)


def public_objects() -> Iterator[tuple[str, object]]:
    """Every public name with what it stands for."""
    return ((name, getattr(tinker_lite, name)) for name in tinker_lite.__all__)


def missing_docstrings(name: str, thing: object) -> Iterator[str]:
    """The parts of a public class or function that explain nothing."""
    if not inspect.isclass(thing) and not inspect.isroutine(thing):
        return
    if not thing.__doc__:
        yield name
    for attribute, member in vars(thing).items() if inspect.isclass(thing) else ():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        is_documentable = inspect.isfunction(function) and not attribute.startswith("_")
        if is_documentable and not inspect.getdoc(getattr(thing, attribute)):
            yield f"{name}.{attribute}"


def test_public_names_are_the_documented_ones() -> None:
    """``__all__`` is the list in docs/public-names.md, in its order and without repeats."""
    names = list(tinker_lite.__all__)
    assert len(names) == len(set(names))
    assert LISTED_NAME.findall(DOCUMENT.read_text(encoding="utf-8")) == names


def test_every_public_name_resolves() -> None:
    """Each name can be imported and is listed by ``dir``."""
    assert [name for name, thing in public_objects() if thing is None] == []
    assert set(tinker_lite.__all__) <= set(dir(tinker_lite))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as on any module, and says which name."""
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(tinker_lite, "no_such_name")  # noqa: B009  # a type checker would refuse the plain form


def test_everything_public_has_a_docstring() -> None:
    """Classes, their public methods and properties, and functions all say what they are for."""
    assert [line for pair in public_objects() for line in missing_docstrings(*pair)] == []


def test_public_classes_can_be_found_where_they_say() -> None:
    """``__module__`` and ``__qualname__`` of each class lead back to it, as pickling needs."""
    for name, thing in public_objects():
        if inspect.isclass(thing) and thing.__module__.startswith("tinker_lite"):
            home = importlib.import_module(thing.__module__)
            assert getattr(home, thing.__qualname__) is thing, name


def test_a_missing_docstring_is_found() -> None:
    """The check names methods and properties that explain nothing."""

    class Silent:
        """Explained."""

        def method(self) -> None: ...

        @property
        def length(self) -> int:
            return 0

        def _private(self) -> None: ...

    assert list(missing_docstrings("Silent", Silent)) == ["Silent.method", "Silent.length"]
