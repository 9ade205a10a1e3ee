"""T-150 to T-166: which connections serve again, and which never do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import (
    ConnectionLost,
    LimitExceeded,
    ProtocolError,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import bounded
from tinker_lite_conformance.transport.capabilities import needs

from .framing import CHUNKED, say, say_always
from .heads import head_of
from .timeouts import SOON_S, limited, silent

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.adversary import Script
    from tinker_lite_conformance.transport.bench import Bench, Kit

__all__ = ["ReuseCases"]

# What a second request may meet on a connection, and the error that it must end in.
FAILURES: dict[str, tuple[bytes, type[TransportError]]] = {
    "closed": (b"", ConnectionLost),
    "cut head": (b"HTTP/1.1 200 OK\r\n", ConnectionLost),
    "cut body": (head_of("Content-Length: 9") + b"short", TruncatedBody),
    "cut chunk": (CHUNKED + b"9\r\nshort", TruncatedBody),
    "garbage": (b"garbage\r\n\r\n", ProtocolError),
    "bad chunk": (CHUNKED + b"x\r\n", ProtocolError),
    "large head": (head_of("X: " + "y" * 70_000), LimitExceeded),
}


def once_and_then(*parts: bytes) -> Script:
    """A script: one good answer, then these bytes to the next request, and the end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(ok(b"good"))
        if peer.request() is not None:
            peer.send(*parts)

    return script


def to_the_end(answer: bytes, hung_up: threading.Event) -> Script:
    """A script: one answer, then keep the connection open until the client ends it."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        if peer.wait_for_end():
            hung_up.set()

    return script


def to(server: Adversary) -> Request:
    """A GET to another server than the bench's."""
    return Request(method="GET", url=server.url(), timeout=bounded(server.patience_s))


async def read(bench: Bench, request: Request) -> bytes:
    """The whole body of an answer."""
    return await (await bench.subject.send(request)).read()


class ReuseCases:
    """Persistence by RFC 9112 section 9."""

    @needs("bounded_heads", "strict_framing")
    @pytest.mark.parametrize(
        "answer",
        [b"garbage\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n", head_of("Content-Length: x"),
         CHUNKED + b"x\r\n", CHUNKED + b"4\r\nbodyXX", head_of("X: " + "y" * 70_000)],
        ids=["garbage", "switch", "length", "chunk size", "chunk end", "large head"],
    )  # fmt: skip
    async def test_t150_failure_hangs_up(self, kit: Kit, answer: bytes) -> None:
        """T-150: a connection whose peer broke the rules is closed at once, not kept or drained.

        Source: RFC 9112 section 9.5.
        """
        hung_up = threading.Event()
        async with kit.bench(to_the_end(answer, hung_up), say(ok(b"next"))) as bench:
            with pytest.raises((ProtocolError, LimitExceeded)):
                await (await bench.get()).read()
            assert await bench.subject.wait(hung_up), "the connection stayed open"
            assert await (await bench.get()).read() == b"next"

    @needs("phase_limits")
    @pytest.mark.parametrize("start", [b"", head_of("Content-Length: 9") + b"sh"])
    async def test_t151_late_answers(self, kit: Kit, start: bytes) -> None:
        """T-151: an answer that comes after its request was given up is nobody's.

        Source: seam, promise 7.
        """
        gave_up, is_late = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(start)
            assert peer.wait(gave_up)
            peer.send(b"ort" if start else b"", ok(b"late"))
            is_late.set()
            peer.wait_for_end()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            with pytest.raises(TransportTimeout):
                await (await bench.get(timeout=limited(read_s=SOON_S))).read()
            gave_up.set()
            assert await bench.subject.wait(is_late)
            assert await (await bench.get()).read() == b"next"

    @needs("reports_reuse", "strict_framing", "bounded_heads")
    @pytest.mark.parametrize("failure", FAILURES)
    async def test_t152_reuse_is_reported(self, kit: Kit, failure: str) -> None:
        """T-152: every error says whether its connection had served before.

        Source: seam, promise 3.
        """
        answer, cls = FAILURES[failure]
        async with kit.bench(say(answer), once_and_then(answer)) as bench:
            for reused in (False, True):
                with pytest.raises(cls) as failed:
                    await (await bench.get()).read()
                assert failed.value.reused_connection is reused
                assert failed.value.may_have_arrived is True
                if not reused:
                    assert await (await bench.get()).read() == b"good"
            assert bench.server.n_connections == 2

    @needs("reports_reuse", "phase_limits")
    async def test_t153_reuse_of_a_silent_connection(self, kit: Kit) -> None:
        """T-153: a timeout too says whether its connection had served before.

        Source: seam, promise 3.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"good"))
            silent(peer)

        async with kit.bench(silent, script) as bench:
            with pytest.raises(TransportTimeout) as first:
                await bench.get(timeout=limited(read_s=SOON_S))
            assert await (await bench.get()).read() == b"good"
            with pytest.raises(TransportTimeout) as second:
                await bench.get(timeout=limited(read_s=SOON_S))
            assert [e.value.reused_connection for e in (first, second)] == [False, True]

    @needs("reports_reuse")
    @pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "blocks"])
    async def test_t154_no_second_post(self, kit: Kit, streamed: bool) -> None:
        """T-154: a POST lost on a kept connection is sent once, and its body taken once.

        Source: RFC 9110 section 9.2.2.
        """
        taken: list[bytes] = []

        def block() -> bytes:
            taken.append(b"body")
            return b"body"

        async with kit.bench(once_and_then(), say_always(ok(b"repeated"))) as bench:
            assert await (await bench.get()).read() == b"good"
            body = bench.subject.body(block() for _ in range(1)) if streamed else b"body"
            with pytest.raises(ConnectionLost) as lost:
                await bench.subject.send(bench.request("POST", body=body))
            assert (lost.value.reused_connection, lost.value.may_have_arrived) == (True, True)
            lines = [received.line for received in bench.server.requests]
            assert lines == ["GET / HTTP/1.1", "POST / HTTP/1.1"]
            assert taken in ([], [b"body"])
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize(
        "lines",
        [["CLOSE"], ["keep-alive, close"], ["keep-alive", "close"], ["close", "keep-alive"],
         [" ,close"], ["x,\tClose ,y"]],
    )  # fmt: skip
    async def test_t155_spellings_of_close(self, kit: Kit, lines: list[str]) -> None:
        """T-155: "close" ends a connection in any case and place, whatever stands beside it.

        Source: RFC 9112 section 9.6.
        """
        answer = ok(b"a", *(f"Connection: {line}" for line in lines))
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"a"
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize("value", ["close", "Close", "x, close"])
    async def test_t156_close_of_the_request(self, kit: Kit, value: str) -> None:
        """T-156: a connection whose request says "close" is not used again, and says so once.

        Source: RFC 9112 section 9.6.
        """
        async with kit.bench(say_always(ok(b"a"))) as bench:
            for _ in range(2):
                request = bench.request(headers=[("Connection", value)])
                assert await read(bench, request) == b"a"
            assert bench.server.n_connections == 2
            assert all(r.values("connection") == [value] for r in bench.server.requests)

    @pytest.mark.parametrize("status", [204, 304])
    async def test_t157_close_without_a_body(self, kit: Kit, status: int) -> None:
        """T-157: "close" counts on an answer without a body too.

        Source: RFC 9112 section 9.6.
        """
        answer = head_of("Connection: close", status_line=f"HTTP/1.1 {status} X")
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b""
            assert bench.server.n_connections == 2

    async def test_t158_keep_alive_in_http_1_0(self, kit: Kit) -> None:
        """T-158: HTTP/1.0 with "keep-alive" may go on or not; its answers stay apart either way.

        Source: RFC 9112 section 9.3.
        """

        def script(peer: Peer) -> None:
            while received := peer.request():
                name = received.line.split()[1].encode()
                peer.send(
                    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n" + name
                )

        async with kit.bench(script) as bench:
            for path in ("/a", "/b", "/c"):
                assert await (await bench.get(path)).read() == path.encode()
            assert bench.server.n_connections in {1, 3}

    @needs("watches_idle")
    @pytest.mark.parametrize("how", ["half-closed", "reset"])
    async def test_t159_ended_while_idle(self, kit: Kit, how: str) -> None:
        """T-159: a connection half-closed or reset while idle is replaced unseen.

        Source: RFC 9112 section 9.5.
        """
        may_end, is_over = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"first"))
            assert peer.wait(may_end)
            if how == "reset":
                peer.reset()
                is_over.set()
            else:
                peer.half_close()
                is_over.set()
                assert peer.wait_for_end(), "the half-closed connection stayed open"

        async with kit.bench(script, say(ok(b"second"))) as bench:
            assert await (await bench.get()).read() == b"first"
            may_end.set()
            assert await bench.subject.wait(is_over)
            reply = await bench.subject.send(bench.request("POST", body=b"body"))
            assert await reply.read() == b"second"
            assert [r.body for r in bench.server.requests] == [b"", b"body"]

    async def test_t160_so_many_and_no_more(self, kit: Kit) -> None:
        """T-160: a server may end a connection after any number of answers.

        Source: RFC 9112 section 9.6.
        """

        def script(peer: Peer) -> None:
            for last in (False, False, True):
                if peer.request() is None:
                    return
                peer.send(ok(b"a", *(["Connection: close"] if last else [])))

        async with kit.bench(script) as bench:
            for _ in range(9):
                assert await (await bench.get()).read() == b"a"
            assert bench.server.n_connections == 3

    async def test_t161_open_answers_keep_their_connection(self, kit: Kit) -> None:
        """T-161: a request does not go out on a connection whose answer is still being read.

        Source: RFC 9112 section 9.3.2.
        """
        may_end = threading.Event()

        def slow(peer: Peer) -> None:
            peer.request()
            peer.send(head_of("Content-Length: 6") + b"one")
            assert peer.wait(may_end)
            peer.send(b"two")
            assert peer.request() is None, "a second request came on the same connection"

        async with kit.bench(slow, say_always(ok(b"other"))) as bench:
            first = await bench.get()
            assert await first.next() == b"one"
            for _ in range(2):
                assert await (await bench.get()).read() == b"other"
            assert bench.server.n_connections == 2
            may_end.set()
            assert (await first.next(), await first.next()) == (b"two", b"")

    async def test_t162_kept_after_the_last_byte(self, kit: Kit) -> None:
        """T-162: an answer read to its end and closed, in either order, keeps its connection.

        Source: RFC 9112 section 9.3.
        """
        async with kit.bench(say_always(CHUNKED + b"4\r\nbody\r\n0\r\n\r\n")) as bench:
            for _ in range(3):
                reply = await bench.get()
                assert await reply.next() == b"body"
                assert await reply.next() == b""
                await reply.close()
            assert bench.server.n_connections == 1

    async def test_t163_all_are_kept(self, kit: Kit) -> None:
        """T-163: connections that served at once all serve again.

        Source: RFC 9112 section 9.4.
        """
        n_calls = 5
        barrier = threading.Barrier(n_calls)

        def script(peer: Peer) -> None:
            while peer.request() is not None:
                barrier.wait(peer.server.patience_s)
                peer.send(ok(b"a"))

        async with kit.bench(script) as bench:

            async def ask() -> None:
                assert await (await bench.get()).read() == b"a"

            for _ in range(3):
                await bench.subject.together([ask] * n_calls)
            assert bench.server.n_connections == n_calls

    async def test_t164_origins_apart(self, kit: Kit) -> None:
        """T-164: two ports are two origins; what ends a connection to one leaves the other's alone.

        Source: RFC 9110 section 4.3.1.
        """
        scripts = say(head_of("Content-Length: 9") + b"short"), say_always(ok(b"one"))
        with Adversary(say_always(ok(b"two"))) as other:
            async with kit.bench(*scripts) as bench:
                assert await read(bench, to(other)) == b"two"
                with pytest.raises(TruncatedBody):
                    await read(bench, bench.request())
                for _ in range(2):
                    assert await read(bench, to(other)) == b"two"
                    assert await read(bench, bench.request()) == b"one"
                assert (other.n_connections, bench.server.n_connections) == (1, 2)
                hosts = [r.values("host") for s in (other, bench.server) for r in s.requests[:1]]
                assert hosts == [[s.url().split("/")[2]] for s in (other, bench.server)]

    @needs("bounded_pool")
    async def test_t165_a_bound_for_each_origin(self, kit: Kit) -> None:
        """T-165: the bound on one origin's connections does not hold up another's.

        Source: seam, promise 6.
        """
        may_end = threading.Event()

        def slow(peer: Peer) -> None:
            peer.request()
            peer.send(head_of("Content-Length: 4"))
            assert peer.wait(may_end)
            peer.send(b"body")

        with Adversary(say_always(ok(b"other"))) as other:
            async with kit.bench(slow, max_connections=1) as bench:
                held = await bench.get()
                for _ in range(2):
                    assert await read(bench, to(other)) == b"other"
                may_end.set()
                assert await held.read() == b"body"

    @needs("bounded_pool")
    async def test_t166_nobody_starves(self, kit: Kit) -> None:
        """T-166: a request that waits for a slot is not passed over again and again.

        Source: seam, promise 6.
        """
        most_turns = 1000
        is_held, once_asks, others_ask, served = (threading.Event() for _ in range(4))

        def script(peer: Peer) -> None:
            while peer.request() is not None:
                is_held.set()
                assert peer.wait(others_ask)
                peer.send(ok(b"a"))

        async with kit.bench(script, max_connections=1) as bench:

            async def again_and_again() -> None:
                for _ in range(most_turns):
                    assert await (await bench.get()).read() == b"a"
                    if served.is_set():
                        return
                pytest.fail(f"the one that waited longest got no turn in {most_turns}")

            async def once() -> None:
                assert await bench.subject.wait(is_held)
                once_asks.set()
                assert await (await bench.get()).read() == b"a"
                served.set()

            async def behind() -> None:
                assert await bench.subject.wait(once_asks)
                others_ask.set()
                await again_and_again()

            await bench.subject.together([again_and_again, once, behind, behind, behind])
            assert bench.server.n_connections == 1
