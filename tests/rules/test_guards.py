"""The guards that tests/conftest.py puts around every test do guard."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import sniffio


def test_other_machines_are_out_of_reach(loopback_only: list[str]) -> None:
    """A connection and a datagram to a documentation address are refused and remembered."""
    with pytest.raises(PermissionError, match=r"only talk to loopback, not to 192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        pytest.raises(PermissionError, match="only talk to loopback"),
    ):
        datagrams.sendto(b"", ("192.0.2.1", 53))
    assert loopback_only == ["socket.connect to 192.0.2.1", "socket.sendto to 192.0.2.1"]
    loopback_only.clear()


def test_names_are_not_looked_up(loopback_only: list[str]) -> None:
    """A look-up fails as without a network; only for a name that may exist is the test to blame."""
    with pytest.raises(socket.gaierror, match=r"nowhere\.invalid"):
        socket.getaddrinfo("nowhere.invalid", 80)
    assert loopback_only == []
    with pytest.raises(socket.gaierror, match=r"example\.com"):
        socket.getaddrinfo("example.com", 80)
    assert loopback_only == ["look-up of example.com"]
    loopback_only.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_works(host: str) -> None:
    """A server of the test's own can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


def test_unix_sockets_work(tmp_path: Path) -> None:
    """A socket in the file system is on this machine too."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


def test_settings_from_outside_are_gone() -> None:
    """No variable of ours and no proxy reaches a test."""
    assert [name for name in os.environ if name.startswith("TINKER_")] == []
    assert [name for name in os.environ if name.upper().endswith("_PROXY")] == []


async def test_async_tests_run_on_both_loops(anyio_backend: str) -> None:
    """An async test needs no marker and runs on the loop it is told."""
    assert sniffio.current_async_library() == anyio_backend
