"""How a connection is opened: directly, to a proxy, through a proxy's tunnel, to a unix socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute, SocketStream, UNIXSocketStream

from tinker_lite.attempt import BadAnswer, HeadTooLarge, PeerClosed, Stage, TunnelRefused
from tinker_lite.errors import ConnectError
from tinker_lite.routes import check_tunnel
from tinker_lite.target import UNIX_SCHEME

from .connection import BLOCK_BYTES, Connection
from .head import HeadReader

if TYPE_CHECKING:
    from tinker_lite.attempt import Attempt
    from tinker_lite.routes import Route
    from tinker_lite.tls import TLSSettings

    from .limits import Limits
    from .pool import Lease, Pool

__all__ = ["open_connection"]

MAX_TUNNEL_HEAD_BYTES = 65_536
BACKLOG_PAUSE_S = 0.01


async def open_connection(
    route: Route, lease: Lease, limits: Limits, attempt: Attempt, tls: TLSSettings
) -> None:
    """Open a connection that is ready for a request.

    Args:
        route: Where it leads.
        lease: Owns the connection from its first moment on.
        limits: The request's limits.
        attempt: Is told how far this has come.
        tls: How to speak TLS, with a proxy too.
    """
    attempt.stage = Stage.CONNECT
    with limits.connect():
        connection = Connection(await _dial(route, lease.pool, attempt))
        lease.attach(connection)
        if route.proxy is not None and route.proxy.scheme == "https":
            await connection.secure(tls.context(), route.proxy.host)
        if route.is_tunnelled:
            attempt.stage = Stage.TUNNEL
            await _ask_for_tunnel(connection, route)
    if route.origin.scheme == "https":
        attempt.stage = Stage.TLS
        with limits.tls():
            await connection.secure(tls.context(), route.origin.host)


async def _dial(route: Route, pool: Pool, attempt: Attempt) -> SocketStream | UNIXSocketStream:
    with anyio.CancelScope() as scope:
        pool.dialling.add(scope)
        try:
            if route.origin.scheme == UNIX_SCHEME:
                return await _connect_unix(route.origin.host, attempt)
            first = route.proxy or route.origin
            return await _connect_tcp(first.host, first.port)
        finally:
            pool.dialling.discard(scope)
    raise PeerClosed("the transport was closed")  # which cancelled the scope


async def _connect_tcp(host: str, port: int) -> SocketStream:
    try:
        stream = await anyio.connect_tcp(host, port)
    except RuntimeError:
        # The interpreter is ending, and no thread can look up the name; what is still to be sent
        # may wait for the look-up on this one.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        stream = await anyio.connect_tcp(str(found[0][4][0]), port)
    # Long polls are silent for a minute and more; without probes a vanished peer goes unseen.
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


async def _connect_unix(path: str, attempt: Attempt) -> UNIXSocketStream:
    if not hasattr(socket, "AF_UNIX"):
        raise attempt.error(ConnectError, "this platform has no unix sockets")
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        while True:
            try:
                raw.connect(path)
            except BlockingIOError:  # its queue is full, and nothing says when it is not
                await anyio.sleep(BACKLOG_PAUSE_S)
            else:
                return await UNIXSocketStream.from_socket(raw)
    except BaseException:
        raw.close()
        raise


async def _ask_for_tunnel(connection: Connection, route: Route) -> None:
    """Make a proxy pass everything on to the origin."""
    head = HeadReader("CONNECT", MAX_TUNNEL_HEAD_BYTES)
    await connection.send(route.tunnel_request())
    try:
        while head.answer is None:
            head.feed(await connection.receive(BLOCK_BYTES))
    except BadAnswer as error:
        raise TunnelRefused(f"the proxy's answer is not HTTP/1.1: {error}") from error
    except HeadTooLarge as error:
        raise TunnelRefused(
            f"the head of the proxy's answer is larger than {MAX_TUNNEL_HEAD_BYTES} bytes"
        ) from error
    check_tunnel(head.answer.status_code, len(head.rest))
