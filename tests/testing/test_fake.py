from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import anyio.lowlevel
import pytest

from tinker_lite.errors import ConnectError, TransportClosed, TruncatedBody
from tinker_lite.http import AsyncTransport, Headers, Request, Transport
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.types import HealthResponse


def post(body: Any = b"") -> Request:
    """A request with a body."""
    return Request(method="POST", url="http://h/x", body=body)


def echo(request: Request) -> FakeReply:
    """Answers with the body it was sent."""
    assert isinstance(request.body, bytes)
    return FakeReply(request.body, 201, (("X-A", "b"), ("content-type", "text/plain")))


def test_both_fakes_are_transports() -> None:
    """The type checker and these lines agree."""
    blocking: Transport = FakeTransport(echo)
    nonblocking: AsyncTransport = AsyncFakeTransport(echo)
    assert inspect.iscoroutinefunction(nonblocking.send)
    assert not inspect.iscoroutinefunction(blocking.send)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param(b"raw", b"raw", id="bytes as they are"),
        pytest.param({"a": None}, b'{"a":null}', id="plain values as JSON"),
        pytest.param(HealthResponse(status="ok"), b'{"status":"ok"}', id="a struct as JSON"),
        pytest.param([1, 2], b"[1,2]", id="a list as JSON"),
    ],
)
def test_a_reply_is_encoded(body: object, sent: bytes) -> None:
    """With headers that fit, unless others are given."""
    headers, raw = FakeReply(body).encoded()
    assert raw == sent
    length = str(len(sent))
    assert headers == Headers([("Content-Type", "application/json"), ("Content-Length", length)])
    html, _ = FakeReply(body, headers=(("content-type", "text/html"),)).encoded()
    assert html.get_all("Content-Type") == ["text/html"]
    assert FakeReply().encoded()[1] == b"{}"


def test_a_fake_keeps_what_it_was_asked() -> None:
    """Bodies given in pieces are kept whole; the reply comes as the handler made it."""
    fake = FakeTransport(echo)
    response = fake.send(post(iter([b"a", b"", b"bc"])))
    assert (response.status, response.headers.get("x-a"), response.read()) == (201, "b", b"abc")
    assert fake.send(post(b"d")).read() == b"d"
    assert [request.body for request in fake.requests] == [b"abc", b"d"]
    assert [request.method for request in fake.requests] == ["POST", "POST"]


def test_a_closed_fake_refuses() -> None:
    """As every transport does; closing twice is harmless and nothing is logged afterwards."""
    fake = FakeTransport(echo)
    fake.close()
    fake.close()
    with pytest.raises(TransportClosed, match="closed") as caught:
        fake.send(post())
    assert (caught.value.may_have_arrived, fake.closed, fake.requests) == (False, True, [])


async def test_a_block_closes_a_fake() -> None:
    """In both forms; what the block raises goes on."""
    with pytest.raises(KeyError, match="mine"), FakeTransport(echo) as fake:
        raise KeyError("mine")
    assert fake.closed
    async with AsyncFakeTransport(echo) as async_fake:
        assert not async_fake.closed
    assert async_fake.closed


def test_a_status_before_the_body_is_refused() -> None:
    """The text says which comes first."""
    turned: Any = (200, b"x")
    with pytest.raises(TypeError, match="the status is a bytes; the body comes first"):
        FakeReply(*turned)


def test_a_handler_may_fail() -> None:
    """What it raises leaves the transport, after the request was logged."""

    def refuse(request: Request) -> FakeReply:
        raise ConnectError(f"refused {request.method}")

    fake = FakeTransport(refuse)
    with pytest.raises(ConnectError, match="refused POST"):
        fake.send(post())
    assert len(fake.requests) == 1


def test_a_mistaken_handler_is_told() -> None:
    """A coroutine function belongs to the async form, and replies are ``FakeReply``."""

    async def later(request: Request) -> FakeReply:
        return echo(request)

    with pytest.raises(TypeError, match="use AsyncFakeTransport"):
        FakeTransport(later).send(post())
    wrong: Any = dict
    with pytest.raises(TypeError, match="returned a dict; return a FakeReply"):
        FakeTransport(lambda _: wrong()).send(post())


async def test_an_async_fake_answers_from_either_kind_of_handler() -> None:
    """Plain or suspending; bodies may be bytes, iterables or async iterables."""

    async def later(request: Request) -> FakeReply:
        await anyio.lowlevel.checkpoint()
        return echo(request)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    for handler in (echo, later):
        fake = AsyncFakeTransport(handler)
        for body, whole in ((b"x", b"x"), ([b"y", b"z"], b"yz"), (pieces(), b"ab")):
            response = await fake.send(post(body))
            assert (response.status, await response.read()) == (201, whole)
        assert [request.body for request in fake.requests] == [b"x", b"yz", b"ab"]


async def test_a_closed_async_fake_refuses() -> None:
    """Likewise; and a wrong reply is told."""
    wrong: Any = dict
    fake = AsyncFakeTransport(lambda _: wrong())
    with pytest.raises(TypeError, match="returned a dict; return a FakeReply"):
        await fake.send(post())
    await fake.aclose()
    with pytest.raises(TransportClosed, match="closed"):
        await fake.send(post())
    assert fake.closed


async def test_a_reply_may_break_off() -> None:
    """Its bytes come first, then an error of its own each time; no length is made up for it."""
    error = TruncatedBody("cut short", may_have_arrived=True)
    reply = FakeReply(b"ab", broken_by=error)
    assert "Content-Length" not in reply.encoded()[0]
    fake, nonblocking = FakeTransport(lambda _: reply), AsyncFakeTransport(lambda _: reply)
    chunks = fake.send(post()).iter_bytes()
    assert next(chunks) == b"ab"
    with pytest.raises(TruncatedBody, match="cut short") as caught:
        next(chunks)
    assert (caught.value.may_have_arrived, caught.value is error) == (True, False)
    with pytest.raises(TruncatedBody, match="cut short"):
        await (await nonblocking.send(post())).read()


def test_a_bare_reply_has_only_its_own_headers() -> None:
    """As an answer without a body has in HTTP."""
    assert FakeReply(b"", 204, (("X-A", "b"),), bare=True).encoded() == (
        Headers([("X-A", "b")]),
        b"",
    )
