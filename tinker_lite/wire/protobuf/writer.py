"""Messages to bytes, by the schema.

A message is a dict of its fields by name; fields that are absent or None are left out, and so are
plain fields that have their default. Fields are written in the order of the dict. A ``bytes`` field
takes a buffer or a tuple of buffers to be laid end to end; none of them is copied.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from tinker_lite.wire.protobuf.body import Body, Part
from tinker_lite.wire.protobuf.faults import Fault, entry, failing_to_encode, position
from tinker_lite.wire.protobuf.scalars import (
    FIXED,
    VARINTS,
    Varint,
    Wire,
    text_bytes,
)
from tinker_lite.wire.protobuf.schema import MAX_MESSAGE_BYTES, MESSAGES, Field, Kind
from tinker_lite.wire.protobuf.varints import pack_varints, varint

__all__ = ["encode_message"]

# Takes a value, appends its parts, and says how many bytes they have.
_Write: TypeAlias = Callable[[Any, list[Part]], int]


def encode_message(name: str, fields: Mapping[str, Any]) -> Body:
    """The bytes of a message.

    Args:
        name: A message of the schema.
        fields: Its fields by name.

    Raises:
        ValueError: A value does not fit its field, or the whole exceeds 2 GiB; the text holds the
            path of the value.
    """
    parts: list[Part] = []
    with failing_to_encode(name):
        size_bytes = _write_message(name, fields, parts)
        if size_bytes > MAX_MESSAGE_BYTES:
            raise Fault(f"{size_bytes} bytes are more than the {MAX_MESSAGE_BYTES} allowed")
    return Body(tuple(parts), size_bytes)


def _write_message(name: str, fields: Mapping[str, Any], parts: list[Part]) -> int:
    writers = _writers(name)
    size_bytes = 0
    for key, value in fields.items():
        if value is not None:
            try:
                size_bytes += writers[key](value, parts)
            except Fault as fault:
                raise fault.inside(f".{key}") from None
    return size_bytes


@functools.cache
def _writers(name: str) -> dict[str, _Write]:
    return {field.name: _writer(field) for field in MESSAGES[name]}


def _writer(field: Field) -> _Write:
    element = _element_writer(field.number, field.kind)
    if field.label == "map":
        return _map_writer(field)
    if field.label == "repeated":
        numbers = VARINTS.get(field.kind)
        return _packed_writer(field.number, numbers) if numbers else _repeated_writer(element)
    return element if field.label == "optional" else _plain_writer(element)


def _plain_writer(element: _Write) -> _Write:
    def write(value: Any, parts: list[Part]) -> int:
        return element(value, parts) if value else 0

    return write


def _repeated_writer(element: _Write) -> _Write:
    def write(values: Any, parts: list[Part]) -> int:
        size_bytes = 0
        for i, value in enumerate(values):
            try:
                size_bytes += element(value, parts)
            except Fault as fault:
                raise fault.inside(position(i)) from None
        return size_bytes

    return write


def _packed_writer(number: int, kind: Varint) -> _Write:
    tag = _tag(number, Wire.LENGTH)

    def write(values: Any, parts: list[Part]) -> int:
        if not values:
            return 0
        packed = pack_varints([_checked(kind, i, value) for i, value in enumerate(values)])
        parts.append(tag + varint(len(packed)) + packed)
        return len(parts[-1])

    return write


def _checked(kind: Varint, i: int, value: Any) -> int:
    try:
        return kind.number(value)
    except Fault as fault:
        raise fault.inside(position(i)) from None


def _map_writer(field: Field) -> _Write:
    write_key = _element_writer(1, "string")
    write_value = _element_writer(2, field.kind)

    def write_entry(item: tuple[str, Any], parts: list[Part]) -> int:
        key, value = item
        try:
            return write_key(key, parts) + write_value(value, parts)
        except Fault as fault:
            raise fault.inside(entry(str(key))) from None

    write_item = _delimited(field.number, write_entry)

    def write(values: Any, parts: list[Part]) -> int:
        return sum(write_item(item, parts) for item in values.items())

    return write


def _element_writer(number: int, kind: Kind) -> _Write:
    """Writes one value with its tag, whether or not it is the default."""
    if kind in MESSAGES:
        return _delimited(number, functools.partial(_write_message, kind))
    if kind == "bytes":
        return _bytes_writer(_tag(number, Wire.LENGTH))
    if kind == "string":
        return _small_writer(_tag(number, Wire.LENGTH), _sized_text)
    if kind in VARINTS:
        return _small_writer(_tag(number, Wire.VARINT), VARINTS[kind].pack)
    return _small_writer(_tag(number, FIXED[kind].wire), FIXED[kind].pack)


def _tag(number: int, wire: Wire) -> bytes:
    return varint(number << 3 | wire)


def _sized_text(value: Any) -> bytes:
    raw = text_bytes(value)
    return varint(len(raw)) + raw


def _small_writer(tag: bytes, pack: Callable[[Any], bytes]) -> _Write:
    def write(value: Any, parts: list[Part]) -> int:
        raw = tag + pack(value)
        parts.append(raw)
        return len(raw)

    return write


def _bytes_writer(tag: bytes) -> _Write:
    def write(value: Any, parts: list[Part]) -> int:
        if not isinstance(value, tuple):
            value = (value,)
        buffers = [_octets(one) for one in cast("tuple[Any, ...]", value)]
        size_bytes = sum(map(len, buffers))
        head = tag + varint(size_bytes)
        parts.append(head)
        parts += buffers
        return len(head) + size_bytes

    return write


def _octets(value: Any) -> Part:
    if isinstance(value, bytes):
        return value
    try:
        return memoryview(value).cast("B")
    except TypeError:
        raise Fault(f"{repr(value)[:80]} is not a buffer of bytes") from None


def _delimited(number: int, write_inner: Callable[[Any, list[Part]], int]) -> _Write:
    tag = _tag(number, Wire.LENGTH)

    def write(value: Any, parts: list[Part]) -> int:
        i = len(parts)
        parts.append(b"")  # the head, when the size is known
        size_bytes = write_inner(value, parts)
        head = tag + varint(size_bytes)
        parts[i] = head
        return len(head) + size_bytes

    return write
