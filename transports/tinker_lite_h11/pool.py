"""Which connection serves a request, and who owns it.

The invariant: a slot belongs to exactly one of the idle list and a ``Lease``. A lease ends once, by
``keep`` or ``discard``; both free the slot before anything can suspend. All of this runs on one
event loop, so that a step without ``await`` is atomic.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from tinker_lite.http import Origin

    from .connection import Connection
    from .limits import Limits

__all__ = ["HostPool", "Lease", "LoopPools", "PoolSize"]

# Opening a connection is work for the loop, above all with TLS. When 2,000 polls start at once, all
# of them would share it and a third ran out of 5 s to connect in (measured); so many at a time, and
# none does. Those that wait are on the pool's time.
MAX_OPENINGS = 256


class PoolSize:
    """How many connections a pool holds for one host; None means no bound."""

    __slots__ = ("idle_expiry_s", "max_connections", "max_idle")

    def __init__(
        self, max_connections: int | None, max_idle: int | None, idle_expiry_s: float
    ) -> None:
        if max_connections is not None and max_connections < 1:
            message = f"max_connections_per_host must be at least 1, not {max_connections}"
            raise ValueError(message)
        if max_idle is not None and max_idle < 0:
            message = f"max_idle_per_host must not be negative, as {max_idle} is"
            raise ValueError(message)
        self.max_connections = max_connections
        self.max_idle = max_idle
        self.idle_expiry_s = idle_expiry_s


class Lease:
    """A slot held by one request, with its connection once there is one."""

    __slots__ = ("_pool", "connection")

    def __init__(self, pool: HostPool) -> None:
        self._pool: HostPool | None = pool
        self.connection: Connection | None = None

    def attach(self, connection: Connection) -> None:
        """Put a new connection into the slot."""
        assert self._pool is not None, "the lease has ended"
        self.connection = connection
        self._pool.live.add(connection)

    async def keep(self) -> None:
        """Give the slot back with its connection, for the next request."""
        pool, self._pool = self._pool, None
        if pool is not None:
            assert self.connection is not None, "there is nothing to keep"
            pool.live.discard(self.connection)
            for surplus in pool.put_idle(self.connection):
                await surplus.aclose()

    async def discard(self) -> None:
        """Give the slot back and close its connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            if self.connection is not None:
                pool.live.discard(self.connection)
            pool.free_slot()
            if self.connection is not None:
                await self.connection.aclose()


class _Waiter:
    __slots__ = ("event", "granted")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.granted = False


class HostPool:
    """The connections to one origin."""

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        self._idle: deque[tuple[float, Connection]] = deque()  # oldest first
        self._waiters: deque[_Waiter] = deque()
        self._n_leases = 0
        self.live: set[Connection] = set()

    async def acquire(self, limits: Limits) -> Lease:
        """Take a slot, first come, first served; with an idle connection if one is good."""
        if self._size.max_connections is not None and self._n_leases >= self._size.max_connections:
            await self._wait(limits)
        else:
            self._n_leases += 1
        lease = Lease(self)
        connection, dead = self._take_idle()
        if connection is not None:
            lease.attach(connection)
        for one in dead:
            await one.aclose()
        return lease

    async def _wait(self, limits: Limits) -> None:
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            with limits.pool():
                await waiter.event.wait()
        except BaseException:
            if waiter.granted:  # the slot came in the same moment as the interruption
                self.free_slot()
            else:
                self._waiters.remove(waiter)
            raise

    def _take_idle(self) -> tuple[Connection | None, list[Connection]]:
        """The youngest good connection, and those found to be past use."""
        dead = self._expired()
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.is_dead():
                return connection, dead
            dead.append(connection)
        return None, dead

    def _expired(self) -> list[Connection]:
        expired: list[Connection] = []
        now = anyio.current_time() if self._idle else 0.0
        while self._idle and self._idle[0][0] <= now:
            expired.append(self._idle.popleft()[1])
        return expired

    def put_idle(self, connection: Connection) -> list[Connection]:
        """Keep a connection and free its slot; those that come back are to be closed."""
        surplus = self._expired()
        self._idle.append((anyio.current_time() + self._size.idle_expiry_s, connection))
        self.free_slot()
        if self._size.max_idle is not None and len(self._idle) > self._size.max_idle:
            surplus.append(self._idle.popleft()[1])
        return surplus

    def free_slot(self) -> None:
        """Hand the slot to whoever has waited longest."""
        if self._waiters:
            waiter = self._waiters.popleft()
            waiter.granted = True
            waiter.event.set()
        else:
            self._n_leases -= 1

    def all_connections(self) -> list[Connection]:
        """Every connection, idle or live; the idle ones are forgotten."""
        idle = [connection for _, connection in self._idle]
        self._idle.clear()
        return [*idle, *self.live]


class LoopPools:
    """The pools of one event loop, by origin.

    Attributes:
        openings: Limits how many connections are opened at once.
    """

    def __init__(self, size: PoolSize) -> None:
        self.openings = anyio.CapacityLimiter(MAX_OPENINGS)
        self._size = size
        self._hosts: dict[Origin, HostPool] = {}

    def host(self, origin: Origin) -> HostPool:
        """The pool of an origin."""
        pool = self._hosts.get(origin)
        if pool is None:
            pool = self._hosts[origin] = HostPool(self._size)
        return pool

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        for connection in self._all_connections():
            connection.aborted = True
            await connection.aclose()

    def abandon(self) -> None:
        """Let go of every socket without the event loop."""
        for connection in self._all_connections():
            connection.abandon()

    def _all_connections(self) -> list[Connection]:
        return [one for pool in self._hosts.values() for one in pool.all_connections()]
