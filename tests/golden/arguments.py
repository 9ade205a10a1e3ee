"""What a method of a raw client is called with."""

from __future__ import annotations

from typing import Any, NamedTuple


class Arguments(NamedTuple):
    """The arguments of one call."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


def given(*positional: Any, **named: Any) -> Arguments:
    """The arguments of one call, as they stand in the call."""
    return Arguments(positional, named)
