"""One async transport, several event loops."""

from __future__ import annotations

import gc
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
import anyio.to_thread
import pytest

from tinker_lite.errors import TransportClosed
from tinker_lite.http import Request, Timeout
from tinker_lite_conformance.transport.adversary import WAIT_S, Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_h11 import H11Transport

BACKENDS = ["asyncio", "trio"]


def answer(peer: Peer) -> None:
    """Answer every request."""
    while peer.request() is not None:
        peer.send(ok(b"body"))


async def ask(transport: H11Transport, url: str) -> bytes:
    """One exchange."""
    return await (await transport.send(Request(method="GET", url=url, timeout=BOUNDED))).read()


@pytest.mark.parametrize("second", BACKENDS)
@pytest.mark.parametrize("first", BACKENDS)
def test_a_second_loop_gets_connections_of_its_own(first: str, second: str) -> None:
    """After a loop has ended, its connections are let go and never used from the next one."""
    with Adversary(answer) as server, warnings.catch_warnings():
        # asyncio complains, rightly, about connections that nobody closed in their own loop.
        warnings.simplefilter("ignore", ResourceWarning)
        transport = H11Transport()
        assert anyio.run(ask, transport, server.url(), backend=first) == b"body"
        assert anyio.run(ask, transport, server.url(), backend=second) == b"body"
        assert server.n_connections == 2
        anyio.run(transport.aclose, backend=second)
        gc.collect()


def test_loops_in_several_threads() -> None:
    """Loops that run at the same time share a transport, not its connections."""
    with Adversary(answer) as server:
        transport = H11Transport()

        async def ask_often() -> None:
            for _ in range(20):
                assert await ask(transport, server.url()) == b"body"

        with ThreadPoolExecutor(4) as threads, warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            for one in [threads.submit(anyio.run, ask_often) for _ in range(4)]:
                one.result(timeout=10)
            assert server.n_connections == 4
            anyio.run(transport.aclose)
            gc.collect()


def test_closing_closes_for_every_loop() -> None:
    """A transport closed in one loop refuses requests in every other."""
    transport = H11Transport()
    anyio.run(transport.aclose)
    with pytest.raises(TransportClosed, match="has been closed"):
        anyio.run(ask, transport, "http://127.0.0.1:1/")


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_ends_what_other_loops_wait_for(backend: str) -> None:
    """Requests that another loop has under way, or that wait there for a slot, end at once."""
    arrived = threading.Event()
    refused: list[str] = []

    def hold(peer: Peer) -> None:
        peer.request()
        arrived.set()
        peer.wait_for_end()

    with Adversary(hold) as server:
        transport = H11Transport(max_connections=1)

        async def wait(path: str) -> None:
            request = Request(method="GET", url=server.url(path), timeout=Timeout.of(None))
            with pytest.raises(TransportClosed):
                await transport.send(request)
            refused.append(path)

        async def wait_twice() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(wait, "/under-way")
                await anyio.to_thread.run_sync(arrived.wait, WAIT_S)
                group.start_soon(wait, "/waits")
                await anyio.wait_all_tasks_blocked()
                is_waiting.set()

        is_waiting = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            elsewhere = threads.submit(partial(anyio.run, wait_twice, backend=backend))
            assert is_waiting.wait(WAIT_S)
            anyio.run(transport.aclose)
            elsewhere.result(WAIT_S)
        assert sorted(refused) == ["/under-way", "/waits"]
