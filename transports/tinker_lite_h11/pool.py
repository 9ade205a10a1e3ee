"""Which connection serves a request, and who owns it.

The invariant: an open connection belongs to exactly one of the idle ones and a ``Lease``. A lease
ends once, by ``keep`` or ``discard``, and gives back exactly the slots it holds by then. Whoever
closes a connection holds a slot until it is closed, so that no more are open than the bounds say;
where that is a slot of another host, those who would open one in its place wait.
All of this runs on one event loop, so that a step without ``await`` is atomic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import anyio

from .slots import Slots

if TYPE_CHECKING:
    from tinker_lite.pooling import PoolSize
    from tinker_lite.routes import Route

    from .connection import Connection
    from .limits import Limits

__all__ = ["Lease", "Pool"]

# Opening a connection is work for the loop, above all with TLS. When 2,000 polls start at once, all
# of them would share it and a third ran out of 5 s to connect in (measured); so many at a time, and
# none does. Those that wait are on the pool's time.
MAX_OPENINGS = 256


class _Host:
    """What belongs to one route."""

    __slots__ = ("closing", "idle", "slots")

    def __init__(self, max_connections: int | None) -> None:
        self.slots = Slots(max_connections)
        self.idle: deque[Connection] = deque()  # oldest first
        self.closing: list[anyio.Event] = []  # one for each that a lease of another host closes


class Lease:
    """One request's right to a connection, and that connection once there is one."""

    __slots__ = ("_ended", "_held", "_host", "connection", "pool")

    def __init__(self, pool: Pool, host: _Host) -> None:
        self.pool = pool
        self.connection: Connection | None = None
        self._host = host
        self._held: list[Slots] = []
        self._ended = False

    async def acquire(self, limits: Limits) -> None:
        """Take a slot of the host, then one of all; and an idle connection if one is good.

        However this ends, ``discard`` gives back what has been taken.
        """
        for slots in (self._host.slots, self.pool.total):
            await slots.take(limits)
            self._held.append(slots)
        connection = await self.pool.find(self._host)
        if connection is not None:
            self.attach(connection)

    def attach(self, connection: Connection) -> None:
        """Own a connection."""
        self.connection = connection
        self.pool.live.add(connection)

    async def keep(self) -> None:
        """Leave the connection to the next request."""
        if self._ended:
            return
        assert self.connection is not None, "there is nothing to keep"
        self._end()
        self.pool.put_idle(self._host, self.connection)
        try:
            await self.pool.trim(self._host)
        finally:
            self._give_back()

    async def discard(self) -> None:
        """Close the connection, and only then let another be opened in its place."""
        if self._ended:
            return
        self._end()
        try:
            if self.connection is not None:
                await self.connection.aclose()
        finally:
            self._give_back()

    def _end(self) -> None:
        self._ended = True
        if self.connection is not None:
            self.pool.live.discard(self.connection)

    def _give_back(self) -> None:
        for slots in self._held:
            slots.give_back()


class Pool:
    """The connections of one event loop.

    Attributes:
        total: The slots of all hosts together.
        openings: Limits how many connections are opened at once.
        dialling: Scopes of connections that are being opened and have no stream yet.
        live: The connections that leases own.
    """

    def __init__(self, size: PoolSize) -> None:
        self.total = Slots(size.max_connections)
        self.openings = Slots(MAX_OPENINGS)
        self.dialling: set[anyio.CancelScope] = set()
        self.live: set[Connection] = set()
        self._size = size
        self._hosts: dict[Route, _Host] = {}
        # Oldest first, like those of each host: the oldest of all is the oldest of its host.
        self._idle: OrderedDict[Connection, _Host] = OrderedDict()

    def lease(self, route: Route) -> Lease:
        """A lease that holds nothing yet."""
        host = self._hosts.get(route)
        if host is None:
            host = self._hosts[route] = _Host(self._size.max_connections_per_host)
        return Lease(self, host)

    async def find(self, host: _Host) -> Connection | None:
        """The host's youngest idle connection that is good; None when one is to be opened.

        Those found to be past use are closed, each as soon as it is not counted any more.
        """
        await self._close_expired()
        while host.idle:
            connection = host.idle.pop()
            del self._idle[connection]
            if not connection.is_dead():
                return connection
            await connection.aclose()
        bound = self._size.max_connections
        while bound is not None and self._idle and self.total.n_taken + len(self._idle) > bound:
            await self._close_oldest()
        while host.closing:
            await host.closing[0].wait()
        return None

    def put_idle(self, host: _Host, connection: Connection) -> None:
        """Keep a connection for the next request."""
        connection.idle_until = anyio.current_time() + self._size.idle_expiry_s
        host.idle.append(connection)
        self._idle[connection] = host

    async def trim(self, host: _Host) -> None:
        """Close the idle connections that are too old or too many."""
        most = self._size.max_idle_per_host
        while most is not None and len(host.idle) > most:
            connection = host.idle.popleft()
            del self._idle[connection]
            await connection.aclose()
        await self._close_expired()

    async def _close_expired(self) -> None:
        while self._idle and next(iter(self._idle)).idle_until <= anyio.current_time():
            await self._close_oldest()

    async def _close_oldest(self) -> None:
        connection, host = self._idle.popitem(last=False)
        host.idle.popleft()
        closed = anyio.Event()
        host.closing.append(closed)
        try:
            await connection.aclose()
        finally:
            host.closing.remove(closed)
            closed.set()

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        self.let_go()
        async with anyio.create_task_group() as group:  # an interruption leaves none out
            for connection in self._connections():
                group.start_soon(connection.aclose)

    def let_go(self) -> None:
        """End every connection and every wait without suspending, on the pool's own loop."""
        self.abandon()
        for slots in (self.openings, self.total, *(host.slots for host in self._hosts.values())):
            slots.lift()
        for scope in list(self.dialling):
            scope.cancel()

    def abandon(self) -> None:
        """Let go of every socket without the event loop, which may be over."""
        for connection in self._connections():
            connection.abandon()

    def _connections(self) -> list[Connection]:
        return [*self._idle, *self.live]
