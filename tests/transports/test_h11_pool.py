"""The bounds of the async transport's pool, whatever requests do with it."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import trio.testing
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.attempt import PhaseExpired
from tinker_lite.errors import ConfigError, TransportTimeout
from tinker_lite.http import Origin, Request, Timeout
from tinker_lite.pooling import PoolSize
from tinker_lite.routes import Route
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_h11 import H11Transport
from tinker_lite_h11.connection import Connection
from tinker_lite_h11.limits import Limits
from tinker_lite_h11.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinker_lite_h11.pool import Lease

ROUTES = [Route(Origin("http", host, 80)) for host in ("a", "b", "c")]
NO_LIMITS = Timeout.of(None)


class OpenStreams:
    """Streams that count how many of them are open."""

    def __init__(self, size: PoolSize) -> None:
        self.n_open = dict.fromkeys(ROUTES, 0)
        self._size = size
        self.ends = socket.socketpair()
        self.closable: anyio.Event | None = None

    def open(self, route: Route) -> Connection:
        """One more, within the bounds."""
        self.n_open[route] += 1
        most, per_host = self._size.max_connections, self._size.max_connections_per_host
        assert most is None or sum(self.n_open.values()) <= most
        assert per_host is None or self.n_open[route] <= per_host
        return Connection(_Stream(self, route))

    def close(self) -> None:
        """Close the sockets that the streams show."""
        for end in self.ends:
            end.close()


class _Stream(ByteStream):
    def __init__(self, streams: OpenStreams, route: Route) -> None:
        self._streams = streams
        self._route = route

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {SocketAttribute.raw_socket: lambda: self._streams.ends[0]}

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        raise NotImplementedError

    async def send(self, item: bytes) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        try:
            if self._streams.closable is not None:
                with anyio.CancelScope(shield=True):
                    await self._streams.closable.wait()
            await anyio.lowlevel.checkpoint()
        finally:
            self._streams.n_open[self._route] -= 1


async def use(pool: Pool, streams: OpenStreams, route: Route, n_turns: int, keep: bool) -> None:
    """What a request does with the pool."""
    lease = pool.lease(route)
    try:
        await lease.acquire(Limits(NO_LIMITS))
        if lease.connection is None:
            await anyio.lowlevel.checkpoint()
            lease.attach(streams.open(route))
        for _ in range(n_turns):
            await anyio.lowlevel.checkpoint()
        if keep:
            await lease.keep()
    finally:
        await lease.discard()


bounds = st.one_of(st.none(), st.integers(1, 3))
sizes = st.builds(PoolSize, bounds, bounds, st.one_of(st.none(), st.integers(0, 2)), st.just(60.0))
uses = st.tuples(
    st.sampled_from(ROUTES),
    st.integers(0, 4),  # turns of the loop that the request takes
    st.booleans(),  # whether its connection may be used again
    st.one_of(st.none(), st.integers(0, 8)),  # the turn at which it is cancelled
)


async def interleave(size: PoolSize, plan: list[tuple[Route, int, bool, int | None]]) -> None:
    """Run the requests together; see that nobody is left and nothing is lost."""
    pool, streams = Pool(size), OpenStreams(size)

    async def one(route: Route, n_turns: int, keep: bool, cancelled_at: int | None) -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def work() -> None:
                    await use(pool, streams, route, n_turns, keep)
                    group.cancel_scope.cancel()

                group.start_soon(work)
                for _ in range(cancelled_at or 0):
                    await anyio.lowlevel.checkpoint()
                if cancelled_at is not None:
                    scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for arguments in plan:
                group.start_soon(one, *arguments)
        assert not pool.live
        assert pool.total.n_taken == 0
        for route in ROUTES:  # as many as the bounds allow can be had at once, and no more
            await take_all(pool, streams, size, route)
        await pool.aclose()
        assert sum(streams.n_open.values()) == 0
    finally:
        streams.close()


async def take_all(pool: Pool, streams: OpenStreams, size: PoolSize, route: Route) -> None:
    """Take every slot that a request to this route can have."""
    most = min(size.max_connections or 3, size.max_connections_per_host or 3)
    leases: list[Lease] = []
    for _ in range(most):
        lease = pool.lease(route)
        with anyio.fail_after(5):
            await lease.acquire(Limits(NO_LIMITS))
        if lease.connection is None:
            lease.attach(streams.open(route))
        leases.append(lease)
    for lease in leases:
        await lease.discard()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(size=sizes, plan=st.lists(uses, max_size=10))
def test_bounds_hold(
    backend: str, size: PoolSize, plan: list[tuple[Route, int, bool, int | None]]
) -> None:
    """However requests interleave and are cancelled, no bound is passed and no slot is lost."""
    anyio.run(interleave, size, plan, backend=backend)


async def test_a_connection_that_another_host_pushes_out_counts_until_it_is_closed() -> None:
    """Whoever would open one in its place waits, also if the bound of all leaves room by then."""
    size = PoolSize(2, 1, None, 60.0)
    pool, streams = Pool(size), OpenStreams(size)
    a, b, c = ROUTES
    await use(pool, streams, a, 0, keep=True)
    other = pool.lease(c)
    await other.acquire(Limits(NO_LIMITS))
    streams.closable = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(use, pool, streams, b, 0, False)  # has to close the one to a
        try:
            await anyio.wait_all_tasks_blocked()
            await other.discard()
            group.start_soon(use, pool, streams, a, 0, False)
            await anyio.wait_all_tasks_blocked()
            assert streams.n_open == {a: 1, b: 0, c: 0}
        finally:
            streams.closable.set()
    assert streams.n_open == {a: 0, b: 0, c: 0}
    streams.close()


async def test_first_come_first_served() -> None:
    """Whoever waits longest is served first, for the host's slots and for those of all."""
    size = PoolSize(1, 1, None, 60.0)
    pool, streams = Pool(size), OpenStreams(size)
    served: list[str] = []

    async def wait(name: str, route: Route) -> None:
        lease = pool.lease(route)
        await lease.acquire(Limits(NO_LIMITS))
        served.append(name)
        await lease.discard()

    first = pool.lease(ROUTES[0])
    await first.acquire(Limits(NO_LIMITS))
    async with anyio.create_task_group() as group:
        for name, route in [("1 to b", ROUTES[1]), ("2 to c", ROUTES[2]), ("3 to b", ROUTES[1])]:
            group.start_soon(wait, name, route)
            await anyio.wait_all_tasks_blocked()
        await first.discard()
    assert served == ["1 to b", "2 to c", "3 to b"]
    streams.close()


async def test_one_window_for_both_waits() -> None:
    """The waits for the host's slot and for one of all share the pool limit."""
    pool = Pool(PoolSize(1, 1, None, 60.0))
    holds_host, holds_total = pool.lease(ROUTES[0]), pool.lease(ROUTES[1])
    await holds_total.acquire(Limits(NO_LIMITS))
    limits = Limits(Timeout(pool_s=0.05))
    window = limits.pool()
    with pytest.raises(PhaseExpired, match="pool limit") as expired:
        await holds_host.acquire(limits)
    assert expired.value.phase == "pool"
    assert limits.pool() is window
    await holds_host.discard()
    await holds_total.discard()
    with anyio.fail_after(5):
        await pool.lease(ROUTES[0]).acquire(Limits(NO_LIMITS))


async def expire() -> None:
    """Leave connections idle for longer than they are good, and let another request pass by."""
    size = PoolSize(None, None, None, 30.0)
    pool, streams = Pool(size), OpenStreams(size)
    for route in ROUTES[:2]:
        await use(pool, streams, route, 0, keep=True)
        await anyio.sleep(20)
    assert [streams.n_open[route] for route in ROUTES] == [1, 1, 0]
    await use(pool, streams, ROUTES[2], 0, keep=False)  # the first has expired, the second not
    assert [streams.n_open[route] for route in ROUTES] == [0, 1, 0]
    await anyio.sleep(20)
    await use(pool, streams, ROUTES[1], 0, keep=False)
    assert [streams.n_open[route] for route in ROUTES] == [0, 0, 0]
    streams.close()


def test_expired_connections_are_closed_by_whoever_passes() -> None:
    """A request to one host closes the connections to others that have been idle too long."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(expire, backend="trio", backend_options={"clock": clock})


async def ask(transport: H11Transport, server: Adversary, timeout: Timeout = BOUNDED) -> bytes:
    """One exchange."""
    request = Request(method="GET", url=server.url(), timeout=timeout)
    return await (await transport.send(request)).read()


def answer(peer: Peer) -> None:
    """Answer every request."""
    while peer.request():
        peer.send(ok(b"here"))


async def test_an_idle_connection_makes_room() -> None:
    """Where idle connections use up the bound, the oldest is closed, and nobody waits for it."""
    closed: list[str] = []
    is_closed = threading.Event()

    def first(peer: Peer) -> None:
        answer(peer)
        closed.append("first")
        is_closed.set()

    def third(peer: Peer) -> None:
        peer.request()
        assert peer.wait(is_closed), "the oldest connection is still open"
        peer.send(ok(b"here"))

    with Adversary(first) as one, Adversary(answer) as two, Adversary(third) as three:
        async with H11Transport(max_connections=2) as transport:
            for server in (one, two, three, two):
                assert await ask(transport, server) == b"here"
            assert (one.n_connections, two.n_connections) == (1, 1)
    assert closed == ["first"]


async def test_waiting_for_any_connection() -> None:
    """The wait for one of all connections falls to the pool limit, and nothing arrived."""

    def hold(peer: Peer) -> None:
        peer.request()
        peer.send(ok(b"here")[:-1])
        peer.wait_for_end()

    with Adversary(hold) as holding, Adversary(answer) as server:
        async with H11Transport(max_connections=1) as transport:
            held = await transport.send(Request(method="GET", url=holding.url(), timeout=BOUNDED))
            with pytest.raises(TransportTimeout, match="waiting for a free connection") as expired:
                await ask(transport, server, Timeout(pool_s=0.05))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("pool", False)
            await held.aclose()
            assert await ask(transport, server) == b"here"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_connections": 0}, "max_connections must be at least 1"),
        ({"max_connections_per_host": 0}, "max_connections_per_host must be at least 1"),
        ({"max_idle_per_host": -1}, "max_idle_per_host must be at least 0"),
        ({"idle_expiry_s": -1.0}, "idle_expiry_s must be 0 or more"),
    ],
)
def test_bounds_that_make_no_sense(settings: dict[str, Any], named: str) -> None:
    """A bound that no pool can keep is refused when the transport is made."""
    with pytest.raises(ConfigError, match=named):
        H11Transport(**settings)
