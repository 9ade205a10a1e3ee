"""The scalar kinds of the protobuf language: how each is written, and read back.

Every reader takes what a foreign writer may say: an integer too large for its kind keeps its low
bits, and any number but 0 is true, as in every implementation of the format.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from operator import index
from typing import TYPE_CHECKING, Any

import msgspec

from tinker_lite.wire.protobuf.faults import Fault
from tinker_lite.wire.protobuf.varints import varint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIXED", "TEXTS", "VARINTS", "Wire", "text_bytes"]


class Wire(IntEnum):
    """How the bytes of a value are delimited: the low three bits of its tag."""

    VARINT = 0
    FIXED_64 = 1
    LENGTH = 2
    GROUP = 3
    GROUP_END = 4
    FIXED_32 = 5


class Varint(msgspec.Struct, frozen=True):
    """A kind that goes as a variable-length integer; bounds are those of the language."""

    kind: str
    least: int
    most: int

    def number(self, value: Any) -> int:
        """A caller's value as an integer.

        Raises:
            Fault: It is no integer, or too large for the kind.
        """
        try:
            number = index(value)
        except TypeError:
            number = None
        if number is None or not self.least <= number <= self.most:
            raise Fault(f"{repr(value)[:80]} does not fit {self.kind}")
        return number

    def pack(self, value: Any) -> bytes:
        """The bytes of a caller's value; raises Fault as ``number`` does."""
        return varint(self.number(value))

    def value(self, number: int) -> int:
        """What a number of 64 bits off the wire means."""
        if self.kind == "bool":
            return bool(number)
        n_values = self.most - self.least + 1
        low = number & (n_values - 1)
        return low - n_values if low > self.most else low


VARINTS = {
    kind: Varint(kind, least, most)
    for kind, least, most in (
        ("bool", 0, 1),
        ("enum", -(2**31), 2**31 - 1),
        ("int32", -(2**31), 2**31 - 1),
        ("int64", -(2**63), 2**63 - 1),
        ("uint32", 0, 2**32 - 1),
        ("uint64", 0, 2**64 - 1),
    )
}


class Fixed(msgspec.Struct, frozen=True):
    """A kind of fixed width, and its struct format."""

    kind: str
    wire: Wire
    format: str

    def pack(self, value: Any) -> bytes:
        """The bytes of a caller's value.

        Raises:
            Fault: It is no number, or too large for the kind.
        """
        try:
            return struct.pack(self.format, value)
        except (struct.error, OverflowError, TypeError, ValueError):
            raise Fault(f"{repr(value)[:80]} does not fit {self.kind}") from None


FIXED = {
    "double": Fixed("double", Wire.FIXED_64, "<d"),
    "float": Fixed("float", Wire.FIXED_32, "<f"),
}


def _text(view: memoryview[int]) -> str:
    try:
        return str(view, "utf-8")
    except UnicodeDecodeError as error:
        raise Fault(f"not UTF-8 from byte {error.start} on") from None


def _view(view: memoryview[int]) -> memoryview[int]:
    return view


# The kinds that are a run of bytes, and how each is read.
TEXTS: dict[str, Callable[[memoryview[int]], Any]] = {"string": _text, "bytes": _view}


def text_bytes(value: Any) -> bytes:
    """The bytes of a caller's text.

    Raises:
        Fault: It is no text, or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise Fault(f"{repr(value)[:80]} is not a string")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Fault(f"character {error.start} has no UTF-8 form") from None
