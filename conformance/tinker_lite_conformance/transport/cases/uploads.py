"""T-179 to T-199: request bodies on their way out."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import ConnectionLost, InvalidRequest, TruncatedBody
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .bodies import MIB
from .framing import say, say_always
from .heads import head_of
from .refusals import RefusalCases
from .sending import answer_all
from .timeouts import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["UploadCases"]


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


class UploadCases(RefusalCases):
    """Bodies and requests as they go out; the cases of those that must not come along."""

    @pytest.mark.parametrize("blocks", [[], [b""], [b"", b"", b""]], ids=len)
    @pytest.mark.parametrize("declared", [False, True], ids=["chunked", "with a length"])
    @needs("streams_uploads")
    async def test_t179_no_bytes(self, kit: Kit, blocks: list[bytes], declared: bool) -> None:
        """T-179: a body without bytes goes out framed, and ends.

        Source: RFC 9112 section 7.1.
        """
        async with kit.bench(answer_all) as bench:
            for _ in range(2):
                headers = [("Content-Length", "0")] if declared else []
                body = bench.subject.body(blocks)
                await (
                    await bench.subject.send(bench.request("PUT", headers=headers, body=body))
                ).read()
            assert bench.server.n_connections == 1
            for received in bench.server.requests:
                assert (received.body, received.whole) == (b"", True)
                assert received.values("content-length") == (["0"] if declared else [])
                assert received.values("transfer-encoding") == ([] if declared else ["chunked"])

    async def test_t180_empty_blocks(self, kit: Kit) -> None:
        """T-180: an empty block is not the end, wherever it stands.

        Source: RFC 9112 section 7.1.
        """
        blocks = [b"", b"one", b"", b"", b"two", b""]
        async with kit.bench(answer_all) as bench:
            for headers in ([], [("Content-Length", "6")]):
                body = bench.subject.body(blocks)
                await (
                    await bench.subject.send(bench.request("PUT", headers=headers, body=body))
                ).read()
            assert [(r.body, r.whole) for r in bench.server.requests] == [(b"onetwo", True)] * 2

    @needs("exact_requests")
    @pytest.mark.parametrize("framing", [("content-LENGTH", "4"), ("transfer-ENCODING", "chunked")])
    @pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "blocks"])
    async def test_t184_own_framing(
        self, kit: Kit, framing: tuple[str, str], streamed: bool
    ) -> None:
        """T-184: the caller's own framing header goes out once, where and as the caller put it.

        Source: seam, promise 8.
        """
        pairs = [("X-A", "1"), framing, ("X-B", "2")]
        async with kit.bench(answer_all) as bench:
            body = bench.subject.body([b"bo", b"dy"]) if streamed else b"body"
            await (await bench.subject.send(bench.request("POST", headers=pairs, body=body))).read()
            [received] = bench.server.requests
            named = {"x-a", "x-b", "content-length", "transfer-encoding"}
            assert [one for one in received.headers if one[0].lower() in named] == pairs
            assert (received.body, received.whole) == (b"body", True)

    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"])
    async def test_t185_no_body(self, kit: Kit, method: str) -> None:
        """T-185: a method that expects a body says that it has none; another one says nothing.

        Source: RFC 9110 section 8.6.
        """
        async with kit.bench(say_always(head_of("Content-Length: 0"))) as bench:
            for _ in range(2):
                await (await bench.subject.send(bench.request(method))).read()
            assert bench.server.n_connections == 1
            expected = ["0"] if method in {"POST", "PUT", "PATCH"} else []
            for received in bench.server.requests:
                assert received.values("content-length") == expected
                assert received.values("transfer-encoding") == []

    @pytest.mark.parametrize("declared", [False, True], ids=["chunked", "with a length"])
    async def test_t186_many_small_blocks(self, kit: Kit, declared: bool) -> None:
        """T-186: a body in very many small blocks arrives whole.

        Source: seam, promise 2.
        """
        blocks = [b"%07d" % number for number in range(10_000)]
        headers = [("Content-Length", "70000")] if declared else []
        async with kit.bench(answer_all) as bench:
            request = bench.request("PUT", headers=headers, body=bench.subject.body(blocks))
            await (await bench.subject.send(request)).read()
            [received] = bench.server.requests
            assert (received.body, received.whole) == (b"".join(blocks), True)

    @needs("streams_uploads")
    async def test_t187_never_held(self, kit: Kit) -> None:
        """T-187: a large body passes through; it is taken only as fast as the server reads.

        Source: seam, promise 2.
        """
        n_blocks, n_ahead = 128, 32  # what the sockets of both sides may hold is less
        n_read = threading.Semaphore(n_ahead)

        def script(peer: Peer) -> None:
            peer.head()
            for _ in range(n_blocks):
                assert peer.read(MIB).count(b"x") == MIB
                n_read.release()
            peer.send(ok(b"thanks"))

        async with kit.bench(script) as bench:

            def blocks() -> Iterator[bytes]:
                for _ in range(n_blocks):
                    assert n_read.acquire(timeout=bench.server.patience_s), "blocks are held back"
                    yield b"x" * MIB

            headers = [("Content-Length", str(n_blocks * MIB))]
            body = bench.subject.body(blocks())
            reply = await bench.subject.send(bench.request("PUT", headers=headers, body=body))
            assert await reply.read() == b"thanks"

    @needs("streams_uploads", "early_answers")
    @pytest.mark.parametrize("status", [100, 102, 103])
    async def test_t188_interim_answer_during_an_upload(self, kit: Kit, status: int) -> None:
        """T-188: an interim answer, asked for or not, does not stop an upload.

        Source: RFC 9110 section 15.2.
        """
        is_sent = threading.Event()
        last = b"3\r\ntwo\r\n0\r\n\r\n"

        def script(peer: Peer) -> None:
            peer.head()
            assert peer.read(len(b"3\r\none\r\n")) == b"3\r\none\r\n"
            peer.send(f"HTTP/1.1 {status} X\r\n\r\n".encode())
            is_sent.set()
            if peer.read(len(last)) == last:
                peer.send(ok(b"thanks"))
            say_always(ok(b"next"))(peer)

        async with kit.bench(script) as bench:

            def blocks() -> Iterator[bytes]:
                yield b"one"
                assert bench.server.wait(is_sent), "the first block did not reach the server"
                yield b"two"

            body = bench.subject.body(blocks())
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert (reply.status, await reply.read()) == (200, b"thanks")
            assert await (await bench.get()).read() == b"next"
            assert bench.server.n_connections == 1

    async def test_t189_refusal_and_hang_up(self, kit: Kit) -> None:
        """T-189: a server that refuses an upload and hangs up is heard, or lost; nothing else.

        Source: RFC 9112 section 9.6.
        """

        def script(peer: Peer) -> None:
            peer.head()
            peer.send(head_of("Content-Length: 4", "Connection: close",
                              status_line="HTTP/1.1 413 Too Large") + b"huge")  # fmt: skip

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(1000))
            try:
                reply = await bench.subject.send(bench.request("POST", body=body))
                assert (reply.status, await reply.read()) == (413, b"huge")
            except (ConnectionLost, TruncatedBody) as lost:
                assert lost.may_have_arrived is False  # noqa: PT017  # it need not be lost
            assert await (await bench.get()).read() == b"next"

    @needs("early_answers")
    @pytest.mark.parametrize("status", [200, 307, 401, 500])
    async def test_t190_long_early_answer(self, kit: Kit, status: int) -> None:
        """T-190: an early answer is read whole, however long, and the upload ends there.

        Source: RFC 9112 section 9.5.
        """
        length = 4 * MIB

        def script(peer: Peer) -> None:
            peer.head()
            line = f"HTTP/1.1 {status} X"
            peer.send(head_of(f"Content-Length: {length}", status_line=line), b"x" * length)
            peer.wait_for_end()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            body = bench.subject.body(b"x" * 100_000 for _ in range(100_000))
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert (reply.status, len(await reply.read())) == (status, length)
            assert await (await bench.get()).read() == b"next"

    async def test_t191_kept_after_uploads(self, kit: Kit) -> None:
        """T-191: a connection serves again after a body of any framing.

        Source: RFC 9112 section 9.3.
        """
        async with kit.bench(answer_all) as bench:
            sizes = [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 3 * MIB]
            for size in sizes:
                halves = [b"x" * (size // 2), b"x" * (size - size // 2)]
                for headers, body in (
                    ([], b"x" * size),
                    ([], bench.subject.body(halves)),
                    ([("Content-Length", str(size))], bench.subject.body(halves)),
                ):
                    request = bench.request("PUT", headers=headers, body=body)
                    await (await bench.subject.send(request)).read()
            expected = [size for size in sizes for _ in range(3)]
            assert [len(r.body) for r in bench.server.requests if r.whole] == expected
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "X!#$%&'*+.^_`|~9"])
    async def test_t194_any_method(self, kit: Kit, method: str) -> None:
        """T-194: any token is a method and goes out as it is.

        Source: RFC 9110 section 9.1.
        """
        async with kit.bench(answer_all) as bench:
            reply = await bench.subject.send(bench.request(method, body=b"body"))
            await reply.read()
            [received] = bench.server.requests
            assert (received.line, received.body) == (f"{method} / HTTP/1.1", b"body")

    @pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
    async def test_t196_ipv6_host(self, kit: Kit) -> None:
        """T-196: an IPv6 address is reached, and stands in brackets in Host.

        Source: RFC 9110 section 7.2.
        """
        async with kit.bench(answer_all, listen="::1") as bench:
            for _ in range(2):
                await (await bench.get()).read()
            [first, _] = bench.server.requests
            assert first.values("host") == [bench.server.url("").removeprefix("http://")]
            assert first.values("host")[0].startswith("[::1]:")
            assert bench.server.n_connections == 1

    @needs("streams_uploads", "early_answers")
    @pytest.mark.parametrize("how", ["lost", "answered early", "too long"])
    async def test_t198_generators_are_closed(self, kit: Kit, how: str) -> None:
        """T-198: a generator that is not read to its end is closed when its request is over.

        Source: seam, promise 7.
        """
        is_closed = threading.Event()

        def script(peer: Peer) -> None:
            peer.head()
            if how == "lost":
                peer.reset()
                return
            if how == "answered early":
                peer.send(ok(b"enough"))
            peer.wait_for_end()

        def blocks() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                is_closed.set()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            headers = [("Content-Length", "250000")] if how == "too long" else []
            request = bench.request("POST", headers=headers, body=bench.subject.body(blocks()))
            with suppress(ConnectionLost, InvalidRequest):
                await (await bench.subject.send(request)).read()
            assert is_closed.is_set(), "the generator was left open"
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("n_before", [0, 2], ids=["at once", "after some blocks"])
    @pytest.mark.parametrize("error", [TimeoutError, ConnectionResetError, OSError, ValueError])
    @needs("streams_uploads")
    async def test_t199_own_errors(self, kit: Kit, error: type[Exception], n_before: int) -> None:
        """T-199: an error of the caller's body passes at once and unchanged, whatever its class.

        Source: seam, promise 7.
        """
        raised = error("the caller's own")

        def blocks() -> Iterator[bytes]:
            for _ in range(n_before):
                yield b"block"
            raise raised

        async with kit.bench(silent, say(ok(b"next"))) as bench:
            body = bench.subject.body(blocks())
            with pytest.raises(error, match="the caller's own") as passed:
                await bench.subject.send(bench.request("POST", body=body))
            assert passed.value is raised
            assert await (await bench.get()).read() == b"next"
