"""T-98 and T-99: versions of HTTP and of IP."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import TransportError
from tinker_lite_conformance.transport.capabilities import needs
from tinker_lite_conformance.transport.peer import Peer, ok

from .framing import say_always

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit
    from tinker_lite_conformance.transport.certificates import Certificates

__all__ = ["NegotiationCases"]


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class NegotiationCases:
    """What is agreed on, or named, before the first request."""

    @needs("http2")
    async def test_t98_http2_offered(self, kit: Kit, certificates: Certificates) -> None:
        """T-98: HTTP/2 is offered by ALPN, and HTTP/1.1 is spoken where that is chosen.

        Source: RFC 9113 section 3.2.
        """
        chosen: list[str | None] = []

        def note(peer: Peer) -> None:
            chosen.append(peer.protocol)

        async with kit.bench(note, tls=certificates.http2, trust=certificates.trusting) as bench:
            with pytest.raises(TransportError):
                await bench.get()
        assert chosen == ["h2"]
        async with kit.bench(
            say_always(ok(b"body")), tls=certificates.http1, trust=certificates.trusting
        ) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"body"

    @pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
    async def test_t99_ipv6_literal(self, kit: Kit, certificates: Certificates) -> None:
        """T-99: an IPv6 literal is connected to, checked against the certificate, sent in brackets.

        Source: RFC 9110 section 7.2.
        """
        for tls in (None, certificates.server):
            async with kit.bench(
                say_always(ok(b"body")), tls=tls, trust=certificates.trusting, listen="::1"
            ) as bench:
                assert await (await bench.get()).read() == b"body"
                [received] = bench.server.requests
                assert received.values("host") == [f"[::1]:{bench.server.port}"]
