"""T-70 to T-76: TLS keeps its promises, and HTTP keeps them where servers end TLS carelessly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import ConnectError, TruncatedBody
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .framing import say, say_always

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit
    from tinker_lite_conformance.transport.certificates import Certificates

__all__ = ["TLSCases"]


class TLSCases:
    """The cases over TLS."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    async def test_t70_round_trip(self, kit: Kit, certificates: Certificates, host: str) -> None:
        """T-70: bodies go both ways over one TLS connection.

        Source: RFC 9110 section 4.2.2.
        """

        def echo(peer: Peer) -> None:
            while received := peer.request():
                peer.send(ok(received.body))

        async with kit.bench(echo, tls=certificates.server, trust=certificates.trusting) as bench:
            for body in (b"small", b"large" * 200_000, b"small"):
                reply = await bench.subject.send(bench.request("POST", host=host, body=body))
                assert await reply.read() == body
            assert bench.server.n_connections == 1

    async def test_t71_unknown_authority(self, kit: Kit, certificates: Certificates) -> None:
        """T-71: a certificate of an unknown authority is refused; nothing arrived.

        Source: RFC 9110 section 4.3.4.
        """
        async with kit.bench(say(ok()), tls=certificates.server, trust=certificates.wary) as bench:
            with pytest.raises(ConnectError, match="certificate") as refused:
                await bench.get()
            assert refused.value.may_have_arrived is False
            assert bench.server.requests == []

    async def test_t72_wrong_host(self, kit: Kit, certificates: Certificates) -> None:
        """T-72: a certificate for another host is refused; nothing arrived.

        Source: RFC 9110 section 4.3.4.
        """
        async with kit.bench(
            say(ok()), tls=certificates.elsewhere, trust=certificates.trusting
        ) as bench:
            with pytest.raises(ConnectError, match="certificate") as refused:
                await bench.get()
            assert refused.value.may_have_arrived is False
            assert bench.server.requests == []

    async def test_t73_no_farewell_after_a_whole_body(
        self, kit: Kit, certificates: Certificates
    ) -> None:
        """T-73: a body that is whole needs no orderly end of TLS.

        Source: RFC 9112 section 9.8.
        """
        async with kit.bench(
            say(ok(b"whole", "Connection: close")),
            tls=certificates.server,
            trust=certificates.trusting,
        ) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"whole"

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ],
        ids=["length", "chunked", "until close"],
    )
    @needs("checked_tls_end")
    async def test_t74_cut(self, kit: Kit, certificates: Certificates, head: bytes) -> None:
        """T-74: a TLS connection cut within a body is an error, however it is framed.

        Source: RFC 9112 section 9.8.
        """
        async with kit.bench(
            say(head + b"short"), tls=certificates.server, trust=certificates.trusting
        ) as bench:
            reply = await bench.get()
            assert await reply.next() == b"short"
            with pytest.raises(TruncatedBody):
                await reply.next()

    async def test_t75_farewell(self, kit: Kit, certificates: Certificates) -> None:
        """T-75: an orderly end of TLS ends a body without framing.

        Source: RFC 9112 section 9.8.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n", b"to the end")
            peer.say_goodbye()

        async with kit.bench(script, tls=certificates.server, trust=certificates.trusting) as bench:
            assert await (await bench.get()).read() == b"to the end"

    @needs("early_answers")
    async def test_t76_early_answer(self, kit: Kit, certificates: Certificates) -> None:
        """T-76: over TLS too, an answer to half an upload is read.

        Source: RFC 9112 section 9.5.
        """

        def script(peer: Peer) -> None:
            peer.head()
            peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nhuge")
            peer.half_close()
            peer.wait_for_end()

        async with kit.bench(
            script, say_always(ok(b"next")), tls=certificates.server, trust=certificates.trusting
        ) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(200))
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert (reply.status, await reply.read()) == (413, b"huge")
            assert await (await bench.get()).read() == b"next"
