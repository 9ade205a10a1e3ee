"""Encoded bodies: parts by reference, blocks for a transport."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.wire.protobuf import Body, encode_message

BLOCK_BYTES = 262_144


@given(st.lists(st.integers(0, 700_000).map(bytes), max_size=6))
def test_blocks_are_the_parts_in_order(parts: list[bytes]) -> None:
    """Each full but the last, none empty, and the same when asked again."""
    body = Body(tuple(parts), sum(map(len, parts)))
    blocks = list(body)
    assert b"".join(blocks) == bytes(body) == b"".join(parts)
    assert all(len(block) == BLOCK_BYTES for block in blocks[:-1])
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    assert list(body) == blocks


def test_buffers_are_referenced() -> None:
    """Of any element type; a tuple of them is one field."""
    numbers = array("q", [1, 2])
    body = encode_message("DmelChunk", {"dmel": (numbers, b"x")})
    numbers[0] = 3
    assert bytes(body) == b"\x0a\x11" + numbers.tobytes() + b"x"
    assert repr(body) == "Body(<19 bytes in 3 parts>)"
