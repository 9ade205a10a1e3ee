"""One request and the head of its answer, over one connection.

h11 writes the request head and reads the answer's head; the bytes of bodies with a known length go
past it (measured: 1.6 times as fast). Each exchange has an h11 state of its own, so nothing of one
can reach the next.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, NoReturn

import anyio
import h11

from tinker_lite.errors import InvalidRequest, LimitExceeded, ProtocolError

from .failures import PeerClosed, Stage
from .limits import Listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tinker_lite.http import Request

    from .connection import Connection
    from .failures import Attempt
    from .framing import RequestFraming
    from .limits import Limits

__all__ = ["Exchange"]

BLOCK_BYTES = 262_144  # measured: 64 KiB costs a fifth more, larger blocks nothing less
JOINED_MAX_BYTES = 65_536  # a body up to this is sent with its head in one write
HEAD_READ_BYTES = 65_536
MAX_INTERIM_ANSWERS = 100  # 1xx before the final answer; more is an attack or a loop

_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, PeerClosed, OSError)


class Exchange:
    """One request on its way and the head of its answer.

    Args:
        connection: The connection, owned by the caller.
        request: The request.
        framing: How it is framed.
        limits: Its limits.
        attempt: Is told how far the exchange has come.
    """

    def __init__(
        self,
        connection: Connection,
        request: Request,
        framing: RequestFraming,
        limits: Limits,
        attempt: Attempt,
    ) -> None:
        self.h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=request.max_head_bytes)
        self.connection = connection
        self.limits = limits
        self.attempt = attempt
        self._request = request
        self._head = framing.head
        self._left = framing.length  # bytes of the body still to send; None when chunked
        self._n_received = 0
        self._n_interim = 0
        self._answer: h11.Response | None = None

    async def run(self) -> h11.Response:
        """Send the request and read the head of the final answer."""
        self.attempt.stage = Stage.WRITE
        try:
            await self._send()
        except _BROKEN as error:
            return await self._answer_despite(error)
        return await self._read_head()

    async def receive(self, max_bytes: int) -> bytes:
        """The next bytes from the peer, within the read limit.

        Raises:
            PeerClosed: The peer ended its side.
        """
        with self.limits.read():
            return await self._receive(max_bytes)

    async def _receive(self, max_bytes: int) -> bytes:
        try:
            return await self.connection.stream.receive(max_bytes)
        except anyio.EndOfStream as error:
            message = "the peer closed the connection"
            raise PeerClosed(message) from error

    async def _send(self) -> None:
        head = self.h11.send(self._head)
        assert head is not None, "a request head has bytes"
        body = self._request.body
        if isinstance(body, bytes) and len(body) <= JOINED_MAX_BYTES and self._left is not None:
            self.attempt.sent_whole = True
            await self._write(head + body)
        else:
            await self._upload(head)

    async def _write(self, data: bytes) -> None:
        with self.limits.write():
            await self.connection.stream.send(data)

    async def _upload(self, head: bytes) -> None:
        """Send a large body while listening: a server may answer before it has read it all."""
        failures: list[Exception] = []
        listening = Listening(self.limits)
        with self.limits.total():
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, listening, group.cancel_scope, failures)
                try:
                    await self._send_blocks(head)
                except Exception as error:  # noqa: BLE001  # raised below, out of the group
                    failures.append(error)
                    group.cancel_scope.cancel()
                else:
                    self.attempt.stage = Stage.HEAD
                    listening.upload_is_over()
        if failures and self._answer is None:
            raise failures[0]

    async def _listen(
        self, listening: Listening, upload: anyio.CancelScope, failures: list[Exception]
    ) -> None:
        try:
            with listening:
                while self._answer is None:
                    self._feed(await self._receive(HEAD_READ_BYTES))
                    listening.something_came()
        except Exception as error:  # noqa: BLE001  # raised by _upload, out of the group
            failures.append(error)
        upload.cancel()

    async def _send_blocks(self, head: bytes) -> None:
        await self._write(head)
        body = self._request.body
        if isinstance(body, bytes):
            await self._send_piece(body)
        else:
            assert isinstance(body, AsyncIterable), "framing has looked at it"
            await self._send_pieces(aiter(body))
        await self._end_body()

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            while (piece := await self._next_piece(pieces)) is not None:
                await self._send_piece(piece)
        finally:
            # A generator that is not read to its end must be closed while its loop runs.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def _next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        try:
            return await anext(pieces, None)
        except Exception as error:
            self.attempt.caller_error = error
            raise

    async def _send_piece(self, piece: bytes) -> None:
        # Blocks of bounded size, so that the write limit means progress, not the whole piece.
        for start in range(0, len(piece), BLOCK_BYTES):
            block = piece[start : start + BLOCK_BYTES]
            if self._left is None:
                await self._write(b"%x\r\n%b\r\n" % (len(block), block))
                continue
            self._left -= len(block)
            if self._left < 0:
                self._refuse("the body is longer than its Content-Length")
            self.attempt.sent_whole = self._left == 0
            await self._write(block)

    async def _end_body(self) -> None:
        if self._left is None:
            self.attempt.sent_whole = True
            await self._write(b"0\r\n\r\n")
        elif self._left:
            self._refuse(f"the body is {self._left} bytes shorter than its Content-Length")
        else:
            self.attempt.sent_whole = True

    async def _answer_despite(self, error: Exception) -> h11.Response:
        """A server that refuses an upload answers and hangs up: look for the answer first."""
        stage = self.attempt.stage
        try:
            return await self._read_head()
        except _BROKEN:
            self.attempt.stage = stage
            raise error from None

    async def _read_head(self) -> h11.Response:
        self.attempt.stage = Stage.HEAD
        while self._answer is None:
            self._feed(await self.receive(HEAD_READ_BYTES))
        return self._answer

    def _feed(self, data: bytes) -> None:
        self._n_received += len(data)
        self.h11.receive_data(data)
        while self._answer is None:
            event = self.h11.next_event()
            if isinstance(event, h11.Response):
                self._answer = self._checked(event)
            elif isinstance(event, h11.InformationalResponse):
                self._count_interim()
            else:
                return
        head_bytes = self._n_received - len(self.h11.trailing_data[0])
        if head_bytes > self._request.max_head_bytes:
            text = "the answer's head is larger than max_head_bytes"
            raise self.attempt.error(LimitExceeded, text)

    def _checked(self, answer: h11.Response) -> h11.Response:
        if not answer.http_version.startswith(b"1."):  # h11 takes any digit
            version = answer.http_version.decode("ascii")
            raise self.attempt.error(ProtocolError, f"the answer is in HTTP/{version}")
        return answer

    def _count_interim(self) -> None:
        self._n_interim += 1
        if self._n_interim > MAX_INTERIM_ANSWERS:
            raise self.attempt.error(
                ProtocolError, f"more than {MAX_INTERIM_ANSWERS} interim answers came"
            )

    def _refuse(self, reason: str) -> NoReturn:
        raise self.attempt.error(InvalidRequest, reason)
