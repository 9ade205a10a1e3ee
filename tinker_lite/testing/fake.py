"""Transports that answer from a function, in both forms."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from copy import copy
from typing import Self, TypeAlias, cast

import anyio.lowlevel
import msgspec
from msgspec.structs import replace

from tinker_lite.errors import TransportClosed, TransportError
from tinker_lite.http import AsyncResponse, Headers, Request, Response
from tinker_lite.testing.captured import CapturedCall, capture
from tinker_lite.testing.forms import whole, whole_async
from tinker_lite.wire.json import encode_json

__all__ = [
    "AsyncCheckedTransport",
    "AsyncFakeTransport",
    "CheckedTransport",
    "FakeReply",
    "FakeTransport",
    "Handler",
]


class FakeReply(msgspec.Struct, frozen=True):
    """What a fake service answers.

    Attributes:
        body: Bytes as they are, or a struct or plain values, sent as JSON.
        status: HTTP status.
        headers: Response headers, above a fitting Content-Type and Content-Length.
        broken_by: Raised when the body's bytes have been read: the body ends before its end. There
            is no fitting Content-Length then.
        bare: Send the headers given and no fitting ones.
    """

    body: object = msgspec.field(default_factory=dict[str, object])
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    broken_by: TransportError | None = None
    bare: bool = False

    def __post_init__(self) -> None:
        """Refuse what is easily turned round."""
        if not isinstance(cast("object", self.status), int):
            raise TypeError(
                f"FakeReply: the status is a {type(self.status).__name__}; the body comes first, "
                "as in FakeReply(b'text', 404)."
            )

    def encoded(self) -> tuple[Headers, bytes]:
        """Headers and body as a transport hands them over."""
        body = self.body if isinstance(self.body, bytes) else encode_json(self.body)
        if self.bare:
            return Headers(self.headers), body
        fitting = [("Content-Type", "application/json")]
        if self.broken_by is None:
            fitting.append(("Content-Length", str(len(body))))
        return Headers(fitting).merged(self.headers), body


Handler: TypeAlias = Callable[[Request], FakeReply | Awaitable[FakeReply]]


class _Log:
    """The requests a fake was asked, with whole bodies, and whether it is closed."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[Request] = []
        self.closed = False
        self._handler = handler

    @property
    def captured(self) -> list[CapturedCall]:
        """What was asked, in order, decoded.

        Raises:
            DecodeError: A body does not fit the request type of its endpoint.
        """
        return [capture(request) for request in self.requests]

    def _take(self, request: Request, body: bytes) -> FakeReply | Awaitable[FakeReply]:
        if self.closed:
            raise TransportClosed("The fake transport is closed.", may_have_arrived=False)
        asked = replace(request, body=body)
        self.requests.append(asked)
        return self._handler(asked)


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
        reply = self._take(request, whole(request.body))
        if inspect.iscoroutine(reply):
            reply.close()
            raise TypeError("FakeTransport needs a plain handler; use AsyncFakeTransport.")
        answered = _checked(reply)
        headers, body = answered.encoded()
        return Response(answered.status, headers, _Breaking.off(body, answered.broken_by))

    def close(self) -> None:
        """Refuse further requests."""
        self.closed = True

    def __enter__(self) -> Self:
        """Use the transport as a context manager that closes it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Close the transport."""
        self.close()


class AsyncFakeTransport(_Log):
    """The async form of ``FakeTransport``; the handler may be a coroutine function."""

    async def send(self, request: Request) -> AsyncResponse:
        """Answer one request."""
        await anyio.lowlevel.checkpoint()
        reply = self._take(request, await whole_async(request.body))
        answered = _checked(await reply if isinstance(reply, Awaitable) else reply)
        headers, body = answered.encoded()
        return AsyncResponse(answered.status, headers, _Breaking.off(body, answered.broken_by))

    async def aclose(self) -> None:
        """Refuse further requests."""
        self.closed = True

    async def __aenter__(self) -> Self:
        """Use the transport as an async context manager that closes it."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Close the transport."""
        await self.aclose()


class CheckedTransport(FakeTransport):
    """A fake that knows what it should have been asked; a ``with`` block ends with the check."""

    @abstractmethod
    def assert_done(self) -> None:
        """Raise AssertionError, naming what was not asked and what should not have been."""

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Close, and check unless the block has failed already."""
        self.close()
        if kind is None:
            self.assert_done()


class AsyncCheckedTransport(AsyncFakeTransport):
    """The async form of ``CheckedTransport``."""

    @abstractmethod
    def assert_done(self) -> None:
        """Raise AssertionError, naming what was not asked and what should not have been."""

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Close, and check unless the block has failed already."""
        await self.aclose()
        if kind is None:
            self.assert_done()


def _checked(reply: object) -> FakeReply:
    if not isinstance(reply, FakeReply):
        raise TypeError(f"The handler returned a {type(reply).__name__}; return a FakeReply.")
    return reply


class _Breaking(Iterator[bytes], AsyncIterator[bytes]):
    """A body that breaks off after its bytes, in whichever form it is read."""

    def __init__(self, body: bytes, error: TransportError) -> None:
        self._chunks = iter((body,))
        self._error = error

    @classmethod
    def off(cls, body: bytes, error: TransportError | None) -> _Breaking | bytes:
        """The body, breaking if there is an error."""
        return body if error is None else cls(body, error)

    def __next__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        # A copy, since a reply may be given again and an error collects tracebacks.
        raise copy(self._error)

    async def __anext__(self) -> bytes:
        return next(self)
