"""The service behind the async transport seam, on asyncio and trio.

A poll for a pending result holds no thread: the service's worker wakes the loop. Only large bodies
are read and written in a worker thread of anyio's, since they would hold up the loop.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.lowlevel
import anyio.to_thread

from tinker_lite.http import AsyncResponse, Request, Timeout
from tinker_lite.local.promises import Promise
from tinker_lite.local.transport import (
    begin,
    check_head,
    check_poll,
    check_total,
    closed_error,
    guarded,
    patience_s,
)
from tinker_lite.local.waiting import Alarm, kept_within

if TYPE_CHECKING:
    from tinker_lite.local.service import LocalService

__all__ = ["LARGE_BYTES", "AsyncLocalTransport", "off_the_loop"]

T = TypeVar("T")

# Reading or writing so much JSON takes about a millisecond: too long for an event loop.
LARGE_BYTES = 64 * 1024


async def off_the_loop(work: Callable[[], T], size_bytes: int) -> T:
    """Do some work, in a thread if what it handles is large."""
    return await anyio.to_thread.run_sync(work) if size_bytes >= LARGE_BYTES else work()


class AsyncLocalTransport:
    """The async form; one object serves any number of loops.

    Args:
        service: The service; it stays its owner's to close.
    """

    def __init__(self, service: LocalService) -> None:
        self._service = service
        self._is_closed = False
        self._polls: set[Alarm] = set()

    async def send(self, request: Request) -> AsyncResponse:
        """Async form of ``LocalTransport.send``; same argument, result and errors."""
        await anyio.lowlevel.checkpoint()
        if self._is_closed:
            raise closed_error(may_have_arrived=False)
        started_s = time.monotonic()
        body = await _collected(request.body)
        check_total(request.timeout, started_s)
        answer = await off_the_loop(partial(begin, self._service, request, body), len(body))
        if isinstance(answer, Promise):
            await self._wait(answer, request.timeout)
            kept = partial(self._service.answer, answer, request.headers)
            answer = await off_the_loop(kept, answer.size_bytes)
        check_head(answer, request)
        if isinstance(answer.body, bytes):
            return AsyncResponse(answer.status, answer.headers, answer.body)
        chunks = guarded(answer.body, request.timeout)
        return AsyncResponse(
            answer.status, answer.headers, InThreads(chunks), close=partial(_close, chunks)
        )

    async def _wait(self, promise: Promise, timeout: Timeout) -> None:
        alarm = Alarm()
        self._polls.add(alarm)
        try:
            is_woken = await kept_within(promise, patience_s(self._service, timeout), alarm)
        finally:
            self._polls.discard(alarm)
        check_poll(self._service, timeout, is_woken=is_woken, is_closed=self._is_closed)

    async def aclose(self) -> None:
        """Async form of ``LocalTransport.close``."""
        self._is_closed = True
        for alarm in list(self._polls):
            alarm.ring()

    async def __aenter__(self) -> AsyncLocalTransport:
        """Use the transport as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the transport."""
        await self.aclose()


class InThreads:
    """The chunks of a body that reads files, each read in a worker thread.

    It is no async generator, since nobody would close one that was left half-way.

    Args:
        chunks: The body.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> InThreads:
        """The iterator is its own."""
        return self

    async def __anext__(self) -> bytes:
        """Read the next chunk."""
        chunk = await anyio.to_thread.run_sync(next, self._chunks, None)
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def _close(chunks: Generator[bytes]) -> None:
    chunks.close()


async def _collected(body: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        return b"".join([chunk async for chunk in body])
    return b"".join(body)
