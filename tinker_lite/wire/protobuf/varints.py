"""Variable-length integers: seven bits a byte, least first, the top bit set on all but the last.

Lists of them are the one thing here that takes Python work per element, since the place of each
depends on all before it. Measured on CPython 3.11, per element: 105 ns to write and 145 to read
token ids of two or three bytes, 26 and 40 where most take one, 4 where all do. Looking groups up
in a dict, splitting by a regular expression, and arithmetic on one large integer were all slower.
The protocol packs only shapes and stop tokens this way; token ids and values are plain arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tinker_lite.wire.protobuf.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Raw", "pack_varints", "read_varint", "unpack_varints", "varint"]

Raw: TypeAlias = bytes | bytearray | memoryview

MASK_64 = 2**64 - 1
_MAX_BYTES = 10  # of 64 bits, seven at a time


def varint(value: int) -> bytes:
    """The bytes of a number; a negative one takes ten, as the two's complement of 64 bits."""
    if 0 <= value < 0x80:
        return bytes((value,))
    return pack_varints((value,))


def read_varint(raw: Raw, position: int, end: int) -> tuple[int, int]:
    """The number at a position, modulo 2**64, and the position after it.

    Raises:
        Fault: It does not end before ``end``, or takes more than ten bytes.
    """
    value = shift = 0
    for after, byte in enumerate(raw[position : min(position + _MAX_BYTES, end)], position + 1):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & MASK_64, after
        shift += 7
    raise _endless(end - position)


def _endless(n_left: int) -> Fault:
    if n_left < _MAX_BYTES:
        return Fault("the bytes end inside a number")
    return Fault(f"a number takes more than {_MAX_BYTES} bytes")


def pack_varints(values: Iterable[int]) -> bytes:
    """The bytes of several numbers, one after the other."""
    packed = bytearray()
    append = packed.append
    for signed in values:
        value = signed & MASK_64
        while value > 0x7F:
            append(value & 0x7F | 0x80)
            value >>= 7
        append(value)
    return bytes(packed)


def unpack_varints(raw: Raw) -> list[int]:
    """All numbers, each modulo 2**64.

    Raises:
        Fault: The last one does not end, or one takes more than ten bytes.
    """
    packed = bytes(raw)
    if packed.isascii():  # every byte is a number of its own
        return list(packed)
    if packed[-1] > 0x7F:
        raise Fault("the bytes end inside a number")
    values: list[int] = []
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        if byte > 0x7F:
            shift += 7
            if shift == 7 * _MAX_BYTES:
                raise _endless(_MAX_BYTES)
        else:
            values.append(value & MASK_64)
            value = shift = 0
    return values
