"""What every test gets: no network but loopback, no settings from outside, both event loops."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_TEST_TIMEOUT_S = 600
LOCAL_NAMES = {"", "localhost"}

# A deadline would assert timing, which says more about the machine than about the code.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")

_outside_calls: list[str] = []


def _text(host: str | bytes | None) -> str:
    return host.decode() if isinstance(host, bytes) else host or ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_outside(host: str) -> bool:
    address = _address(host)
    return host not in LOCAL_NAMES and (address is None or not address.is_loopback)


def _refuse_outside_network(event: str, args: tuple[Any, ...]) -> None:
    # An audit hook sees the sockets of every library, patches nothing, and no test can undo it.
    # It raises what a network raises, so that libraries clean up; the fixture below fails the test.
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = args[1]
        # None: a datagram or `sendmsg` on a connected socket, whose peer was checked by then.
        if address is None or isinstance(address, str | bytes):
            return
        host = _text(address[0])
        if _is_outside(host):
            _outside_calls.append(f"{event} to {host}")
            message = f"tests may only talk to loopback, not to {host}"
            raise PermissionError(message)
    elif event == "socket.getaddrinfo":
        name = _text(args[0])
        if name in LOCAL_NAMES or _address(name):
            return
        if not name.endswith(".invalid"):  # reserved for names that never resolve (RFC 2606)
            _outside_calls.append(f"look-up of {name}")
        raise socket.gaierror(socket.EAI_NONAME, f"tests look up no names: {name}")


sys.addaudithook(_refuse_outside_network)


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[list[str]]:
    """Fail a test that reached for the network, also from a thread or behind an except clause."""
    _outside_calls.clear()
    yield _outside_calls
    if _outside_calls:
        pytest.fail("tests may only talk to loopback: " + "; ".join(_outside_calls))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings and proxies of whoever runs the tests."""
    for name in list(os.environ):
        if name.upper().startswith("TINKER_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop an async test runs on: each such test runs on both."""
    backend: str = request.param
    return backend


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests a longer bound than the one in pyproject.toml."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TEST_TIMEOUT_S))
