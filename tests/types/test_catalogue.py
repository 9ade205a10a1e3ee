from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest

from tests.types.catalogue import ALIASES, FIELDS, OTHERS, OURS
from tinker_lite import types as t


def fields_of(cls: Any) -> set[str]:
    """What can be read from a value of a type: its fields, and properties that stand for fields."""
    if not issubclass(cls, msgspec.Struct):
        given = set(inspect.signature(cls).parameters) - {"unknown"}
        return given | ({"type"} if hasattr(cls, "keys") else set())
    tag = {name for name in [cls.__struct_config__.tag_field] if name is not None}
    properties = {name for name, member in inspect.getmembers(cls) if isinstance(member, property)}
    stands_for_field = {
        name for name in properties if name.endswith("_np") or name == "optim_params"
    }
    return (set(cls.__struct_fields__) - {"_extra"}) | tag | stands_for_field


@pytest.mark.parametrize("name", FIELDS)
def test_a_type_has_the_official_fields(name: str) -> None:
    """Those of 0.6.3 and of 0.38 together, none more and none less."""
    assert fields_of(getattr(t, name)) == FIELDS[name]


def test_every_name_is_exported_and_none_that_is_not_listed() -> None:
    """The official names all stand in ``tinker_lite.types``; ours are named one by one."""
    assert sorted(t.__all__) == sorted([*FIELDS, *ALIASES, *OTHERS, *OURS])


def test_names_are_listed_once() -> None:
    """No name is exported from two modules."""
    assert len(t.__all__) == len(set(t.__all__))
