"""The two worlds a call can live in: the caller's own thread, and an event loop."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tinker_lite.http import (
        AsyncResponse,
        AsyncTransport,
        Headers,
        Request,
        Response,
        Transport,
    )

__all__ = ["AnyioIO", "BlockingIO", "drive"]

T = TypeVar("T")


class BlockingIO:
    """Call I/O that never suspends: everything happens on the calling thread.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, request: Request) -> Response:
        """Send on this thread."""
        return self._transport.send(request)

    async def read_body(self, response: Response, max_bytes: int) -> bytes:
        """Read on this thread."""
        return response.read(max_bytes)

    def head(self, response: Response) -> tuple[int, Headers]:
        """Status and headers."""
        return response.status, response.headers

    async def sleep(self, seconds: float) -> None:
        """Sleep this thread."""
        time.sleep(seconds)  # noqa: ASYNC251  driven without a loop, this thread is all there is

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())


class AnyioIO:
    """Call I/O on the running event loop, asyncio or trio.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def send(self, request: Request) -> AsyncResponse:
        """Send on this loop."""
        return await self._transport.send(request)

    async def read_body(self, response: AsyncResponse, max_bytes: int) -> bytes:
        """Read on this loop."""
        return await response.read(max_bytes)

    def head(self, response: AsyncResponse) -> tuple[int, Headers]:
        """Status and headers."""
        return response.status, response.headers

    async def sleep(self, seconds: float) -> None:
        """Sleep this task, by the loop's clock."""
        await anyio.sleep(seconds)

    def now(self) -> float:
        """The loop's clock, which tests may replace."""
        return anyio.current_time()

    def random(self) -> float:
        """A number in [0, 1)."""
        return random.random()

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())


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
