"""Section S6: whole answers, unread ones, and bodies as files."""

from __future__ import annotations

import gzip
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tinker_lite as tl
from tests.acceptance.tapes import (
    NOWHERE,
    PLACE,
    THREE,
    AsyncPlayer,
    Item,
    Player,
    Tape,
    blocking,
    names_in,
    nonblocking,
)
from tests.rules.sources import fresh_interpreter
from tinker_lite.clients.streams import AsyncStream, Stream
from tinker_lite.errors import NotFoundError, StreamAlreadyConsumed
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.wire.sse import EventDecoder, ServerSentEvent
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer

VERBS = ["get", "post", "put", "patch", "delete"]


async def test_s6_1_response() -> None:
    """S6.1: a raw answer has status, headers, URL, method, elapsed time and retries."""

    def reply(request: Request) -> FakeReply:
        is_first = len(transports[request.headers.get("x-colour")].requests) == 1
        if is_first:
            return FakeReply(status=503, headers=(("retry-after-ms", "1"),))
        return FakeReply({"status": "ok"}, headers=(("X-Request-Id", "r1"),))

    transports: dict[str | None, Any] = {
        "b": FakeTransport(reply),
        "a": AsyncFakeTransport(reply),
    }
    client = blocking(transports["b"], default_headers={"x-colour": "b"})
    response = client.with_raw_response.service.health_check()
    async_client = nonblocking(transports["a"], default_headers={"x-colour": "a"})
    async_response = await async_client.with_raw_response.service.health_check()
    for each in (response, async_response):
        assert (each.status_code, each.method, each.retries_taken) == (200, "GET", 1)
        assert each.url == f"{NOWHERE}/api/v1/healthz"
        assert each.headers.get("content-type") == "application/json"
        assert (each.request_id, each.http_version, each.is_closed) == ("r1", "1.1", True)
        assert each.elapsed == timedelta(seconds=each.elapsed_s) >= timedelta(0)
        assert "[200]" in repr(each)
    assert response.json() == await async_response.json() == {"status": "ok"}
    assert response.text() == await async_response.text() == '{"status":"ok"}'
    assert response.parse() is response.parse()
    assert (await async_response.parse()).status == response.parse().status == "ok"
    assert response.parse(to=dict[str, str]) == {"status": "ok"}


def test_s6_2_modules() -> None:
    """S6.2: the decoder of events and the stream classes have homes of their own."""
    assert EventDecoder.__module__ == "tinker_lite.wire.sse"
    assert Stream.__module__ == AsyncStream.__module__ == "tinker_lite.clients.streams"
    assert list(EventDecoder().feed(b"data: a\n\n")) == [ServerSentEvent(data="a")]


@pytest.mark.parametrize("verb", VERBS)
async def test_s6_3_unread(verb: str) -> None:
    """S6.3: each verb gives a context manager over an answer of which nothing has been read."""
    tape, async_tape = Tape(b"a", b"b"), Tape(b"a", b"b")
    client = blocking(Player(tape))
    with getattr(client.with_streaming_response, verb)(PLACE, cast_to=bytes) as response:
        assert (response.status_code, tape.n_read) == (200, 0)
        assert response.read() == b"ab"
    async_client = nonblocking(AsyncPlayer(async_tape))
    manager = getattr(async_client.with_streaming_response, verb)(PLACE, cast_to=bytes)
    async with manager as async_response:
        assert (async_response.status_code, async_tape.n_read) == (200, 0)
        assert await async_response.read() == b"ab"


async def test_s6_8_write_to_file(tmp_path: Path) -> None:
    """S6.8: a whole body is written to a file, and still there to be read."""
    body = bytes(range(256)) * 10
    path, async_path = tmp_path / "a", tmp_path / "b"
    response = blocking(Player(Tape(body[:7], body[7:]))).with_raw_response.get(
        PLACE, cast_to=bytes
    )
    response.write_to_file(path)
    client = nonblocking(AsyncPlayer(Tape(body)))
    async_response = await client.with_raw_response.get(PLACE, cast_to=bytes)
    await async_response.write_to_file(async_path)
    assert path.read_bytes() == async_path.read_bytes() == body
    assert response.read() == await async_response.parse() == body


async def test_s6_9_stream_to_file(tmp_path: Path) -> None:
    """S6.9: an unread body goes to a file that appears whole or not at all."""
    body = bytes(range(256)) * 10
    path, async_path = tmp_path / "a", tmp_path / "b"
    path.write_text("what was there before")
    streaming = blocking(Player(Tape(body[:7], body[7:]))).with_streaming_response
    with streaming.get(PLACE, cast_to=bytes) as response:
        response.stream_to_file(path, chunk_size=100)
    async_streaming = nonblocking(AsyncPlayer(Tape(body))).with_streaming_response
    async with async_streaming.get(PLACE, cast_to=bytes) as async_response:
        await async_response.stream_to_file(str(async_path), chunk_size=100)
    assert path.read_bytes() == async_path.read_bytes() == body
    assert names_in(tmp_path) == ["a", "b"]
    with streaming.get(PLACE, cast_to=bytes) as response:
        with pytest.raises(FileNotFoundError):
            response.stream_to_file(tmp_path / "nowhere" / "a")
        assert response.is_closed


LARGE_BYTES = 512 * 2**20


DOWNLOAD = """
import resource, sys
import tinker_lite as tl
url, path = sys.argv[1:]
with tl.Tinker(base_url=url) as client:
    get = client.with_streaming_response.get
    with get("/warm", cast_to=bytes) as response:
        response.stream_to_file(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with get("/large", cast_to=bytes) as response:
        response.stream_to_file(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_s6_10_large_download(tmp_path: Path) -> None:
    """S6.10: 512 MiB go to disk while memory grows by less than 16 MiB."""
    block = bytes(2**20)

    def serve(peer: Peer) -> None:
        while (request := peer.request()) is not None:
            size = LARGE_BYTES if "large" in request.line else 4 * 2**20
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(block)):
                peer.send(block)

    path = tmp_path / "large"
    with Adversary(serve) as server:
        done = subprocess.run(
            [*fresh_interpreter(DOWNLOAD), server.url(""), str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size == LARGE_BYTES
    assert int(done.stdout) * 1024 < 16 * 2**20


async def test_s6_12_not_only_get() -> None:
    """S6.12: a resource method that posts gives an unread answer too."""
    tape, async_tape = Tape(b'{"session', b'_id": "s"}'), Tape(b'{"session', b'_id": "s"}')
    request = {"sdk_version": "x"}
    service = blocking(Player(tape)).with_streaming_response.service
    with service.create_session(request) as response:
        assert (response.method, tape.n_read) == ("POST", 0)
        assert response.parse().session_id == "s"
    async_service = nonblocking(AsyncPlayer(async_tape)).with_streaming_response.service
    async with async_service.create_session(request) as async_response:
        assert (async_response.method, async_tape.n_read) == ("POST", 0)
        assert (await async_response.parse()).session_id == "s"
    assert (tape.n_closed, async_tape.n_closed) == (1, 1)


def test_s6_13_one_facility(tmp_path: Path) -> None:
    """S6.13: a download goes through the caller's transport, without the key of the service."""
    storage = "https://storage.test/a?signature=s"

    def answer(request: Request) -> FakeReply:
        if request.url == storage:
            return FakeReply(b"archive", bare=True)
        return FakeReply(b"", status=302, headers=(("Location", storage),))

    transport = FakeTransport(answer)
    with blocking(transport, api_key="tml-key", default_headers={"X-Team": "a"}) as client:
        found = client.checkpoints.archive("S:train:0", "weights/a")
        streaming = client.with_streaming_response
        with streaming.get(found.url, cast_to=bytes) as response:
            response.stream_to_file(tmp_path / "archive")
    asked, fetched = transport.requests
    assert asked.url.endswith("/training_runs/S:train:0/checkpoints/weights/a/archive")
    assert fetched.url == storage
    assert asked.headers.get("x-api-key") == "tml-key"
    assert "x-api-key" not in fetched.headers
    assert "x-team" not in fetched.headers
    assert (tmp_path / "archive").read_bytes() == b"archive"
    rest = tl.RestClient(base_url=NOWHERE, transport=transport)
    path = "tinker://S:train:0/weights/a"
    rest.download_checkpoint_archive(path, tmp_path / "again").result(timeout=10)
    assert [request.url for request in transport.requests[2:]] == [asked.url, storage]
    assert (tmp_path / "again").read_bytes() == b"archive"


async def test_x6_3_status() -> None:
    """X6.3: a refusal on a stream is the normal error, with its body."""

    def refuse(_: Request) -> FakeReply:
        return FakeReply({"detail": "no such thing"}, status=404)

    client, async_client = blocking(FakeTransport(refuse)), nonblocking(AsyncFakeTransport(refuse))
    with pytest.raises(NotFoundError, match="no such thing"):
        client.get(PLACE, stream=True, stream_cls=Stream[Item])
    with (
        pytest.raises(NotFoundError, match="no such thing"),
        client.with_streaming_response.service.health_check(),
    ):
        pytest.fail("the block must not be entered")
    with pytest.raises(NotFoundError, match="no such thing"):
        await async_client.get(PLACE, stream=True, stream_cls=AsyncStream[Item])
    with pytest.raises(NotFoundError, match="no such thing"):
        async with async_client.with_streaming_response.service.health_check():
            pytest.fail("the block must not be entered")


async def test_x6_4_gzip(tmp_path: Path) -> None:
    """X6.4: gzip is undone wherever a body is streamed."""
    packed = gzip.compress(THREE)
    pieces = [packed[i : i + 1] for i in range(len(packed))]
    coding = ("Content-Encoding", "gzip")
    client = blocking(Player(Tape(*pieces), coding))
    stream = client.get(PLACE, stream=True, stream_cls=Stream[Item])
    assert [item["n"] for item in stream] == [1, 2, 3]
    async_client = nonblocking(AsyncPlayer(Tape(*pieces), coding))
    async_stream = await async_client.get(PLACE, stream=True, stream_cls=AsyncStream[Item])
    assert [item["n"] async for item in async_stream] == [1, 2, 3]
    streaming = blocking(Player(Tape(packed), coding)).with_streaming_response
    with streaming.get(PLACE, cast_to=bytes) as response:
        response.stream_to_file(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == THREE


async def test_x6_5_consumed(tmp_path: Path) -> None:
    """X6.5: what has been handed out cannot be read again, unless it was read whole first."""
    streaming = blocking(Player(Tape(b"a", b"b"))).with_streaming_response
    with streaming.get(PLACE, cast_to=bytes) as response:
        assert list(response.iter_bytes()) == [b"a", b"b"]
        for again in (
            response.read,
            response.json,
            response.iter_lines,
            lambda: response.stream_to_file(tmp_path / "a"),
        ):
            with pytest.raises(StreamAlreadyConsumed, match="has been read already"):
                again()
    async_streaming = nonblocking(AsyncPlayer(Tape(b"a"))).with_streaming_response
    async with async_streaming.get(PLACE, cast_to=bytes) as async_response:
        assert await anext(async_response.iter_bytes()) == b"a"
        with pytest.raises(StreamAlreadyConsumed, match="has been read already"):
            await async_response.read()
    raw = blocking(Player(Tape(b"a"))).with_raw_response.get(PLACE, cast_to=bytes)
    assert (list(raw.iter_bytes()), raw.read(), raw.text()) == ([b"a"], b"a", "a")
    assert names_in(tmp_path) == []
