"""Who gets which connection: bounds per host and in total, turns, expiry, closing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tinker_lite.attempt import PhaseExpired
from tinker_lite.errors import TransportClosed
from tinker_lite.http import Origin, Request, Timeout
from tinker_lite.pooling import PoolSize
from tinker_lite.routes import Route
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.peer import Peer, Script, ok
from tinker_lite_urllib3 import Urllib3Transport
from tinker_lite_urllib3.limits import Limits
from tinker_lite_urllib3.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite_urllib3.pool import Lease

WAIT_S = 10.0  # what only a defect makes anybody wait for
HERE = Route(Origin("http", "here.invalid", 80))
THERE = Route(Origin("http", "there.invalid", 80))


def get(server: Adversary, path: str = "/") -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=server.url(path), timeout=BOUNDED)


def echo_until(ended: threading.Event) -> Script:
    """Answer every request with its target, and tell when the connection has ended."""

    def script(peer: Peer) -> None:
        while received := peer.request():
            peer.send(ok(received.line.split(" ")[1].encode()))
        ended.set()

    return script


def echo(peer: Peer) -> None:
    """Answer every request with its target."""
    echo_until(threading.Event())(peer)


def test_idle_connections_make_room() -> None:
    """At the bound of all connections, the oldest idle one is closed for one to another host."""
    ended = [threading.Event() for _ in range(3)]
    with (
        Adversary(echo_until(ended[0])) as first,
        Adversary(echo_until(ended[1])) as second,
        Adversary(echo_until(ended[2])) as third,
        Urllib3Transport(max_connections=2) as transport,
    ):
        for server in (first, second):
            transport.send(get(server)).read()
        assert not ended[0].is_set()
        transport.send(get(third)).read()
        assert ended[0].wait(WAIT_S)
        assert not ended[1].is_set()
        transport.send(get(second)).read()
        transport.send(get(first)).read()
        assert ended[2].wait(WAIT_S)
        assert [one.n_connections for one in (first, second, third)] == [2, 1, 1]


def test_expired_connections_are_closed_by_any_request() -> None:
    """A connection past its time is closed when a request to another host comes by."""
    ended = threading.Event()
    with (
        Adversary(echo_until(ended)) as server,
        Adversary(echo) as other,
        Urllib3Transport(idle_expiry_s=0.05) as transport,
    ):
        transport.send(get(server)).read()
        give_up = time.monotonic() + WAIT_S
        while not ended.wait(0.01):
            transport.send(get(other)).read()
            assert time.monotonic() < give_up


def test_many_threads_few_connections() -> None:
    """Whatever the bounds, every request of every thread gets its own answer."""
    with (
        Adversary(echo) as first,
        Adversary(echo) as second,
        Adversary(echo) as third,
        Urllib3Transport(max_connections=2, max_connections_per_host=1) as transport,
    ):

        def ask(number: int) -> bytes:
            server = (first, second, third)[number % 3]
            return transport.send(get(server, f"/{number}")).read()

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(ask, range(300), timeout=3 * WAIT_S))
        assert answers == [f"/{number}".encode() for number in range(300)]


def waiting(pool: Pool, route: Route, limits: Limits, then: Callable[[Lease], None]) -> Lease:
    """A lease that a thread of its own waits for, once it stands in a line."""
    lease = pool.lease(route)

    def acquire() -> None:
        try:
            lease.acquire(limits)
            then(lease)
        finally:
            lease.discard()

    threading.Thread(target=acquire, daemon=True).start()
    give_up = time.monotonic() + WAIT_S
    while lease.bell is None:
        assert time.monotonic() < give_up
    return lease


def held(pool: Pool, route: Route) -> Lease:
    """A lease that is there at once."""
    lease = pool.lease(route)
    lease.acquire(Limits(msgspec.structs.replace(BOUNDED, pool_s=0.01)))
    return lease


@pytest.mark.parametrize(
    "size",
    [PoolSize(1, None, None, 30.0), PoolSize(None, 1, None, 30.0), PoolSize(1, 1, None, 30.0)],
    ids=["in total", "to a host", "both"],
)
def test_first_come_first_served(size: PoolSize) -> None:
    """Whoever has waited longest is next, at either bound."""
    pool = Pool(size)
    order: list[int] = []
    done = threading.Event()

    def note(number: int) -> Callable[[Lease], None]:
        def served(_: Lease) -> None:
            order.append(number)
            if number == 19:
                done.set()

        return served

    first = held(pool, HERE)
    for number in range(20):
        waiting(pool, HERE, Limits(BOUNDED), note(number))
    first.discard()
    assert done.wait(WAIT_S)
    assert order == list(range(20))


def test_giving_up_gives_back_the_turn_at_the_host() -> None:
    """Who waits for the total while holding a turn at a host gives that back too."""
    pool = Pool(PoolSize(1, 1, None, 30.0))
    first = held(pool, HERE)
    second = pool.lease(THERE)
    with pytest.raises(PhaseExpired):
        second.acquire(Limits(Timeout(pool_s=0.01)))
    second.discard()
    first.discard()
    held(pool, THERE).discard()
    held(pool, HERE).discard()


def test_the_turn_of_one_who_gave_up_goes_to_the_next() -> None:
    """A lease given back before its turn came is passed over."""
    pool = Pool(PoolSize(1, None, None, 30.0))
    first = held(pool, HERE)
    served = threading.Event()
    given_up = pool.lease(HERE)
    with pytest.raises(PhaseExpired):
        given_up.acquire(Limits(Timeout(pool_s=1e-9)))
    waiting(pool, HERE, Limits(BOUNDED), lambda _: served.set())
    given_up.discard()
    first.discard()
    assert served.wait(WAIT_S)


def test_both_waits_share_the_limit() -> None:
    """Waiting first for the host and then for the total takes pool_s together, not each."""
    limits = Limits(Timeout(pool_s=1e-9))
    window = limits.window("pool")
    for _ in range(2):
        with pytest.raises(PhaseExpired) as expired:
            window.seconds()
        assert expired.value.phase == "pool"


def endless(peer: Peer) -> None:
    """Begin an answer and never end it."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    peer.wait_for_end()


@pytest.mark.parametrize("bound", ["max_connections", "max_connections_per_host"])
def test_closing_wakes_who_waits_for_a_slot(bound: str) -> None:
    """A request that waits for its turn ends when the transport is closed."""
    bounds: dict[str, Any] = {bound: 1}
    with Adversary(endless) as server:
        transport = Urllib3Transport(**bounds)
        response = transport.send(get(server))
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(transport.send, get(server))
            while not asked.running():
                pass
            transport.close()
            with pytest.raises(TransportClosed):
                asked.result(WAIT_S)
        response.close()


def test_closing_wakes_who_connects() -> None:
    """A request in the middle of its TLS handshake ends when the transport is closed."""
    accepted = threading.Event()

    def silent(peer: Peer) -> None:
        accepted.set()
        peer.wait_for_end()

    with Adversary(silent, mute_tls=True) as server, ThreadPoolExecutor(1) as threads:
        transport = Urllib3Transport(verify=False)
        asked = threads.submit(transport.send, get(server))
        assert accepted.wait(WAIT_S)
        transport.close()
        with pytest.raises(TransportClosed):
            asked.result(WAIT_S)
