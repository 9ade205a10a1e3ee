"""One connection: how it is opened, whether it still lives, how it is closed.

Another way to reach a host (a proxy, a unix socket) is another way to make the byte stream in
``open_connection``; nothing above it would change.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from .failures import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream, SocketStream

    from tinker_lite.http import Origin

    from .failures import Attempt
    from .limits import Limits

__all__ = ["Connection", "default_ssl_context", "open_connection"]


def default_ssl_context() -> ssl.SSLContext:
    """A client context that trusts what the system trusts.

    Reading the certificates takes about 25 ms: make one and share it.
    """
    context = ssl.create_default_context()
    # OpenSSL 3 under Python calls a cut TLS stream an orderly end; a body that ends with the
    # connection would then be short without anyone noticing (RFC 9112 section 9.8).
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class Connection:
    """A byte stream to one origin.

    Args:
        stream: The stream, with TLS if the origin's scheme asks for it.
    """

    __slots__ = ("_raw", "aborted", "stream")

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.aborted = False
        self._raw = stream.extra(SocketAttribute.raw_socket)

    def trust_no_ragged_end(self) -> None:
        """From now on the end of a TLS stream counts only if the peer declared it."""
        if isinstance(self.stream, TLSStream):
            self.stream.standard_compatible = True

    def is_dead(self) -> bool:
        """Whether something came in while it was idle: the end, or bytes nobody asked for."""
        try:
            return _is_readable(self._raw) or self._has_unread_record()
        except (OSError, ValueError):
            return True

    def _has_unread_record(self) -> bool:
        if not isinstance(self.stream, TLSStream):
            return False
        try:
            self.stream.extra(TLSAttribute.ssl_object).read(1)
        except ssl.SSLWantReadError:
            return False
        return True

    async def aclose(self) -> None:
        """Close at once, without a TLS farewell; never raises, not even when cancelled."""
        if isinstance(self.stream, TLSStream):
            self.stream.standard_compatible = False
        with (
            anyio.CancelScope(shield=True),
            contextlib.suppress(OSError, anyio.BrokenResourceError),
        ):
            await anyio.aclose_forcefully(self.stream)

    def abandon(self) -> None:
        """Let go of the socket without the event loop, which may be closed or run elsewhere."""
        self.aborted = True
        with contextlib.suppress(OSError, ValueError):
            self._raw.shutdown(socket.SHUT_RDWR)


if hasattr(select, "poll"):

    def _is_readable(raw: socket.socket) -> bool:
        poll = select.poll()  # unlike select(), it takes descriptors above 1023
        poll.register(raw.fileno(), select.POLLIN)
        return bool(poll.poll(0))

else:

    def _is_readable(raw: socket.socket) -> bool:
        return bool(select.select([raw.fileno()], [], [], 0)[0])


async def _connect(host: str, port: int) -> SocketStream:
    try:
        return await anyio.connect_tcp(host, port)
    except RuntimeError:
        # The interpreter is ending, and no thread can look up the name; what is still to be sent
        # may wait for the look-up on this one.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return await anyio.connect_tcp(str(found[0][4][0]), port)


async def open_connection(
    origin: Origin, limits: Limits, attempt: Attempt, ssl_context: Callable[[], ssl.SSLContext]
) -> Connection:
    """Connect to an origin, with TLS where its scheme says so.

    Args:
        origin: Where to.
        limits: The request's limits.
        attempt: Is told when the handshake begins.
        ssl_context: Gives the context, when one is needed.
    """
    attempt.stage = Stage.CONNECT
    with limits.connect():
        stream = await _connect(origin.host, origin.port)
    connection: ByteStream = stream
    try:
        # Long polls are silent for a minute and more; without probes a vanished peer goes unseen.
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.scheme == "https":
            attempt.stage = Stage.TLS
            with limits.tls():
                connection = await TLSStream.wrap(
                    stream,
                    server_side=False,
                    hostname=origin.host.rstrip("."),
                    ssl_context=ssl_context(),
                    standard_compatible=False,  # HTTP servers just hang up; framing is our proof
                )
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)
        raise
    return Connection(connection)
