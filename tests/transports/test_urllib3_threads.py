"""The blocking transport among threads, and what it keeps of its connections."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from tinker_lite.errors import ConfigError
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_urllib3 import Urllib3Transport


def get(url: str) -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=url, timeout=BOUNDED)


def good(peer: Peer) -> None:
    """Answer every request."""
    while peer.request() is not None:
        peer.send(ok(b"good"))


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


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("max_connections", 0),
        ("max_connections_per_host", 0),
        ("max_idle_per_host", -1),
        ("idle_expiry_s", -1),
    ],
)
def test_senseless_bounds(name: str, bound: int) -> None:
    """A bound that allows nothing is refused by name."""
    bounds: dict[str, Any] = {name: bound}
    with pytest.raises(ConfigError, match=f"{name} must be"):
        Urllib3Transport(**bounds)
