"""One connection: urllib3 connects it and writes request heads; time limits and reading are ours.

urllib3 gives one timeout to a whole connection. These subclasses give each wait its own limit, send
in blocks so that the write limit means progress, and read through ``SocketReader``. Another way to
reach a host (a proxy, SOCKS, a unix socket) is another ``_new_conn``.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import ssl
import time
from http.client import HTTPConnection as HTTPClientConnection
from typing import TYPE_CHECKING, cast

from urllib3.connection import HTTPConnection, HTTPSConnection

from .answer import Answer
from .failures import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.http import Origin

    from .failures import Attempt
    from .limits import Limits

__all__ = ["BLOCK_BYTES", "Connection", "default_ssl_context", "new_connection"]

BLOCK_BYTES = 262_144  # one send or read; measured: smaller ones cost more, larger ones no less
READ_AHEAD_BYTES = 16_384


def default_ssl_context() -> ssl.SSLContext:
    """A client context that trusts what the system trusts.

    Reading the certificates takes about 25 ms: make one and share it.
    """
    context = ssl.create_default_context()
    # OpenSSL 3 under Python calls a cut TLS stream an orderly end; a body that ends with the
    # connection would then be short without anyone noticing (RFC 9112 section 9.8).
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class SocketReader(io.RawIOBase):
    """The reading side of a socket, which sets the read limit before every wait."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        super().__init__()
        self._sock = sock
        self.limits: Limits | None = limits  # None: do not wait
        self.ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # what io passes
        """Read what is there, waiting for something unless there are no limits."""
        limits = self.limits
        self._sock.settimeout(0.0 if limits is None else limits.seconds("read"))
        try:
            n_bytes = self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except TimeoutError as error:
            assert limits is not None, "a wait has limits"
            limits.expire("read", error)
        self.ended = self.ended or n_bytes == 0
        return n_bytes


class Connection(HTTPConnection):
    """A connection to one origin, used by one request at a time.

    Attributes:
        aborted: It was shut down from outside, by closing the transport.
    """

    limits: Limits
    attempt: Attempt
    response_class = Answer  # type: ignore[assignment]  # http.client asks it only begin and close
    reader: io.BufferedReader
    aborted = False
    _sock: socket.socket | None = None
    _raw: SocketReader | None = None
    _head = b""
    _pid = 0

    def start(self, limits: Limits, attempt: Attempt) -> None:
        """Begin an exchange, over a new connection if there is none."""
        self.limits = limits
        self.attempt = attempt
        if self._raw is None:
            self.connect()
        else:
            self._raw.limits = limits

    def connect(self) -> None:
        """Connect, with TLS where the scheme says so, within the limits of each."""
        try:
            super().connect()
        except TimeoutError as error:  # of the TLS handshake; the TCP connect has its own
            self.limits.expire("tls", error)
        self._pid = os.getpid()
        self._sock = cast("socket.socket", self.sock)
        self._raw = SocketReader(self._sock, self.limits)
        self.reader = io.BufferedReader(self._raw, READ_AHEAD_BYTES)

    def _new_conn(self) -> socket.socket:
        self.attempt.stage = Stage.CONNECT
        sock = self._connect_tcp()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Long polls are silent for a minute and more; without probes a vanished peer goes unseen.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def _connect_tcp(self) -> socket.socket:
        """Try the host's addresses in turn, each with its share of the time that is left.

        One that swallows packets then cannot use up the time of those after it.
        """
        seconds = self.limits.seconds("connect")
        end = None if seconds is None else time.monotonic() + seconds
        # As bytes, past the codec for international names, which raises errors of its own.
        host = self._dns_host.encode("ascii")
        addresses = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        for n_left in range(len(addresses), 0, -1):
            family, kind, protocol, _, address = addresses[-n_left]
            share = None if end is None else max(end - time.monotonic(), 0.001) / n_left
            try:
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.settimeout(share)
                    sock.connect(address)
                except BaseException:
                    sock.close()
                    raise
            except TimeoutError as error:
                if n_left == 1:
                    self.limits.expire("connect", error)
            except OSError:
                if n_left == 1:
                    raise
            else:
                return sock
        message = "the host name has no address"
        raise socket.gaierror(socket.EAI_NONAME, message)

    def send(self, data: object) -> None:
        """Hold back the head that http.client writes, so that a small body can go with it."""
        assert isinstance(data, bytes), "only heads are sent this way"
        self._head += data

    def head(self, method: str, path: str, headers: list[tuple[str, str]]) -> bytes:
        """The bytes of a request head.

        Raises:
            ValueError, http.client.InvalidURL: Something in it is not HTTP.
        """
        self._head = b""
        self.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value)
        self.endheaders()
        HTTPClientConnection.getresponse(self)  # reads nothing (see Answer); ends the request
        return self._head

    def write(self, data: bytes, *, listening: bool = False) -> bool:
        """Send every byte, or stop when the peer answers.

        Args:
            data: What to send.
            listening: Stop as soon as bytes of an answer are there.

        Returns:
            Whether all of it was sent.
        """
        assert self._sock is not None, "the connection is open"
        rest = memoryview(data)
        while rest:
            seconds = self.limits.seconds("write")
            self._sock.settimeout(seconds)
            try:
                # TLS is not listened to: its session tickets look like an answer.
                if listening and self._wait_to_write(seconds):
                    return False
                rest = rest[self._sock.send(rest[:BLOCK_BYTES]) :]
            except TimeoutError as error:
                self.limits.expire("write", error)
        return True

    def _wait_to_write(self, seconds: float | None) -> bool:
        """Wait until the socket takes bytes; True if it has bytes to give instead."""
        assert self._sock is not None, "the connection is open"
        return _has_answer(self._sock, seconds)

    def trust_no_ragged_end(self) -> None:
        """From now on the end of a TLS stream counts only if the peer declared it."""

    def is_dead(self) -> bool:
        """Whether something came in while it was idle: the end, or bytes nobody asked for."""
        assert self._raw is not None, "an idle connection is open"
        self._raw.limits = None
        try:
            return bool(self.reader.peek(1)) or self._raw.ended
        except (OSError, ValueError):
            return True

    def abort(self) -> None:
        """Wake up whoever waits on this connection, from any thread; the transport is closing."""
        self.aborted = True
        self._shut_down()

    def _shut_down(self) -> None:
        sock = self._sock
        if sock is not None and self._pid == os.getpid():  # a forked child only lets go
            # SSLSocket.shutdown would drop the TLS state, and the reader would get ciphertext.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close at once, without a TLS farewell; a thread that waits on it wakes up."""
        self._shut_down()
        super().close()


class TLSConnection(Connection, HTTPSConnection):
    """A connection with TLS."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.attempt.stage = Stage.TLS
        sock.settimeout(self.limits.seconds("tls"))
        return sock

    def _wait_to_write(self, seconds: float | None) -> bool:
        # Session tickets arrive unasked, so bytes on the wire are no sign of an answer.
        return False

    def trust_no_ragged_end(self) -> None:
        """From now on the end of the stream counts only if the peer declared it."""
        setattr(self._sock, "suppress_ragged_eofs", False)  # noqa: B010  # type stubs lack it


if hasattr(select, "poll"):

    def _has_answer(sock: socket.socket, seconds: float | None) -> bool:
        poll = select.poll()  # unlike select(), it takes descriptors above 1023
        poll.register(sock.fileno(), select.POLLIN | select.POLLOUT)
        ready = poll.poll(None if seconds is None else seconds * 1000)
        if not ready:
            raise TimeoutError
        return bool(ready[0][1] & select.POLLIN)

else:

    def _has_answer(sock: socket.socket, seconds: float | None) -> bool:
        readable, writable, _ = select.select([sock], [sock], [], seconds)
        if not (readable or writable):
            raise TimeoutError
        return bool(readable)


def new_connection(origin: Origin, ssl_context: Callable[[], ssl.SSLContext]) -> Connection:
    """A connection that is not yet open.

    Args:
        origin: Where to.
        ssl_context: Gives the context, when one is needed.
    """
    if origin.scheme == "https":
        return TLSConnection(origin.host, origin.port, ssl_context=ssl_context())
    return Connection(origin.host, origin.port)
