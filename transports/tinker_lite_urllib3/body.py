"""The body of an answer, and what becomes of its connection.

The connection goes back to the pool as soon as the last byte is in. Any irregularity, and every
early end, closes it instead; an unread rest is never read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from tinker_lite.attempt import BadAnswer, PeerClosed, Stage, translate
from tinker_lite.framing import BodyEnd
from tinker_lite.http import WholeBody

from .connection import BLOCK_BYTES
from .failures import TABLE

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from tinker_lite.framing import Framing

    from .connection import Connection
    from .pool import Lease

__all__ = ["Body", "UntilLastChunk", "UntilLength"]

# A body up to this may be read in one go; for more, a length that lies could take up memory.
MAX_AT_ONCE_BYTES = 16 * 2**20
MAX_CHUNK_LINE_BYTES = 4096  # size and extensions; nobody uses the latter
MAX_TRAILER_BYTES = 65_536
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\x00\r\n]*)?\r\n")


class _Reader(Protocol):
    """Reads one kind of framing; ``next`` gives b"" at the end only."""

    @property
    def complete(self) -> bool: ...
    def next(self) -> bytes: ...


class UntilLength:
    """A body of known length."""

    def __init__(self, reader: io.BufferedReader, length: int) -> None:
        self._reader = reader
        self._left = length

    @property
    def n_left(self) -> int:
        """How many bytes are still to come."""
        return self._left

    @property
    def complete(self) -> bool:
        """Whether every byte has been read."""
        return self._left == 0

    def rest(self) -> bytes:
        """All that is still to come; b"" at the end."""
        chunk = self._reader.read(self._left)
        self._left -= len(chunk)
        if self._left:
            raise PeerClosed(f"the peer closed the connection {self._left} bytes too early")
        return chunk

    def next(self) -> bytes:
        """The next bytes; b"" at the end."""
        if not self._left:
            return b""
        chunk = self._reader.read1(min(BLOCK_BYTES, self._left))
        if not chunk:
            raise PeerClosed(f"the peer closed the connection {self._left} bytes too early")
        self._left -= len(chunk)
        return chunk


class UntilLastChunk:
    """A chunked body; trailers are bounded and dropped."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader
        self._left = 0
        self._within = False
        self.complete = False

    def next(self) -> bytes:
        """The next bytes; b"" at the end."""
        if self.complete or not (self._left or self._next_chunk()):
            return b""
        data = self._reader.read1(min(BLOCK_BYTES, self._left))
        if not data:
            raise _no_last_chunk()
        self._left -= len(data)
        return data

    def _next_chunk(self) -> bool:
        """Whether there is a chunk with bytes in it."""
        if self._within:
            self._end_chunk()
        line = self._line(MAX_CHUNK_LINE_BYTES)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BadAnswer(f"not a chunk size: {line[:60]!r}")
        self._left = int(match[1], 16)
        self._within = True
        if not self._left:
            self._skip_trailers()
            self.complete = True
        return not self.complete

    def _end_chunk(self) -> None:
        end = self._reader.read(len(b"\r\n"))
        if not b"\r\n".startswith(end):
            raise BadAnswer("a chunk does not end where it should")
        if len(end) < len(b"\r\n"):
            raise _no_last_chunk()

    def _skip_trailers(self) -> None:
        budget = MAX_TRAILER_BYTES
        while (line := self._line(budget)) != b"\r\n":
            if not line.endswith(b"\r\n"):
                raise BadAnswer(f"not a trailer: {line[:60]!r}")
            budget -= len(line)

    def _line(self, max_bytes: int) -> bytes:
        line = self._reader.readline(max_bytes + 1)
        if line.endswith(b"\n"):
            return line
        if len(line) > max_bytes:
            raise BadAnswer(f"a line of the chunked body is too long: {line[:60]!r}")
        raise _no_last_chunk()


class _UntilClose:
    """A body that ends with its connection; over TLS only the peer's farewell is believed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.complete = False

    def next(self) -> bytes:
        chunk = b"" if self.complete else self._connection.reader.read1(BLOCK_BYTES)
        if not chunk:
            if self._connection.aborted:  # our own end, not the peer's
                raise PeerClosed("the connection was closed here")
            self.complete = True
        return chunk


class Body:
    """An iterator over the bytes of an answer, which owns the connection's lease.

    Args:
        connection: The connection; the head of the answer is in.
        framing: How the body is framed.
        lease: The connection's slot; ended by this object.
        persistent: The connection may serve again.
    """

    _is_made = False

    def __init__(
        self, connection: Connection, framing: Framing, lease: Lease, *, persistent: bool
    ) -> None:
        self._attempt = connection.attempt
        self._attempt.stage = Stage.BODY
        self._persistent = persistent
        self._connection = connection
        self._lease = lease
        self._reader: _Reader = _reader(connection, framing)
        self._is_made = True

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        chunk = self._read(self._reader.next)
        if not chunk:
            raise StopIteration
        return chunk

    @property
    def whole(self) -> WholeBody | None:
        """All of the body at once, where its size is known and moderate."""
        reader = self._reader
        if not isinstance(reader, UntilLength) or reader.n_left > MAX_AT_ONCE_BYTES:
            return None
        return WholeBody(reader.n_left, lambda: self._read(reader.rest))

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            chunk = read()
            self.settle()
        except Exception as error:
            self._lease.discard()
            self._attempt.closed = self._connection.aborted
            translated = translate(error, self._attempt, TABLE)
            if translated is error:
                raise
            raise translated from error
        except BaseException:
            self._lease.discard()
            raise
        return chunk

    def settle(self) -> None:
        """Give the connection back if the body is complete."""
        if not self._reader.complete:
            return
        if self._persistent:
            self._lease.keep()
        else:
            self._lease.discard()

    def close(self) -> None:
        """Drop the connection unless the body is complete."""
        self._lease.discard()

    def __del__(self) -> None:
        """Nobody can close this any more."""
        if self._is_made:
            self._lease.discard()


def _reader(connection: Connection, framing: Framing) -> _Reader:
    if framing.end is BodyEnd.LENGTH:
        return UntilLength(connection.reader, framing.length)
    if framing.end is BodyEnd.LAST_CHUNK:
        return UntilLastChunk(connection.reader)
    return _UntilClose(connection)


def _no_last_chunk() -> PeerClosed:
    return PeerClosed("the peer closed the connection before the last chunk")
