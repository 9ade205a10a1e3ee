"""T-80 to T-94: requests through an HTTP proxy."""

from __future__ import annotations

import base64
import socket
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    ProtocolError,
    TransportError,
    TransportTimeout,
)
from tinker_lite.http import Request
from tinker_lite_conformance.transport.bench import bounded
from tinker_lite_conformance.transport.capabilities import needs
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_conformance.transport.proxy import ESTABLISHED, refuse, tunnel

from .framing import say, say_always
from .timeouts import SOON_S, limited, silent

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit
    from tinker_lite_conformance.transport.certificates import Certificates

__all__ = ["ProxyCases"]

USER = "user:p%40ss@"
CREDENTIALS = f"Basic {base64.b64encode(b'user:p@ss').decode()}"


def forward(peer: Peer) -> None:
    """Answer as a proxy that asked the origin; the body is the request line."""
    while received := peer.request():
        peer.send(ok(received.line.encode()))


@needs("proxies")
class ProxyCases:
    """The forward form for http, CONNECT for https, and what goes wrong with either."""

    @pytest.mark.parametrize("host", ["origin.invalid", "origin.invalid:8080", "[::1]:8080"])
    async def test_t80_forward_form(self, kit: Kit, host: str) -> None:
        """T-80: an http request to a proxy has the whole URL as its target, and the origin's Host.

        Source: RFC 9112 section 3.2.2.
        """
        with kit.proxy(forward) as proxy:
            async with kit.bench(say(ok()), proxy=proxy.url()) as bench:
                for path in ("/a%20b?c=d", "/"):
                    url = f"http://{host}{path}"
                    reply = await bench.subject.send(Request(method="GET", url=url))
                    assert await reply.read() == f"GET {url} HTTP/1.1".encode()
                assert [one.values("host") for one in proxy.requests] == [[host], [host]]
                assert proxy.n_connections == 1

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    async def test_t81_connect(self, kit: Kit, certificates: Certificates, host: str) -> None:
        """T-81: an https request goes through CONNECT, in origin form, to the origin named.

        Source: RFC 9110 section 9.3.6.
        """
        with kit.proxy(tunnel) as proxy:
            async with kit.bench(
                say_always(ok(b"body")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(),
            ) as bench:
                reply = await bench.subject.send(bench.request(path="/a?b", host=host))
                assert await reply.read() == b"body"
                authority = f"{host}:{bench.server.port}"
                [connect], [inner] = proxy.requests, bench.server.requests
                assert connect.line == f"CONNECT {authority} HTTP/1.1"
                assert connect.values("host") == [authority]
                assert (inner.line, inner.values("host")) == ("GET /a?b HTTP/1.1", [authority])

    @pytest.mark.parametrize("fault", ["another name", "unknown authority"])
    async def test_t82_name_of_the_origin(
        self, kit: Kit, certificates: Certificates, fault: str
    ) -> None:
        """T-82: the origin's certificate is checked through a proxy as without one.

        Source: RFC 9110 section 4.3.4.
        """
        is_elsewhere = fault == "another name"
        with kit.proxy(tunnel) as proxy:
            async with kit.bench(
                say(ok()),
                tls=certificates.elsewhere if is_elsewhere else certificates.server,
                trust=certificates.trusting if is_elsewhere else certificates.wary,
                proxy=proxy.url(),
            ) as bench:
                with pytest.raises(ConnectError, match="certificate") as refused:
                    await bench.get()
                assert refused.value.may_have_arrived is False
                assert bench.server.requests == []

    @pytest.mark.parametrize("secure", [False, True], ids=["forward", "CONNECT"])
    async def test_t83_credentials(
        self, kit: Kit, certificates: Certificates, secure: bool
    ) -> None:
        """T-83: the proxy's credentials go to the proxy, and never to the origin.

        Source: RFC 9110 section 11.7.2.
        """
        with kit.proxy(tunnel if secure else forward) as proxy:
            async with kit.bench(
                say_always(ok(b"body")),
                tls=certificates.server if secure else None,
                trust=certificates.trusting,
                proxy=proxy.url(user=USER),
            ) as bench:
                for _ in range(2):
                    await (await bench.get()).read()
                assert {one.values("proxy-authorization")[0] for one in proxy.requests} == {
                    CREDENTIALS
                }
                assert [one.values("proxy-authorization") for one in bench.server.requests] == [
                    [] for _ in range(2 if secure else 0)
                ]

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 407 Proxy Authentication Required\r\n"
            b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 2\r\n\r\nno',
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
            b"HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            b"HTTP/1.0 403 Forbidden\r\n\r\nno",
        ],
        ids=["407", "502", "503", "403"],
    )
    async def test_t84_connect_refused(
        self, kit: Kit, certificates: Certificates, answer: bytes
    ) -> None:
        """T-84: a CONNECT that is refused is an error of connecting, and tells the status.

        Source: RFC 9110 section 9.3.6.
        """
        with kit.proxy(refuse(answer), tunnel) as proxy:
            async with kit.bench(
                say(ok(b"next")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(user=USER),
            ) as bench:
                with pytest.raises(ConnectError, match=answer[9:12].decode()) as refused:
                    await bench.get()
                assert refused.value.may_have_arrived is False
                assert not any(
                    secret in str(refused.value) for secret in ("p@ss", "p%40ss", CREDENTIALS)
                )
                assert await (await bench.get()).read() == b"next"

    async def test_t85_forward_refused(self, kit: Kit) -> None:
        """T-85: what a proxy answers in the forward form is an answer like any other.

        Source: RFC 9110 section 15.5.8.
        """
        answer = b"HTTP/1.1 407 X\r\nContent-Length: 2\r\n\r\nno"
        with kit.proxy(say_always(answer)) as proxy:
            async with kit.bench(say(ok()), proxy=proxy.url()) as bench:
                for _ in range(2):
                    reply = await bench.get()
                    assert (reply.status, await reply.read()) == (407, b"no")

    async def test_t86_bytes_after_connect(self, kit: Kit, certificates: Certificates) -> None:
        """T-86: bytes that follow the head of the answer to CONNECT are an error.

        Source: RFC 9110 section 9.3.6.
        """
        with kit.proxy(refuse(ESTABLISHED + b"HTTP/1.1 200 OK\r\n"), tunnel) as proxy:
            async with kit.bench(
                say(ok(b"next")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(),
            ) as bench:
                with pytest.raises((ConnectError, ProtocolError)) as broken:
                    await bench.get()
                assert broken.value.may_have_arrived is False
                assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n"], ids=["no byte", "half"])
    async def test_t87_silent_connect(
        self, kit: Kit, certificates: Certificates, answer: bytes
    ) -> None:
        """T-87: a proxy that does not answer CONNECT ends with the limit of connecting.

        Source: seam, promise 6.
        """
        with kit.proxy(refuse(answer), tunnel) as proxy:
            async with kit.bench(
                say(ok(b"next")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(),
            ) as bench:
                with pytest.raises(TransportTimeout) as expired:
                    await bench.get(timeout=limited(connect_s=SOON_S))
                assert (expired.value.phase, expired.value.may_have_arrived) == ("connect", False)
                assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "answer",
        [b"", ESTABLISHED[:-4], b"SSH-2.0-x\r\n\r\n", ESTABLISHED[:-2] + b"X: " + b"y" * 200_000],
        ids=["hangs up", "within the head", "another protocol", "endless head"],
    )  # fmt: skip
    async def test_t88_broken_connect(
        self, kit: Kit, certificates: Certificates, answer: bytes
    ) -> None:
        """T-88: a proxy that breaks off or speaks nonsense is an error; nothing arrived.

        Source: seam, promise 5.
        """
        with kit.proxy(say(answer), tunnel) as proxy:
            async with kit.bench(
                say(ok(b"next")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(),
            ) as bench:
                with pytest.raises(TransportError) as broken:
                    await bench.get()
                assert broken.value.may_have_arrived is False
                assert await (await bench.get()).read() == b"next"

    async def test_t89_connect_to_an_ipv6_literal(
        self, kit: Kit, certificates: Certificates
    ) -> None:
        """T-89: CONNECT names an IPv6 literal in brackets.

        Source: RFC 9110 section 7.2.
        """
        with kit.proxy(refuse(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")) as proxy:
            async with kit.bench(
                say(ok()), trust=certificates.trusting, proxy=proxy.url()
            ) as bench:
                with pytest.raises(ConnectError):
                    await bench.subject.send(Request(method="GET", url="https://[::1]:8443/"))
                [connect] = proxy.requests
                assert connect.line == "CONNECT [::1]:8443 HTTP/1.1"
                assert connect.values("host") == ["[::1]:8443"]

    async def test_t90_kept_tunnel(self, kit: Kit, certificates: Certificates) -> None:
        """T-90: a tunnel is kept and used again, like any connection.

        Source: RFC 9112 section 9.3.
        """
        with kit.proxy(tunnel) as proxy:
            async with kit.bench(
                say_always(ok(b"body")),
                tls=certificates.server,
                trust=certificates.trusting,
                proxy=proxy.url(),
            ) as bench:
                for _ in range(3):
                    assert await (await bench.get()).read() == b"body"
                assert (proxy.n_connections, len(proxy.requests)) == (1, 1)
                assert len(bench.server.requests) == 3

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_t91_proxy_unreachable(
        self, kit: Kit, certificates: Certificates, scheme: str
    ) -> None:
        """T-91: a proxy that cannot be reached is an error of connecting that names the proxy.

        Source: seam, promise 5.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with kit.bench(
            say(ok()), trust=certificates.trusting, proxy=f"http://{USER}127.0.0.1:{port}"
        ) as bench:
            request = Request(method="GET", url=f"{scheme}://origin.invalid/")
            with pytest.raises(ConnectError, match=f"127.0.0.1:{port}") as refused:
                await bench.subject.send(request)
            assert refused.value.may_have_arrived is False
            assert "p@ss" not in str(refused.value)
            assert "p%40ss" not in str(refused.value)

    @pytest.mark.parametrize("secure", [False, True], ids=["forward", "CONNECT"])
    async def test_t92_proxy_over_tls(
        self, kit: Kit, certificates: Certificates, secure: bool
    ) -> None:
        """T-92: a proxy with an https URL is spoken to over TLS, also to reach an https origin.

        Source: RFC 9110 section 9.3.6.
        """
        body = b"x" * 300_000
        script = tunnel if secure else say_always(ok(body))
        with kit.proxy(script, tls=certificates.server) as proxy:
            async with kit.bench(
                say_always(ok(body)),
                tls=certificates.server if secure else None,
                trust=certificates.trusting,
                proxy=proxy.url(user=USER),
            ) as bench:
                for _ in range(2):
                    assert await (await bench.get()).read() == body
                assert proxy.n_connections == 1
                assert proxy.requests[0].values("proxy-authorization") == [CREDENTIALS]

    async def test_t93_certificate_of_the_proxy(self, kit: Kit, certificates: Certificates) -> None:
        """T-93: a proxy over TLS has to prove its name too, before it is told anything.

        Source: RFC 9110 section 4.3.4.
        """
        with kit.proxy(forward, tls=certificates.elsewhere) as proxy:
            async with kit.bench(
                say(ok()), trust=certificates.trusting, proxy=proxy.url(user=USER)
            ) as bench:
                with pytest.raises(ConnectError, match="certificate") as refused:
                    await bench.get()
                assert refused.value.may_have_arrived is False
                assert proxy.requests == []

    async def test_t94_lost_behind_a_proxy(self, kit: Kit) -> None:
        """T-94: a request that a proxy took and did not answer may have arrived.

        Source: seam, promise 5.
        """
        with kit.proxy(say(), silent) as proxy:
            async with kit.bench(say(ok()), proxy=proxy.url()) as bench:
                with pytest.raises(ConnectionLost) as lost:
                    # Sooner than the proxy hangs up: one that asks twice must not meet that.
                    await bench.get(timeout=bounded(kit.patience_s / 2))
                assert lost.value.may_have_arrived is True
                with pytest.raises(TransportTimeout) as expired:
                    await bench.get(timeout=limited(read_s=SOON_S))
                assert (expired.value.phase, expired.value.may_have_arrived) == ("read", True)
