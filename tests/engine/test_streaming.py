from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.tapes import (
    PLACE,
    AsyncPlayer,
    Item,
    Player,
    Tape,
    blocking,
    names_in,
    nonblocking,
)
from tinker_lite import APIConnectionError, APIResponseValidationError
from tinker_lite.clients.streams import AsyncStream, Stream, item_type
from tinker_lite.engine.streaming import END, Chunked, ItemReader, Lines, Text
from tinker_lite.engine.world import drive
from tinker_lite.errors import DecodeError, StreamAlreadyConsumed, TruncatedBody
from tinker_lite.http import AsyncResponse, Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

LOST = TruncatedBody("the body ended before its end", may_have_arrived=True)


class Source:
    """Pieces of a body, for a reader."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)
        self.is_closed = False

    def begin(self) -> None:
        """Nothing is to be asked for."""

    async def next(self) -> bytes | None:
        """The next piece."""
        return next(self._pieces, None)

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """A body in pieces of these sizes, then the rest."""
    pieces: list[bytes] = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    return [*pieces, body]


def items_of(reader: ItemReader[Any]) -> list[Any]:
    """Every item of a reader."""
    found: list[Any] = []
    while (item := drive(reader.next())) is not END:
        found.append(item)
    return found


@given(st.text(max_size=40), st.lists(st.integers(0, 5)), st.integers(1, 7))
def test_however_a_body_is_split_the_same_comes_out(text: str, sizes: list[int], size: int) -> None:
    """Pieces of one size, text, and lines do not depend on how the bytes came."""
    body = text.encode()
    pieces = cut(body, sizes)
    chunks = items_of(ItemReader(Source(*pieces), Chunked(size)))
    assert b"".join(chunks) == body
    assert all(len(each) == size for each in chunks[:-1])
    texts = items_of(ItemReader(Source(*pieces), Text("utf-8", size)))
    assert "".join(texts) == text
    assert all(len(each) == size for each in texts[:-1])
    plain = items_of(ItemReader(Source(*pieces), Text("utf-8", None)))
    assert "".join(plain) == text
    lines = items_of(ItemReader(Source(*pieces), Lines("utf-8")))
    assert lines == items_of(ItemReader(Source(body), Lines("utf-8")))


@pytest.mark.parametrize("splitter", [Chunked, partial(Text, "utf-8")])
def test_a_size_is_one_or_more(splitter: Any) -> None:
    """Zero would never end."""
    with pytest.raises(ValueError, match="chunk_size is 0; it must be 1 or more, or None"):
        splitter(0)


@pytest.mark.parametrize("kind", ["application/jsonl", "application/x-ndjson; charset=utf-8"])
def test_lines_of_json_are_items(kind: str) -> None:
    """Empty lines are none; the last line may lack its end."""
    body = Tape(b'{"n": 1}\n\n{"n"', b': 2}\r\n{"n": 3}')
    client = blocking(Player(body, ("Content-Type", kind)))
    assert [item["n"] for item in client.get(PLACE, stream=True, stream_cls=Stream[Item])] == [
        1,
        2,
        3,
    ]


def test_raw_pieces_are_items() -> None:
    """``Stream[bytes]`` gives them as they come."""
    client = blocking(Player(Tape(b"a", b"bc")))
    assert list(client.get(PLACE, stream=True, stream_cls=Stream[bytes])) == [b"a", b"bc"]


def test_an_item_that_does_not_fit_ends_the_stream() -> None:
    """Those before it have come; the connection is let go of."""
    tape = Tape(b'data: {"n": 1}\n\n', b'data: {"n": "x"}\n\n')
    stream = blocking(Player(tape)).get(PLACE, stream=True, stream_cls=Stream[Item])
    assert next(stream) == {"n": 1}
    with pytest.raises(APIResponseValidationError, match=r"this does not fit: .*`\$\.n`"):
        next(stream)
    assert tape.n_closed == 1
    assert list(stream) == []


def test_an_answer_can_be_streamed_by_hand() -> None:
    """Out of ``with_streaming_response``, when its head has been looked at."""
    tape = Tape(b'data: {"n": 1}\n\n')
    with blocking(Player(tape)).with_streaming_response.get(PLACE, cast_to=bytes) as response:
        assert [item["n"] for item in response.stream(Item)] == [1]


class Items(Stream[Item]):
    """A stream class of the caller's."""


@pytest.mark.parametrize(
    ("stream_cls", "expected"),
    [
        (Stream[int], int),
        (AsyncStream[Item], Item),
        (Items, Item),
        (Stream, object),
        (Stream[list[int]], list[int]),
    ],
)
def test_a_stream_class_says_what_the_items_are(stream_cls: Any, expected: Any) -> None:
    """By its argument, or that of the class it derives from."""
    assert item_type(stream_cls) == expected


def test_what_is_no_stream_class_is_refused() -> None:
    """Before anything is sent."""
    player = Player(Tape())
    wrong: Any = dict
    with pytest.raises(TypeError, match=r"give Stream\[T\] or AsyncStream\[T\]"):
        blocking(player).get(PLACE, stream=True, stream_cls=wrong)
    assert not player.requests


def test_what_was_read_whole_can_be_had_again(tmp_path: Path) -> None:
    """In every form, also after the block; ``read`` gives the same bytes."""
    tape = Tape(b"a\n", b"b")
    with blocking(Player(tape)).with_streaming_response.get(PLACE, cast_to=bytes) as response:
        assert response.read() is response.read()
        assert list(response.iter_lines()) == ["a", "b"]
    response.stream_to_file(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"".join(response.iter_bytes()) == b"a\nb"
    assert (response.is_closed, tape.n_closed) == (True, 1)


async def test_an_async_stream_can_be_closed_by_hand() -> None:
    """Under either name; nothing more comes then."""
    tape = Tape(b"a", b"b")
    client = nonblocking(AsyncPlayer(tape))
    stream = await client.get(PLACE, stream=True, stream_cls=AsyncStream[bytes])
    assert await anext(stream) == b"a"
    await stream.close()
    await stream.aclose()
    assert [piece async for piece in stream] == []
    assert tape.n_closed == 1


# Failures


def test_a_body_that_is_too_large_to_be_kept_is_refused() -> None:
    """Pieces and files have no such bound."""
    streaming = blocking(Player(Tape(b"ab", b"cd")), max_response_bytes=3).with_streaming_response
    with (
        streaming.get(PLACE, cast_to=bytes) as response,
        pytest.raises(APIConnectionError, match="larger than the 3 bytes allowed"),
    ):
        response.read()
    streaming = blocking(Player(Tape(b"ab", b"cd")), max_response_bytes=3).with_streaming_response
    with streaming.get(PLACE, cast_to=bytes) as response:
        assert list(response.iter_bytes()) == [b"ab", b"cd"]


async def test_a_body_that_breaks_off_is_a_connection_error(tmp_path: Path) -> None:
    """In every way of reading it; of a file nothing is left behind, and the old one stays."""
    reply = FakeReply(b"half", broken_by=LOST)
    streaming = blocking(FakeTransport(lambda _: reply)).with_streaming_response
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with streaming.get(PLACE, cast_to=bytes) as response:
        with pytest.raises(APIConnectionError, match="get /api/v1/anything: no answer") as caught:
            response.stream_to_file(target)
        assert response.is_closed
    assert caught.value.__cause__ is not None
    assert names_in(tmp_path) == ["a"]
    assert target.read_bytes() == b"old"
    async_streaming = nonblocking(AsyncFakeTransport(lambda _: reply)).with_streaming_response
    async with async_streaming.get(PLACE, cast_to=bytes) as async_response:
        with pytest.raises(APIConnectionError):
            await async_response.read()
    async with async_streaming.get(PLACE, cast_to=bytes) as async_response:
        chunks = async_response.iter_bytes()
        assert await anext(chunks) == b"half"
        with pytest.raises(APIConnectionError):
            await anext(chunks)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(b"x" * 99, mtime=0)[:-1], "ends before its end"),
        (b"nonsense", "not valid gzip"),
    ],
)
def test_a_coding_that_is_broken_is_a_connection_error(body: bytes, reason: str) -> None:
    """As in a call that is read whole."""
    player = Player(Tape(body), ("Content-Encoding", "gzip"))
    with (
        blocking(player).with_streaming_response.get(PLACE, cast_to=bytes) as response,
        pytest.raises(APIConnectionError, match=reason),
    ):
        response.read()
    assert player.tape.n_closed == 1


def test_an_answer_that_was_closed_unread_cannot_be_read() -> None:
    """The error says why."""
    with blocking(Player(Tape(b"a"))).with_streaming_response.get(PLACE, cast_to=bytes) as response:
        pass
    with pytest.raises(StreamAlreadyConsumed, match="has been closed unread"):
        response.read()


def test_what_goes_on_for_ever_without_a_line_is_an_error() -> None:
    """A splitter's refusal ends the stream."""

    class Refusing:
        def feed(self, piece: bytes) -> list[bytes]:
            raise DecodeError(f"{len(piece)} bytes are too many")

        def rest(self) -> list[bytes]:
            return []

    source = Source(b"abc")
    reader = ItemReader(source, Refusing())
    with pytest.raises(DecodeError, match="3 bytes are too many"):
        drive(reader.next())
    assert source.is_closed


# Cancellation


class Stalled(AsyncIterator[bytes]):
    """A body that stops after its first piece."""

    def __init__(self) -> None:
        self.stalled = anyio.Event()
        self.closed = anyio.Event()
        self._first = iter((b"first",))

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for piece in self._first:
            return piece
        self.stalled.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        """Note it."""
        self.closed.set()


class StallingTransport(AsyncPlayer):
    """Answers with a body that stalls."""

    def __init__(self) -> None:
        super().__init__(Tape())
        self.body = Stalled()

    async def send(self, request: Request) -> AsyncResponse:
        """Answer."""
        return AsyncResponse(200, (), self.body, close=self.body.aclose)


async def test_a_cancelled_download_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a file nor an open connection."""
    transport = StallingTransport()

    async def download() -> None:
        streaming = nonblocking(transport).with_streaming_response
        async with streaming.get(PLACE, cast_to=bytes) as response:
            await response.stream_to_file(tmp_path / "a", chunk_size=1)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(download)
            await transport.body.stalled.wait()
            assert len(names_in(tmp_path)) == 1
            tasks.cancel_scope.cancel()
    assert transport.body.closed.is_set()
    assert names_in(tmp_path) == []


async def test_a_cancelled_stream_closes_its_answer() -> None:
    """Also while it waits for the next item."""
    transport = StallingTransport()

    async def read() -> None:
        client = nonblocking(transport)
        async with await client.get(PLACE, stream=True, stream_cls=AsyncStream[bytes]) as stream:
            async for _ in stream:
                pass

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await transport.body.stalled.wait()
            tasks.cancel_scope.cancel()
    assert transport.body.closed.is_set()
