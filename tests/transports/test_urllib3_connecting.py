"""How the blocking transport gets to an origin, where its peers misbehave on the way."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from tinker_lite.errors import ConnectError, TransportTimeout
from tinker_lite.http import Request, Timeout
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.peer import Peer, Script, ok
from tinker_lite_conformance.transport.proxy import ESTABLISHED, refuse
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Iterable

ORIGIN = "https://origin.invalid/"
SOON_S = 0.3  # long enough for loopback; that it runs out is what these tests are about


def proxy_url(proxy: Adversary) -> str:
    """The URL of a server that is used as a proxy."""
    return proxy.url("")


def limited(**limits_s: float) -> Timeout:
    """Bounded waits, some of them replaced."""
    return msgspec.structs.replace(BOUNDED, **limits_s)


def trickle(start: bytes, over: threading.Event, pieces: Iterable[bytes]) -> Script:
    """Answer CONNECT with a start, then send piece after piece, never silent for long."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(start)
        for piece in pieces:
            if over.wait(0.02):
                return
            peer.send(piece)

    return script


@pytest.mark.parametrize("secure", [False, True], ids=["proxy", "proxy over TLS"])
@pytest.mark.parametrize(
    ("start", "phase"),
    [(b"HTTP/1.1 200 OK\r\nX: ", "connect"), (ESTABLISHED, "tls")],
    ids=["within the answer", "within the handshake"],
)
def test_trickling(start: bytes, phase: str, secure: bool) -> None:
    """The limits of connecting and of TLS end a peer that sends byte by byte for ever."""
    certificates = make_certificates()
    over = threading.Event()
    # A TLS record that is announced as a long one: TLS goes on to wait for its end.
    record = [b"\x16", b"\x03", b"\x03", b"\x3f", b"\xff", *([b"\0"] * 500)]
    pieces = record if phase == "tls" else [b"y"] * 500
    timeout = limited(connect_s=SOON_S) if phase == "connect" else limited(tls_s=SOON_S)
    with (
        Adversary(
            trickle(start, over, pieces), tls=certificates.server if secure else None
        ) as proxy,
        Urllib3Transport(proxy=proxy_url(proxy), verify=certificates.trusting) as transport,
    ):
        with pytest.raises(TransportTimeout) as expired:
            transport.send(Request(method="GET", url=ORIGIN, timeout=timeout))
        over.set()
        assert (expired.value.phase, expired.value.may_have_arrived) == (phase, False)
        assert f"through the proxy {proxy_url(proxy)}" in str(expired.value)


def test_a_name_that_no_certificate_can_have() -> None:
    """A host name that a proxy accepts and TLS cannot check is an error of connecting."""
    with (
        Adversary(refuse(ESTABLISHED)) as proxy,
        Urllib3Transport(proxy=proxy_url(proxy), verify=False) as transport,
        pytest.raises(ConnectError, match="no name that a host can have") as refused,
    ):
        transport.send(Request(method="GET", url=f"https://{'a' * 64}.invalid/"))
    assert refused.value.may_have_arrived is False


def test_an_answer_of_another_protocol() -> None:
    """A proxy that does not speak HTTP is an error of connecting that says so."""
    with (
        Adversary(refuse(b"SSH-2.0-x\r\n")) as proxy,
        Urllib3Transport(proxy=proxy_url(proxy)) as transport,
        pytest.raises(ConnectError, match=r"not HTTP/1\.1") as refused,
    ):
        transport.send(Request(method="GET", url=ORIGIN))
    assert "SSH-2.0-x" in str(refused.value)


def test_an_endless_answer() -> None:
    """The head of a proxy's answer is bounded, however large the request allows heads to be."""
    answer = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000
    with (
        Adversary(refuse(answer)) as proxy,
        Urllib3Transport(proxy=proxy_url(proxy)) as transport,
        pytest.raises(ConnectError, match="over 65,536 bytes"),
    ):
        transport.send(Request(method="GET", url=ORIGIN, max_head_bytes=1_000_000))


def test_interim_answers_to_connect() -> None:
    """Interim answers to CONNECT are passed over."""
    refusal = b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n"
    with (
        Adversary(refuse(refusal)) as proxy,
        Urllib3Transport(proxy=proxy_url(proxy)) as transport,
        pytest.raises(ConnectError, match="the proxy answered 502"),
    ):
        transport.send(Request(method="GET", url=ORIGIN))


def test_no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform has no unix sockets, the error says so."""
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    with (
        Urllib3Transport() as transport,
        pytest.raises(ConnectError, match="this platform has no unix sockets"),
    ):
        transport.send(Request(method="GET", url="http+unix://%2Frun%2Fx.sock/"))


def test_the_context_of_the_caller() -> None:
    """A context is taken as it is: what it does not check is not checked, and it stays so."""
    certificates = make_certificates()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def answer(peer: Peer) -> None:
        peer.request()
        peer.send(ok(b"body"))

    with (
        Adversary(answer, tls=certificates.elsewhere) as server,
        Urllib3Transport(verify=context) as transport,
    ):
        request = Request(method="GET", url=server.url(), timeout=BOUNDED)
        assert transport.send(request).read() == b"body"
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)
