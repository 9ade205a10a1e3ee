"""Cancelling the async transport anywhere costs nothing but the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_h11 import H11Transport
from tinker_lite_h11.pool import MAX_OPENINGS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
N_CHECKPOINTS = 40  # more than any of these exchanges passes on loopback


def answer(peer: Peer) -> None:
    """Answer every request, in two parts and chunked."""
    while peer.request() is not None:
        peer.send(CHUNKED)
        peer.send(b"4\r\nlast\r\n0\r\n\r\n")


def stalling(peer: Peer) -> None:
    """Begin an answer and never end it."""
    peer.request()
    peer.send(CHUNKED)
    peer.wait_for_end()


async def upload() -> AsyncIterator[bytes]:
    """A body in several blocks, with waits between them."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
        yield b"x" * 100_000


def small(url: str) -> Request:
    """A request sent in one write."""
    return Request(method="GET", url=url, timeout=BOUNDED)


def large(url: str) -> Request:
    """A request sent in blocks."""
    return Request(method="POST", url=url, body=upload(), timeout=BOUNDED)


async def exchange(transport: H11Transport, request: Request, scope: anyio.CancelScope) -> None:
    """Send a request and read its answer, unless cancelled."""
    with scope:
        assert await (await transport.send(request)).read() == b"firstlast"


async def cancel_after(n_checkpoints: int, transport: H11Transport, request: Request) -> None:
    """Start an exchange and cancel it after so many turns of the loop."""
    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(exchange, transport, request, scope)
        for _ in range(n_checkpoints):
            await anyio.lowlevel.checkpoint()
        scope.cancel()


@pytest.mark.parametrize("make", [small, large])
@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_cancel_at_every_checkpoint(
    make: Callable[[str], Request], reused: bool, secure: bool
) -> None:
    """Wherever an exchange is cancelled, the only slot is free again and the next request works."""
    tls: ssl.SSLContext | None = make_certificates().server if secure else None
    trust = make_certificates().trusting if secure else None
    with Adversary(answer, tls=tls) as server:
        async with H11Transport(
            ssl_context=trust,
            max_connections_per_host=1,
            max_idle_per_host=1 if reused else 0,
        ) as transport:
            for n_checkpoints in range(N_CHECKPOINTS):
                if reused:
                    assert await (await transport.send(small(server.url()))).read()
                await cancel_after(n_checkpoints, transport, make(server.url()))
                response = await transport.send(small(server.url()))
                assert await response.read() == b"firstlast"


async def test_cancel_while_waiting_for_a_slot() -> None:
    """A waiter that is cancelled leaves the queue, and the slot goes to the one behind it."""
    scope = anyio.CancelScope()
    answered: list[str] = []

    async def ask(name: str) -> None:
        assert await (await transport.send(small(server.url()))).read() == b"firstlast"
        answered.append(name)

    async def give_up() -> None:
        with scope:
            await ask("given up")

    with Adversary(stalling, answer) as server:
        async with H11Transport(max_connections_per_host=1) as transport:
            held = await transport.send(small(server.url()))
            async with anyio.create_task_group() as group:
                group.start_soon(give_up)
                group.start_soon(ask, "behind it")
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                await held.aclose()
    assert answered == ["behind it"]


async def test_many_requests_at_once() -> None:
    """More requests than connections may be opened at a time all get their answers."""

    async def ask() -> None:
        assert await (await transport.send(small(server.url()))).read() == b"firstlast"

    with Adversary(answer) as server:
        async with H11Transport() as transport, anyio.create_task_group() as group:
            for _ in range(MAX_OPENINGS + 20):
                group.start_soon(ask)


async def test_cancel_between_parts_of_the_body() -> None:
    """A body given up half-way drops its connection; the next request gets a new one."""
    with Adversary(stalling, answer) as server:
        async with H11Transport(max_connections_per_host=1) as transport:
            response = await transport.send(small(server.url()))
            with anyio.move_on_after(0.05) as scope:
                await response.read()
            assert scope.cancelled_caught
            response = await transport.send(small(server.url()))
            assert await response.read() == b"firstlast"
            assert server.n_connections == 2
