"""``Body``: an encoded message as parts, the large ones by reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Body", "Part"]

Part: TypeAlias = bytes | memoryview

# Large enough that system calls cost nothing beside the copying, small enough to copy in the cache.
_BLOCK_BYTES = 262_144


class Body:
    """The bytes of a message, in order, as often as they are asked for.

    Iterating gives blocks for a transport: as few as the size allows, each made when it is asked
    for, so that a body never exists twice in memory.

    Attributes:
        parts: The bytes as they lie in memory; tensors are views of the caller's own buffers.
        size_bytes: How many bytes there are, for a Content-Length.
    """

    __slots__ = ("parts", "size_bytes")

    def __init__(self, parts: tuple[Part, ...], size_bytes: int) -> None:
        self.parts, self.size_bytes = parts, size_bytes

    def __bytes__(self) -> bytes:
        """All bytes in one piece, copied."""
        return b"".join(self.parts)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes in blocks of 256 KB, of which the last may be smaller; none when empty."""
        block: list[Part] = []
        room = _BLOCK_BYTES
        for part in self.parts:
            left = part
            while len(left) >= room:
                view = memoryview(left)
                yield b"".join([*block, view[:room]])
                left, block, room = view[room:], [], _BLOCK_BYTES
            block.append(left)
            room -= len(left)
        if room < _BLOCK_BYTES:
            yield b"".join(block)

    def __repr__(self) -> str:
        """Counts; never the bytes."""
        return f"Body(<{self.size_bytes} bytes in {len(self.parts)} parts>)"
