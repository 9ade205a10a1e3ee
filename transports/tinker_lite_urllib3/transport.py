"""``Urllib3Transport``: blocking HTTP/1.1 over urllib3's connections."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinker_lite.attempt import Attempt, translate
from tinker_lite.errors import InvalidRequest, TransportClosed
from tinker_lite.framing import frame_request, read_framing
from tinker_lite.http import Request, Response, parse_target
from tinker_lite.pooling import PoolSize
from tinker_lite.proxies import ProxyRules
from tinker_lite.routes import Route
from tinker_lite.tls import TLSSettings

from .body import Body
from .connection import Connection
from .exchange import exchange
from .failures import TABLE
from .limits import Limits
from .pool import Pool
from .socksproxy import check_socks

if TYPE_CHECKING:
    from tinker_lite.proxies import ProxiesTypes
    from tinker_lite.tls import CertTypes, VerifyTypes

    from .pool import Lease

__all__ = ["Urllib3Transport"]


class Urllib3Transport:
    """A blocking transport; see the promises in ``tinker_lite.http``.

    It may be shared by any number of threads. Making one does no I/O but to look for the files that
    it is given, and reads no environment. Looking up a host name cannot be broken off: it counts
    towards the limit for connecting, and may take longer.

    Args:
        proxy: One proxy for everything, or proxies by scheme or ``scheme://host[:port]``; http,
            https, or SOCKS with the extra ``socks``. None is no proxy.
        verify: Whom to trust with https, proxies included: True, what the system trusts; a file or
            folder of authorities; an ``ssl.SSLContext``; False is no verification.
        cert: The client's own certificate: a path, or (certificate, key[, password]).
        max_connections: Most open connections, whatever they lead to; more requests wait in turn.
            None is no bound: every long poll needs a connection of its own.
        max_connections_per_host: Most open connections to one origin, likewise.
        max_idle_per_host: Most unused connections kept for one origin; None is no bound.
        idle_expiry_s: Seconds after which an unused connection is not used again. Keep it below
            the server's own limit.

    Raises:
        ConfigError: An argument makes no sense, or PySocks is missing; the text names it.
    """

    def __init__(
        self,
        *,
        proxy: ProxiesTypes | ProxyRules | None = None,
        verify: VerifyTypes | TLSSettings = True,
        cert: CertTypes | None = None,
        max_connections: int | None = None,
        max_connections_per_host: int | None = None,
        max_idle_per_host: int | None = None,
        idle_expiry_s: float = 30.0,
    ) -> None:
        self._proxies = ProxyRules.of(proxy)
        check_socks(self._proxies)
        self._tls = TLSSettings.of(verify, cert)
        self._size = PoolSize(
            max_connections, max_connections_per_host, max_idle_per_host, idle_expiry_s
        ).checked()
        self._pool = Pool(self._size)
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
            translated = translate(error, attempt, TABLE)
            if translated is error:
                raise
            raise translated from error

    def _send(self, request: Request, attempt: Attempt) -> Response:
        target = parse_target(request.url)
        _refuse_async(request.body, attempt)
        route = Route(target.origin, self._proxies.for_origin(target.origin))
        attempt.via = "" if route.proxy is None else str(route.proxy)
        framing = frame_request(request, target, route.forward_authorization)
        limits = Limits(request.timeout)
        if self._pid != os.getpid():
            self._forget_parent()
        lease = self._pool.lease(route)
        try:
            lease.acquire(limits)
            connection = self._started(lease, route, limits, attempt)
            head = exchange(connection, request, route.request_target(target), framing)
            answer = read_framing(request.method, head.status, head.version, head.headers)
            may_stay = answer.persistent and attempt.sent_whole and not framing.closes
            body = Body(connection, answer, lease, persistent=may_stay)
            body.settle()
            return Response(
                head.status,
                head.headers,
                body,
                close=body.close,
                http_version=head.version,
                whole=body.whole,
            )
        except BaseException:
            lease.discard()
            raise

    def _started(self, lease: Lease, route: Route, limits: Limits, attempt: Attempt) -> Connection:
        """The lease's connection, opened if it is new, at the start of an exchange."""
        self._refuse_if_closed(attempt)
        connection = lease.connection
        attempt.reused = connection is not None
        if connection is None:
            lease.connection = connection = Connection(route, self._tls)
        connection.start(limits, attempt)
        self._refuse_if_closed(attempt)
        return connection

    def close(self) -> None:
        """Close every connection; requests under way raise ``TransportClosed``."""
        self._closed = True
        if self._pid != os.getpid():
            self._forget_parent()
        self._pool.close()

    def __enter__(self) -> Urllib3Transport:
        """Use the transport as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the transport."""
        self.close()

    def _refuse_if_closed(self, attempt: Attempt) -> None:
        if self._closed:
            raise attempt.error(TransportClosed, "the transport has been closed")

    def _forget_parent(self) -> None:
        """In a forked child: leave the parent's connections, and its locks, to the parent."""
        inherited, self._pool = self._pool, Pool(self._size)
        self._pid = os.getpid()
        inherited.abandon()


def _refuse_async(body: object, attempt: Attempt) -> None:
    if not isinstance(body, Iterable):
        raise attempt.error(InvalidRequest, "the body is neither bytes nor an iterable of them")
