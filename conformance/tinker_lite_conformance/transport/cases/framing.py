"""T-20 to T-37: where an answer begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import (
    LimitExceeded,
    ProtocolError,
    TransportError,
    TruncatedBody,
)
from tinker_lite_conformance.transport.adversary import Peer, Script, ok
from tinker_lite_conformance.transport.capabilities import needs

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["FramingCases"]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def say(*parts: bytes) -> Script:
    """A script: read one request, send these bytes, hang up."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)

    return script


def say_always(*parts: bytes) -> Script:
    """A script: send these bytes after each request."""

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(*parts)

    return script


class FramingCases:
    """Answers by the letter of RFC 9112, and against it."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
            CHUNKED + b"5\r\nshort\r\n",
            CHUNKED + b"ff\r\nshort",
        ],
        ids=["length", "no last chunk", "within a chunk"],
    )
    async def test_t20_short_body(self, kit: Kit, answer: bytes) -> None:
        """T-20: a body that ends too early is an error, never an end.

        Source: RFC 9112 section 8; seam, promise 5.
        """
        async with kit.bench(say(answer)) as bench:
            reply = await bench.get()
            assert await reply.next() == b"short"
            with pytest.raises(TruncatedBody) as cut:
                await reply.next()
            assert cut.value.may_have_arrived is True

    async def test_t21_until_close(self, kit: Kit) -> None:
        """T-21: without framing headers the body ends with the connection.

        Source: RFC 9112 section 6.3.
        """
        async with kit.bench(say(b"HTTP/1.1 200 OK\r\n\r\n", b"to the end")) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"to the end"
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
    async def test_t22_no_body(self, kit: Kit, method: str, status: int) -> None:
        """T-22: HEAD, 204 and 304 have no body, whatever the headers say.

        Source: RFC 9112 section 6.3.
        """
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: 100\r\n\r\n".encode()
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.subject.send(bench.request(method))
                assert (reply.status, await reply.read()) == (status, b"")
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize(
        "chunks",
        [
            b"x\r\n",
            b"-1\r\na\r\n0\r\n\r\n",
            b"0x1\r\na\r\n0\r\n\r\n",
            b"1_0\r\naaaaaaaaaaaaaaaa\r\n0\r\n\r\n",
            b"1\r\nab\r\n0\r\n\r\n",
            b"\r\n",
            b"1" * 100_000,
            b"11111111111111111111111\r\n",
        ],
        ids=["no number", "negative", "0x", "underscore", "too long", "empty", "endless", "huge"],
    )
    @needs("strict_framing")
    async def test_t23_bad_chunks(self, kit: Kit, chunks: bytes) -> None:
        """T-23: what is not chunk framing is an error, not guessed at.

        Source: RFC 9112 section 7.1.
        """
        async with kit.bench(say(CHUNKED, chunks), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "head",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ],
        ids=["another protocol", "version", "status", "no colon", "space in a name",
             "two lengths", "two lengths in one", "negative length", "signed length",
             "unknown coding", "unasked upgrade"],
    )  # fmt: skip
    @needs("strict_framing")
    async def test_t24_bad_head(self, kit: Kit, head: bytes) -> None:
        """T-24: a head that is not HTTP/1.1, or makes no sense, is an error.

        Source: RFC 9112 sections 4 to 6.
        """
        async with kit.bench(say(head), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError) as broken:
                await bench.get()
            assert broken.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    @needs("interim_answers")
    async def test_t25_interim_answers(self, kit: Kit) -> None:
        """T-25: answers with 1xx are passed over.

        Source: RFC 9110 section 15.2.
        """
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        async with kit.bench(say_always(interim, ok(b"final"))) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, await reply.read()) == (200, b"final")
                assert "link" not in reply.headers
            assert bench.server.n_connections == 1

    @needs("interim_answers")
    async def test_t26_endless_interim_answers(self, kit: Kit) -> None:
        """T-26: an endless row of interim answers ends in an error.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            peer.request()
            for _ in range(10_000):
                peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 10)

        async with kit.bench(script) as bench:
            with pytest.raises((ProtocolError, LimitExceeded)):
                await bench.get()

    @pytest.mark.parametrize(
        "filler", [b"X: " + b"y" * 5000, b"X: y\r\n" * 800, b"X: y\r\n" * 100_000, b"z" * 100_000],
        ids=["long header", "many headers", "endless headers", "endless line"],
    )  # fmt: skip
    @needs("bounded_heads")
    async def test_t27_head_limit(self, kit: Kit, filler: bytes) -> None:
        """T-27: a head larger than the request allows is an error.

        Source: seam, promise 6.
        """
        scripts = say(b"HTTP/1.1 200 OK\r\n" + filler + b"\r\n\r\n"), say(ok(b"next"))
        async with kit.bench(*scripts) as bench:
            with pytest.raises(LimitExceeded) as refused:
                await bench.subject.send(bench.request(max_head_bytes=4096))
            assert refused.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    async def test_t28_long_head_within_the_limit(self, kit: Kit) -> None:
        """T-28: a long head within the limit is read.

        Source: seam, promise 6.
        """
        async with kit.bench(say(ok(b"body", "X: " + "y" * 40_000))) as bench:
            reply = await bench.get()
            assert reply.headers.get("x") == "y" * 40_000
            assert await reply.read() == b"body"

    @needs("strict_framing")
    async def test_t29_both_framings(self, kit: Kit) -> None:
        """T-29: with both framing headers the chunks count, or it is an error; the connection ends.

        Source: RFC 9112 section 6.3.
        """
        both = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nbody\r\n0\r\n\r\n"
        )
        async with kit.bench(say_always(both)) as bench:
            for _ in range(2):
                try:
                    assert await (await bench.get()).read() == b"body"
                except ProtocolError:
                    continue
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize(
        "answer", [ok(b"body"), CHUNKED + b"4\r\nbody\r\n0\r\n\r\n"], ids=["length", "chunked"]
    )
    @needs("strict_framing")
    async def test_t30_bytes_after_the_end(self, kit: Kit, answer: bytes) -> None:
        """T-30: bytes after the end of an answer never become the next answer.

        Source: RFC 9112 section 9.2.
        """
        extra = ok(b"smuggled")
        async with kit.bench(say_always(answer + extra), say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"body"
            assert bench.server.n_connections == 2

    async def test_t31_trailers(self, kit: Kit) -> None:
        """T-31: trailers end a chunked body and do not become headers.

        Source: RFC 9112 section 7.1.2.
        """
        answer = CHUNKED + b"4\r\nbody\r\n0\r\nX-Trailer: 1\r\nContent-Length: 3\r\n\r\n"
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert await reply.read() == b"body"
                assert "x-trailer" not in reply.headers
            assert bench.server.n_connections == 1

    async def test_t32_chunk_extensions(self, kit: Kit) -> None:
        """T-32: chunk extensions are passed over.

        Source: RFC 9112 section 7.1.1.
        """
        answer = CHUNKED + b'4;a=b;c="d"\r\nbody\r\n00;x\r\n\r\n'
        async with kit.bench(say(answer)) as bench:
            assert await (await bench.get()).read() == b"body"

    @pytest.mark.parametrize(
        "answer", [ok(b"body"), CHUNKED + b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"],
        ids=["length", "chunked"],
    )  # fmt: skip
    async def test_t33_byte_by_byte(self, kit: Kit, answer: bytes) -> None:
        """T-33: an answer means the same however its bytes are cut.

        Source: RFC 9112 section 2.2.
        """
        async with kit.bench(say(*(answer[i : i + 1] for i in range(len(answer))))) as bench:
            assert await (await bench.get()).read() == b"body"

    async def test_t34_headers_of_the_answer(self, kit: Kit) -> None:
        """T-34: headers keep order and repetition, and are found without regard to case.

        Source: seam, promise 8.
        """
        async with kit.bench(say(ok(b"", "X-B: 1", "x-a:2", "X-B:\t 3 ", "X-Empty:"))) as bench:
            reply = await bench.get()
            headers = reply.headers
            assert await reply.read() == b""
            assert [v for k, v in headers if k.lower().startswith("x-")] == ["1", "2", "3", ""]
            assert headers.get_all("x-b") == ["1", "3"]
            assert headers.get("X-A") == "2"

    async def test_t35_not_decoded(self, kit: Kit) -> None:
        """T-35: an encoded body is handed over as it is.

        Source: seam, promise 3.
        """
        body = b"\x1f\x8b not really gzip"
        async with kit.bench(say(ok(body, "Content-Encoding: gzip"))) as bench:
            reply = await bench.get()
            assert await reply.read() == body
            assert reply.headers.get("content-encoding") == "gzip"

    async def test_t36_redirects(self, kit: Kit) -> None:
        """T-36: a redirect is an answer like any other.

        Source: seam, promise 3.
        """
        answer = (
            b"HTTP/1.1 307 X\r\nLocation: /else\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n"
        )
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, reply.headers.get("location")) == (307, "/else")
                await reply.read()
            assert all(not request.values("cookie") for request in bench.server.requests)
            assert [request.line for request in bench.server.requests] == ["GET / HTTP/1.1"] * 2

    @pytest.mark.parametrize("rest", [
        b"Content-Length: 4\r\nX: y\r\n\r\nbody",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ], ids=["length", "chunked"])  # fmt: skip
    @needs("strict_framing")
    async def test_t37_cut_anywhere(self, kit: Kit, rest: bytes) -> None:
        """T-37: an answer cut anywhere is an error, and the transport goes on.

        Source: seam, promises 5 and 7.
        """
        answer = b"HTTP/1.1 200 OK\r\n" + rest
        scripts = [say(answer[:end]) for end in range(len(answer))]
        async with kit.bench(*scripts, say(answer)) as bench:
            for _ in scripts:
                with pytest.raises(TransportError):
                    await (await bench.get()).read()
            assert await (await bench.get()).read() == b"body"
