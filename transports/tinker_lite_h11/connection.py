"""One connection: a byte stream, whether it still lives, how it is closed."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from tinker_lite.attempt import PeerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BLOCK_BYTES", "Connection"]

BLOCK_BYTES = 262_144  # measured: 64 KiB costs a fifth more, larger blocks nothing less


class Connection:
    """A byte stream to an origin or a proxy.

    Args:
        stream: The stream.

    Attributes:
        aborted: The transport was closed meanwhile.
        idle_until: When it is no longer to be used, by the event loop's clock.
    """

    __slots__ = ("_ahead", "_pid", "_raw", "_stream", "aborted", "idle_until")

    def __init__(self, stream: ByteStream) -> None:
        self.aborted = False
        self.idle_until = 0.0
        self._stream = stream
        self._raw = stream.extra(SocketAttribute.raw_socket)
        self._ahead = b""
        self._pid = os.getpid()

    async def receive(self, max_bytes: int) -> bytes:
        """The next bytes.

        Raises:
            PeerClosed: The peer ended its side.
        """
        # anyio keeps what exceeds the bytes asked for where nobody can see it, and a connection
        # with unread bytes must not be used again; so the excess is kept here.
        data = self._ahead
        if not data:
            try:
                data = await self._stream.receive(BLOCK_BYTES)
            except anyio.EndOfStream as error:
                raise PeerClosed("the peer closed the connection") from error
        self._ahead = data[max_bytes:]
        return data[:max_bytes]

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes."""
        await self._stream.send(cast("bytes", data))  # anyio's streams take any buffer

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on, inside whatever is spoken already.

        Args:
            context: The settings.
            host: The name that the peer's certificate must have.
        """
        self._stream = await TLSStream.wrap(
            _WholeReads(self._stream),
            server_side=False,
            hostname=host.rstrip("."),
            ssl_context=context,
            standard_compatible=False,  # HTTP servers just hang up; framing is our proof
        )

    def trust_no_ragged_end(self) -> None:
        """From now on the end of a TLS stream counts only if the peer declared it."""
        if isinstance(self._stream, TLSStream):
            self._stream.standard_compatible = True

    @property
    def is_ahead(self) -> bool:
        """Whether bytes have come that nobody has read."""
        return bool(self._ahead)

    def is_dead(self) -> bool:
        """Whether something came in while it was idle: the end, or bytes nobody asked for."""
        try:
            return self.is_ahead or _is_readable(self._raw) or _has_unread_record(self._stream)
        except (OSError, ValueError):
            return True

    async def aclose(self) -> None:
        """Close at once, without a TLS farewell; never raises, not even when cancelled.

        In a forked child it does nothing: the event loop's record of the socket is the parent's.
        """
        if self._pid != os.getpid():
            return
        if isinstance(self._stream, TLSStream):
            self._stream.standard_compatible = False
        with (
            anyio.CancelScope(shield=True),
            contextlib.suppress(OSError, anyio.BrokenResourceError),
        ):
            await anyio.aclose_forcefully(self._stream)

    def abandon(self) -> None:
        """Let go of the socket without the event loop, which may be closed or run elsewhere."""
        self.aborted = True
        with contextlib.suppress(OSError, ValueError):
            self._raw.shutdown(socket.SHUT_RDWR)


class _WholeReads(ByteStream):
    """The stream under TLS: hands over all that has come, so that nothing stays behind unseen."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {SocketAttribute.raw_socket: lambda: self.stream.extra(SocketAttribute.raw_socket)}

    async def receive(self, max_bytes: int = BLOCK_BYTES) -> bytes:
        return await self.stream.receive(max(max_bytes, BLOCK_BYTES))

    async def send(self, item: bytes) -> None:
        await self.stream.send(item)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


def _has_unread_record(stream: ByteStream) -> bool:
    """Whether a layer of TLS holds bytes that the one above has not read."""
    while isinstance(stream, TLSStream):
        try:
            stream.extra(TLSAttribute.ssl_object).read(1)
        except ssl.SSLWantReadError:
            layer = stream.transport_stream
            assert isinstance(layer, _WholeReads), "every TLS stream here is over one"
            stream = layer.stream
        else:
            return True
    return False


if hasattr(select, "poll"):

    def _is_readable(raw: socket.socket) -> bool:
        poll = select.poll()  # unlike select(), it takes descriptors above 1023
        poll.register(raw.fileno(), select.POLLIN)
        return bool(poll.poll(0))

else:

    def _is_readable(raw: socket.socket) -> bool:
        return bool(select.select([raw.fileno()], [], [], 0)[0])
