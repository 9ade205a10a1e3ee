"""Where two runs differ, field by field, and the table that explains it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, cast

from tests.comparison.traffic import Traffic

__all__ = ["ABSENT", "TABLE", "Difference", "Row", "differences", "read_table", "unsettled"]

TABLE = Path(__file__).with_name("differences.toml")
ABSENT, SENT = "absent", "sent"


class Difference(NamedTuple):
    """One field of one request that the two runs do not share.

    Attributes:
        endpoint: Method and path.
        request: What the request is about.
        field: Where in the request, or ``request`` if the whole of it is missing in one run.
        theirs: What the official SDK sent, as JSON text, or ``absent``.
        ours: What we sent, likewise.
    """

    endpoint: str
    request: str
    field: str
    theirs: str
    ours: str


class Row(NamedTuple):
    """One explained difference: patterns for each part of a ``Difference`` but the request.

    Attributes:
        generations: The releases that it holds for.
        endpoint: Pattern of method and path.
        request: Pattern of what the request is about.
        field: Pattern of the place in the request.
        theirs: Pattern of what the official SDK sent.
        ours: Pattern of what we send.
        why: The explanation.
    """

    generations: Collection[str]
    endpoint: str
    request: str
    field: str
    theirs: str
    ours: str
    why: str

    def explains(self, one: Difference) -> bool:
        """Whether this row is about that difference."""
        patterns = (self.endpoint, self.request, self.field, self.theirs, self.ours)
        # Brackets are part of field names here, not a set of characters.
        return all(
            fnmatchcase(text, pattern.replace("[", "[[]"))
            for text, pattern in zip(one, patterns, strict=True)
        )


def read_table(path: Path = TABLE) -> list[Row]:
    """The rows of the checked-in table.

    Raises:
        TypeError: A row lacks a column or has one too many.
    """
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["difference"]
    return [Row(**{"request": "*", **row}) for row in rows]


def differences(theirs: Traffic, ours: Traffic) -> list[Difference]:
    """Every field that is not the same in both."""
    return [
        Difference(endpoint, request, *found)
        for endpoint in sorted(theirs.keys() | ours.keys())
        for request in sorted(theirs.get(endpoint, {}).keys() | ours.get(endpoint, {}).keys())
        for found in _in_request(
            theirs.get(endpoint, {}).get(request), ours.get(endpoint, {}).get(request)
        )
    ]


def unsettled(
    found: list[Difference], rows: list[Row], generation: str
) -> tuple[list[Difference], list[Row]]:
    """Differences that no row explains, and rows of this generation that explain none."""
    rows = [row for row in rows if generation in row.generations]
    unexplained = [one for one in found if not any(row.explains(one) for row in rows)]
    idle = [row for row in rows if not any(row.explains(one) for one in found)]
    return unexplained, idle


def _in_request(
    theirs: dict[str, Any] | None, ours: dict[str, Any] | None
) -> Iterator[tuple[str, str, str]]:
    if theirs is None:
        yield "request", ABSENT, SENT
    elif ours is None:
        yield "request", SENT, ABSENT
    else:
        yield from _in_value("", theirs, ours)


def _in_value(where: str, theirs: object, ours: object) -> Iterator[tuple[str, str, str]]:
    their_parts, our_parts = _parts(theirs), _parts(ours)
    if their_parts is None or our_parts is None or type(theirs) is not type(ours):
        # Only Python says that 1 is true; but that 1 is 1.0 holds for JSON as well.
        if theirs != ours or isinstance(theirs, bool) != isinstance(ours, bool):
            yield where, _text(theirs), _text(ours)
        return
    for name in {**their_parts, **our_parts}:
        place = f"{where}{name}".lstrip(".")
        if name in their_parts and name in our_parts:
            yield from _in_value(place, their_parts[name], our_parts[name])
        elif name in their_parts:
            yield place, _text(their_parts[name]), ABSENT
        else:
            yield place, ABSENT, _text(our_parts[name])


def _parts(value: object) -> dict[str, object] | None:
    """What a value consists of, by the text that leads there; None if it is a single one."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {f".{name}": item for name, item in sorted(fields.items())}
    if isinstance(value, list):
        return {f"[{i}]": item for i, item in enumerate(cast("list[object]", value))}
    return None


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
