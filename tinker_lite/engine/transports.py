"""Which transport a client uses, and a blocking one made fit for an event loop."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar, cast

import anyio
import anyio.to_thread

from tinker_lite.http import (
    AnyTransport,
    AsyncResponse,
    AsyncTransport,
    Request,
    Response,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tinker_lite.config import Config

__all__ = ["ThreadedTransport", "as_async", "default_async", "default_blocking", "is_async"]

T = TypeVar("T")


def is_async(transport: AnyTransport) -> bool:
    """Whether a transport has the async form."""
    return inspect.iscoroutinefunction(transport.send)


def as_async(transport: AnyTransport) -> AsyncTransport:
    """The transport itself, or a blocking one behind worker threads."""
    if is_async(transport):
        return cast("AsyncTransport", transport)
    return ThreadedTransport(cast("Transport", transport))


def default_async(config: Config) -> AsyncTransport:
    """The async transport that serves ``config.base_url``."""
    if config.is_local:
        from tinker_lite.local import AsyncLocalTransport, open_service

        return AsyncLocalTransport(open_service(config.local_data_dir))
    from tinker_lite_h11 import H11Transport

    return H11Transport()


def default_blocking(config: Config) -> Transport:
    """The blocking transport that serves ``config.base_url``."""
    if config.is_local:
        from tinker_lite.local import LocalTransport, open_service

        return LocalTransport(open_service(config.local_data_dir))
    from tinker_lite_urllib3 import Urllib3Transport

    return Urllib3Transport()


class ThreadedTransport:
    """A blocking transport whose calls run in worker threads.

    The number of threads is not limited: long polls hold one each, and a limit would make
    submissions wait behind them.

    Args:
        inner: The blocking transport; it stays its owner's to close.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._limiter: anyio.CapacityLimiter | None = None

    async def send(self, request: Request) -> AsyncResponse:
        """Send in a worker thread; a cancelled send is abandoned and its connection dropped."""
        abandoned = False

        def send() -> Response:
            response = self._inner.send(request)
            if abandoned:
                response.close()
            return response

        try:
            response = await self._in_thread(send)
        except anyio.get_cancelled_exc_class():
            abandoned = True
            raise
        return AsyncResponse(
            response.status,
            response.headers,
            _ThreadedBody(response.iter_bytes(), self._in_thread),
            close=lambda: self._in_thread(response.close, shielded=True),
            http_version=response.http_version,
        )

    async def _in_thread(self, work: Callable[[], T], *, shielded: bool = False) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(math.inf)
        if shielded:
            return await _shielded(work, self._limiter)
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    async def aclose(self) -> None:
        """Close the blocking transport."""
        await self._in_thread(self._inner.close, shielded=True)


# An iterator rather than an async generator: trio warns about a generator that is left early.
class _ThreadedBody(AsyncIterator[bytes]):
    """A blocking body, each chunk of which is awaited on a worker thread."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        in_thread: Callable[[Callable[[], bytes | None]], Awaitable[bytes | None]],
    ) -> None:
        self._chunks = chunks
        self._in_thread = in_thread

    async def __anext__(self) -> bytes:
        chunk = await self._in_thread(lambda: next(self._chunks, None))
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def _shielded(work: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await anyio.to_thread.run_sync(work, limiter=limiter))
    return results[0]
