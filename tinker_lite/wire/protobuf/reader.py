"""Bytes to messages, by the schema.

A message becomes a dict of the fields that were there, by name; ``bytes`` fields are read-only
views of what was given, and nothing is copied. Rules of the format:

* Of a plain or optional field that comes twice the last one counts; messages are merged.
* Of a oneof only the member that came last is kept.
* Repeated numbers may be packed or not, in any mixture.
* Fields that the schema does not know are skipped (protocol section 1.8), groups too.
* A field that comes with another wire type than its kind has is an error here: a server that
  changes a field's type should not be read as one that left the field out.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tinker_lite.wire.protobuf.faults import Fault, entry, failing_to_decode, position
from tinker_lite.wire.protobuf.scalars import FIXED, TEXTS, VARINTS, Varint, Wire
from tinker_lite.wire.protobuf.schema import MAX_MESSAGE_BYTES, MESSAGES, Field, Kind
from tinker_lite.wire.protobuf.varints import Raw, read_varint, unpack_varints

__all__ = ["MAX_MESSAGES", "decode_message"]

# An empty message takes two bytes on the wire and some hundreds in memory, so that their number is
# bounded too. The service sends one for each sequence or record, clients about ten for each datum.
MAX_MESSAGES = 1_000_000
_MAX_GROUP_DEPTH = 100  # as in every implementation of the format
_MAX_TAG = 2**32 - 1
_FIXED_SIZES = {Wire.FIXED_64: 8, Wire.FIXED_32: 4}

_Message: TypeAlias = dict[str, Any]


class _Source:
    """The bytes of a body, and how many messages may still be found in it."""

    __slots__ = ("n_messages_left", "raw", "view")

    def __init__(self, raw: Raw) -> None:
        self.view = memoryview(raw).cast("B").toreadonly()
        # Bytes are indexed faster than a view of them.
        self.raw: Raw = raw if isinstance(raw, bytes) else self.view
        self.n_messages_left = MAX_MESSAGES


# Takes the value at a position, which ends before another one, into a message; says what is next.
_Take: TypeAlias = Callable[[_Source, int, int, _Message], int]
_Fields: TypeAlias = Mapping[int, tuple[str, _Take]]


def decode_message(name: str, raw: Raw) -> _Message:
    """Read a message.

    Args:
        name: A message of the schema.
        raw: All of its bytes; they must not change as long as the result is in use.

    Raises:
        DecodeError: The bytes are not such a message, or exceed 2 GiB; the text holds the path of
            the wrong value.
    """
    source = _Source(raw)
    message: _Message = {}
    with failing_to_decode(name):
        if len(source.view) > MAX_MESSAGE_BYTES:
            raise Fault(f"{len(source.view)} bytes are more than {MAX_MESSAGE_BYTES}")
        _read(_fields(name), source, 0, len(source.view), message)
    return message


def _read(fields: _Fields, source: _Source, start: int, end: int, message: _Message) -> None:
    source.n_messages_left -= 1
    if source.n_messages_left < 0:
        raise Fault(f"more than {MAX_MESSAGES} messages in one body")
    raw, at = source.raw, start
    while at < end:
        tag = raw[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = read_varint(raw, at, end)
        name, take = fields.get(tag) or _unknown(tag, fields)
        try:
            at = take(source, at, end, message)
        except Fault as fault:
            raise fault.inside(name) from None


@functools.cache
def _fields(name: str) -> _Fields:
    return _table(MESSAGES[name])


def _table(fields: tuple[Field, ...]) -> _Fields:
    """What to do at each tag: a field's number with its wire type."""
    return {
        field.number << 3 | wire: (f".{field.name}", _oneof(field, fields, take))
        for field in fields
        for wire, take in _takers(field)
    }


def _takers(field: Field) -> list[tuple[Wire, _Take]]:
    if field.label == "map":
        return [(Wire.LENGTH, _map_taker(field))]
    if field.kind in VARINTS:
        kind = VARINTS[field.kind]
        if field.label == "repeated":
            packed, one = _packed_takers(field.name, kind)
            return [(Wire.LENGTH, packed), (Wire.VARINT, one)]
        return [(Wire.VARINT, _number_taker(field.name, kind))]
    if field.kind in FIXED:
        return [(FIXED[field.kind].wire, _fixed_taker(field.name, field.kind))]
    if field.kind in MESSAGES:
        repeated = field.label == "repeated"
        take = _messages_taker if repeated else _message_taker
        return [(Wire.LENGTH, take(field.name, field.kind))]
    return [(Wire.LENGTH, _text_taker(field))]


def _oneof(field: Field, fields: tuple[Field, ...], take: _Take) -> _Take:
    rivals = [one.name for one in fields if one.oneof == field.oneof != "" and one is not field]
    if not rivals:
        return take

    def take_alone(source: _Source, at: int, end: int, message: _Message) -> int:
        for rival in rivals:
            message.pop(rival, None)
        return take(source, at, end, message)

    return take_alone


def _extent(raw: Raw, at: int, end: int) -> tuple[int, int]:
    """Where the bytes of a value with a length begin and end."""
    size_bytes, at = read_varint(raw, at, end)
    if size_bytes > end - at:
        raise Fault(f"is said to have {size_bytes} bytes where {end - at} are left")
    return at, at + size_bytes


def _number_taker(name: str, kind: Varint) -> _Take:
    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        number, at = read_varint(source.raw, at, end)
        message[name] = kind.value(number)
        return at

    return take


def _packed_takers(name: str, kind: Varint) -> tuple[_Take, _Take]:
    def take_packed(source: _Source, at: int, end: int, message: _Message) -> int:
        start, stop = _extent(source.raw, at, end)
        numbers = unpack_varints(source.view[start:stop])
        message.setdefault(name, []).extend(map(kind.value, numbers))
        return stop

    def take_one(source: _Source, at: int, end: int, message: _Message) -> int:
        number, at = read_varint(source.raw, at, end)
        message.setdefault(name, []).append(kind.value(number))
        return at

    return take_packed, take_one


def _fixed_taker(name: str, kind: Kind) -> _Take:
    unpack = struct.Struct(FIXED[kind].format)

    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        if end - at < unpack.size:
            raise Fault(f"has {unpack.size} bytes where {end - at} are left")
        (message[name],) = unpack.unpack_from(source.view, at)
        return at + unpack.size

    return take


def _text_taker(field: Field) -> _Take:
    name, read = field.name, TEXTS[field.kind]
    repeated = field.label == "repeated"

    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        start, stop = _extent(source.raw, at, end)
        value = read(source.view[start:stop])
        if repeated:
            message.setdefault(name, []).append(value)
        else:
            message[name] = value
        return stop

    return take


def _message_taker(name: str, kind: Kind) -> _Take:
    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        start, stop = _extent(source.raw, at, end)
        _read(_fields(kind), source, start, stop, message.setdefault(name, {}))
        return stop

    return take


def _messages_taker(name: str, kind: Kind) -> _Take:
    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        values = message.setdefault(name, [])
        value: _Message = {}
        try:
            start, stop = _extent(source.raw, at, end)
            _read(_fields(kind), source, start, stop, value)
        except Fault as fault:
            raise fault.inside(position(len(values))) from None
        values.append(value)
        return stop

    return take


def _map_taker(field: Field) -> _Take:
    """An entry of a map is a message of its own: a key, which is a string, and a value."""
    name = field.name
    fields = _table((Field(1, "key", "string"), Field(2, "value", field.kind)))

    def take(source: _Source, at: int, end: int, message: _Message) -> int:
        start, stop = _extent(source.raw, at, end)
        item: _Message = {}
        try:
            _read(fields, source, start, stop, item)
        except Fault as fault:
            fault.path = fault.path.removeprefix(".value")
            raise fault.inside(entry(item.get("key", ""))) from None
        default: Any = {} if field.kind in MESSAGES else 0.0
        message.setdefault(name, {})[item.get("key", "")] = item.get("value", default)
        return stop

    return take


def _unknown(tag: int, fields: _Fields) -> tuple[str, _Take]:
    number, wire = tag >> 3, tag & 7
    if number == 0 or tag > _MAX_TAG:
        raise Fault(f"there is no field number {number}")
    for known, (name, _) in fields.items():
        if known >> 3 == number:
            raise Fault(f"comes with wire type {wire}, not {known & 7}", name)

    def skip(source: _Source, at: int, end: int, _: _Message) -> int:
        return _skip(source.raw, tag, at, end)

    return f".<field {number}>", skip


def _skip(raw: Raw, tag: int, at: int, end: int) -> int:
    """The position after a value of an unknown field, which may be a group of more such."""
    groups: list[int] = []
    while True:
        number, wire = tag >> 3, tag & 7
        if wire == Wire.GROUP:
            groups.append(number)
            if len(groups) > _MAX_GROUP_DEPTH:
                raise Fault(f"groups are nested more than {_MAX_GROUP_DEPTH} deep")
        elif wire == Wire.GROUP_END:
            if not groups or groups.pop() != number:
                raise Fault("a group ends that did not begin")
        else:
            at = _skip_value(raw, wire, at, end)
        if not groups:
            return at
        tag, at = read_varint(raw, at, end)
        if not 0 < tag >> 3 <= _MAX_TAG >> 3:
            raise Fault(f"there is no field number {tag >> 3}")


def _skip_value(raw: Raw, wire: int, at: int, end: int) -> int:
    if wire == Wire.VARINT:
        return read_varint(raw, at, end)[1]
    if wire == Wire.LENGTH:
        return _extent(raw, at, end)[1]
    if wire not in _FIXED_SIZES:
        raise Fault(f"there is no wire type {wire}")
    size_bytes = _FIXED_SIZES[Wire(wire)]
    if size_bytes > end - at:
        raise Fault(f"has {size_bytes} bytes where {end - at} are left")
    return at + size_bytes
