"""The two forms of a transport as a ``Subject``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from .adversary import WAIT_S
from .subject import Call, drive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from tinker_lite.http import (
        AsyncResponse,
        AsyncTransport,
        Headers,
        Request,
        Response,
        Transport,
    )

__all__ = ["AsyncSubject", "BlockingSubject"]


class _BlockingReply:
    def __init__(self, response: Response) -> None:
        self._response = response
        self._chunks: Iterator[bytes] | None = None

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Headers:
        return self._response.headers

    async def read(self, max_bytes: int | None = None) -> bytes:
        return self._response.read(max_bytes)

    async def next(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._response.iter_bytes()
        return next(self._chunks, b"")

    async def close(self) -> None:
        self._response.close()


class BlockingSubject:
    """A blocking transport; its coroutines never suspend."""

    def __init__(self, transport: Transport, patience_s: float = WAIT_S) -> None:
        self.transport = transport
        self._patience_s = patience_s

    async def send(self, request: Request) -> _BlockingReply:
        """Send a request."""
        return _BlockingReply(self.transport.send(request))

    def body(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """A request body."""
        return iter(blocks)

    async def together(self, calls: Sequence[Call]) -> None:
        """Make calls at once, in a thread each; what one raises is raised again."""
        failures: list[BaseException] = []

        def run(call: Call) -> None:
            try:
                drive(call())
            except BaseException as error:  # noqa: BLE001  # raised below, on the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * self._patience_s)
            assert not thread.is_alive(), "a call to the transport does not end"
        if failures:
            raise failures[0]

    async def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        """Wait for the server."""
        return event.wait(self._patience_s if seconds is None else seconds)

    async def close(self) -> None:
        """Close the transport."""
        self.transport.close()


class _AsyncReply:
    def __init__(self, response: AsyncResponse) -> None:
        self._response = response
        self._chunks: AsyncIterator[bytes] | None = None

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Headers:
        return self._response.headers

    async def read(self, max_bytes: int | None = None) -> bytes:
        return await self._response.read(max_bytes)

    async def next(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._response.iter_bytes()
        return await anext(self._chunks, b"")

    async def close(self) -> None:
        await self._response.aclose()


class AsyncSubject:
    """An async transport, on the event loop of the test."""

    def __init__(self, transport: AsyncTransport, patience_s: float = WAIT_S) -> None:
        self.transport = transport
        self._patience_s = patience_s

    async def send(self, request: Request) -> _AsyncReply:
        """Send a request."""
        return _AsyncReply(await self.transport.send(request))

    async def body(self, blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """A request body."""
        for block in blocks:
            yield block

    async def together(self, calls: Sequence[Call]) -> None:
        """Make calls at once, in a task each."""
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(call)

    async def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        """Wait for the server, while the loop goes on."""
        patience_s = self._patience_s if seconds is None else seconds
        return await anyio.to_thread.run_sync(event.wait, patience_s)

    async def close(self) -> None:
        """Close the transport."""
        await self.transport.aclose()
