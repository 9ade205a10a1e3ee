"""How the async transport opens connections, leaves them and closes them."""

from __future__ import annotations

import gc
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import anyio.to_thread
import pytest

from tinker_lite.errors import (
    ConfigError,
    ConnectError,
    InvalidRequest,
    TransportClosed,
    TransportTimeout,
)
from tinker_lite.http import Headers, Request, Timeout
from tinker_lite.proxies import ProxyRules
from tinker_lite_conformance.transport.adversary import WAIT_S, Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.proxy import ESTABLISHED, refuse
from tinker_lite_h11 import H11Transport

if TYPE_CHECKING:
    from collections.abc import Generator

SECRET = "proxy-user:proxy-password@"


def answer(peer: Peer) -> None:
    """Answer every request."""
    while peer.request():
        peer.send(ok(b"here"))


@contextmanager
def full_queue() -> Generator[str]:
    """The URL of a listener that takes no more connections: connecting to it hangs."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
        socket.socket() as second,
    ):
        second.setblocking(False)
        second.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def silent(peer: Peer) -> None:
    """Take what comes, and say nothing."""
    peer.wait_for_end()


async def ask(transport: H11Transport, url: str, timeout: Timeout = BOUNDED) -> bytes:
    """One exchange."""
    return await (await transport.send(Request(method="GET", url=url, timeout=timeout))).read()


# Through a proxy nobody could say when all has come: it passes bytes on as they reach it.
@pytest.mark.parametrize("way", ["plain", "TLS"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_bytes_behind_the_body(way: str, chunked: bool) -> None:
    """What comes in one piece with the end of a body, and is not it, ends the connection's use."""
    certificates = make_certificates()
    head_is_in = threading.Event()
    all_is_sent = threading.Event()
    # The last record of TLS is half in and half out of the 64 KiB that anyio reads at a time.
    body, behind = b"x" * 60_000, b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"y" * 16_000)

    def script(peer: Peer) -> None:
        peer.request()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 60000"
        peer.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        assert peer.wait(head_is_in)
        framed = b"ea60\r\n%b\r\n0\r\n\r\n" % body if chunked else body
        peer.send(*(framed, behind) if tls else (framed + behind,))
        all_is_sent.set()
        peer.wait_for_end()

    tls = None if way == "plain" else certificates.server
    with Adversary(script, answer, tls=tls) as server:
        async with H11Transport(verify=certificates.trusting) as transport:
            response = await transport.send(
                Request(method="GET", url=server.url(), timeout=BOUNDED)
            )
            head_is_in.set()
            assert await anyio.to_thread.run_sync(all_is_sent.wait, WAIT_S)
            assert await response.read() == body
            assert await ask(transport, server.url()) == b"here"


@pytest.fixture
def path() -> Generator[str]:
    """Where a socket file may be; pytest's own folders may have more than the 108 bytes allowed."""
    with TemporaryDirectory() as folder:
        yield str(Path(folder, "s"))


async def test_a_full_queue_of_a_unix_socket(path: str) -> None:
    """A unix socket whose queue is full is waited for, and a cancelled wait leaves no socket."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        url = f"http+unix://{quote(path, safe='')}/"
        async with H11Transport() as transport:
            with pytest.raises(TransportTimeout, match="connect limit") as expired:
                await ask(transport, url, Timeout(connect_s=0.05))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("connect", False)
            gc.collect()  # a socket left open complains here

            def serve() -> None:
                listener.accept()[0].close()
                peer = listener.accept()[0]
                with peer, peer.makefile("rb") as stream:
                    while stream.readline() != b"\r\n":
                        pass
                    peer.sendall(ok(b"here"))

            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, serve)
                assert await ask(transport, url) == b"here"


async def test_a_platform_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no unix sockets, the error says so."""
    monkeypatch.delattr(socket, "AF_UNIX")
    async with H11Transport() as transport:
        with pytest.raises(ConnectError, match="this platform has no unix sockets") as refused:
            await ask(transport, "http+unix://%2Frun%2Fs/")
        assert refused.value.may_have_arrived is False


@pytest.mark.parametrize(
    ("method", "headers", "named"),
    [
        ("GET", [("Host", "a"), ("host", "b")], "one host header"),
        ("GET /", [], "Illegal"),
        ("G\u00cbT", [], "HTTP/1.1"),
    ],
)
async def test_what_is_no_request(method: str, headers: list[tuple[str, str]], named: str) -> None:
    """What cannot be put into HTTP is refused before anything is connected to."""
    async with H11Transport() as transport:
        with pytest.raises(InvalidRequest, match=named) as refused:
            await transport.send(
                Request(method=method, url="http://127.0.0.1:9/", headers=Headers(headers))
            )
        assert refused.value.may_have_arrived is False


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_socks_is_refused(scheme: str) -> None:
    """A SOCKS proxy is refused when the transport is made, and the text says what has it."""
    rules = ProxyRules.of({"https": f"{scheme}://{SECRET}127.0.0.1:1080"})
    with pytest.raises(ConfigError, match="Urllib3Transport") as refused:
        H11Transport(proxy=rules)
    assert "proxy-password" not in str(refused.value)


ODD_ANSWERS = {
    "no HTTP": (b"220 smtp.example.invalid\r\n\r\n", "not HTTP/1.1"),
    "another version": (b"HTTP/2.0 200 OK\r\n\r\n", "not HTTP/1.1"),
    "a folded header": (b"HTTP/1.1 200 OK\r\n continued: 1\r\n\r\n", "not HTTP/1.1"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "not HTTP/1.1"),
    "endless interim answers": (b"HTTP/1.1 103 Wait\r\n\r\n" * 200, "interim answers"),
    "an endless head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "larger than 65536 bytes"),
    "bytes behind it": (ESTABLISHED + b"220 hello", "bytes behind its answer"),
    "a wish for credentials": (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "user name"),
    "a gateway's failure": (b"HTTP/1.1 502 No\r\nContent-Length: 3\r\n\r\nbad", "502"),
    "nothing": (b"", "closed"),
    "half a head": (b"HTTP/1.1 200 OK\r\nX", "closed"),
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_odd_tunnels(odd: str, secure: bool) -> None:
    """Whatever a proxy answers instead of a tunnel is a failure to connect that names the proxy."""
    said, expected = ODD_ANSWERS[odd]

    def script(peer: Peer) -> None:
        if "closed" not in expected:
            refuse(said)(peer)
        else:
            peer.head()
            peer.send(said)
            peer.half_close()

    certificates = make_certificates()
    with Adversary(script, tls=certificates.server if secure else None) as proxy:
        async with H11Transport(
            proxy=proxy.url("", user=SECRET), verify=certificates.trusting, max_connections=1
        ) as transport:
            for _ in range(2):
                with pytest.raises(ConnectError, match=expected) as refused:
                    await ask(transport, "https://origin.invalid/")
                assert refused.value.may_have_arrived is False
                assert proxy.url("") in str(refused.value)
                assert "proxy-" not in str(refused.value)


async def test_interim_answers_of_a_proxy() -> None:
    """Interim answers to CONNECT are passed over."""

    def script(peer: Peer) -> None:
        received = peer.head()
        assert received is not None
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")  # which means nothing here
        peer.relay("127.0.0.1", int(received.line.split()[1].rpartition(":")[2]))

    certificates = make_certificates()
    with Adversary(answer, tls=certificates.server) as server, Adversary(script) as proxy:
        async with H11Transport(proxy=proxy.url(""), verify=certificates.trusting) as transport:
            assert await ask(transport, server.url()) == b"here"


@pytest.mark.parametrize("mute", ["TCP", "TLS with the proxy", "CONNECT"])
async def test_one_limit_for_the_way(mute: str) -> None:
    """TCP, TLS with the proxy and CONNECT are under the connect limit together."""
    certificates = make_certificates()
    timeout = Timeout(connect_s=0.1, tls_s=WAIT_S, read_s=WAIT_S)
    with (
        Adversary(silent, mute_tls=mute == "TLS with the proxy") as proxy,
        full_queue() as full_url,
    ):
        async with H11Transport(
            proxy=full_url if mute == "TCP" else proxy.url(""), verify=certificates.trusting
        ) as transport:
            with pytest.raises(TransportTimeout, match=r"connect limit of 0\.1 s") as expired:
                await ask(transport, "https://origin.invalid/", timeout)
            assert (expired.value.phase, expired.value.may_have_arrived) == ("connect", False)
            assert "through the proxy" in str(expired.value)


async def test_closing_ends_every_wait() -> None:
    """Closing ends requests that dial, that shake hands and that wait for a slot."""
    refused: list[str] = []
    is_shaking_hands = threading.Event()

    def begin(peer: Peer) -> None:
        is_shaking_hands.set()
        peer.wait_for_end()

    def hold(peer: Peer) -> None:
        peer.request()
        peer.send(ok(b"here")[:-1])
        peer.wait_for_end()

    with (
        Adversary(hold) as holding,
        Adversary(begin, mute_tls=True) as mute,
        full_queue() as full_url,
    ):
        transport = H11Transport(max_connections=3, max_connections_per_host=1)

        async def wait(url: str) -> None:
            with pytest.raises(TransportClosed) as closed:
                await ask(transport, url, Timeout.of(None))
            assert closed.value.may_have_arrived is False
            refused.append(url)

        await transport.send(Request(method="GET", url=holding.url(), timeout=BOUNDED))
        async with anyio.create_task_group() as group:
            for url in (holding.url(), mute.url(), f"{full_url}/", "http://127.0.0.1:9/"):
                group.start_soon(wait, url)
                await anyio.wait_all_tasks_blocked()
            assert await anyio.to_thread.run_sync(is_shaking_hands.wait, WAIT_S)
            await transport.aclose()
        assert len(refused) == 4
        gc.collect()


async def test_refused_everywhere() -> None:
    """The error of a host with several addresses gives the reason of each attempt."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with H11Transport() as transport:
        with pytest.raises(ConnectError, match=r"(?i)refused") as refused:
            await ask(transport, f"http://localhost:{port}/")
    assert "All connection attempts failed" not in str(refused.value)
