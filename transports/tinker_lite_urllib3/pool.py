"""Which connection serves a request, and who owns it.

The invariant: a connection belongs to exactly one of an idle list and a ``Lease``, and what a lease
holds is known from the lease alone, so that giving it back is always the same. A lease waits at two
gates, its host's and the pool's own, each first come, first served.

An interrupt may come between any two lines. Taking therefore never counts what is not yet in a
lease, and giving back is made of steps that may be done twice: one that was cut short is done again
before the interrupt goes on.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from tinker_lite.attempt import PeerClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.pooling import PoolSize
    from tinker_lite.routes import Route

    from .connection import Connection
    from .limits import Limits, Window

__all__ = ["Lease", "Pool"]


class _Gate:
    """Lets so many leases in at a time; the others stand in line.

    Whatever is done here twice is as if it were done once.
    """

    __slots__ = ("_most", "inside", "line")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.inside: set[Lease] = set()
        self.line: OrderedDict[Lease, None] = OrderedDict()

    def enter(self, lease: Lease) -> None:
        """Go in, or to the end of the line."""
        if not self.line and self._has_room():
            self.inside.add(lease)
        else:
            lease.bell = threading.Lock()
            lease.bell.acquire()
            self.line[lease] = None

    def leave(self, lease: Lease) -> None:
        """Go away, from within or out of the line, and let in who is next."""
        self.line.pop(lease, None)
        self.inside.discard(lease)
        while self.line:
            following = next(iter(self.line))
            if following not in self.inside and not self._has_room():
                return
            self.inside.add(following)
            following.wake()
            self.line.pop(following, None)

    def _has_room(self) -> bool:
        return self._most is None or len(self.inside) < self._most


class Lease:
    """The right to one connection, and that connection once there is one.

    Its life is ``acquire``, then ``keep`` or ``discard``, which may follow anything.

    Attributes:
        connection: The connection, or None.
        bell: Locked while the lease stands in a line, until it is woken.
        over: Everything has been given back.
    """

    __slots__ = ("_pool", "bell", "connection", "host", "over")

    def __init__(self, pool: Pool, host: _Host) -> None:
        self._pool = pool
        self.host = host
        self.connection: Connection | None = None
        self.bell: threading.Lock | None = None
        self.over = False

    def acquire(self, limits: Limits) -> None:
        """Wait for a turn, and take an idle connection if one is good."""
        self._pool.acquire(self, limits)

    def keep(self) -> None:
        """Give the turn back, with the connection for the next request."""
        if not self.over:
            self._pool.take_back(self, keep=True)

    def discard(self) -> None:
        """Give the turn back and close the connection."""
        if not self.over:
            self._pool.take_back(self, keep=False)

    def wake(self) -> None:
        """End a wait."""
        if self.bell is not None and self.bell.locked():
            self.bell.release()


class _Host:
    """What leads one way."""

    __slots__ = ("gate", "idle")

    def __init__(self, most: int | None) -> None:
        self.gate = None if most is None else _Gate(most)
        self.idle: deque[tuple[float, Connection]] = deque()  # when each expires, oldest first


class Pool:
    """The connections of one transport.

    Args:
        size: Its bounds.
    """

    def __init__(self, size: PoolSize) -> None:
        self._size = size
        # Re-entrant, since a response may be collected, and end its lease, at any allocation.
        self._lock = threading.RLock()
        self._gate = _Gate(size.max_connections)
        self._hosts: dict[Route, _Host] = {}
        self._next_expiry = math.inf  # no idle connection expires before
        self._closed = False
        self._pid = os.getpid()

    def lease(self, route: Route) -> Lease:
        """A lease of a connection that leads this way; it holds nothing yet."""
        host = self._hosts.get(route)
        if host is None:
            host = self._hosts.setdefault(route, _Host(self._size.max_connections_per_host))
        return Lease(self, host)

    def acquire(self, lease: Lease, limits: Limits) -> None:
        """Wait at both gates, then find a connection or make room for one; see ``Lease``."""
        window: Window | None = None
        for gate in (lease.host.gate, self._gate):
            if gate is None:
                continue
            with self._lock:
                self._refuse_if_closed()
                gate.enter(lease)
            if lease not in gate.inside:
                window = window or limits.window("pool")
                self._wait(lease, window)
        self._take_idle(lease)
        if lease.connection is None and self._size.max_connections is not None:
            self._make_room(self._size.max_connections)

    def _wait(self, lease: Lease, window: Window) -> None:
        seconds = window.seconds()
        bell = lease.bell
        assert bell is not None, "whoever stands in a line has one"
        # Not an Event: an interrupt within its Python code may leave its inner lock taken.
        if not bell.acquire(timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX)):
            window.expire()
        self._refuse_if_closed()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise PeerClosed("the pool has been closed")

    def _take_idle(self, lease: Lease) -> None:
        """Take the youngest good connection; those found to be past use are closed."""
        now = time.monotonic()
        idle = lease.host.idle
        while True:
            with self._lock:
                if self._next_expiry <= now:
                    self._close_expired(now)
                if not idle:
                    return
                lease.connection = idle.pop()[1]
            if not lease.connection.is_dead():
                return
            lease.connection.close()
            lease.connection = None

    def _close_expired(self, now: float) -> None:
        self._next_expiry = math.inf
        for host in list(self._hosts.values()):
            while host.idle and host.idle[0][0] <= now:
                _close_oldest(host)
            if host.idle:
                self._next_expiry = min(self._next_expiry, host.idle[0][0])

    def _make_room(self, most: int) -> None:
        """Close idle connections, the oldest of all first, until another one may be opened."""
        with self._lock:
            while (host := self._oldest_idle()) and self._n_open() > most:
                _close_oldest(host)

    def _oldest_idle(self) -> _Host | None:
        """The host with the oldest idle connection."""
        hosts = [host for host in list(self._hosts.values()) if host.idle]
        return min(hosts, key=lambda host: host.idle[0][0], default=None)

    def _n_open(self) -> int:
        """How many connections are open, or about to be."""
        return len(self._gate.inside) + sum(len(host.idle) for host in list(self._hosts.values()))

    def take_back(self, lease: Lease, *, keep: bool) -> None:
        """End a lease; see ``Lease.keep`` and ``Lease.discard``."""
        if self._pid != os.getpid():  # in a forked child, where the lock may never come free
            lease.over = True
            _close_own(lease)
            return
        step = self._keep if keep else self._drop
        with self._lock:
            _complete(step, lease)

    def _keep(self, lease: Lease) -> None:
        connection, idle = lease.connection, lease.host.idle
        if connection is not None:
            expires = time.monotonic() + self._size.idle_expiry_s
            if not (idle and idle[-1][1] is connection):
                idle.append((expires, connection))
            lease.connection = None
            self._next_expiry = min(self._next_expiry, expires)
        most = self._size.max_idle_per_host
        while idle and (self._closed or (most is not None and len(idle) > most)):
            _close_oldest(lease.host)
        self._leave(lease)

    def _drop(self, lease: Lease) -> None:
        _close_own(lease)
        self._leave(lease)

    def _leave(self, lease: Lease) -> None:
        self._gate.leave(lease)
        if lease.host.gate is not None:
            lease.host.gate.leave(lease)
        lease.over = True

    def close(self) -> None:
        """Close idle connections, and wake up whoever waits for one or on one."""
        self._closed = True
        waiting: list[Lease] = []
        with self._lock:
            for host in list(self._hosts.values()):
                while host.idle:
                    _close_oldest(host)
                if host.gate is not None:
                    waiting += host.gate.line
            waiting += self._gate.line
            leased = list(self._gate.inside)
        for lease in waiting:
            lease.wake()
        for lease in leased:
            connection = lease.connection
            if connection is not None:
                connection.abort()

    def abandon(self) -> None:
        """In a forked child: close the descriptors, without a lock that nobody may release."""
        for host in self._hosts.values():
            while host.idle:
                _close_oldest(host)


def _complete(step: Callable[[Lease], None], lease: Lease) -> None:
    """Take a step, and take it again if it was cut short."""
    try:
        step(lease)
    except BaseException:
        step(lease)
        raise


def _close_own(lease: Lease) -> None:
    connection = lease.connection
    if connection is not None:
        connection.close()
        lease.connection = None


def _close_oldest(host: _Host) -> None:
    # In this order: what an interrupt leaves in the list is found to be dead, and never lost.
    host.idle[0][1].close()
    host.idle.popleft()
