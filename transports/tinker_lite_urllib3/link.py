"""The way to one origin, opened step by step: TCP or a unix socket, proxies, TLS.

Each step leaves what it has opened in the link at once, so that it can be closed from wherever the
opening is broken off.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING, cast

from urllib3.util.ssltransport import SSLTransport

from tinker_lite.attempt import BadAnswer, HeadTooLarge, Stage, TunnelRefused
from tinker_lite.errors import ConnectError
from tinker_lite.http import UNIX_SCHEME
from tinker_lite.routes import check_tunnel

from .answer import HeadReader
from .reader import SocketReader
from .socksproxy import socks_sockets

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tinker_lite.attempt import Attempt
    from tinker_lite.proxies import Proxy
    from tinker_lite.routes import Route
    from tinker_lite.tls import TLSSettings

    from .limits import Limits, Window
    from .reader import Stream

    MakeSocket: TypeAlias = Callable[[socket.AddressFamily, socket.SocketKind, int], socket.socket]
    Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]

__all__ = ["Link"]

MAX_TUNNEL_HEAD_BYTES = 65_536
READ_AHEAD_BYTES = 4096


class Link:
    """One way to an origin.

    Args:
        route: Where to, and by which proxy.
        tls: How to speak TLS, with a proxy too.
    """

    __slots__ = ("_pid", "_route", "_sock", "_stream", "_tls")

    def __init__(self, route: Route, tls: TLSSettings) -> None:
        self._route = route
        self._tls = tls
        self._sock: socket.socket | None = None  # what holds the descriptor
        self._stream: Stream | None = None  # the same, unless there is TLS within TLS
        self._pid = os.getpid()

    @property
    def stream(self) -> Stream:
        """What to read from and write to, once the link is open."""
        assert self._stream is not None, "the link is open"
        return self._stream

    def fileno(self) -> int:
        """The descriptor."""
        assert self._sock is not None, "the link is open"
        return self._sock.fileno()

    def open(self, limits: Limits, attempt: Attempt) -> None:
        """Open it, within the limits for connecting and for TLS with the origin."""
        origin = self._route.origin
        attempt.stage = Stage.CONNECT
        window = limits.window("connect")
        try:
            self._reach(window, attempt)
        except TimeoutError as error:
            window.expire(cause=error)
        if origin.scheme != "https":
            return
        attempt.stage = Stage.TLS
        try:
            self._secure(origin.host, limits.seconds("tls"))
        except TimeoutError as error:
            limits.expire("tls", error)

    def _reach(self, window: Window, attempt: Attempt) -> None:
        """Get to where the origin's own bytes may go."""
        origin, proxy = self._route
        if origin.scheme == UNIX_SCHEME:
            self._connect_unix(origin.host, window, attempt)
        elif proxy is None:
            self._connect_tcp(origin.host, origin.port, window)
        elif proxy.is_socks:
            self._connect_socks(proxy, window)
        else:
            self._connect_tcp(proxy.host, proxy.port, window)
            if proxy.scheme == "https":
                self._secure(proxy.host, window.seconds())
            if self._route.is_tunnelled:
                attempt.stage = Stage.TUNNEL
                self._open_tunnel(window)

    def _connect_tcp(
        self, host: str, port: int, window: Window, make_socket: MakeSocket = socket.socket
    ) -> None:
        """Try the host's addresses in turn, each with its share of the time that is left.

        One that swallows packets then cannot use up the time of those after it.
        """
        addresses = _addresses(host, port)
        for n_left in range(len(addresses), 0, -1):
            family, kind, protocol, _, address = addresses[-n_left]
            seconds = window.seconds()
            self._stream = self._sock = sock = make_socket(family, kind, protocol)
            sock.settimeout(None if seconds is None else seconds / n_left)
            try:
                sock.connect(address)
            except OSError:
                sock.close()
                if n_left == 1:
                    raise
            else:
                break
        sock = cast("socket.socket", self._sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Long polls are silent for a minute and more; without probes a vanished peer goes unseen.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _connect_unix(self, path: str, window: Window, attempt: Attempt) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise attempt.error(ConnectError, "this platform has no unix sockets")
        self._stream = self._sock = sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(window.seconds())
        sock.connect(path)

    def _connect_socks(self, proxy: Proxy, window: Window) -> None:
        make_socket = socks_sockets(proxy, self._route.origin)
        self._connect_tcp(proxy.host, proxy.port, window, make_socket)
        # What is connected is a socket like any other from here on.
        self._stream = self._sock = socket.socket(fileno=cast("socket.socket", self._sock).detach())

    def _secure(self, host: str, seconds: float | None) -> None:
        """Speak TLS from here on, with whoever is at the other end by now."""
        context = self._tls.context()
        name = _certified_name(host)
        sock = cast("socket.socket", self._sock)
        if isinstance(sock, ssl.SSLSocket):
            carrier = _Carrier(sock)
            carrier.settimeout(seconds)
            inner = SSLTransport(
                cast("socket.socket", carrier), context, name, suppress_ragged_eofs=False
            )
            self._stream = cast("Stream", inner)
            return
        self._stream = self._sock = secured = context.wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        secured.settimeout(seconds)
        secured.do_handshake()

    def _open_tunnel(self, window: Window) -> None:
        """Have the proxy connect to the origin, and read its answer and not a byte more."""
        self.stream.settimeout(window.seconds())
        self.stream.sendall(self._route.tunnel_request())
        raw = SocketReader(self.stream, window)
        reader: io.BufferedReader = io.BufferedReader(raw, READ_AHEAD_BYTES)
        try:
            head = HeadReader(reader, MAX_TUNNEL_HEAD_BYTES).final()
        except BadAnswer as error:
            raise TunnelRefused(f"the proxy's answer is not HTTP/1.1: {error}") from error
        except HeadTooLarge as error:
            limit = f"{MAX_TUNNEL_HEAD_BYTES:,}"
            raise TunnelRefused(f"the head of its answer is over {limit} bytes") from error
        raw.clock = None
        check_tunnel(head.status, len(reader.peek(1)))

    def shut_down(self) -> None:
        """Wake up whoever waits on it, from any thread."""
        sock = self._sock
        if sock is not None and self._pid == os.getpid():  # a forked child only lets go
            # SSLSocket.shutdown would drop the TLS state, and the reader would get ciphertext.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close at once, without a TLS farewell; a thread that waits on it wakes up."""
        self.shut_down()
        sock = self._sock
        if sock is not None:
            sock.close()


def _certified_name(host: str) -> str:
    """The name that a certificate must be for; a final dot and an address's zone are not in it."""
    name = host.partition("%")[0].rstrip(".")
    try:
        if name.encode("idna"):  # as ssl does, with errors of that codec's own
            return name
    except UnicodeError:
        pass
    raise socket.gaierror(socket.EAI_NONAME, f"{host[:80]!r} is no name that a host can have")


class _Carrier:
    """A TLS socket with TLS inside: its timeout bounds a whole operation of the inner one.

    That may take many of its own, as a peer may send the bytes of one record one by one.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._seconds: float | None = None
        self._end = 0.0

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + (seconds or 0.0)

    def recv(self, max_bytes: int) -> bytes:
        self._arm()
        return self._sock.recv(max_bytes)

    def sendall(self, data: bytes) -> None:
        if data:
            self._arm()
            self._sock.sendall(data)

    def _arm(self) -> None:
        seconds = self._seconds
        if seconds:
            seconds = self._end - time.monotonic()
            if seconds <= 0:
                raise TimeoutError("the time of this operation is over")
        self._sock.settimeout(seconds)


def _addresses(host: str, port: int) -> list[Address]:
    try:
        # As bytes, past the codec for international names, which raises errors of its own.
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "write host names in their xn-- form") from None
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "the host name has no address")
    return cast("list[Address]", found)
