"""The blocking transport under interruption, and among threads."""

from __future__ import annotations

import gc
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable


def get(url: str) -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=url, timeout=BOUNDED)


def good(peer: Peer) -> None:
    """Answer every request."""
    while peer.request() is not None:
        peer.send(ok(b"good"))


def press_ctrl_c() -> None:
    """Interrupt the main thread."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def before_the_head(peer: Peer) -> None:
    """Interrupt the client while it waits for an answer."""
    peer.request()
    press_ctrl_c()
    peer.wait_for_end()


def within_the_body(peer: Peer) -> None:
    """Interrupt the client while it reads."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"half")
    press_ctrl_c()
    peer.wait_for_end()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
@pytest.mark.parametrize("script", [before_the_head, within_the_body])
def test_an_interrupt_costs_no_slot(script: Callable[[Peer], None]) -> None:
    """Ctrl-C during a request stops at once, and the only slot is free for the next one."""
    with (
        Adversary(script, good) as server,
        Urllib3Transport(max_connections_per_host=1) as transport,
    ):
        with pytest.raises(KeyboardInterrupt):
            transport.send(get(server.url())).read()
        assert transport.send(get(server.url())).read() == b"good"


def test_a_dropped_response_frees_its_slot() -> None:
    """A response that nobody closes gives its slot back when it is collected."""

    def endless(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        peer.wait_for_end()

    with (
        Adversary(endless, good) as server,
        Urllib3Transport(max_connections_per_host=1) as transport,
    ):
        response = transport.send(get(server.url()))
        del response
        gc.collect()
        assert transport.send(get(server.url())).read() == b"good"


def test_closing_a_response_wakes_its_reader() -> None:
    """A thread that waits in a body is freed when another closes the response."""
    reading = threading.Event()

    def stalling(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x")
        peer.wait_for_end()

    with Adversary(stalling) as server, Urllib3Transport() as transport:
        response = transport.send(get(server.url()))
        ended: list[BaseException] = []

        def read() -> None:
            try:
                for _ in response.iter_bytes():
                    reading.set()
            except BaseException as error:  # noqa: BLE001  # looked at below
                ended.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(10)
        response.close()
        reader.join(10)
        assert not reader.is_alive()
        assert len(ended) == 1


def test_an_idle_connection_expires() -> None:
    """A connection unused for the time given is not used again."""
    with Adversary(good) as server, Urllib3Transport(idle_expiry_s=0.0) as transport:
        for _ in range(2):
            assert transport.send(get(server.url())).read() == b"good"
        assert server.n_connections == 2


def test_no_more_idle_connections_than_wanted() -> None:
    """With none to be kept, every request has a connection of its own."""
    with Adversary(good) as server, Urllib3Transport(max_idle_per_host=0) as transport:
        for _ in range(2):
            assert transport.send(get(server.url())).read() == b"good"
        assert server.n_connections == 2


@pytest.mark.parametrize("bounds", [{"max_connections_per_host": 0}, {"max_idle_per_host": -1}])
def test_senseless_bounds(bounds: dict[str, int]) -> None:
    """A bound that allows nothing is refused by name."""
    with pytest.raises(ValueError, match=next(iter(bounds))):
        Urllib3Transport(**bounds)  # type: ignore[arg-type]  # one of two ints
