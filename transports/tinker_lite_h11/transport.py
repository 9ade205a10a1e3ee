"""``H11Transport``: HTTP/1.1 on asyncio and trio, by anyio and h11."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import current_token

from tinker_lite.attempt import Attempt, translate
from tinker_lite.errors import ConfigError, InvalidRequest, TransportClosed
from tinker_lite.framing import frame_request, read_framing
from tinker_lite.http import AsyncResponse, Request, parse_target
from tinker_lite.pooling import PoolSize
from tinker_lite.proxies import ProxyRules
from tinker_lite.routes import Route
from tinker_lite.tls import TLSSettings

from .body import Body
from .exchange import Exchange
from .failures import TABLE
from .head import HeadReader, request_head
from .limits import Limits
from .opening import open_connection
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.proxies import ProxiesTypes
    from tinker_lite.tls import CertTypes, VerifyTypes

    from .pool import Lease

__all__ = ["H11Transport"]


class H11Transport:
    """An async transport; see the promises in ``tinker_lite.http``.

    It may be made anywhere, also outside a loop, and used from several event loops: each has
    connections of its own, and the bounds below. Making one does no I/O and reads no environment.

    Args:
        proxy: A proxy for everything, proxies by scheme or origin, or ready rules; HTTP and HTTPS
            proxies only.
        verify: Whom to trust: True, what the system trusts; a file or folder of authorities; a
            context; False, everybody.
        cert: The client's own certificate; see ``TLSSettings``.
        max_connections: Most open connections, whatever they lead to; None is no bound.
        max_connections_per_host: Most connections to one origin at once, each carrying one request;
            more requests wait in turn. None is no bound: every long poll needs one.
        max_idle_per_host: Most unused connections kept for one origin; None is no bound.
        idle_expiry_s: Seconds after which an unused connection is not used again. Keep it below
            the server's own limit.

    Raises:
        ConfigError: A setting makes no sense, or a proxy speaks SOCKS.
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
        if self._proxies.use_socks:
            raise ConfigError("proxy: H11Transport speaks no SOCKS; Urllib3Transport does.")
        self._tls = TLSSettings.of(verify, cert)
        self._size = PoolSize(
            max_connections, max_connections_per_host, max_idle_per_host, idle_expiry_s
        ).checked()
        self._lock = threading.Lock()
        self._pools: dict[Any, Pool] = {}
        self._pid = os.getpid()
        self._closed = False

    async def send(self, request: Request) -> AsyncResponse:
        """Send one request; see ``AsyncTransport.send``."""
        attempt = Attempt(request)
        try:
            self._refuse_if_closed(attempt)
            return await self._send(request, attempt)
        except Exception as error:
            attempt.closed = self._closed
            translated = translate(error, attempt, TABLE)
            if translated is error:
                raise
            raise translated from error

    async def _send(self, request: Request, attempt: Attempt) -> AsyncResponse:
        body = request.body
        if not isinstance(body, bytes | AsyncIterable):
            text = "an async transport takes bytes or an async iterable of bytes as body"
            raise attempt.error(InvalidRequest, text)
        target = parse_target(request.url)
        route = Route(target.origin, self._proxies.for_origin(target.origin))
        if route.proxy is not None:
            attempt.via = str(route.proxy)
        framing = frame_request(request, target, route.forward_authorization)
        sent_head = request_head(request.method, route.request_target(target), framing)
        head = HeadReader(request.method, request.max_head_bytes)
        limits = Limits(request.timeout)
        lease = self._pool_here().lease(route)
        try:
            await self._connect(route, lease, limits, attempt)
            assert lease.connection is not None, "it has just been found or opened"
            exchange = Exchange(
                lease.connection, head, sent_head, body, framing.length, limits, attempt
            )
            answer = await exchange.run()
            version = answer.http_version.decode("ascii")
            headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in answer.headers.raw_items()
            ]
            ending = read_framing(request.method, answer.status_code, version, headers)
            persistent = ending.persistent and attempt.sent_whole and not framing.closes
            answer_body = Body(exchange, ending, persistent, lease)
            await answer_body.settle()
        except BaseException:
            await lease.discard()
            raise
        return AsyncResponse(
            answer.status_code,
            headers,
            answer_body,
            close=answer_body.aclose,
            http_version=version,
            whole=answer_body.whole,
        )

    async def _connect(self, route: Route, lease: Lease, limits: Limits, attempt: Attempt) -> None:
        """See that the lease has a connection."""
        await lease.acquire(limits)
        self._refuse_if_closed(attempt)
        attempt.reused = lease.connection is not None
        if lease.connection is None:
            openings = lease.pool.openings
            await openings.take(limits)
            try:
                await open_connection(route, lease, limits, attempt, self._tls)
            finally:
                openings.give_back()
            self._refuse_if_closed(attempt)

    async def aclose(self) -> None:
        """Close every connection; requests under way raise ``TransportClosed``."""
        self._forget_parent()
        with self._lock:
            self._closed = True
            pools, self._pools = self._pools, {}
        here = pools.pop(current_token().native_token, None)
        for loop, elsewhere in pools.items():
            if not _run_soon(loop, elsewhere.let_go):
                elsewhere.abandon()
        if here is not None:
            await here.aclose()

    async def __aenter__(self) -> H11Transport:
        """Use the transport as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the transport."""
        await self.aclose()

    def _refuse_if_closed(self, attempt: Attempt) -> None:
        if self._closed:
            raise attempt.error(TransportClosed, "the transport has been closed")

    def _pool_here(self) -> Pool:
        self._forget_parent()
        loop = current_token().native_token
        return self._pools.get(loop) or self._new_pool(loop)

    def _forget_parent(self) -> None:
        """A forked child must not speak on its parent's connections, nor end them."""
        if self._pid != os.getpid():
            # Nor may it trust a lock that another thread held when the process was copied.
            self._pid, self._lock, self._pools = os.getpid(), threading.Lock(), {}

    def _new_pool(self, loop: object) -> Pool:
        with self._lock:
            for other in [one for one in self._pools if not _run_soon(one, _nothing)]:
                self._pools.pop(other).abandon()
            return self._pools.setdefault(loop, Pool(self._size))


def _run_soon(loop: Any, work: Callable[[], None]) -> bool:  # a loop or a TrioToken
    """Have an event loop, perhaps of another thread, do something; False if it is over."""
    try:
        (getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon)(work)
    except RuntimeError:  # trio.RunFinishedError is one
        return False
    return True


def _nothing() -> None:
    """What an event loop is asked to do to see whether it still runs."""
