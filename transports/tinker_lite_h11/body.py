"""The body of an answer, and what becomes of its connection.

The connection goes back to the pool as soon as the last byte is in, which for small answers is
before the caller has read them. Any irregularity, and every early end, closes it instead.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

import h11

from tinker_lite.attempt import PeerClosed, Stage, translate
from tinker_lite.framing import BodyEnd
from tinker_lite.http import AsyncWholeBody

from .connection import BLOCK_BYTES
from .failures import TABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tinker_lite.framing import Framing

    from .exchange import Exchange
    from .pool import Lease

__all__ = ["Body"]

# A body up to this may be read in one go; for more, a length that lies could take up memory.
MAX_AT_ONCE_BYTES = 16 * 2**20
CHUNKED_READ_BYTES = 65_536  # h11 grows slower with larger reads (measured)


class _Reader(Protocol):
    """Reads one kind of framing; once ``complete``, ``clean`` says that nothing else came."""

    @property
    def complete(self) -> bool: ...
    @property
    def clean(self) -> bool: ...
    async def next(self) -> bytes: ...


class _UntilLength:
    """A body of known length, past h11."""

    def __init__(self, exchange: Exchange, length: int) -> None:
        early = exchange.head.rest
        self._exchange = exchange
        self._ready = early[:length]
        self._left = length - len(self._ready)
        self._early_is_clean = len(early) <= length

    @property
    def complete(self) -> bool:
        return self._left == 0

    @property
    def clean(self) -> bool:
        return self._early_is_clean and not self._exchange.connection.is_ahead

    @property
    def n_left(self) -> int:
        """How many bytes have not been given out."""
        return len(self._ready) + self._left

    async def rest(self) -> bytes:
        """All that has not been given out.

        Collected in one piece of memory: pieces of 256 KB that live until they are joined cost
        twice the time, most of it page faults (measured).
        """
        if not self._left:
            return await self.next()
        collected = io.BytesIO()
        collected.seek(self.n_left - 1)
        collected.write(b"\0")  # makes room for the whole; getvalue then gives it out uncopied
        collected.seek(0)
        while chunk := await self.next():
            collected.write(chunk)
        return collected.getvalue()

    async def next(self) -> bytes:
        chunk, self._ready = self._ready, b""
        if not chunk and self._left:
            chunk = await self._exchange.receive(min(BLOCK_BYTES, self._left))
            self._left -= len(chunk)
        return chunk


class _UntilLastChunk:
    """A chunked body; h11 bounds its trailers, and they are dropped."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.complete = False

    @property
    def clean(self) -> bool:
        return not (self._exchange.head.rest or self._exchange.connection.is_ahead)

    async def next(self) -> bytes:
        machine = self._exchange.head.machine
        ready: list[bytes] = []
        while not self.complete:
            event = machine.next_event()
            if isinstance(event, h11.Data):
                ready.append(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.complete = True
            elif ready:
                break
            else:
                machine.receive_data(await self._exchange.receive(CHUNKED_READ_BYTES))
        return b"".join(ready)


class _UntilClose:
    """A body that ends with its connection; over TLS only the peer's farewell is believed."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ready = exchange.head.rest
        self.complete = False
        self.clean = False
        exchange.connection.trust_no_ragged_end()

    async def next(self) -> bytes:
        chunk, self._ready = self._ready, b""
        if chunk or self.complete:
            return chunk
        try:
            return await self._exchange.receive(BLOCK_BYTES)
        except PeerClosed:
            self.complete = True
            return b""


class Body:
    """An async iterator over the bytes of an answer, which owns the connection's lease.

    Args:
        exchange: The exchange whose head is in.
        framing: How the body is framed.
        persistent: The connection may be used again after a body that ends in order.
        lease: Owns the connection; ended by this object.
    """

    def __init__(
        self, exchange: Exchange, framing: Framing, persistent: bool, lease: Lease
    ) -> None:
        self._attempt = exchange.attempt
        self._attempt.stage = Stage.BODY
        self._persistent = persistent
        self._connection = exchange.connection
        self._lease = lease
        self._reader: _Reader = _reader(exchange, framing)

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._read(self._reader.next)
        if not chunk:
            raise StopAsyncIteration
        return chunk

    @property
    def whole(self) -> AsyncWholeBody | None:
        """All of the body at once, where its size is known and moderate."""
        reader = self._reader
        if not isinstance(reader, _UntilLength) or reader.n_left > MAX_AT_ONCE_BYTES:
            return None
        return AsyncWholeBody(reader.n_left, lambda: self._read(reader.rest))

    async def _read(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            chunk = await read()
            await self.settle()
        except Exception as error:
            await self._lease.discard()
            self._attempt.closed = self._connection.aborted
            translated = translate(error, self._attempt, TABLE)
            if translated is error:
                raise
            raise translated from error
        except BaseException:
            await self._lease.discard()
            raise
        return chunk

    async def settle(self) -> None:
        """Give the connection back if the body is complete."""
        if not self._reader.complete:
            return
        if self._persistent and self._reader.clean:
            await self._lease.keep()
        else:
            await self._lease.discard()

    async def aclose(self) -> None:
        """Drop the connection unless the body is complete; an unread rest is never read."""
        await self._lease.discard()


def _reader(exchange: Exchange, framing: Framing) -> _Reader:
    if framing.end is BodyEnd.LENGTH:
        return _UntilLength(exchange, framing.length)
    if framing.end is BodyEnd.LAST_CHUNK:
        return _UntilLastChunk(exchange)
    return _UntilClose(exchange)
