"""A forked child leaves its parent's connections alone and makes its own."""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this machine has no fork")


def in_a_child(work: Callable[[], None]) -> int:
    """Do something in a forked child; its exit status."""
    with warnings.catch_warnings():
        # The server's threads make this unsafe for most programs; the child needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001  # the parent is told by the status
            os._exit(1)  # not the parent's handlers, nor its standard streams
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_child_leaves_its_parent_in_peace(secure: bool) -> None:
    """A child that asks, closes and drops things harms neither an answer nor a kept connection."""
    certificates = make_certificates()
    done = threading.Event()

    def halves(peer: Peer) -> None:
        while peer.request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            assert peer.wait(done)
            peer.send(b"-last")

    def echo(peer: Peer) -> None:
        while received := peer.request():
            peer.send(ok(received.line.encode()))

    tls = certificates.server if secure else None
    with (
        Adversary(halves, tls=tls) as slow,
        Adversary(echo, tls=tls) as quick,
        Urllib3Transport(
            verify=certificates.trusting, max_connections=2, max_connections_per_host=1
        ) as transport,
    ):
        kept = Request(method="GET", url=quick.url("/kept"), timeout=BOUNDED)
        assert transport.send(kept).read() == b"GET /kept HTTP/1.1"
        under_way = transport.send(Request(method="GET", url=slow.url(), timeout=BOUNDED))
        chunks = under_way.iter_bytes()
        assert next(chunks) == b"first"

        def use_everything() -> None:
            nonlocal under_way
            for _ in range(2):
                assert transport.send(kept).read() == b"GET /kept HTTP/1.1"
            under_way.close()
            transport.close()

        assert in_a_child(use_everything) == 0
        assert quick.n_connections == 2
        done.set()
        assert b"".join(chunks) == b"-last"
        assert transport.send(kept).read() == b"GET /kept HTTP/1.1"
        assert quick.n_connections == 2


def test_a_child_closes_what_it_never_used() -> None:
    """Closing the transport in a child before anything else is no harm to the parent either."""

    def echo(peer: Peer) -> None:
        while peer.request():
            peer.send(ok(b"body"))

    with Adversary(echo) as server, Urllib3Transport() as transport:
        request = Request(method="GET", url=server.url(), timeout=BOUNDED)
        assert transport.send(request).read() == b"body"
        assert in_a_child(transport.close) == 0
        assert transport.send(request).read() == b"body"
        assert server.n_connections == 1
