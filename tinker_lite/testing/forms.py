"""What differs between the blocking and the async form, so that the rest is written once.

A wrapper writes its exchange as a coroutine over a ``Form``. With the blocking one nothing in it
ever suspends, so ``drive`` runs it to its end on the caller's own thread.
"""

from __future__ import annotations

import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from typing import Any, Protocol, TypeVar, cast

import anyio
from msgspec.structs import replace

from tinker_lite.errors import TransportError
from tinker_lite.http import (
    AsyncResponse,
    AsyncTransport,
    HeaderPairs,
    Headers,
    Request,
    Response,
    Transport,
)

__all__ = ["AsyncForm", "BlockingForm", "Form", "R", "Tap", "Tee", "drive", "whole", "whole_async"]

R = TypeVar("R")
T = TypeVar("T")


class Tap:
    """Sees a response's body pass and may change it; this one lets everything through."""

    async def chunk(self, chunk: bytes) -> bytes:
        """What is handed on in place of a chunk; may raise a ``TransportError``."""
        return chunk

    async def ended(self) -> None:
        """The body has come to its end; may raise a ``TransportError``."""

    def failed(self, error: TransportError) -> None:
        """The body broke, by itself or by this tap."""

    def left(self) -> None:
        """The response was closed, read to its end or not."""


class Tee(Protocol):
    """Sees a request's body pass."""

    def chunk(self, chunk: bytes) -> None:
        """A chunk is being sent."""
        ...

    def ended(self) -> None:
        """The body has been sent whole."""
        ...


class Form(Protocol[R]):
    """A transport and a clock, in one form; ``R`` is its kind of response."""

    async def send(self, request: Request) -> R:
        """Send through the inner transport."""
        ...

    async def close(self, response: R) -> None:
        """Close a response."""
        ...

    def head(self, response: R) -> tuple[int, Headers]:
        """Status and headers of a response."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def whole(self, request: Request) -> Request:
        """The request with its body read into memory, so that it can be sent twice."""
        ...

    def answer(self, status: int, headers: HeaderPairs, body: bytes) -> R:
        """Make a response that no transport gave."""
        ...

    def watched(self, request: Request, tee: Tee) -> Request:
        """The request with ``tee`` on its body."""
        ...

    def tapped(self, response: R, tap: Tap) -> R:
        """The response with ``tap`` on its body."""
        ...


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a ``BlockingForm`` to its end.

    Raises:
        RuntimeError: It suspended, so something in it was not blocking.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("A blocking transport for tests came upon something async.")


def whole(body: object) -> bytes:
    """A body of the blocking form, read into memory."""
    return body if isinstance(body, bytes) else b"".join(cast("Iterable[bytes]", body))


async def whole_async(body: object) -> bytes:
    """A body of the async form, which also takes what the blocking form does."""
    if isinstance(body, AsyncIterable):
        return b"".join([chunk async for chunk in cast("AsyncIterable[bytes]", body)])
    return whole(body)


class BlockingForm:
    """The blocking form.

    Args:
        inner: The transport that sends.
        sleep: Waits, in seconds.
    """

    def __init__(self, inner: Transport, sleep: Callable[[float], object] = time.sleep) -> None:
        self._inner = inner
        self._sleep = sleep

    async def send(self, request: Request) -> Response:
        """Send through the inner transport."""
        return self._inner.send(request)

    async def close(self, response: Response) -> None:
        """Close a response."""
        response.close()

    def head(self, response: Response) -> tuple[int, Headers]:
        """Status and headers of a response."""
        return response.status, response.headers

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self._sleep(seconds)

    async def whole(self, request: Request) -> Request:
        """The request with its body read into memory."""
        return replace(request, body=whole(request.body))

    def answer(self, status: int, headers: HeaderPairs, body: bytes) -> Response:
        """Make a response that no transport gave."""
        return Response(status, headers, body)

    def watched(self, request: Request, tee: Tee) -> Request:
        """The request with ``tee`` on its body; refusing an async one is the inner's affair."""
        if isinstance(request.body, bytes):
            return _watched_bytes(request, request.body, tee)
        if not isinstance(request.body, Iterable):
            return request
        return replace(request, body=_watched_chunks(request.body, tee))

    def tapped(self, response: Response, tap: Tap) -> Response:
        """The response with ``tap`` on its body."""

        def close() -> None:
            try:
                response.close()
            finally:
                tap.left()

        return Response(
            response.status,
            response.headers,
            _tapped_chunks(response, tap),
            close=close,
            http_version=response.http_version,
        )


class AsyncForm:
    """The async form; see ``BlockingForm``."""

    def __init__(
        self, inner: AsyncTransport, sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    ) -> None:
        self._inner = inner
        self._sleep = sleep

    async def send(self, request: Request) -> AsyncResponse:
        """Send through the inner transport."""
        return await self._inner.send(request)

    async def close(self, response: AsyncResponse) -> None:
        """Close a response."""
        await response.aclose()

    def head(self, response: AsyncResponse) -> tuple[int, Headers]:
        """Status and headers of a response."""
        return response.status, response.headers

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._sleep(seconds)

    async def whole(self, request: Request) -> Request:
        """The request with its body read into memory."""
        return replace(request, body=await whole_async(request.body))

    def answer(self, status: int, headers: HeaderPairs, body: bytes) -> AsyncResponse:
        """Make a response that no transport gave."""
        return AsyncResponse(status, headers, body)

    def watched(self, request: Request, tee: Tee) -> Request:
        """The request with ``tee`` on its body."""
        if isinstance(request.body, bytes):
            return _watched_bytes(request, request.body, tee)
        if isinstance(request.body, AsyncIterable):
            return replace(request, body=_WatchedChunks(request.body, tee))
        return replace(request, body=_watched_chunks(request.body, tee))

    def tapped(self, response: AsyncResponse, tap: Tap) -> AsyncResponse:
        """The response with ``tap`` on its body."""

        async def close() -> None:
            try:
                await response.aclose()
            finally:
                tap.left()

        return AsyncResponse(
            response.status,
            response.headers,
            _TappedChunks(response, tap),
            close=close,
            http_version=response.http_version,
        )


def _watched_bytes(request: Request, body: bytes, tee: Tee) -> Request:
    tee.chunk(body)
    tee.ended()
    return request


def _watched_chunks(body: Iterable[bytes], tee: Tee) -> Iterator[bytes]:
    for chunk in body:
        tee.chunk(chunk)
        yield chunk
    tee.ended()


def _tapped_chunks(response: Response, tap: Tap) -> Iterator[bytes]:
    try:
        for chunk in response.iter_bytes():
            yield drive(tap.chunk(chunk))
        drive(tap.ended())
    except TransportError as error:
        tap.failed(error)
        raise


# Iterators rather than async generators: trio warns about a generator that is left early.
class _WatchedChunks(AsyncIterator[bytes]):
    def __init__(self, body: AsyncIterable[bytes], tee: Tee) -> None:
        self._body = aiter(body)
        self._tee = tee

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._body)
        except StopAsyncIteration:
            self._tee.ended()
            raise
        self._tee.chunk(chunk)
        return chunk


class _TappedChunks(AsyncIterator[bytes]):
    def __init__(self, response: AsyncResponse, tap: Tap) -> None:
        self._chunks = response.iter_bytes()
        self._tap = tap

    async def __anext__(self) -> bytes:
        try:
            return await self._tap.chunk(await anext(self._chunks))
        except StopAsyncIteration:
            await self._ended()
            raise
        except TransportError as error:
            self._tap.failed(error)
            raise

    async def _ended(self) -> None:
        try:
            await self._tap.ended()
        except TransportError as error:
            self._tap.failed(error)
            raise
