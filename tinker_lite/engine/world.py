"""The two worlds a call can live in: the caller's own thread, and an event loop."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from tinker_lite.engine.transports import ThreadedTransport

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
    )

    from tinker_lite.engine.call_io import BodySource
    from tinker_lite.http import (
        AsyncResponse,
        AsyncTransport,
        Request,
        Response,
        Transport,
    )

__all__ = ["AnyioIO", "BlockingIO", "drive"]

T = TypeVar("T")


class _News:
    """What has been said already."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def is_news(self, text: str) -> bool:
        """Whether this text is asked about for the first time."""
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())


class _Chunks:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    async def next(self) -> bytes | None:
        """The next chunk, on this thread."""
        return next(self._chunks, None)


class _AsyncChunks:
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def next(self) -> bytes | None:
        """The next chunk, on this loop."""
        return await anext(self._chunks, None)


class BlockingIO(_News):
    """Call I/O that never suspends: everything happens on the calling thread.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    async def send(self, request: Request) -> Response:
        """Send on this thread."""
        return self._transport.send(request)

    def body(self, source: BodySource) -> Iterable[bytes]:
        """Read on this thread, while it is sent."""
        return iter(source)

    async def read_body(self, response: Response, max_bytes: int) -> bytes:
        """Read on this thread."""
        return response.read(max_bytes)

    def chunks(self, response: Response) -> _Chunks:
        """Each is read on this thread."""
        return _Chunks(response.iter_bytes())

    async def close(self, response: Response) -> None:
        """Close on this thread."""
        response.close()

    async def run(self, function: Callable[[], T], /) -> T:
        """Run on this thread, which is all there is."""
        return function()

    async def sleep(self, seconds: float) -> None:
        """Sleep this thread."""
        time.sleep(seconds)  # noqa: ASYNC251  driven without a loop, this thread is all there is

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


class AnyioIO(_News):
    """Call I/O on the running event loop, asyncio or trio.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__()
        self._transport = transport

    async def send(self, request: Request) -> AsyncResponse:
        """Send on this loop."""
        return await self._transport.send(request)

    def body(self, source: BodySource) -> Iterable[bytes] | AsyncIterable[bytes]:
        """Read in worker threads, while it is sent."""
        if isinstance(self._transport, ThreadedTransport):  # which is on one already
            return iter(source)
        return source.read_by(self.run)

    async def read_body(self, response: AsyncResponse, max_bytes: int) -> bytes:
        """Read on this loop."""
        return await response.read(max_bytes)

    def chunks(self, response: AsyncResponse) -> _AsyncChunks:
        """Each is awaited on this loop."""
        return _AsyncChunks(response.iter_bytes())

    async def close(self, response: AsyncResponse) -> None:
        """Close, also when the task is being cancelled."""
        with anyio.CancelScope(shield=True):
            await response.aclose()

    async def run(self, function: Callable[[], T], /) -> T:
        """Run in a worker thread."""
        return await anyio.to_thread.run_sync(function)

    async def sleep(self, seconds: float) -> None:
        """Sleep this task, by the loop's clock."""
        await anyio.sleep(seconds)

    def now(self) -> float:
        """The loop's clock, which tests may replace."""
        return anyio.current_time()


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine whose I/O never suspends, on the calling thread, with no event loop.

    Raises:
        RuntimeError: It did suspend, which means that it was given async I/O.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError("A blocking call tried to wait for an event loop; this is a bug.")
