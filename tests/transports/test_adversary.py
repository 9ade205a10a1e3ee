"""The adversary itself: it does what scripts say, in every guise, and its waits end."""

from __future__ import annotations

import socket
import threading

import pytest

from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.proxy import tunnel

REQUEST = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


def answer(peer: Peer) -> None:
    """Answer one request."""
    peer.request()
    peer.send(ok(b"body"))


def asked(sock: socket.socket, data: bytes = REQUEST) -> bytes:
    """Send bytes and read what comes until the end."""
    sock.settimeout(10)
    sock.sendall(data)
    received = b""
    while block := sock.recv(65_536):
        received += block
    return received


def test_it_listens_on_a_unix_socket_and_tidies_up() -> None:
    """The socket file is there while the server is, and its URL names it."""
    with Adversary(answer, listen="unix", socket_name="a b") as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(server.path)
            assert asked(client).endswith(b"body")
        assert server.url("/p").startswith("http+unix://%2F")
        assert server.url("/p").endswith("%2Fa%20b/p")
        [received] = server.requests
        assert received.line == "GET /x HTTP/1.1"
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(FileNotFoundError):
        client.connect(server.path)


def test_a_tunnel_leads_to_where_connect_says() -> None:
    """Behind CONNECT the bytes are the origin's, over TLS to the proxy too."""
    certificates = make_certificates()
    with Adversary(answer) as origin, Adversary(tunnel, tls=certificates.server) as proxy:
        with (
            socket.create_connection(("127.0.0.1", proxy.port), 10) as plain,
            certificates.trusting.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(f"CONNECT 127.0.0.1:{origin.port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
            assert asked(client).endswith(b"body")
        assert [one.line for one in origin.requests] == ["GET /x HTTP/1.1"]
        assert [one.line for one in proxy.requests] == [f"CONNECT 127.0.0.1:{origin.port} HTTP/1.1"]


def test_a_wait_of_a_script_ends() -> None:
    """What never happens is told to the script after the server's patience, and fails the case."""
    never = threading.Event()

    def wait(peer: Peer) -> None:
        assert peer.wait(never), "nobody came"

    with (
        pytest.raises(AssertionError, match="nobody came"),
        Adversary(wait, patience_s=0.05) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as client,
    ):
        assert client.recv(1) == b""
