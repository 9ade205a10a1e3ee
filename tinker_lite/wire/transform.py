"""Bodies as their types want them on the wire: renamed, formatted, files read.

``transform`` walks a value along the plan of its type. What the plan does not know passes as it is,
and so does a value of another kind than the type says: checking bodies is the server's work. The
input is never changed.

Rules:

* Mappings keep their None values; a key whose value was not given (``NOT_GIVEN``, ``UNSET``) goes.
* Structs and dataclasses become mappings by their own class, wherever they stand, also where the
  plan knows nothing. A None in one is left out, as everywhere in this library: an object cannot
  tell a None that was given from one that was not.
* Given under the name and under the alias, the later one counts.
* Files are read last, all walking done, so that the async form differs in nothing else.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, MutableMapping, MutableSequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import msgspec

from tinker_lite.wire.annotations import (
    UNTYPED,
    Choice,
    Deferred,
    DictOf,
    ListOf,
    Plain,
    Record,
    TupleOf,
    plan_of,
    record_of,
)
from tinker_lite.wire.json import bounded_nesting, is_flat, to_plain
from tinker_lite.wire.not_given import NOT_GIVEN
from tinker_lite.wire.variants import choose, is_many, takes

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from tinker_lite.wire.annotations import Format, Plan
    from tinker_lite.wire.files import RunBlocking

__all__ = ["atransform", "transform"]

Place: TypeAlias = "tuple[Place, str] | None"  # the path to a value, innermost step first


class _Unread(NamedTuple):
    """Stands in the result where the content of a file will be."""

    file: PathLike[str] | IO[bytes]
    place: Place


class _Gap(NamedTuple):
    """A place of the result that waits for a file."""

    holder: MutableMapping[object, object] | MutableSequence[object]
    key: object
    unread: _Unread


def transform(data: object, expected_type: object) -> Any:
    """A body as its type wants it on the wire; files are read here and now.

    Args:
        data: The body: mappings, lists, structs, dataclasses, scalars, nested to any depth.
        expected_type: Its type, marked with ``Annotated[..., PropertyInfo(...)]`` at any depth.

    Returns:
        Plain mappings and lists for what the type knows; everything else as it was.

    Raises:
        TypeError: A file gave neither bytes nor text, or an annotation cannot be resolved.
        ValueError: The body is nested too deeply.
        OSError: A file cannot be read; a note says where in the body it was.
    """
    result, gaps = _walked(data, expected_type)
    for gap in gaps:
        _fill(gap, _read(gap.unread))
    return result[0]


async def atransform(data: object, expected_type: object, run: RunBlocking) -> Any:
    """Async form of ``transform``; same result and errors.

    Args:
        data: The body.
        expected_type: Its type.
        run: Runs each blocking read, such as ``anyio.to_thread.run_sync``.
    """
    result, gaps = _walked(data, expected_type)
    for gap in gaps:
        _fill(gap, await run(partial(_read, gap.unread)))
    return result[0]


def _walked(data: object, expected_type: object) -> tuple[list[object], list[_Gap]]:
    walk, result = _Walk(), [cast("object", None)]
    with bounded_nesting():
        walk.put(result, 0, walk.value(data, plan_of(expected_type), None))
    return result, walk.gaps


def _fill(gap: _Gap, text: str) -> None:
    cast("MutableMapping[object, object]", gap.holder)[gap.key] = text


def _read(unread: _Unread) -> str:
    try:
        file = unread.file
        data: object = Path(file).read_bytes() if isinstance(file, PathLike) else file.read()
    except OSError as error:
        error.add_note(f"The file stood at {_path(unread.place)} in the body.")
        raise
    raw = data.encode() if isinstance(data, str) else data
    if not isinstance(raw, bytes):
        raise TypeError(
            f"The file at {_path(unread.place)}: read() gave {type(data).__name__}, "
            "neither bytes nor text."
        )
    return _base64(raw)


def _path(place: Place) -> str:
    steps: list[str] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return f"`${''.join(reversed(steps))}`"


class _Walk:
    """One walk over one body; collects the places that wait for files."""

    def __init__(self) -> None:
        self.gaps: list[_Gap] = []

    def put(
        self,
        holder: MutableMapping[object, object] | MutableSequence[object],
        key: object,
        value: object,
    ) -> None:
        """Set one item of the result."""
        cast("MutableMapping[object, object]", holder)[key] = value
        if isinstance(value, _Unread):
            self.gaps.append(_Gap(holder, key, value))

    def value(self, value: object, plan: Plan, place: Place) -> object:
        """A value by its plan, or by its own class."""
        while isinstance(plan, Deferred | Choice):
            plan = plan.plan if isinstance(plan, Deferred) else choose(plan, value) or UNTYPED
        if _is_object(value):
            return self._object(value, plan, place)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[object, object]", value), plan, place)
        if isinstance(plan, ListOf) and is_many(value):
            return self._list(cast("Iterable[object]", value), plan.item, place)
        if isinstance(value, list | tuple):
            return self._untyped_list(cast("Sequence[object]", value), plan, place)
        return _formatted(value, plan.format, place) if isinstance(plan, Plain) else value

    def _object(self, value: object, plan: Plan, place: Place) -> object:
        """A struct or a dataclass, by its own class even where another one was expected."""
        if hasattr(value, "to_wire"):  # a type of ours that says itself what it sends
            return to_plain(value)
        is_expected = isinstance(plan, Record) and plan.cls is type(value)
        record = cast("Record", plan) if is_expected else record_of(type(value))
        result: dict[object, object] = dict([record.tag] if record.tag is not None else [])
        for name, field in record.fields.items():
            item = getattr(value, name)
            if item is not None and not _is_absent(item):
                at = (place, f".{name}")
                self.put(result, field.wire_name, self.value(item, field.plan, at))
        return result

    def _mapping(self, value: Mapping[object, object], plan: Plan, place: Place) -> object:
        result: dict[object, object] = {}
        for key, item in value.items():
            if _is_absent(item):
                continue
            name, within = key, UNTYPED if not isinstance(plan, DictOf) else plan.value
            if isinstance(plan, Record) and (field := plan.find(key)) is not None:
                name, within = field.wire_name, field.plan
            self.put(result, name, self.value(item, within, (place, f".{key}")))
        return result

    def _list(self, values: Iterable[object], item: Plan, place: Place) -> object:
        if isinstance(values, list | tuple) and _is_untouched(values, item):
            return values
        result: list[object] = []
        for i, value in enumerate(values):
            result.append(None)
            self.put(result, i, self.value(value, item, (place, f"[{i}]")))
        return result

    def _untyped_list(self, values: Sequence[object], plan: Plan, place: Place) -> object:
        """A list where a tuple, or no list, was expected; it stays of its type."""
        if not isinstance(plan, TupleOf) and _is_untouched(values, UNTYPED):
            return values
        items = plan.items if isinstance(plan, TupleOf) else ()
        result: list[object] = [None] * len(values)
        for i, value in enumerate(values):
            within = items[i] if i < len(items) else UNTYPED
            self.put(result, i, self.value(value, within, (place, f"[{i}]")))
        return result if isinstance(plan, TupleOf) or isinstance(values, list) else tuple(result)


def _is_object(value: object) -> bool:
    is_dataclass = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_dataclass or isinstance(value, msgspec.Struct) or hasattr(value, "to_wire")


def _is_absent(value: object) -> bool:
    return value is NOT_GIVEN or value is msgspec.UNSET


def _is_untouched(values: Sequence[object], item: Plan) -> bool:
    return isinstance(item, Plain) and item.format is None and is_flat(values)


def _formatted(value: object, format_: Format | None, place: Place) -> object:
    if format_ is None or not takes(format_, value):
        return value
    if format_.kind == "base64":
        if isinstance(value, bytes):
            return _base64(value)
        return _Unread(cast("IO[bytes]", value), place)
    date = cast("dt.date", value)
    return date.isoformat() if format_.template is None else date.strftime(format_.template)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
