"""The list of cases: number, sentence and source of each, read from where the case is written."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .capabilities import needs_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Entry", "catalogue", "entry_of"]

NUMBERED = re.compile(r"(T-\d{2,3}): ([^\n]+\.)\n\n\s*Source: ([^\n]+)\.\s*\Z")


class Entry(NamedTuple):
    """One case.

    Attributes:
        number: ``T-`` and digits; given once, for good.
        sentence: What must hold.
        source: The rule behind it.
        needs: Names of the capabilities it needs.
    """

    number: str
    sentence: str
    source: str
    needs: tuple[str, ...]


def entry_of(case: Callable[..., Any]) -> Entry:
    """The entry of a case.

    Raises:
        ValueError: Its docstring is not that of a case.
    """
    match = NUMBERED.match(case.__doc__ or "")
    if match is None:
        raise ValueError(f"{case.__qualname__} has no number, one sentence and a source.")
    return Entry(match[1], match[2], match[3], needs_of(case))


def catalogue(suite: type) -> list[Entry]:
    """Every case of a class, by number."""
    functions = inspect.getmembers(suite, inspect.isfunction)
    entries = [entry_of(case) for name, case in functions if name.startswith("test_")]
    return sorted(entries, key=lambda entry: int(entry.number[2:]))
