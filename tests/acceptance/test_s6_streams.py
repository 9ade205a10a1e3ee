"""Section S6: streams of items, events above all."""

from __future__ import annotations

import random

import pytest

import tinker_lite as tl
from tests.acceptance.tapes import (
    CHUNKED,
    PLACE,
    THREE,
    AsyncPlayer,
    Item,
    Player,
    Stepwise,
    Tape,
    blocking,
    both,
    chunk,
    nonblocking,
)
from tinker_lite.clients.streams import AsyncStream, Stream
from tinker_lite.wire.sse import ServerSentEvent
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

EVENTS = CHUNKED + b"Content-Type: text/event-stream\r\n\r\n"


def test_s6_4_blocking_stream() -> None:
    """S6.4: a blocking stream of events is iterated, with and without a block around it."""
    client = blocking(Player(Tape(THREE, b'data: {"n": 4}\n\n')))
    stream = client.get(PLACE, stream=True, stream_cls=Stream[Item])
    assert list(stream) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert stream.response.is_closed
    client = blocking(Player(Tape(THREE)))
    with client.post(PLACE, stream=True, stream_cls=Stream[Item], body={}) as stream:
        assert next(stream) == {"n": 1}
        assert [item["n"] for item in stream] == [2, 3]
    with pytest.raises(TypeError, match="needs stream=True and stream_cls"):
        client.get(PLACE, stream=True)  # type: ignore[call-overload]  # what the check is about


async def test_s6_5_async_stream() -> None:
    """S6.5: an async stream too."""
    client = nonblocking(AsyncPlayer(Tape(THREE)))
    stream = await client.get(PLACE, stream=True, stream_cls=AsyncStream[Item])
    assert [item["n"] async for item in stream] == [1, 2, 3]
    client = nonblocking(AsyncPlayer(Tape(THREE)))
    async with await client.get(PLACE, stream=True, stream_cls=AsyncStream[Item]) as stream:
        assert await anext(stream) == {"n": 1}


async def test_s6_6_events_as_they_come() -> None:
    """S6.6: an event reaches the caller before the next one is sent."""
    pieces = [b'data: {"n": %d}\n\n' % n for n in range(3)]
    server, async_server = Stepwise(EVENTS, *pieces), Stepwise(EVENTS, *pieces)

    def run(url: str) -> None:
        with (
            tl.Tinker(base_url=url) as client,
            client.get(PLACE, stream=True, stream_cls=Stream[Item]) as stream,
        ):
            for item in stream:
                server.saw(item["n"])

    async def run_async(url: str) -> None:
        async with (
            tl.AsyncTinker(base_url=url) as client,
            await client.get(PLACE, stream=True, stream_cls=AsyncStream[Item]) as stream,
        ):
            async for item in stream:
                async_server.saw(item["n"])

    with Adversary(server, async_server) as adversary:
        url = adversary.url("")
        await both(lambda: run(url), lambda: run_async(url))
    assert server.n_sent == async_server.n_sent == 3


SOURCE = "".join(random.Random(7).choices("aä€\n", k=20_000)).encode()


def serve_source(peer: Peer) -> None:
    """Send a text in chunks of random sizes."""
    sizes = random.Random(8)
    while peer.request() is not None:
        body, start = [CHUNKED + b"\r\n"], 0
        while start < len(SOURCE):
            end = start + sizes.randint(1, 900)
            body.append(chunk(SOURCE[start:end]))
            start = end
        peer.send(*body, b"0\r\n\r\n")


def test_s6_7_any_body() -> None:
    """S6.7: chunks of random sizes come out whole, as bytes, text and lines."""
    with Adversary(serve_source) as server, tl.Tinker(base_url=server.url("")) as client:
        get = client.with_streaming_response.get
        with get(PLACE, cast_to=bytes) as response:
            assert b"".join(response.iter_bytes()) == SOURCE
        with get(PLACE, cast_to=bytes) as response:
            pieces = list(response.iter_bytes(chunk_size=1000))
        assert b"".join(pieces) == SOURCE
        assert {len(piece) for piece in pieces[:-1]} == {1000}
        with get(PLACE, cast_to=bytes) as response:
            assert "".join(response.iter_text()) == SOURCE.decode()
        with get(PLACE, cast_to=bytes) as response:
            assert list(response.iter_lines()) == SOURCE.decode().split("\n")


async def test_s6_7_any_body_async() -> None:
    """S6.7: the same in the async form."""
    with Adversary(serve_source) as server:
        async with tl.AsyncTinker(base_url=server.url("")) as client:
            get = client.with_streaming_response.get
            async with get(PLACE, cast_to=bytes) as response:
                assert b"".join([piece async for piece in response.iter_bytes()]) == SOURCE
            async with get(PLACE, cast_to=bytes) as response:
                texts = [text async for text in response.iter_text(chunk_size=999)]
            assert "".join(texts) == SOURCE.decode()
            assert {len(text) for text in texts[:-1]} == {999}
            async with get(PLACE, cast_to=bytes) as response:
                lines = [line async for line in response.iter_lines()]
            assert lines == SOURCE.decode().split("\n")


async def test_s6_11_lazily() -> None:
    """S6.11: while the socket is held open after the first chunk, that chunk can be read."""
    server = Stepwise(CHUNKED + b"\r\n", b"first", b"second")
    async_server = Stepwise(CHUNKED + b"\r\n", b"first", b"second")

    def run(url: str) -> None:
        with (
            tl.Tinker(base_url=url) as client,
            client.with_streaming_response.get(PLACE, cast_to=bytes) as response,
        ):
            for n, piece in enumerate(response.iter_bytes()):
                assert piece == [b"first", b"second"][n]
                server.saw(n)

    async def run_async(url: str) -> None:
        async with (
            tl.AsyncTinker(base_url=url) as client,
            client.with_streaming_response.get(PLACE, cast_to=bytes) as response,
        ):
            chunks = response.iter_bytes()
            for n, expected in enumerate([b"first", b"second"]):
                assert await anext(chunks) == expected
                async_server.saw(n)

    with Adversary(server, async_server) as adversary:
        url = adversary.url("")
        await both(lambda: run(url), lambda: run_async(url))


async def test_x6_1_leaving_closes() -> None:
    """X6.1: leaving the block, or the loop, early ends the connection and frees its slot."""
    ended: list[bool] = []

    def endless(peer: Peer) -> None:
        peer.request()
        peer.send(EVENTS, *[chunk(b'data: {"n": 1}\n\n')] * 3)
        ended.append(peer.wait_for_end())

    def serve(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(ok(b'{"status": "ok"}'))

    def run(url: str) -> None:
        transport = Urllib3Transport(max_connections=1)
        with transport, tl.Tinker(base_url=url, transport=transport) as client:
            with client.with_streaming_response.get(PLACE, cast_to=bytes) as response:
                assert next(response.iter_bytes())
            with client.get(PLACE, stream=True, stream_cls=Stream[Item]) as stream:
                for _ in stream:
                    break
            assert client.service.health_check().status == "ok"

    async def run_async(url: str) -> None:
        async with (
            H11Transport(max_connections=1) as transport,
            tl.AsyncTinker(base_url=url, transport=transport) as client,
        ):
            async with client.with_streaming_response.get(PLACE, cast_to=bytes) as response:
                assert await anext(response.iter_bytes())
            async with await client.get(PLACE, stream=True, stream_cls=AsyncStream[Item]) as items:
                async for _ in items:
                    break
            assert (await client.service.health_check()).status == "ok"

    with Adversary(endless, endless, serve, endless, endless, serve) as server:
        url = server.url("")
        await both(lambda: run(url), lambda: run_async(url))
    assert ended == [True] * 4


CORNERS = [
    pytest.param(b"data: a\r\n\r\ndata: b\r\r", ["a", "b"], id="CRLF and CR"),
    pytest.param(b"data: a\ndata: b\n\n", ["a\nb"], id="lines of data are joined"),
    pytest.param(b": comment\ndata: a\n\n", ["a"], id="comments"),
    pytest.param(b"data:  a\n\ndata:b\n\n", [" a", "b"], id="one leading space goes"),
    pytest.param(b"data: a\n\ndata: b\n", ["a"], id="no blank line at the end"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", ["a"], id="a byte order mark"),
    pytest.param("data: a\u2028b\n\n".encode(), ["a\u2028b"], id="other line separators"),
]


@pytest.mark.parametrize(("body", "texts"), CORNERS)
async def test_x6_2_corners(body: bytes, texts: list[str]) -> None:
    """X6.2: the corner cases of the WHATWG rules, with the bytes split everywhere."""
    pieces = [body[i : i + 1] for i in range(len(body))]
    client = blocking(Player(Tape(*pieces)))
    with client.get(PLACE, stream=True, stream_cls=Stream[ServerSentEvent]) as events:
        assert [event.data for event in events] == texts
    async_client = nonblocking(AsyncPlayer(Tape(body)))
    stream_cls = AsyncStream[ServerSentEvent]
    async with await async_client.get(PLACE, stream=True, stream_cls=stream_cls) as async_events:
        assert [event.data async for event in async_events] == texts


def test_x6_2_id_and_retry() -> None:
    """X6.2: an id holds for later events, and a retry that is no number is ignored."""
    body = b"id: 7\nretry: 10\ndata: a\n\nretry: x\nevent: e\ndata: b\n\n"
    client = blocking(Player(Tape(body)))
    with client.get(PLACE, stream=True, stream_cls=Stream[ServerSentEvent]) as events:
        assert [(e.id, e.retry_ms, e.event) for e in events] == [
            ("7", 10, "message"),
            ("7", 10, "e"),
        ]
