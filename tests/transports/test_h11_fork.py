"""A forked child leaves its parent's connections alone, and has its own."""

from __future__ import annotations

import os
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING

import anyio
import pytest

from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_h11 import H11Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.http import AsyncResponse

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


def in_child(work: Callable[[], object]) -> int:
    """Fork, do the work in the child, in a thread without an event loop; the child's exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads; that is the point
        pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    codes: list[int] = []

    def run() -> None:
        try:
            work()
            codes.append(0)
        except BaseException:  # noqa: BLE001  # the child must never return into the test
            traceback.print_exc()
            sys.stderr.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    os._exit(codes[0] if codes else 1)


async def ask(transport: H11Transport, url: str) -> bytes:
    """One exchange."""
    return await (await transport.send(Request(method="GET", url=url, timeout=BOUNDED))).read()


async def read_slowly(response: AsyncResponse) -> None:
    """Read a body that is on its way."""
    assert await response.read() == b"slowly"


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("does", ["uses", "closes", "uses and closes"])
async def test_fork(does: str, secure: bool, anyio_backend_name: str) -> None:
    """Whatever a child does with a transport, its parent's idle and busy connections go on."""
    child_is_done = threading.Event()

    def script(peer: Peer) -> None:
        while received := peer.request():
            if received.line.startswith("GET /slow"):
                peer.send(ok(b"slowly")[:-3])
                assert peer.wait(child_is_done)
                peer.send(b"wly")
            else:
                peer.send(ok(received.line.encode()))

    async def in_own_loop(response: AsyncResponse) -> None:
        if "uses" in does:
            assert await ask(transport, server.url("/child")) == b"GET /child HTTP/1.1"
        if "closes" in does:
            await response.aclose()
            await transport.aclose()

    certificates = make_certificates()
    with Adversary(script, tls=certificates.server if secure else None) as server:
        async with H11Transport(verify=certificates.trusting) as transport:
            slow = await transport.send(
                Request(method="GET", url=server.url("/slow"), timeout=BOUNDED)
            )
            assert await ask(transport, server.url("/parent")) == b"GET /parent HTTP/1.1"
            async with anyio.create_task_group() as group:
                group.start_soon(read_slowly, slow)
                await anyio.wait_all_tasks_blocked()  # on the socket, which the child shares
                code = in_child(lambda: anyio.run(in_own_loop, slow, backend=anyio_backend_name))
                assert code == 0
                assert await ask(transport, server.url("/again")) == b"GET /again HTTP/1.1"
                child_is_done.set()
            n_of_the_child = 1 if "uses" in does else 0
            assert server.n_connections == 2 + n_of_the_child
