"""The blocking transport through SOCKS proxies, which PySocks speaks to."""

from __future__ import annotations

import importlib.util
import sys

import msgspec
import pytest

from tests.transports.socks_server import Asked, SocksServer
from tinker_lite.errors import ConfigError, ConnectError, TransportTimeout
from tinker_lite.http import Request, Timeout
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_urllib3 import Urllib3Transport

needs_pysocks = pytest.mark.skipif(
    importlib.util.find_spec("socks") is None, reason="PySocks is not installed"
)


def get(url: str, timeout: Timeout = BOUNDED) -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=url, timeout=timeout)


def answer(peer: Peer) -> None:
    """Answer every request with its Host."""
    while received := peer.request():
        peer.send(ok(received.values("host")[0].encode()))


@needs_pysocks
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("scheme", "version", "named"),
    [
        ("socks4", 4, "127.0.0.1"),
        ("socks4a", 4, "localhost"),
        ("socks5", 5, "127.0.0.1"),
        ("socks5h", 5, "localhost"),
    ],
)
def test_who_looks_names_up(scheme: str, version: int, named: str, secure: bool) -> None:
    """The scheme says the version and whether the proxy is given a name or an address."""
    certificates = make_certificates()
    with (
        Adversary(answer, tls=certificates.server if secure else None) as server,
        SocksServer() as proxy,
        Urllib3Transport(proxy=proxy.url(scheme), verify=certificates.trusting) as transport,
    ):
        for _ in range(2):
            response = transport.send(get(server.url(host="localhost")))
            assert response.read() == f"localhost:{server.port}".encode()
        [asked] = proxy.asked
        # The resolver may put the IPv6 address first, and version 4 knows none.
        hosts = {named} if version == 4 or named == "localhost" else {named, "::1"}
        assert (asked.version, asked.port) == (version, server.port)
        assert asked.host in hosts
        assert server.n_connections == 1


@needs_pysocks
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_addresses_are_passed_on(host: str) -> None:
    """An address is given to the proxy as one, IPv4 and IPv6."""
    with (
        Adversary(answer) as server,
        SocksServer() as proxy,
        Urllib3Transport(proxy=proxy.url("socks5h")) as transport,
    ):
        response = transport.send(get(server.url(host=host)))
        assert response.read() == f"{host}:{server.port}".encode()
        assert proxy.asked == [Asked(5, host.strip("[]"), server.port)]


@needs_pysocks
@pytest.mark.parametrize(
    ("scheme", "userinfo", "asked"),
    [
        ("socks5h", "me:s%40cret@", Asked(5, "127.0.0.1", 0, "me", "s@cret")),
        ("socks4a", "me@", Asked(4, "127.0.0.1", 0, "me")),
    ],
)
def test_user_and_password(scheme: str, userinfo: str, asked: Asked) -> None:
    """The user and the password of the proxy's URL open it."""
    with (
        Adversary(answer) as server,
        SocksServer("me", "s@cret") as proxy,
        Urllib3Transport(proxy=proxy.url(scheme, userinfo)) as transport,
    ):
        transport.send(get(server.url())).read()
        assert proxy.asked == [asked._replace(port=server.port)]


@needs_pysocks
@pytest.mark.parametrize(
    ("scheme", "userinfo"), [("socks5", "me:wrong@"), ("socks5", ""), ("socks4", "you@")]
)
def test_a_refused_user(scheme: str, userinfo: str) -> None:
    """A proxy that refuses the user is an error of connecting, which keeps the password."""
    with (
        Adversary(answer) as server,
        SocksServer("me", "right") as proxy,
        Urllib3Transport(proxy=proxy.url(scheme, userinfo), max_connections=1) as transport,
    ):
        for _ in range(2):
            with pytest.raises(ConnectError, match=rf"{scheme}://127\.0\.0\.1") as refused:
                transport.send(get(server.url()))
            assert refused.value.may_have_arrived is False
            assert "wrong" not in str(refused.value)
        assert server.requests == []


@needs_pysocks
@pytest.mark.parametrize(
    ("scheme", "reply", "reason"),
    [
        ("socks5", b"\x05\x05\0\x01" + bytes(6), "Connection refused"),
        ("socks4", b"\0\x5b" + bytes(6), "rejected"),
        ("socks5", b"HTTP/1.1 400 Bad\r\n", "invalid data"),
    ],
)
def test_a_refused_connection(scheme: str, reply: bytes, reason: str) -> None:
    """What the proxy says of the origin is in the error, which names the proxy."""
    with (
        SocksServer(answer=reply) as proxy,
        Urllib3Transport(proxy=proxy.url(scheme)) as transport,
        pytest.raises(ConnectError, match=reason) as refused,
    ):
        transport.send(get("http://127.0.0.1:9/"))
    assert f"through the proxy {proxy.url(scheme)}" in str(refused.value)
    assert refused.value.may_have_arrived is False


@needs_pysocks
@pytest.mark.parametrize("reply", [b"", b"\x05\0"], ids=["nothing", "half an answer"])
def test_a_silent_proxy(reply: bytes) -> None:
    """A proxy that does not finish its answer ends with the limit of connecting."""
    timeout = msgspec.structs.replace(BOUNDED, connect_s=0.2)
    with (
        SocksServer(answer=reply) as proxy,
        Urllib3Transport(proxy=proxy.url("socks5"), max_connections=1) as transport,
    ):
        for _ in range(2):
            with pytest.raises(TransportTimeout) as expired:
                transport.send(get("http://127.0.0.1:9/", timeout))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("connect", False)


@needs_pysocks
@pytest.mark.parametrize("label", ["a" * 64, "a" * 63 + "." + "b" * 63 + "." + "c" * 63])
@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
def test_a_name_that_is_none(scheme: str, label: str) -> None:
    """A name that cannot be passed on is an error of connecting, and nothing else."""
    with (
        SocksServer() as proxy,
        Urllib3Transport(proxy=proxy.url(scheme)) as transport,
        pytest.raises(ConnectError, match="host name"),
    ):
        transport.send(get(f"http://{label}.invalid/"))
    assert proxy.asked == []


def test_without_pysocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PySocks is not installed, a SOCKS proxy is refused at once, and the extra is named."""
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(ConfigError, match=r"tinker-lite\[socks\]"):
        Urllib3Transport(proxy={"https": "socks5://127.0.0.1:1080"})
    Urllib3Transport(proxy="http://127.0.0.1:3128").close()


@needs_pysocks
def test_a_password_that_is_too_long() -> None:
    """What PySocks would send wrongly is refused, and not shown."""
    with pytest.raises(ConfigError, match="127 bytes each") as refused:
        Urllib3Transport(proxy=f"socks5://me:{'s' * 128}@127.0.0.1")
    assert "sss" not in str(refused.value)
