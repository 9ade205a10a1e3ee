"""Which connection serves a request, and who owns it.

The invariant: a slot belongs to exactly one of the idle list and a ``Lease``. A lease ends once, by
``keep`` or ``discard``, or when it is collected because its response was dropped unread.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinker_lite.http import Origin

    from .connection import Connection
    from .limits import Limits

__all__ = ["HostPool", "Lease", "PoolSize", "Pools"]


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

    __slots__ = ("__weakref__", "_pool", "connection")

    def __init__(self, pool: HostPool) -> None:
        self._pool: HostPool | None = pool
        self.connection: Connection | None = None

    def attach(self, connection: Connection) -> None:
        """Put a new connection into the slot."""
        assert self._pool is not None, "the lease has ended"
        self.connection = connection
        self._pool.note(connection)

    def keep(self) -> None:
        """Give the slot back with its connection, for the next request."""
        pool, self._pool = self._pool, None
        if pool is not None:
            assert self.connection is not None, "there is nothing to keep"
            pool.take_back(self.connection)

    def discard(self) -> None:
        """Give the slot back and close its connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                if self.connection is not None:
                    self.connection.close()
            finally:
                pool.free_slot()

    def __del__(self) -> None:
        """Nobody can end this lease any more."""
        self.discard()


class _Waiter:
    __slots__ = ("event", "granted")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.granted = False


class HostPool:
    """The connections to one origin."""

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        # Re-entrant, since collecting a dropped lease can happen at any allocation.
        self._lock = threading.RLock()
        self._idle: deque[tuple[float, Connection]] = deque()  # oldest first
        self._waiters: deque[_Waiter] = deque()
        self._n_leases = 0
        self._closed = False
        self._live: weakref.WeakSet[Connection] = weakref.WeakSet()

    def acquire(self, limits: Limits) -> Lease:
        """Take a slot, first come, first served; with an idle connection if one is good."""
        waiter: _Waiter | None = None
        with self._lock:
            most = self._size.max_connections
            if most is not None and self._n_leases >= most:
                waiter = _Waiter()
                self._waiters.append(waiter)
            else:
                self._n_leases += 1
        if waiter is not None:
            self._wait(waiter, limits)
        lease = Lease(self)
        connection = self._take_idle()
        if connection is not None:
            lease.attach(connection)
        return lease

    def note(self, connection: Connection) -> None:
        """Remember a connection for as long as somebody uses it, so that ``close`` can abort it."""
        with self._lock:
            self._live.add(connection)

    def _wait(self, waiter: _Waiter, limits: Limits) -> None:
        try:
            if not waiter.event.wait(limits.seconds("pool")):
                limits.expire("pool")
        except BaseException:
            with self._lock:
                if not waiter.granted:
                    self._waiters.remove(waiter)
                    raise
            self.free_slot()  # the slot came in the same moment as the interruption
            raise

    def _take_idle(self) -> Connection | None:
        """The youngest good connection; those found to be past use are closed."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                expires, connection = self._idle.pop()
            if expires > time.monotonic() and not connection.is_dead():
                return connection
            connection.close()

    def take_back(self, connection: Connection) -> None:
        """Keep a connection and free its slot; close the oldest if that is one too many."""
        surplus: list[Connection] = []
        now = time.monotonic()
        with self._lock:
            self._idle.append((now + self._size.idle_expiry_s, connection))
            while self._idle and self._is_surplus(now):
                surplus.append(self._idle.popleft()[1])
        for one in surplus:
            one.close()
        self.free_slot()

    def _is_surplus(self, now: float) -> bool:
        most = self._size.max_idle
        return (
            self._closed or self._idle[0][0] <= now or (most is not None and len(self._idle) > most)
        )

    def free_slot(self) -> None:
        """Hand the slot to whoever has waited longest."""
        with self._lock:
            if self._waiters:
                waiter = self._waiters.popleft()
                waiter.granted = True
                waiter.event.set()
            else:
                self._n_leases -= 1

    def close(self) -> None:
        """Close idle connections and wake up whoever waits on a live one."""
        with self._lock:
            self._closed = True
            idle = [connection for _, connection in self._idle]
            self._idle.clear()
            live = list(self._live)
        for connection in idle:
            connection.close()
        for connection in live:
            connection.abort()

    def abandon(self) -> None:
        """In a forked child: close the descriptors, without a lock that nobody may release."""
        for _, connection in self._idle:
            connection.close()


class Pools:
    """The pools of all origins."""

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._hosts: dict[Origin, HostPool] = {}

    def host(self, origin: Origin) -> HostPool:
        """The pool of an origin."""
        pool = self._hosts.get(origin)
        if pool is None:
            with self._lock:
                pool = self._hosts.setdefault(origin, HostPool(self._size))
        return pool

    def abandon(self) -> None:
        """In a forked child: close the descriptors of idle connections."""
        for pool in self._hosts.values():
            pool.abandon()

    def close(self) -> None:
        """Close every connection; requests under way fail."""
        with self._lock:
            hosts = list(self._hosts.values())
        for pool in hosts:
            pool.close()
