from __future__ import annotations

import gzip
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinker_lite.errors import DecodeError, LimitExceeded
from tinker_lite.wire.content import (
    PIECE_BYTES,
    accepted_codings,
    content_decoder,
    zstd_frame,
    zstd_module,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b"And it came to pass. " * 100


def raw_deflate(data: bytes) -> bytes:
    """Deflate without its zlib header, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    """One zstd frame."""
    packed: bytes = zstd_module().compress(data)
    return packed


def decoded(coding: str, data: bytes, n_bytes: int = 10**9, max_bytes: int | None = None) -> bytes:
    """The body, fed in parts of so many bytes."""
    decoder = content_decoder(coding, max_bytes)
    pieces = [
        piece
        for start in range(0, len(data), n_bytes)
        for piece in decoder.feed(data[start : start + n_bytes])
    ]
    decoder.finish()
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces if coding)
    return b"".join(pieces)


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", lambda data: data),
    ("identity", lambda data: data),
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstd),
    ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    ("identity, gzip", gzip.compress),
]


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
@pytest.mark.parametrize("n_bytes", [1, 7, 10**9])
def test_a_coding_is_undone(coding: str, pack: Callable[[bytes], bytes], n_bytes: int) -> None:
    """Whole or in parts, and an empty body too."""
    assert decoded(coding, pack(TEXT), n_bytes) == TEXT
    assert decoded(coding, pack(b""), n_bytes) == b""
    assert decoded(coding, b"") == b""


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
@pytest.mark.parametrize("n_bytes", [1, 10**9])
def test_parts_may_follow_one_another(
    coding: str, pack: Callable[[bytes], bytes], n_bytes: int
) -> None:
    """Members of gzip, frames of zstd (RFC 1952 section 2.2, RFC 8878 section 3.1)."""
    assert decoded(coding, pack(b"one") + pack(b"two"), n_bytes) == b"onetwo"


@pytest.mark.parametrize(("coding", "pack"), CODINGS[2:8])
def test_a_bomb_is_stopped_while_it_unpacks(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """No piece is large, and the bound holds for the whole, also within one piece of input."""
    bomb = pack(bytes(50_000_000))
    decoder = content_decoder(coding, 1_000_000)
    pieces: list[int] = []
    with pytest.raises(LimitExceeded, match="more than the 1000000 bytes"):
        pieces.extend(len(piece) for piece in decoder.feed(bomb))
    assert sum(pieces) <= 1_000_000
    assert max(pieces) <= PIECE_BYTES


def test_a_bound_holds_without_a_coding() -> None:
    """A body that is sent as it is counts too."""
    assert decoded("", b"x" * 10, max_bytes=10) == b"x" * 10
    with pytest.raises(LimitExceeded):
        decoded("", b"x" * 11, max_bytes=10)


@pytest.mark.parametrize(("coding", "pack"), CODINGS[2:8])
def test_a_body_cut_short_is_no_body(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """The compressed data must come to its end."""
    with pytest.raises(DecodeError, match="ends before its end"):
        decoded(coding, pack(TEXT)[:-3])


@pytest.mark.parametrize(
    ("coding", "data", "reason"),
    [
        ("gzip", b"nonsense", "not valid gzip"),
        ("deflate", b"x\x9cnonsense", "not valid deflate"),
        ("zstd", b"nonsense", "not valid zstd"),
        ("deflate", zlib.compress(b"a") + b"b", "goes on behind the end"),
        ("gzip", gzip.compress(b"a", mtime=0) + b"b" * 20, "not valid gzip"),
        ("br", b"x", "the content coding 'br', which is unknown"),
        ("gzip, gzip, gzip", b"x", "3 content codings"),
    ],
)
def test_what_cannot_be_read_is_refused(coding: str, data: bytes, reason: str) -> None:
    """With the reason."""
    with pytest.raises(DecodeError, match=reason):
        decoded(coding, data)


def test_only_what_can_be_read_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is zstd too where there is a module for it; the refusal names the extra."""
    assert accepted_codings() == "gzip, deflate, zstd"
    if sys.version_info >= (3, 14):
        return
    monkeypatch.setitem(sys.modules, "backports", None)
    assert accepted_codings() == "gzip, deflate"
    assert zstd_frame([TEXT], len(TEXT)) is None
    with pytest.raises(DecodeError, match=r"tinker-lite\[zstd\]"):
        content_decoder("zstd")


# Frames


@given(st.lists(st.binary(max_size=40) | st.integers(0, 300_000).map(bytes), max_size=4))
def test_a_frame_holds_the_whole(pieces: list[bytes]) -> None:
    """One frame, which says how much is in it, whatever the pieces."""
    whole = b"".join(pieces)
    frame = zstd_frame(map(memoryview, pieces), len(whole))
    assert frame is not None
    assert decoded("zstd", frame) == whole
    assert zstd_module().get_frame_info(frame).decompressed_size == len(whole)
    assert zstd_module().get_frame_size(frame) == len(frame)


def test_a_frame_of_another_size_than_said_is_refused() -> None:
    """A server would take it for a damaged one."""
    with pytest.raises(zstd_module().ZstdError, match="size"):
        zstd_frame([TEXT], len(TEXT) + 1)


# Whatever arrives

CODED = st.sampled_from(CODINGS)


def check_any_bytes(coding: str, data: bytes, n_bytes: int) -> None:
    """Bytes end in a body or in one of our errors."""
    try:
        body = decoded(coding, data, n_bytes, 10**6)
    except (DecodeError, LimitExceeded):
        return
    assert len(body) <= 10**6


def check_round_trip(coding: Any, data: bytes, n_bytes: int) -> None:
    """What was packed comes out, wherever it is cut; and so do mutations of it, or an error."""
    name, pack = coding
    packed = pack(data)
    assert decoded(name, packed, n_bytes) == data
    check_any_bytes(name, packed[: len(packed) // 2] + data + packed[len(packed) // 2 :], n_bytes)


@given(CODED, st.binary(max_size=300), st.integers(1, 64))
def test_any_body_and_any_bytes(coding: Any, data: bytes, n_bytes: int) -> None:
    """Round trips, mutations and noise."""
    check_round_trip(coding, data, n_bytes)
    check_any_bytes(coding[0], data, n_bytes)


@pytest.mark.slow
@given(CODED, st.binary(max_size=300), st.integers(1, 64))
@settings(max_examples=10_000)
def test_any_body_and_any_bytes_at_length(coding: Any, data: bytes, n_bytes: int) -> None:
    """The same, ten thousand times."""
    check_round_trip(coding, data, n_bytes)
    check_any_bytes(coding[0], data, n_bytes)
