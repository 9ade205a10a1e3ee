from __future__ import annotations

import asyncio
import gzip
import re
import threading
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
from tinker_lite.http import AsyncResponse, Headers, Request
from tinker_lite.protocol.replies import Reply
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

HEAD = Reply(status=200, headers=Headers(), body=b"", method="GET", url="http://h/a")
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
    chunks = items_of(ItemReader(Source(*pieces), Chunked(size), HEAD))
    assert b"".join(chunks) == body
    assert all(len(each) == size for each in chunks[:-1])
    texts = items_of(ItemReader(Source(*pieces), Text("utf-8", size), HEAD))
    assert "".join(texts) == text
    assert all(len(each) == size for each in texts[:-1])
    plain = items_of(ItemReader(Source(*pieces), Text("utf-8", None), HEAD))
    assert "".join(plain) == text
    lines = items_of(ItemReader(Source(*pieces), Lines("utf-8"), HEAD))
    assert lines == items_of(ItemReader(Source(body), Lines("utf-8"), HEAD))


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


def test_items_are_made_one_at_a_time() -> None:
    """Of one piece too: those before a wrong one come, those after the end are not looked at."""
    tape = Tape(b'data: {"n": 1}\n\ndata: {"n": "x"}\n\ndata: {"n": 3}\n\n')
    stream = blocking(Player(tape)).get(PLACE, stream=True, stream_cls=Stream[Item])
    assert next(stream) == {"n": 1}
    with pytest.raises(APIResponseValidationError, match=r"`\$\.n`"):
        next(stream)
    assert list(stream) == []
    tape = Tape(b'data: {"n": 1}\n\ndata: [DONE]\n\ndata: nonsense\n\n')
    stream = blocking(Player(tape)).get(PLACE, stream=True, stream_cls=Stream[Item])
    assert list(stream) == [{"n": 1}]
    assert tape.n_closed == 1


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8"])
async def test_a_body_that_has_no_items_is_refused(kind: str) -> None:
    """It says what it is, and would otherwise be an empty stream; ``bytes`` fit anything."""
    for pieces in ([b'{"error": "busy"}'], []):
        player = Player(Tape(*pieces), ("Content-Type", kind))
        stream = blocking(player).get(PLACE, stream=True, stream_cls=Stream[Item])
        said = re.escape(f"this does not fit: it is {kind.partition(';')[0]}, and items come in")
        with pytest.raises(APIResponseValidationError, match=said) as caught:
            next(stream)
        assert caught.value.body == (pieces[0].decode() if pieces else None)
        assert player.tape.n_closed == 1
    raw = AsyncPlayer(Tape(b"{}"), ("Content-Type", kind))
    pieces_of = await nonblocking(raw).get(PLACE, stream=True, stream_cls=AsyncStream[bytes])
    assert [piece async for piece in pieces_of] == [b"{}"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "latin-1", "cp037"])
def test_lines_are_found_in_every_character_set(encoding: str) -> None:
    """U+010A has the byte of a line feed in it; the pieces cut characters."""
    lines = ["a", "", "z"] if encoding in {"latin-1", "cp037"} else ["a\u010ab", "", "\U0001f600"]
    raw = "\r\n".join(lines).encode(encoding)
    assert items_of(ItemReader(Source(*cut(raw, [1] * 9)), Lines(encoding), HEAD)) == lines


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
    base = AsyncStream if stream_cls == AsyncStream[Item] else Stream
    assert item_type(stream_cls, base) == expected


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stream": True, "stream_cls": dict}, r"give this client Stream\[T\]"),
        ({"stream": True, "stream_cls": AsyncStream[Item]}, r"give this client Stream\[T\]"),
        ({"stream": True}, "needs stream=True and stream_cls"),
        ({"stream_cls": Stream[Item]}, "needs stream=True and stream_cls"),
    ],
)
def test_what_does_not_make_a_stream_is_refused(options: dict[str, Any], text: str) -> None:
    """Before anything is sent."""
    player = Player(Tape())
    client = blocking(player)
    with pytest.raises(TypeError, match=text):
        client.get(PLACE, **options)
    whole: Any = client.with_raw_response
    with pytest.raises(TypeError, match=r"stream=True goes with|needs stream=True"):
        whole.get(PLACE, **options)
    assert not player.requests


async def test_an_async_client_has_async_streams() -> None:
    """Iterating over the other kind would fail after the call was made."""
    player = AsyncPlayer(Tape())
    client: Any = nonblocking(player)
    with pytest.raises(TypeError, match=r"give this client AsyncStream\[T\]"):
        await client.get(PLACE, stream=True, stream_cls=Stream[Item])
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
    """A splitter's refusal ends the stream, and is the error that other unfit answers are."""

    class Refusing:
        def feed(self, piece: bytes) -> list[bytes]:
            raise DecodeError(f"{len(piece)} bytes are too many")

        def rest(self) -> list[bytes]:
            return []

    source = Source(b"abc")
    reader = ItemReader(source, Refusing(), HEAD)
    text = "GET http://h/a answered 200, but this does not fit: 3 bytes are too many"
    with pytest.raises(APIResponseValidationError, match=text) as caught:
        drive(reader.next())
    assert isinstance(caught.value.__cause__, DecodeError)
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


def test_what_is_cancelled_while_its_file_is_opened_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By asyncio itself, which does not wait for the thread that opens it."""
    asked, goes_on, removed = (threading.Event() for _ in range(3))
    real_open, real_unlink = Path.open, Path.unlink

    def slow_open(self: Path, mode: str = "r") -> Any:
        asked.set()
        assert goes_on.wait(5)
        return real_open(self, mode)

    def unlink(self: Path, missing_ok: bool = False) -> None:
        real_unlink(self, missing_ok)
        removed.set()

    monkeypatch.setattr(Path, "open", slow_open)
    monkeypatch.setattr(Path, "unlink", unlink)
    player = AsyncPlayer(Tape(b"content"))

    async def download() -> None:
        async with nonblocking(player).with_streaming_response.get(PLACE, cast_to=bytes) as answer:
            await answer.stream_to_file(tmp_path / "a")

    async def cancel() -> None:
        task = asyncio.create_task(download())
        assert await asyncio.to_thread(asked.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    goes_on.set()
    assert removed.wait(5)
    assert names_in(tmp_path) == []
    assert player.tape.n_closed >= 1


@pytest.mark.parametrize("name", ["n" * 255, "\u00fc" * 127])
def test_a_file_may_have_the_longest_name_there_is(name: str, tmp_path: Path) -> None:
    """The name that it has until it is whole is no longer."""
    with blocking(Player(Tape(b"a"))).with_streaming_response.get(PLACE, cast_to=bytes) as response:
        response.stream_to_file(tmp_path / name)
    assert names_in(tmp_path) == [name]


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
