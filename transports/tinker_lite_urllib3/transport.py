"""``Urllib3Transport``: blocking HTTP/1.1 over urllib3's connections."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from tinker_lite.errors import TransportClosed
from tinker_lite.http import Request, Response, parse_target

from .answer import read_framing
from .body import Body
from .connection import default_ssl_context, new_connection
from .exchange import exchange
from .failures import Attempt, translate
from .framing import frame_request
from .limits import Limits
from .pool import Pools, PoolSize

if TYPE_CHECKING:
    import ssl

__all__ = ["Urllib3Transport"]


class Urllib3Transport:
    """A blocking transport; see the promises in ``tinker_lite.http``.

    It may be shared by any number of threads. Making one does no I/O and reads no environment.

    Args:
        ssl_context: For https; by default one that trusts what the system trusts, made when the
            first https request is sent.
        max_connections_per_host: Most connections to one origin at once, each carrying one request;
            more requests wait in turn. None is no bound: every long poll needs one.
        max_idle_per_host: Most unused connections kept for one origin; None is no bound.
        idle_expiry_s: Seconds after which an unused connection is not used again. Keep it below
            the server's own limit.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_connections_per_host: int | None = None,
        max_idle_per_host: int | None = None,
        idle_expiry_s: float = 30.0,
    ) -> None:
        self._ssl_context = ssl_context
        self._size = PoolSize(max_connections_per_host, max_idle_per_host, idle_expiry_s)
        self._lock = threading.Lock()
        self._pools = Pools(self._size)
        self._pid = os.getpid()
        self._closed = False

    def send(self, request: Request) -> Response:
        """Send one request; see ``Transport.send``."""
        attempt = Attempt(request)
        try:
            self._refuse_if_closed(attempt)
            return self._send(request, attempt)
        except Exception as error:
            attempt.closed = self._closed
            translated = translate(error, attempt)
            if translated is error:
                raise
            raise translated from error

    def _send(self, request: Request, attempt: Attempt) -> Response:
        target = parse_target(request.url)
        framing = frame_request(request, target)
        limits = Limits(request.timeout)
        if self._pid != os.getpid():
            self._forget_parent()
        lease = self._pools.host(target.origin).acquire(limits)
        try:
            self._refuse_if_closed(attempt)
            attempt.reused = lease.connection is not None
            connection = lease.connection
            if connection is None:
                connection = new_connection(target.origin, self._context)
                lease.attach(connection)
            connection.start(limits, attempt)
            self._refuse_if_closed(attempt)
            head = exchange(connection, request, target, framing)
            answer = read_framing(request.method, head)
            may_stay = answer.persistent and attempt.sent_whole and not framing.closes
            body = Body(connection, answer, lease, persistent=may_stay)
            body.settle()
        except BaseException:
            lease.discard()
            raise
        return Response(
            head.status, head.headers, body, close=body.close, http_version=head.version
        )

    def close(self) -> None:
        """Close every connection; requests under way raise ``TransportClosed``."""
        self._closed = True
        self._pools.close()

    def __enter__(self) -> Urllib3Transport:
        """Use the transport as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the transport."""
        self.close()

    def _refuse_if_closed(self, attempt: Attempt) -> None:
        if self._closed:
            raise attempt.error(TransportClosed, "the transport has been closed")

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._ssl_context is None:
                self._ssl_context = default_ssl_context()
            return self._ssl_context

    def _forget_parent(self) -> None:
        """In a forked child: leave the parent's connections, and its locks, to the parent."""
        inherited, self._pools = self._pools, Pools(self._size)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        inherited.abandon()
