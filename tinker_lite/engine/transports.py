"""Which transport a client uses, and a blocking one made fit for an event loop."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar, cast

import anyio
import anyio.to_thread

from tinker_lite.errors import ConfigError
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

__all__ = [
    "ThreadedTransport",
    "as_async",
    "default_async",
    "default_blocking",
    "is_async",
    "one_transport",
]

T = TypeVar("T")
AnyTransportT = TypeVar("AnyTransportT", bound=AnyTransport)


def one_transport(
    transport: AnyTransportT | None, http_client: AnyTransportT | None
) -> AnyTransportT | None:
    """The transport that a caller gave, under either name of the argument.

    Raises:
        ConfigError: Both were given.
    """
    if transport is not None and http_client is not None:
        raise ConfigError("Give transport or http_client, which are two names for one thing.")
    return http_client if transport is None else transport


def is_async(transport: AnyTransport) -> bool:
    """Whether a transport has the async form, told by ``aclose``.

    Raises:
        ConfigError: It is no transport at all.
    """
    name = f"{type(transport).__module__}.{type(transport).__name__}"
    is_foreign = name.startswith("httpx.")  # its clients have these names, with other meanings
    if callable(getattr(transport, "send", None)) and not is_foreign:
        for closing, answer in (("aclose", True), ("close", False)):
            if callable(getattr(transport, closing, None)):
                return answer
    raise ConfigError(
        f"transport is a {name}, which is no transport: it needs send and close, or send and "
        "aclose as coroutine functions, with the promises of tinker_lite.http. "
        + ("An httpx client can be wrapped in a few lines." if is_foreign else "")
    )


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
    if config.proxies.use_socks:  # which only the blocking transport speaks
        return ThreadedTransport(default_blocking(config))
    from tinker_lite_h11 import H11Transport

    return H11Transport(proxy=config.proxies, verify=config.tls)


def default_blocking(config: Config) -> Transport:
    """The blocking transport that serves ``config.base_url``."""
    if config.is_local:
        from tinker_lite.local import LocalTransport, open_service

        return LocalTransport(open_service(config.local_data_dir))
    from tinker_lite_urllib3 import Urllib3Transport

    return Urllib3Transport(proxy=config.proxies, verify=config.tls)


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
        """Send in a worker thread.

        A cancelled send is abandoned at once; its thread and connection end with the request's own
        limits, since the seam has no way to stop a blocking call from outside.
        """
        handover = _Handover()
        try:
            response = await self._in_thread(lambda: handover.give(self._inner.send(request)))
        except anyio.get_cancelled_exc_class():
            handover.abandon()
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
        begun = False

        def begin() -> T:
            nonlocal begun
            begun = True
            return work()

        try:
            if shielded:
                return await _shielded(begin, self._limiter)
            return await anyio.to_thread.run_sync(
                begin, abandon_on_cancel=True, limiter=self._limiter
            )
        except RuntimeError:
            if begun:
                raise
            # The interpreter is ending and starts no threads (Python 3.12 and later): what is still
            # to be sent is sent on the loop's own thread.
            return work()

    async def aclose(self) -> None:
        """Close the blocking transport."""
        await self._in_thread(self._inner.close, shielded=True)


class _Handover:
    """A response on its way from a worker thread to the loop, closed by whoever comes second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._abandoned = False
        self._response: Response | None = None

    def give(self, response: Response) -> Response:
        """From the thread: hand over, or close what nobody waits for any more."""
        with self._lock:
            self._response = response
            abandoned = self._abandoned
        if abandoned:
            response.close()
        return response

    def abandon(self) -> None:
        """From the loop: nobody waits any more."""
        with self._lock:
            self._abandoned = True
            response = self._response
        if response is not None:
            response.close()


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
