"""``H11Transport``: HTTP/1.1 on asyncio and trio, by anyio and h11."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import current_token

from tinker_lite.errors import TransportClosed
from tinker_lite.http import AsyncResponse, Request, parse_target

from .body import Body
from .connection import default_ssl_context, open_connection
from .exchange import Exchange
from .failures import Attempt, translate
from .framing import frame_request, read_framing
from .limits import Limits
from .pool import LoopPools, PoolSize

if TYPE_CHECKING:
    import ssl

__all__ = ["H11Transport"]


class H11Transport:
    """An async transport; see the promises in ``tinker_lite.http``.

    It may be made anywhere, also outside a loop, and used from several event loops: each has
    connections of its own. Making one does no I/O and reads no environment.

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
        self._loops: dict[Any, LoopPools] = {}
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
            translated = translate(error, attempt)
            if translated is error:
                raise
            raise translated from error

    async def _send(self, request: Request, attempt: Attempt) -> AsyncResponse:
        target = parse_target(request.url)
        framing = frame_request(request, target)
        limits = Limits(request.timeout)
        pools = self._pools_here()
        lease = await pools.host(target.origin).acquire(limits)
        try:
            connection = lease.connection
            attempt.reused = connection is not None
            if connection is None:
                with limits.pool():
                    await pools.openings.acquire()
                try:
                    connection = await open_connection(
                        target.origin, limits, attempt, self._context
                    )
                finally:
                    pools.openings.release()
                lease.attach(connection)
            self._refuse_if_closed(attempt)
            exchange = Exchange(connection, request, framing, limits, attempt)
            answer = await exchange.run()
            body = Body(exchange, read_framing(request.method, framing.head, answer), lease)
            await body.settle()
        except BaseException:
            await lease.discard()
            raise
        return AsyncResponse(
            answer.status_code,
            [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in answer.headers.raw_items()
            ],
            body,
            close=body.aclose,
            http_version=answer.http_version.decode("ascii"),
        )

    async def aclose(self) -> None:
        """Close every connection; requests under way raise ``TransportClosed``."""
        with self._lock:
            self._closed = True
            pools, self._loops = self._loops, {}
        here = pools.pop(current_token().native_token, None)
        for elsewhere in pools.values():
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

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._ssl_context is None:
                self._ssl_context = default_ssl_context()
            return self._ssl_context

    def _pools_here(self) -> LoopPools:
        loop = current_token().native_token
        pools = self._loops.get(loop)
        if pools is None or self._pid != os.getpid():
            pools = self._new_pools(loop)
        return pools

    def _new_pools(self, loop: object) -> LoopPools:
        if self._pid != os.getpid():
            # A forked child must not speak on its parent's connections, nor trust a lock that
            # another thread held when the process was copied.
            self._pid, self._lock, self._loops = os.getpid(), threading.Lock(), {}
        with self._lock:
            for other in [one for one in self._loops if _has_ended(one)]:
                self._loops.pop(other).abandon()
            return self._loops.setdefault(loop, LoopPools(self._size))


def _has_ended(loop: Any) -> bool:  # a loop or a TrioToken
    """Whether an event loop, or a run of trio, is over."""
    is_closed = getattr(loop, "is_closed", None)
    if is_closed is not None:
        return bool(is_closed())
    try:
        loop.run_sync_soon(_nothing)
    except RuntimeError:  # trio.RunFinishedError
        return True
    return False


def _nothing() -> None:
    """What an event loop is asked to do to see whether it still runs."""
