"""T-40 to T-57: how connections are used, shared and lost."""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    TransportClosed,
    TransportError,
    TruncatedBody,
)
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .framing import say, say_always

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["ConnectionCases"]


class ConnectionCases:
    """Connections and what becomes of them."""

    async def test_t40_keep_alive(self, kit: Kit) -> None:
        """T-40: requests one after the other share a connection.

        Source: RFC 9112 section 9.3.
        """
        async with kit.bench(say_always(ok(b"x" * 300_000))) as bench:
            for _ in range(5):
                assert len(await (await bench.get()).read()) == 300_000
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize(
        "answer",
        [
            ok(b"a", "Connection: close"),
            ok(b"a", "Connection: X, Close"),
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
        ],
        ids=["close", "in a list", "HTTP/1.0"],
    )
    async def test_t41_not_persistent(self, kit: Kit, answer: bytes) -> None:
        """T-41: a connection that the answer ends is not used again.

        Source: RFC 9112 section 9.3.
        """
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"a"
            assert bench.server.n_connections == 2

    @needs("watches_idle")
    async def test_t42_closed_while_idle(self, kit: Kit) -> None:
        """T-42: a connection closed by the peer while idle is replaced unseen.

        Source: RFC 9112 section 9.5.
        """
        gone = threading.Event()

        def once(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"first"))
            peer.close()
            gone.set()

        async with kit.bench(once, say(ok(b"second"))) as bench:
            assert await (await bench.get()).read() == b"first"
            assert await bench.subject.wait(gone)
            assert await (await bench.get()).read() == b"second"

    @needs("watches_idle")
    async def test_t43_bytes_while_idle(self, kit: Kit) -> None:
        """T-43: a connection on which bytes came while idle is not used again.

        Source: RFC 9112 section 9.2.
        """
        said = threading.Event()
        may_say = threading.Event()

        def chatty(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"first"))
            assert peer.wait(may_say)
            peer.send(ok(b"nobody asked"))
            said.set()
            peer.wait_for_end()

        async with kit.bench(chatty, say(ok(b"second"))) as bench:
            assert await (await bench.get()).read() == b"first"
            may_say.set()
            assert await bench.subject.wait(said)
            assert await (await bench.get()).read() == b"second"

    @needs("reports_reuse")
    async def test_t44_lost_on_reuse(self, kit: Kit) -> None:
        """T-44: a kept connection lost under a request is reported, nothing is repeated.

        Source: seam, promise 3.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"first"))
            peer.request()

        async with kit.bench(script) as bench:
            assert await (await bench.get()).read() == b"first"
            with pytest.raises(ConnectionLost) as lost:
                await bench.get("/second")
            assert (lost.value.reused_connection, lost.value.may_have_arrived) == (True, True)
            lines = [request.line for request in bench.server.requests]
            assert lines == ["GET / HTTP/1.1", "GET /second HTTP/1.1"]

    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    async def test_t45_lost_before_an_answer(self, kit: Kit, reset: bool) -> None:
        """T-45: no answer on a new connection is a loss that may have arrived.

        Source: seam, promise 5.
        """

        def script(peer: Peer) -> None:
            peer.request()
            if reset:
                peer.reset()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            with pytest.raises(ConnectionLost) as lost:
                await bench.get()
            assert (lost.value.reused_connection, lost.value.may_have_arrived) == (False, True)
            assert await (await bench.get()).read() == b"next"

    async def test_t46_refused(self, kit: Kit) -> None:
        """T-46: a refused connection is an error of connecting; nothing arrived.

        Source: seam, promise 5.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with kit.bench(say(ok(b"next"))) as bench:
            with pytest.raises(ConnectError) as refused:
                await bench.subject.send(Request(method="GET", url=f"http://127.0.0.1:{port}/"))
            assert refused.value.may_have_arrived is False
            assert await (await bench.get()).read() == b"next"

    async def test_t47_unknown_host(self, kit: Kit) -> None:
        """T-47: a host name without address is an error of connecting; nothing arrived.

        Source: RFC 2606 section 2.
        """
        async with kit.bench(say(ok())) as bench:
            with pytest.raises(ConnectError) as unknown:
                await bench.subject.send(Request(method="GET", url="http://nowhere.invalid/"))
            assert unknown.value.may_have_arrived is False

    async def test_t48_many_at_once(self, kit: Kit) -> None:
        """T-48: many requests at once get their own answers.

        Source: seam, promise 4.
        """

        def echo(peer: Peer) -> None:
            while received := peer.request():
                peer.send(ok(received.line.encode()))

        async with kit.bench(echo) as bench:

            async def ask(number: int) -> None:
                for turn in range(5):
                    reply = await bench.get(f"/{number}/{turn}")
                    assert await reply.read() == f"GET /{number}/{turn} HTTP/1.1".encode()

            await bench.subject.together([partial(ask, number) for number in range(20)])

    async def test_t49_unbounded_polls(self, kit: Kit) -> None:
        """T-49: without a bound, requests that wait long do not hold up others.

        Source: RFC 9112 section 9.4.
        """
        n_polls = 30
        all_polling = threading.Event()
        release = threading.Event()

        def script(peer: Peer) -> None:
            received = peer.request()
            assert received is not None
            if received.line.startswith("GET /poll"):
                if len(peer.server.requests) == n_polls:
                    all_polling.set()
                assert peer.wait(release), "the request behind the polls did not get through"
            peer.send(ok(received.line.encode()))

        async with kit.bench(script) as bench:

            async def poll() -> None:
                assert await (await bench.get("/poll")).read() == b"GET /poll HTTP/1.1"

            async def ask() -> None:
                assert await bench.subject.wait(all_polling), "the polls hold up each other"
                assert await (await bench.get("/now")).read() == b"GET /now HTTP/1.1"
                release.set()

            await bench.subject.together([*([poll] * n_polls), ask])

    @needs("bounded_pool")
    async def test_t50_bound(self, kit: Kit) -> None:
        """T-50: with a bound, no more connections are open than it says, and all get their turn.

        Source: seam, promise 6.
        """
        async with kit.bench(say_always(ok(b"x")), max_connections=2) as bench:

            async def ask() -> None:
                assert await (await bench.get()).read() == b"x"

            await bench.subject.together([ask] * 20)
            assert bench.server.n_connections <= 2

    @needs("early_answers")
    async def test_t51_early_answer(self, kit: Kit) -> None:
        """T-51: an answer that comes while a large body is being sent is read.

        Source: RFC 9112 section 9.5.
        """

        def script(peer: Peer) -> None:
            peer.head()
            peer.read(1000)
            peer.send(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhuge"
            )
            peer.half_close()
            peer.wait_for_end()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(1000))
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert (reply.status, await reply.read()) == (413, b"huge")
            assert await (await bench.get()).read() == b"next"

    @needs("early_answers")
    async def test_t52_no_reuse_after_an_early_answer(self, kit: Kit) -> None:
        """T-52: a connection whose request was not sent whole is not used again.

        Source: RFC 9112 section 9.3.
        """

        def script(peer: Peer) -> None:
            peer.head()
            peer.send(ok(b"enough"))
            peer.wait_for_end()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(1000))
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert await reply.read() == b"enough"
            assert await (await bench.get()).read() == b"next"

    @needs("reports_reuse")
    async def test_t53_lost_while_sending(self, kit: Kit) -> None:
        """T-53: a peer that goes away during an upload cannot have got it whole.

        Source: seam, promise 5.
        """

        def script(peer: Peer) -> None:
            peer.head()
            peer.reset()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(1000))
            with pytest.raises(ConnectionLost) as lost:
                await bench.subject.send(bench.request("POST", body=body))
            assert lost.value.may_have_arrived is False
            assert await (await bench.get()).read() == b"next"

    @needs("streams_uploads")
    async def test_t54_error_of_the_body(self, kit: Kit) -> None:
        """T-54: what the caller's own body raises reaches the caller, and the transport goes on.

        Source: seam, promise 7.
        """

        def blocks() -> Iterator[bytes]:
            yield b"one"
            message = "no second block"
            raise LookupError(message)

        async with kit.bench(say(ok(b"never")), say(ok(b"next"))) as bench:
            body = bench.subject.body(blocks())
            with pytest.raises(LookupError, match="no second block"):
                await bench.subject.send(bench.request("POST", body=body))
            assert await (await bench.get()).read() == b"next"

    async def test_t55_closed_transport(self, kit: Kit) -> None:
        """T-55: a closed transport refuses requests.

        Source: seam, promise 7.
        """
        async with kit.bench(say_always(ok())) as bench:
            await (await bench.get()).read()
            await bench.subject.close()
            with pytest.raises(TransportClosed) as refused:
                await bench.get()
            assert refused.value.may_have_arrived is False

    @needs("closes_running")
    async def test_t56_closed_under_a_request(self, kit: Kit) -> None:
        """T-56: closing the transport ends requests under way.

        Source: seam, Transport.close.
        """
        arrived = threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            arrived.set()
            peer.wait_for_end()

        async with kit.bench(script) as bench:

            async def ask() -> None:
                with pytest.raises(TransportClosed):
                    await bench.get()

            async def close() -> None:
                assert await bench.subject.wait(arrived)
                await bench.subject.close()

            await bench.subject.together([ask, close])

    @needs("bounded_pool")
    async def test_t57_slots_after_failures(self, kit: Kit) -> None:
        """T-57: no failure, and no response left unread and closed, costs a slot.

        Source: seam, promise 7.
        """
        scripts = [
            say(),
            say(b"nonsense\r\n\r\n"),
            say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
            say_always(ok(b"x" * 1_000_000)),
            say_always(ok(b"good")),
        ]
        async with kit.bench(*scripts, max_connections=1) as bench:
            for _ in range(2):
                with pytest.raises(TransportError):
                    await bench.get()
            with pytest.raises(TruncatedBody):
                await (await bench.get()).read()
            await (await bench.get()).close()
            assert await (await bench.get()).read() == b"good"
