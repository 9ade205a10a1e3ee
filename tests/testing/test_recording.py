from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from tests.testing.both import ASYNC, BLOCKING, Kit, ask, get, post, shut
from tinker_lite.errors import (
    ConnectionLost,
    InvalidRequest,
    TransportClosed,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import AsyncResponse, Headers, Request, Response
from tinker_lite.testing import (
    AsyncFakeTransport,
    AsyncRecordingTransport,
    FakeReply,
    FakeTransport,
    RecordingTransport,
)

KEY = "tml-secret-0123456789"


def written(file: Path) -> list[dict[str, Any]]:
    """The lines of a recording."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


async def test_an_exchange_is_one_readable_line(kit: Kit, tmp_path: Path) -> None:
    """After a head with format and version; keys are sorted, what changes by itself is left out."""
    file = tmp_path / "a.jsonl"
    reply = FakeReply({"b": "é", "a": 1}, 201, (("Date", "now"), ("X-Request-Id", "r")))
    recording = kit.recording(kit.fake(lambda _: reply), file)
    assert not file.exists()
    headers = Headers([("Accept", "a"), ("accept", "b"), ("X-Idempotency-Key", "i"), ("Host", "h")])
    answer = await ask(recording, post("/x?q=1", b'{"c": [1.5]}', headers=headers))
    assert (answer.status, answer.body) == (201, '{"b":"é","a":1}'.encode())
    assert file.read_text(encoding="utf-8") == (
        '{"format":"tinker-lite recording","secret_names":[],"version":1}\n'
        '{"number":1,"request":{"body":{"json":{"c":[1.5]}},"headers":{"accept":"a, b"},'
        '"method":"POST","origin":"http://127.0.0.1:9","path":"/api/v1/x","query":"q=1"},'
        '"response":{"body":{"json":{"a":1,"b":"é"}},"headers":[["Content-Type",'
        '"application/json"],["Content-Length","16"],["X-Request-Id","r"]],"status":201}}\n'
    )


async def test_the_same_program_gives_the_same_file(tmp_path: Path) -> None:
    """In both forms; an older recording is replaced, and only once something is sent."""
    texts: list[str] = []
    for kit in (BLOCKING, ASYNC):
        file = tmp_path / "a.jsonl"
        recording = kit.recording(kit.fake(lambda _: FakeReply()), file)
        assert file.exists() == bool(texts)
        for path in ("/a", "/b"):
            await ask(recording, get(path))
        texts.append(file.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) == 3


async def test_no_secret_reaches_the_file(kit: Kit, tmp_path: Path) -> None:
    """Not from headers, URLs, bodies or error texts, on the way there or back."""

    def echo(request: Request) -> FakeReply:
        if request.url.endswith("fail"):
            raise ConnectionLost(f"lost with {KEY}", may_have_arrived=True)
        body = {
            "detail": f"unknown key {KEY}",
            "url": "https://s/f?sig=signed-value",
            "mine": "my-own",
        }
        return FakeReply(
            body, 302, (("Set-Cookie", "cookie-value"), ("Location", "/f?a=signed-value"))
        )

    file = tmp_path / "a.jsonl"
    recording = kit.recording(kit.fake(echo), file, secret_names=["mine"])
    headers = Headers([("X-API-Key", KEY)])
    assert (
        KEY
        in (
            await ask(recording, post("/x", b'{"jwt": "other-key"}', headers=headers))
        ).body.decode()
    )
    await ask(recording, Request(method="GET", url="https://s/f?a=signed-value", headers=headers))
    with pytest.raises(ConnectionLost, match=KEY):
        await ask(recording, get("/fail", headers=headers))
    text = file.read_text(encoding="utf-8")
    for secret in (KEY, "other-key", "signed-value", "cookie-value", "my-own"):
        assert secret not in text
    assert text.count("REDACTED") > 9


@pytest.mark.parametrize(
    ("url", "raw", "kept"),
    [
        pytest.param("http://h/api/v1/x", b'{"a": 1}', {"json": {"a": 1}}, id="JSON of the API"),
        pytest.param("http://h/f", b'{"a": 1}', {"text": '{"a": 1}'}, id="a file of JSON"),
        pytest.param("http://h/api/v1/x", b"<html>\n", {"text": "<html>\n"}, id="other text"),
        pytest.param("http://h/api/v1/x", b"\xff\x00", {"base64": "/wA="}, id="bytes"),
        pytest.param("http://h/f", b"a\x00", {"base64": "YQA="}, id="text that nobody can read"),
        pytest.param("http://h/f", b"", None, id="nothing"),
    ],
)
async def test_bodies_are_kept_readable_and_come_back(
    kit: Kit, tmp_path: Path, url: str, raw: bytes, kept: object
) -> None:
    """JSON as a value, text as text, bytes in base64; files come back to the byte."""
    file = tmp_path / "a.jsonl"
    await ask(
        kit.recording(kit.fake(lambda _: FakeReply(raw)), file), Request(method="GET", url=url)
    )
    assert written(file)[1]["response"].get("body") == kept
    answer = await ask(kit.replay(file), Request(method="GET", url=url))
    assert answer.body.replace(b" ", b"") == raw.replace(b" ", b"")
    if "api" not in url:
        assert answer.body == raw
        assert answer.headers.get("Content-Length") == str(len(raw))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("cut", may_have_arrived=True, reused_connection=True),
        TransportTimeout("late", phase="write", may_have_arrived=False),
        InvalidRequest("bad", may_have_arrived=False),
    ],
)
async def test_a_transport_error_is_recorded_and_raised_again(
    kit: Kit, tmp_path: Path, error: TransportError
) -> None:
    """With its class and all its fields, from ``send`` and from the body."""

    def answer(request: Request) -> FakeReply:
        if request.url.endswith("/body"):
            return FakeReply(b"ab", broken_by=error)
        raise error

    file = tmp_path / "a.jsonl"
    recording = kit.recording(kit.fake(answer), file)
    for transport in (recording, None):
        for path in ("/send", "/body"):
            with pytest.raises(type(error), match=str(error)) as caught:
                await ask(transport or kit.replay(file, match="unordered"), get(path))
            assert vars(caught.value) == vars(error)


async def test_a_body_is_recorded_as_it_passes(tmp_path: Path) -> None:
    """The first chunk reaches the caller before the second is there; a request's body likewise."""
    asked: list[str] = []

    class Streaming:
        def send(self, request: Request) -> Response:
            body: Any = request.body
            sent: Iterator[bytes] = iter(body)
            asked.append(next(sent).decode())

            def chunks() -> Iterator[bytes]:
                asked.append("first")
                yield b"a"
                asked.append("second")
                yield b"b"

            assert list(sent) == [b"2"]
            return Response(200, (), chunks())

        def close(self) -> None:
            asked.append("closed")

    file = tmp_path / "a.jsonl"
    recording = RecordingTransport(Streaming(), file)
    chunks = recording.send(post("/x", iter([b"1", b"2"]))).iter_bytes()
    assert (next(chunks), asked) == (b"a", ["1", "first"])
    assert not file.exists()
    assert list(chunks) == [b"b"]
    line = written(file)[1]
    assert (line["request"]["body"], line["response"]["body"]) == ({"json": 12}, {"text": "ab"})
    recording.close()
    assert asked[-1] == "closed"


async def test_an_async_body_is_recorded_as_it_passes(tmp_path: Path) -> None:
    """The same in the async form."""

    async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    class Streaming:
        async def send(self, request: Request) -> AsyncResponse:
            body: Any = request.body
            assert [chunk async for chunk in body] == [b"1", b"2"]
            return AsyncResponse(200, (), pieces(b"a", b"b"))

        async def aclose(self) -> None:
            return None

    file = tmp_path / "a.jsonl"
    recording = AsyncRecordingTransport(Streaming(), file)
    response = await recording.send(post("/x", pieces(b"1", b"2")))
    chunks = response.iter_bytes()
    assert await anext(chunks) == b"a"
    assert not file.exists()
    assert [chunk async for chunk in chunks] == [b"b"]
    line = written(file)[1]
    assert (line["request"]["body"], line["response"]["body"]) == ({"json": 12}, {"text": "ab"})


async def test_what_the_caller_did_not_read_is_not_there(tmp_path: Path) -> None:
    """A response closed early is recorded as far as it went, once; a replay breaks off there."""
    file = tmp_path / "a.jsonl"
    fake = FakeTransport(lambda _: FakeReply(b"whole"))
    response = RecordingTransport(fake, file).send(get("/x"))
    response.close()
    response.close()
    nonblocking = AsyncRecordingTransport(AsyncFakeTransport(lambda _: FakeReply()), tmp_path / "b")
    await (await nonblocking.send(get("/x"))).aclose()
    assert len(written(file)) == len(written(tmp_path / "b")) == 2
    with pytest.raises(TruncatedBody, match="recording ends here: whoever made it read no further"):
        await ask(BLOCKING.replay(file), get("/x"))


async def test_of_a_long_body_the_beginning_is_kept(kit: Kit, tmp_path: Path) -> None:
    """The caller gets all of it; a replay breaks off, and does not compare the request's body."""
    file = tmp_path / "a.jsonl"
    recording = kit.recording(kit.fake(lambda _: FakeReply(b"12345")), file, max_body_bytes=4)
    assert (await ask(recording, post("/x", [b"abc", b"def"]))).body == b"12345"
    line = written(file)[1]
    assert (line["request"]["body"], line["request"]["is_partial"]) == ({"text": "abcd"}, True)
    assert line["response"]["body"] == {"json": 1234}
    with pytest.raises(TruncatedBody, match="kept no more of this body"):
        await ask(kit.replay(file), post("/x", b"abxy"))


async def test_a_crash_keeps_what_was_recorded(kit: Kit, tmp_path: Path) -> None:
    """Each line is in the file when its exchange has ended; half a last line is left out."""
    file = tmp_path / "a.jsonl"
    recording = kit.recording(kit.fake(lambda _: FakeReply()), file)
    await ask(recording, get("/a"))
    assert len(written(file)) == 2
    with file.open("ab") as torn:
        torn.write(b'{"number":2,"req')
    replay = kit.replay(file)
    await ask(replay, get("/a"))
    replay.assert_done()


async def test_closing_closes_the_inner_transport(kit: Kit, tmp_path: Path) -> None:
    """Whose refusal is recorded like any other error."""
    inner = kit.fake(lambda _: FakeReply())
    recording = kit.recording(inner, tmp_path / "a")
    await shut(recording)
    assert inner.closed
    with pytest.raises(TransportClosed, match="closed"):
        await ask(recording, get("/x"))


def test_an_async_body_is_the_inner_transports_to_refuse(tmp_path: Path) -> None:
    """The blocking form hands it on as it is."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"

    with pytest.raises(TypeError, match="can only join"):
        RecordingTransport(FakeTransport(lambda _: FakeReply()), tmp_path / "a").send(
            post("/x", body())
        )


def test_exchanges_of_many_threads_are_all_recorded(tmp_path: Path) -> None:
    """Each a whole line with a number of its own."""
    file = tmp_path / "a.jsonl"
    recording = RecordingTransport(FakeTransport(lambda _: FakeReply(b"x" * 5000)), file)

    def send(i: int) -> None:
        for _ in range(20):
            recording.send(get(f"/{i}")).read()

    threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(line["number"] for line in written(file)[1:]) == list(range(1, 161))


async def test_a_cancelled_exchange_leaves_the_recording_whole(tmp_path: Path) -> None:
    """Cancelled before its head nothing is recorded; while its body is read, what had come."""

    class Hanging:
        def __init__(self) -> None:
            self.closed: list[bool] = []

        async def send(self, request: Request) -> AsyncResponse:
            if request.url.endswith("/head"):
                await anyio.sleep_forever()
            return AsyncResponse(200, (), self.body(), close=self.close)

        async def body(self) -> AsyncIterator[bytes]:
            yield b"a"
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        async def close(self) -> None:
            self.closed.append(True)

        async def aclose(self) -> None:
            return None

    inner = Hanging()
    recording = AsyncRecordingTransport(inner, tmp_path / "a.jsonl")
    with anyio.CancelScope() as scope:
        await (await recording.send(get("/body"))).read()
    assert (scope.cancelled_caught, inner.closed) == (True, [True])
    with anyio.move_on_after(0) as scope:
        await recording.send(get("/head"))
    [exchange] = written(tmp_path / "a.jsonl")[1:]
    assert (exchange["request"]["path"], exchange["response"]["body"]) == (
        "/api/v1/body",
        {"text": "a"},
    )
    assert "read no further" in exchange["response"]["failure"]["message"]
