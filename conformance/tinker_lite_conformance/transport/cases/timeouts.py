"""T-60 to T-66: every wait has a limit of its own, and the error names it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from tinker_lite.errors import TransportTimeout
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.capabilities import needs

from .framing import say

if TYPE_CHECKING:
    from tinker_lite.http import Timeout
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["TimeoutCases"]

SOON_S = 0.2  # long enough for loopback; that it runs out is what the cases are about


def limited(**limits_s: float) -> Timeout:
    """The kit's own limits, some of them replaced."""
    return msgspec.structs.replace(BOUNDED, **limits_s)


def silent(peer: Peer) -> None:
    """Take the request and say nothing."""
    peer.request()
    peer.wait_for_end()


class TimeoutCases:
    """Limits by phase."""

    @needs("phase_limits")
    async def test_t60_no_answer(self, kit: Kit) -> None:
        """T-60: no byte of an answer within the read limit ends the wait.

        Source: seam, promise 6.
        """
        async with kit.bench(silent, say(ok(b"next"))) as bench:
            with pytest.raises(TransportTimeout) as expired:
                await bench.get(timeout=limited(read_s=SOON_S))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("read", True)
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ],
        ids=["length", "chunked", "until close"],
    )
    @needs("phase_limits")
    async def test_t61_stalled_body(self, kit: Kit, head: bytes) -> None:
        """T-61: a body that stalls for the read limit ends in an error.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head)
            peer.wait_for_end()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            reply = await bench.get(timeout=limited(read_s=SOON_S))
            with pytest.raises(TransportTimeout) as expired:
                await reply.read()
            assert (expired.value.phase, expired.value.may_have_arrived) == ("read", True)
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("within", ["head", "body"])
    @needs("total_limit")
    async def test_t62_total(self, kit: Kit, within: str) -> None:
        """T-62: the total limit also ends an exchange that trickles on.

        Source: seam, promise 6.
        """
        over = threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\n")
            if within == "body":
                peer.send(b"Content-Length: 1000000\r\n\r\n")
            for _ in range(int(peer.server.patience_s / 0.01)):
                if over.wait(0.01):
                    return
                peer.send(b"x" if within == "body" else b"X: y\r\n")

        async with kit.bench(script, say(ok(b"next"))) as bench:
            with pytest.raises(TransportTimeout) as expired:
                await (await bench.get(timeout=limited(total_s=SOON_S))).read()
            over.set()
            assert expired.value.phase == "total"
            assert await (await bench.get()).read() == b"next"

    @needs("phase_limits", "streams_uploads")
    async def test_t63_stalled_upload(self, kit: Kit) -> None:
        """T-63: a peer that takes no more bytes ends the sending; it cannot have it whole.

        Source: seam, promise 6.
        """
        over = threading.Event()

        def script(peer: Peer) -> None:
            peer.head()
            assert peer.wait(over)

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 1_000_000 for _ in range(100))
            with pytest.raises(TransportTimeout) as expired:
                await bench.subject.send(
                    bench.request("POST", body=body, timeout=limited(write_s=SOON_S))
                )
            over.set()
            assert (expired.value.phase, expired.value.may_have_arrived) == ("write", False)
            assert await (await bench.get()).read() == b"next"

    @needs("bounded_pool")
    async def test_t64_no_slot(self, kit: Kit) -> None:
        """T-64: waiting for a slot has its own limit, and gives no slot away.

        Source: seam, promise 6.
        """
        held, tried = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            held.set()
            assert peer.wait(tried)
            peer.send(ok(b"held", "Connection: close"))

        async with kit.bench(script, say(ok(b"next")), max_connections=1) as bench:

            async def hold() -> None:
                assert await (await bench.get()).read() == b"held"

            async def ask() -> None:
                assert await bench.subject.wait(held)
                with pytest.raises(TransportTimeout) as expired:
                    await bench.get(timeout=limited(pool_s=SOON_S))
                assert (expired.value.phase, expired.value.may_have_arrived) == ("pool", False)
                tried.set()

            await bench.subject.together([hold, ask])
            assert await (await bench.get()).read() == b"next"

    @needs("phase_limits", "tls_limit")
    async def test_t65_silent_handshake(self, kit: Kit) -> None:
        """T-65: the TLS handshake has its own limit; nothing arrived.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            peer.wait_for_end()

        async with kit.bench(script, mute_tls=True) as bench:
            with pytest.raises(TransportTimeout) as expired:
                await bench.get(timeout=limited(tls_s=SOON_S))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("tls", False)

    async def test_t66_slow_caller(self, kit: Kit) -> None:
        """T-66: the read limit counts the peer's silence, not the caller's.

        Source: seam, promise 6.
        """
        async with kit.bench(say(ok(b"x" * 1000))) as bench:
            reply = await bench.get(timeout=limited(read_s=SOON_S))
            await bench.subject.wait(threading.Event(), 2 * SOON_S)
            assert len(await reply.read()) == 1000
