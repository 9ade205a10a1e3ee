"""Where two JSON-like values differ, one line for each place. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

__all__ = ["ANYTHING", "differences", "shown"]

# What stands for a secret in a recording; where it is expected, anything may come.
ANYTHING = "REDACTED"

# Prompts and batches are long; a difference needs enough of a value to be recognised.
_MAX_SHOWN = 80


def differences(
    expected: object,
    came: object,
    *,
    path: str = "$",
    partial: bool = False,
    ignored: Collection[str] = (),
) -> Iterator[str]:
    """One line for each place where ``came`` is not what is expected; none if it is.

    Args:
        expected: Plain values.
        came: Plain values.
        path: The place of both.
        partial: Whether mappings may have more keys than expected.
        ignored: Keys that are not looked at, in any mapping.
    """
    if expected == ANYTHING:
        return
    if _is_mapping(expected) and _is_mapping(came):
        pair = cast("Mapping[str, object]", expected), cast("Mapping[str, object]", came)
        yield from _in_mappings(*pair, path, ignored, partial=partial)
    elif _is_list(expected) and _is_list(came):
        lists = cast("Sequence[object]", expected), cast("Sequence[object]", came)
        yield from _in_lists(*lists, path, ignored, partial=partial)
    elif expected != came or isinstance(expected, bool) != isinstance(came, bool):
        yield f"`{path}`: expected {shown(expected)}, came {shown(came)}"


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _in_mappings(
    expected: Mapping[str, object],
    came: Mapping[str, object],
    path: str,
    ignored: Collection[str],
    *,
    partial: bool,
) -> Iterator[str]:
    for key in sorted({*expected, *came} - set(ignored)):
        place = f"{path}.{key}"
        if key not in came:
            yield f"`{place}`: expected {shown(expected[key])}, nothing came"
        elif key in expected:
            yield from differences(
                expected[key], came[key], path=place, partial=partial, ignored=ignored
            )
        elif not partial:
            yield f"`{place}`: expected nothing, came {shown(came[key])}"


def _in_lists(
    expected: Sequence[object],
    came: Sequence[object],
    path: str,
    ignored: Collection[str],
    *,
    partial: bool,
) -> Iterator[str]:
    for i, (one, other) in enumerate(zip(expected, came, strict=False)):
        yield from differences(one, other, path=f"{path}[{i}]", partial=partial, ignored=ignored)
    if len(expected) != len(came):
        yield f"`{path}`: expected {len(expected)} items, came {len(came)}"


def shown(value: object) -> str:
    """A value for an error text: cut where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
