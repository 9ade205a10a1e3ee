"""Transports that answer from a function, in both forms."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TypeAlias, cast

import anyio.lowlevel
import msgspec
from msgspec.structs import replace

from tinker_lite.errors import TransportClosed
from tinker_lite.http import AsyncResponse, Headers, Request, Response
from tinker_lite.wire.json import encode_json

__all__ = ["AsyncFakeTransport", "FakeReply", "FakeTransport", "Handler"]


class FakeReply(msgspec.Struct, frozen=True):
    """What a fake service answers.

    Attributes:
        body: Bytes as they are, or a struct or plain values, sent as JSON.
        status: HTTP status.
        headers: Response headers, above a fitting Content-Type and Content-Length.
    """

    body: object = msgspec.field(default_factory=dict[str, object])
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def encoded(self) -> tuple[Headers, bytes]:
        """Headers and body as a transport hands them over."""
        body = self.body if isinstance(self.body, bytes) else encode_json(self.body)
        built_in = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return Headers(built_in).merged(self.headers), body


Handler: TypeAlias = Callable[[Request], FakeReply | Awaitable[FakeReply]]


class _Log:
    """The requests a fake was asked, with whole bodies, and whether it is closed."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[Request] = []
        self.closed = False
        self._handler = handler

    def _take(self, request: Request, body: bytes) -> FakeReply | Awaitable[FakeReply]:
        if self.closed:
            raise TransportClosed("The fake transport is closed.", may_have_arrived=False)
        whole = replace(request, body=body)
        self.requests.append(whole)
        return self._handler(whole)


class FakeTransport(_Log):
    """A blocking transport that answers from a function.

    Args:
        handler: From a request (its body already read whole, as bytes) to a reply; it may raise a
            ``TransportError``.

    Attributes:
        requests: What was asked, in order.
        closed: Whether ``close`` was called.
    """

    def send(self, request: Request) -> Response:
        """Answer one request."""
        reply = self._take(request, b"".join(_chunks(request.body)))
        if inspect.iscoroutine(reply):
            reply.close()
            raise TypeError("FakeTransport needs a plain handler; use AsyncFakeTransport.")
        answered = _checked(reply)
        headers, body = answered.encoded()
        return Response(answered.status, headers, body)

    def close(self) -> None:
        """Refuse further requests."""
        self.closed = True


class AsyncFakeTransport(_Log):
    """The async form of ``FakeTransport``; the handler may be a coroutine function."""

    async def send(self, request: Request) -> AsyncResponse:
        """Answer one request."""
        await anyio.lowlevel.checkpoint()
        collected = b"".join([chunk async for chunk in _async_chunks(request.body)])
        reply = self._take(request, collected)
        answered = _checked(await reply if isinstance(reply, Awaitable) else reply)
        headers, body = answered.encoded()
        return AsyncResponse(answered.status, headers, body)

    async def aclose(self) -> None:
        """Refuse further requests."""
        self.closed = True


def _checked(reply: object) -> FakeReply:
    if not isinstance(reply, FakeReply):
        raise TypeError(f"The handler returned a {type(reply).__name__}; return a FakeReply.")
    return reply


def _chunks(body: object) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
    else:
        yield from cast("Iterable[bytes]", body)


async def _async_chunks(body: object) -> AsyncIterator[bytes]:
    if hasattr(body, "__aiter__"):
        async for chunk in cast("AsyncIterator[bytes]", body):
            yield chunk
    else:
        for chunk in _chunks(body):
            yield chunk
