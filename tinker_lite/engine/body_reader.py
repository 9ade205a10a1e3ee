"""The body of an answer that is still open: read in pieces or whole, once, in any colour.

Content codings are undone on the way. A failure closes the answer, and is the error that the same
failure would be in a call that is read whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from tinker_lite.engine.call import error_of
from tinker_lite.engine.call_io import CallIO, Chunks, R
from tinker_lite.errors import (
    DecodeError,
    ProtocolError,
    StreamAlreadyConsumed,
    TransportError,
)
from tinker_lite.safety import check_size
from tinker_lite.wire.content import ContentDecoder, content_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite.engine.sending import Opened

__all__ = ["BodyReader"]


class BodyReader(Generic[R]):
    """Reads one open answer.

    Args:
        opened: The answer.
        io: The world it came from.

    Attributes:
        elapsed_s: Seconds from sending the request to the end of the body, or to the head until
            that is reached.
        is_closed: The connection has been let go of.
    """

    def __init__(self, opened: Opened[R], io: CallIO[R]) -> None:
        self._opened = opened
        self._io = io
        self.elapsed_s = io.now() - opened.started_s
        self.is_closed = False
        self._whole: bytes | None = None
        self._chunks: Chunks | None = None
        self._decoder: ContentDecoder | None = None
        self._pieces: Iterator[bytes] = iter(())

    def begin(self) -> None:
        """Ask for the body; allowed once, or as often as one likes after ``read``.

        Raises:
            StreamAlreadyConsumed: Its bytes have been handed out, or the answer was closed unread.
        """
        if self._whole is not None:
            self._pieces = iter((self._whole,))
            return
        if self._chunks is not None or self.is_closed:
            what = "been read already" if self._chunks is not None else "been closed unread"
            raise StreamAlreadyConsumed(
                f"The body of this answer ({self._opened.call.endpoint.name}) has {what}; keep "
                "what was read, use read() first to keep all of it, or make the call again."
            )
        self._chunks = self._io.chunks(self._opened.response)

    async def next(self) -> bytes | None:
        """The next piece, decoded, or None at the end.

        Raises:
            APIConnectionError: The body broke off, or is not what its coding says.
        """
        piece = await self._guarded_next()
        if piece is None and not self.is_closed:
            await self.close()
        return piece

    async def _guarded_next(self) -> bytes | None:
        try:
            return await self._next()
        except DecodeError as error:
            broken = ProtocolError(str(error), may_have_arrived=True)
            await self.close()
            raise self._as_api_error(broken) from error
        except TransportError as error:
            await self.close()
            raise self._as_api_error(error) from error

    async def _next(self) -> bytes | None:
        while True:
            for piece in self._pieces:
                return piece
            if self._whole is not None or self._chunks is None:
                return None
            if self._decoder is None:
                coding = self._opened.response.headers.get("content-encoding", "")
                self._decoder = content_decoder(coding)
            raw = await self._chunks.next()
            if raw is None:
                self._decoder.finish()
                self.elapsed_s = self._io.now() - self._opened.started_s
                return None
            self._pieces = self._decoder.feed(raw)

    def _as_api_error(self, error: TransportError) -> Exception:
        return error_of(error, self._opened.call, self._opened.n_retries)

    async def read(self) -> bytes:
        """The whole body, kept from now on.

        Raises:
            StreamAlreadyConsumed: Pieces of it have been handed out.
            APIConnectionError: It broke off, is too large, or is not what its coding says.
        """
        if self._whole is None:
            self.begin()
            pieces: list[bytes] = []
            n_bytes = 0
            while (piece := await self.next()) is not None:
                n_bytes += len(piece)
                try:
                    check_size(n_bytes, self._opened.call.max_response_bytes)
                except TransportError as error:
                    await self.close()
                    raise self._as_api_error(error) from error
                pieces.append(piece)
            self._whole = b"".join(pieces)
        return self._whole

    async def close(self) -> None:
        """Let go of the connection, whatever has been read; harmless when repeated."""
        self.is_closed = True
        await self._io.close(self._opened.response)
