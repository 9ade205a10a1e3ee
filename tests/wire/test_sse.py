from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinker_lite.errors import DecodeError
from tinker_lite.wire.lines import LineSplitter
from tinker_lite.wire.sse import EventDecoder, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable


def events(*pieces: bytes) -> list[ServerSentEvent]:
    """What a stream of pieces says."""
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def said(data: str, event: str = "message", id_: str = "", retry_ms: int | None = None) -> object:
    """One event."""
    return ServerSentEvent(data=data, event=event, id=id_, retry_ms=retry_ms)


# Most rows are the examples and rules of WHATWG HTML section 9.2.
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: a\n\n", [said("a")], id="one"),
        pytest.param(b"data: a\r\n\r\n", [said("a")], id="CRLF"),
        pytest.param(b"data: a\r\r", [said("a")], id="CR"),
        pytest.param(b"data: a\ndata: b\n\n", [said("a\nb")], id="several lines"),
        pytest.param(b"data: a\ndata\ndata: b\n\n", [said("a\n\nb")], id="an empty line between"),
        pytest.param(b"data\n\ndata\ndata\n\ndata:", [said(""), said("\n")], id="empty data"),
        pytest.param(b"data:a\n\ndata:  b\n\n", [said("a"), said(" b")], id="one space goes"),
        pytest.param(b"data: a: b\n\n", [said("a: b")], id="a colon in the data"),
        pytest.param(b": hello\n\ndata: a\n: x\n\n", [said("a")], id="comments"),
        pytest.param(b"event: e\ndata: a\n\ndata: b\n\n", [said("a", "e"), said("b")], id="types"),
        pytest.param(b"event: e\n\ndata: a\n\n", [said("a")], id="a type without data is dropped"),
        pytest.param(
            b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
            [said("a", id_="1"), said("b", id_="1"), said("c")],
            id="an id stays until it is replaced",
        ),
        pytest.param(b"id: 1\n\ndata: a\n\n", [said("a", id_="1")], id="an id without data"),
        pytest.param(b"id: a\0b\ndata: a\n\n", [said("a")], id="an id with NUL is ignored"),
        pytest.param(
            b"retry: 10\ndata: a\n\nretry: x\ndata: b\n\n",
            [said("a", retry_ms=10), said("b", retry_ms=10)],
            id="a time is digits only",
        ),
        pytest.param(b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [said("a")], id="no time"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [said("a")], id="a byte order mark"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="one mark, not two"),
        pytest.param(b"data: a\n\n\n\n", [said("a")], id="blank lines"),
        pytest.param(b"data: a\n", [], id="no blank line, no event"),
        pytest.param(b"data: a", [], id="cut within a line"),
        pytest.param(
            b"colour: red\nDATA: b\n data: c\ndata: a\n\n", [said("a")], id="other fields"
        ),
        pytest.param(b"data: \xff\xc3\xa9\n\n", [said("\ufffd\u00e9")], id="not UTF-8"),
        pytest.param(b"data: \xe2\x80\xa8\x0b\n\n", [said("\u2028\x0b")], id="no other line ends"),
    ],
)
def test_a_stream_is_read_by_the_standard(stream: bytes, expected: list[object]) -> None:
    """Whole, byte by byte, and cut in two anywhere."""
    assert events(stream) == expected
    assert events(*(stream[i : i + 1] for i in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert events(stream[:cut], stream[cut:]) == expected


def test_an_event_comes_with_its_blank_line() -> None:
    """Not one piece later: a CR ends a line by itself."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: a\r\n")) == []
    assert list(decoder.feed(b"\r")) == [said("a")]
    assert list(decoder.feed(b"\ndata: b\n\n")) == [said("b")]


def test_what_never_ends_is_refused() -> None:
    """A line, and an event of many lines, are bounded."""
    with pytest.raises(DecodeError, match="longer than the 10 bytes"):
        list(EventDecoder(10).feed(b"data: 123456"))
    decoder = EventDecoder(20)
    assert list(decoder.feed(b"data: 1\n\n" * 10)) == [said("1")] * 10
    with pytest.raises(DecodeError, match="larger than the 20 bytes"):
        list(decoder.feed(b"data: 1\n" * 10))


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream, cut at these places."""
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


PIECES = st.sampled_from(
    [b"data: x", b"\r", b"\n", b"\r\n", b"id: 1", b"event", b":", b"\xef\xbb\xbf"]
)
STREAMS = st.lists(PIECES | st.binary(max_size=4), max_size=20).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=5)


def check_cuts(stream: bytes, places: list[int]) -> None:
    """Cutting a stream elsewhere changes nothing."""
    assert events(*cut(stream, places)) == events(stream)
    splitter, whole = LineSplitter(), LineSplitter()
    lines = [line for piece in cut(stream, places) for line in splitter.feed(piece)]
    assert (lines, splitter.rest()) == (whole.feed(stream), whole.rest())


@given(STREAMS, CUTS)
def test_where_a_stream_is_cut_does_not_matter(stream: bytes, places: list[int]) -> None:
    """Any bytes, cut anywhere."""
    check_cuts(stream, places)


@pytest.mark.slow
@given(STREAMS, CUTS)
@settings(max_examples=10_000)
def test_where_a_stream_is_cut_does_not_matter_at_length(stream: bytes, places: list[int]) -> None:
    """The same, ten thousand times."""
    check_cuts(stream, places)
