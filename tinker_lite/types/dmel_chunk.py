"""``DmelChunk``: a piece of sound, as a serialised tensor."""

from __future__ import annotations

from typing import Annotated

from tinker_lite.types._base import Variant
from tinker_lite.types.property_info import PropertyInfo

__all__ = ["DmelChunk"]

# Protocol section 3.1: the head of a serialised tensor. A constant tensor has a mark in front.
_CONSTANT = 254
_N_DTYPES = 8
_MAX_SHIFT = 63


class DmelChunk(Variant, frozen=True, kw_only=True, tag="dmel"):
    """Sound, as quantised mel spectra.

    Attributes:
        dmel: A serialised tensor whose first dimension is time; base64 on the wire.

    Source: protocol section 3.1.
    """

    dmel: Annotated[bytes, PropertyInfo(format="base64")]

    def __post_init__(self) -> None:
        """Refuse base64 text: it is made while encoding."""
        if not isinstance(self.dmel, bytes | bytearray | memoryview):
            raise TypeError(
                f"DmelChunk.dmel must be the tensor's bytes, not {type(self.dmel).__name__}."
            )

    @property
    def length(self) -> int:
        """How many tokens the chunk takes: the tensor's first dimension.

        Raises:
            ValueError: The bytes do not begin as a serialised tensor with dimensions does.
        """
        head = bytes(self.dmel[:1])
        start = 1 if head and head[0] == _CONSTANT else 0
        if len(self.dmel) <= start or self.dmel[start] >= _N_DTYPES:
            raise ValueError("DmelChunk.dmel does not begin as a serialised tensor does.")
        rank, start = _varint(self.dmel, start + 1)
        if rank == 0:
            raise ValueError("DmelChunk.dmel is a tensor without dimensions; time is the first.")
        dimensions: list[int] = []
        for _ in range(min(rank, len(self.dmel))):
            dimension, start = _varint(self.dmel, start)
            dimensions.append(dimension)
        return dimensions[0]

    def __repr__(self) -> str:
        """The size, never the bytes."""
        return f"DmelChunk(<{len(self.dmel)} bytes>)"


def _varint(raw: bytes, start: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where the next one starts."""
    value = 0
    for shift in range(0, _MAX_SHIFT + 1, 7):
        if start >= len(raw):
            raise ValueError("DmelChunk.dmel ends within its tensor's shape.")
        byte = raw[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
    raise ValueError("DmelChunk.dmel has a dimension of more than 64 bits.")
