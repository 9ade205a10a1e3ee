"""T-167 to T-178: each limit for its own wait, none for anything else."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import TransportTimeout
from tinker_lite.http import Request, Timeout
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .bodies import MIB
from .framing import say, say_always
from .heads import head_of
from .timeouts import SOON_S, limited, silent

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tinker_lite_conformance.transport.adversary import Script
    from tinker_lite_conformance.transport.bench import Kit
    from tinker_lite_conformance.transport.certificates import Certificates

__all__ = ["LimitCases"]

ENOUGH_S = 0.4  # a limit that must not run out while something happens every STEP_S
STEP_S = 0.05


def pass_time(seconds: float) -> None:
    """Let time go by that a limit must, or must not, count."""
    threading.Event().wait(seconds)


def stalled_body(peer: Peer) -> None:
    """Send a head, then nothing."""
    peer.request()
    peer.send(head_of("Content-Length: 9"))
    peer.wait_for_end()


@contextmanager
def unanswered_port() -> Generator[int]:
    """A port where attempts to connect are neither accepted nor refused: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        is_full = False
        for _ in range(16):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(SOON_S)
            try:
                caller.connect(listener.getsockname())
            except OSError:
                is_full = True
                break
        if not is_full:
            pytest.skip("this system accepts connections past a full backlog")
        yield listener.getsockname()[1]


class LimitCases:
    """Limits by phase, and the total in each phase."""

    @needs("phase_limits", "total_limit")
    @pytest.mark.parametrize("phase", ["connect", "total"])
    async def test_t167_connecting(self, kit: Kit, phase: str) -> None:
        """T-167: an attempt to connect that nobody answers ends by its limit; nothing arrived.

        Source: seam, promise 6.
        """
        timeout = limited(**{f"{phase}_s": SOON_S})
        with unanswered_port() as port:
            async with kit.bench(say(ok(b"next")), max_connections=1) as bench:
                url = f"http://127.0.0.1:{port}/"
                for _ in range(2):
                    with pytest.raises(TransportTimeout) as expired:
                        await bench.subject.send(Request(method="GET", url=url, timeout=timeout))
                    assert (expired.value.phase, expired.value.may_have_arrived) == (phase, False)
                assert await (await bench.get()).read() == b"next"

    @needs("phase_limits", "total_limit")
    @pytest.mark.parametrize("phase", ["tls", "total"])
    async def test_t168_handshakes(self, kit: Kit, phase: str) -> None:
        """T-168: a silent TLS handshake ends by its limit or the total, and gives its slot back.

        Source: seam, promises 6 and 7.
        """
        timeout = limited(**{f"{phase}_s": SOON_S})

        def script(peer: Peer) -> None:
            peer.wait_for_end()

        async with kit.bench(script, mute_tls=True, max_connections=1) as bench:
            for _ in range(2):
                with pytest.raises(TransportTimeout) as expired:
                    await bench.get(timeout=timeout)
                assert (expired.value.phase, expired.value.may_have_arrived) == (phase, False)

    @needs("bounded_pool", "total_limit")
    async def test_t169_total_in_the_queue(self, kit: Kit) -> None:
        """T-169: the total counts the wait for a slot; nothing arrived.

        Source: seam, promise 6.
        """
        may_end = threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head_of("Content-Length: 4"))
            assert peer.wait(may_end)
            peer.send(b"held")
            say_always(ok(b"next"))(peer)

        async with kit.bench(script, max_connections=1) as bench:
            held = await bench.get()
            with pytest.raises(TransportTimeout) as expired:
                await bench.get(timeout=limited(total_s=SOON_S))
            assert (expired.value.phase, expired.value.may_have_arrived) == ("total", False)
            may_end.set()
            assert await held.read() == b"held"
            assert await (await bench.get()).read() == b"next"

    @needs("total_limit")
    @pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "blocks"])
    async def test_t170_total_in_an_upload(self, kit: Kit, streamed: bool) -> None:
        """T-170: the total ends an upload that the peer does not take; it cannot have it whole.

        Source: seam, promise 6.
        """
        is_over = threading.Event()

        def script(peer: Peer) -> None:
            peer.head()
            assert peer.wait(is_over)

        async with kit.bench(script, say(ok(b"next"))) as bench:
            blocks = bench.subject.body(b"x" * MIB for _ in range(64))
            request = bench.request(
                "POST", body=blocks if streamed else b"x" * 64 * MIB,
                timeout=limited(total_s=SOON_S),
            )  # fmt: skip
            with pytest.raises(TransportTimeout) as expired:
                await bench.subject.send(request)
            is_over.set()
            assert (expired.value.phase, expired.value.may_have_arrived) == ("total", False)
            assert await (await bench.get()).read() == b"next"

    @needs("total_limit")
    @pytest.mark.parametrize("script", [silent, stalled_body], ids=["head", "body"])
    async def test_t171_total_in_silence(self, kit: Kit, script: Script) -> None:
        """T-171: the total ends a silence that the read limit would allow.

        Source: seam, promise 6.
        """
        async with kit.bench(script, say(ok(b"next"))) as bench:
            with pytest.raises(TransportTimeout) as expired:
                await (await bench.get(timeout=limited(total_s=SOON_S))).read()
            assert (expired.value.phase, expired.value.may_have_arrived) == ("total", True)
            assert await (await bench.get()).read() == b"next"

    async def test_t172_limits_of_one_request(self, kit: Kit) -> None:
        """T-172: the limits of a request end with it, and its successor's own hold.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            while received := peer.request():
                if received.line.startswith("GET /slow"):
                    pass_time(1.5 * ENOUGH_S)
                if received.line.startswith("GET /never"):
                    peer.wait_for_end()
                peer.send(ok(b"a"))

        async with kit.bench(script) as bench:
            short = limited(read_s=ENOUGH_S, write_s=ENOUGH_S, total_s=ENOUGH_S)
            assert await (await bench.get("/", timeout=short)).read() == b"a"
            assert await (await bench.get("/slow")).read() == b"a"
            with pytest.raises(TransportTimeout) as expired:
                await bench.get("/never", timeout=limited(read_s=SOON_S))
            assert expired.value.may_have_arrived is True
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
    async def test_t173_no_limits(self, kit: Kit, certificates: Certificates, tls: bool) -> None:
        """T-173: without any limit a request goes through.

        Source: seam, promise 6.
        """

        def echo(peer: Peer) -> None:
            while received := peer.request():
                peer.send(ok(received.body))

        contexts = (certificates.server, certificates.trusting) if tls else (None, None)
        async with kit.bench(echo, tls=contexts[0], trust=contexts[1], max_connections=1) as bench:
            for blocks in ([b"one"], [b"x" * MIB] * 4):
                body = bench.subject.body(blocks)
                request = bench.request("POST", body=body, timeout=Timeout.of(None))
                reply = await bench.subject.send(request)
                assert await reply.read() == b"".join(blocks)

    @needs("interim_answers", "phase_limits")
    @pytest.mark.parametrize(
        ("start", "step", "end"),
        [
            (head_of("Content-Length: 12"), b"x", b""),
            (b"", b"HTTP/1.1 102 Processing\r\n\r\n", ok(b"x" * 12)),
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", b"Content-Length: 12\r\n\r\n" + b"x" * 12),
        ],
        ids=["body", "interim answers", "head"],
    )
    async def test_t174_silence_not_sum(
        self, kit: Kit, start: bytes, step: bytes, end: bytes
    ) -> None:
        """T-174: the read limit is for silence: any bytes begin it anew.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(start)
            for _ in range(12):
                pass_time(STEP_S)
                peer.send(step)
            peer.send(end)

        async with kit.bench(script) as bench:
            reply = await bench.get(timeout=limited(read_s=ENOUGH_S))
            assert await reply.read() == b"x" * 12

    @needs("phase_limits")
    @pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "blocks"])
    async def test_t175_progress_not_sum(self, kit: Kit, streamed: bool) -> None:
        """T-175: the write limit is for standstill: a peer that takes bytes slowly may go on.

        Source: seam, promise 6.
        """
        n_parts = 24

        def script(peer: Peer) -> None:
            peer.head()
            for _ in range(n_parts):
                assert len(peer.read(MIB)) == MIB
                pass_time(STEP_S)
            peer.send(ok(b"all"))

        async with kit.bench(script) as bench:
            blocks = bench.subject.body(b"x" * MIB for _ in range(n_parts))
            request = bench.request(
                "POST",
                headers=[("Content-Length", str(n_parts * MIB))],
                body=blocks if streamed else b"x" * n_parts * MIB,
                timeout=limited(write_s=ENOUGH_S),
            )
            assert await (await bench.subject.send(request)).read() == b"all"

    @needs("phase_limits", "streams_uploads")
    async def test_t176_slow_blocks(self, kit: Kit) -> None:
        """T-176: neither the write nor the read limit counts the caller's own slowness.

        Source: seam, promise 6.
        """

        def blocks() -> Iterator[bytes]:
            for _ in range(3):
                yield b"block"
                pass_time(1.5 * SOON_S)

        async with kit.bench(say_always(ok(b"all"))) as bench:
            timeout = limited(write_s=SOON_S, read_s=SOON_S)
            body = bench.subject.body(blocks())
            reply = await bench.subject.send(bench.request("POST", body=body, timeout=timeout))
            assert await reply.read() == b"all"
            assert bench.server.requests[0].body == b"block" * 3

    @needs("phase_limits", "total_limit")
    @pytest.mark.parametrize("phase", ["pool", "connect", "tls", "write", "read", "total"])
    async def test_t177_next_to_no_time(
        self, kit: Kit, certificates: Certificates, phase: str
    ) -> None:
        """T-177: a limit of next to nothing is kept or runs out by its name, and nothing else.

        Source: seam, promises 5 and 6.
        """
        async with kit.bench(
            say_always(ok(b"a")),
            tls=certificates.server,
            trust=certificates.trusting,
            max_connections=1,
        ) as bench:
            for seconds in (1e-3, 1e-6, 1e-9):
                try:
                    reply = await bench.get(timeout=limited(**{f"{phase}_s": seconds}))
                    assert await reply.read() == b"a"
                except TransportTimeout as expired:
                    assert expired.phase == phase  # noqa: PT017  # it need not run out
                assert await (await bench.get()).read() == b"a"

    @needs("phase_limits", "bounded_pool")
    async def test_t178_timeouts_cost_no_slot(self, kit: Kit) -> None:
        """T-178: no timeout of any phase costs a slot, and none makes one too many.

        Source: seam, promise 7.
        """
        is_over = threading.Event()

        def stalled_upload(peer: Peer) -> None:
            peer.head()
            assert peer.wait(is_over)

        scripts = silent, stalled_body, stalled_upload, say_always(ok(b"good"))
        async with kit.bench(*scripts, max_connections=1) as bench:
            timeout = limited(read_s=SOON_S, write_s=SOON_S)
            bodies = (b"", b"", b"x" * 64 * MIB)
            for body, phase in zip(bodies, ("read", "read", "write"), strict=True):
                request = bench.request("POST", body=body, timeout=timeout)
                with pytest.raises(TransportTimeout) as expired:
                    await (await bench.subject.send(request)).read()
                assert expired.value.phase == phase
            is_over.set()

            async def ask() -> None:
                assert await (await bench.get()).read() == b"good"

            await bench.subject.together([ask] * 5)
            assert bench.server.n_connections == len(scripts)
