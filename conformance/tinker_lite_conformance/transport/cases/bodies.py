"""T-122 to T-148: the body of an answer, and how its end is found."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import ProtocolError, TruncatedBody
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .chunks import ChunkCases, in_chunks
from .framing import CHUNKED, say, say_always
from .heads import body_or_refusal, head_of

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["BodyCases"]

MIB = 1_048_576
# Every byte, and what a careless reader of chunks would stumble over.
BINARY = bytes(range(256)) * 3 + b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x00" + b"\xff" * 9

BODILESS = [("HEAD", 200), ("GET", 204), ("GET", 304)]


class BodyCases(ChunkCases):
    """Bodies by each framing of RFC 9112 section 6; the cases of chunks come along."""

    @pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "X-None: of both"])
    @pytest.mark.parametrize(("method", "status"), BODILESS)
    async def test_t122_no_body(self, kit: Kit, method: str, status: int, framing: str) -> None:
        """T-122: HEAD, 204 and 304 have no body, chunked or not, and their connection goes on.

        Source: RFC 9112 section 6.3.
        """
        answer = head_of(framing, status_line=f"HTTP/1.1 {status} X")
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.subject.send(bench.request(method))
                assert (reply.status, await reply.read()) == (status, b"")
            assert bench.server.n_connections == 1

    @needs("strict_framing", "watches_idle")
    @pytest.mark.parametrize(("method", "status"), BODILESS)
    async def test_t123_body_nobody_reads(self, kit: Kit, method: str, status: int) -> None:
        """T-123: a body sent where there is none never becomes the next answer.

        Source: RFC 9112 section 9.2.
        """
        answer = head_of("Content-Length: 60", status_line=f"HTTP/1.1 {status} X")
        async with kit.bench(say(answer + ok(b"smuggled")), say(ok(b"next"))) as bench:
            reply = await bench.subject.send(bench.request(method))
            assert await reply.read() == b""
            assert await (await bench.get()).read() == b"next"
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize("length", ["0", "4", "1000", "6"])
    @needs("strict_framing")
    async def test_t124_both_framings(self, kit: Kit, length: str) -> None:
        """T-124: with both framing headers, in either order, no length cuts the chunks short.

        Source: RFC 9112 section 6.3.
        """
        head = head_of("Transfer-Encoding: chunked", f"Content-Length: {length}")
        answer = head + in_chunks(b"body", 4)
        async with kit.bench(say_always(answer), say_always(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize(
        "lines",
        [["Content-Length: 10", "Content-Length: 10"], ["Content-Length: 10, 10"],
         ["Content-Length: 10,10 ,10", "content-length: 10"], ["Content-Length: 010"],
         ["Content-Length: \t10 "]],
        ids=["repeated", "a list", "both", "leading zero", "spaces around"],
    )  # fmt: skip
    @needs("strict_framing")
    async def test_t125_odd_but_clear_lengths(self, kit: Kit, lines: list[str]) -> None:
        """T-125: one length said in several ways is that length, in decimal.

        Source: RFC 9112 section 6.3.
        """
        async with kit.bench(say_always(head_of(*lines) + b"0123456789")) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"0123456789"
            assert bench.server.n_connections == 1

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "length",
        ["0x4", "4 4", "4;", "4.0", "4e0", "4_0", "four", "", "\xb2", "-0", "4, 5", "4, x",
         "1\r\n 0", "4\r\nContent-Length: 5"],
        ids=["hex", "two", "semicolon", "point", "exponent", "underscore", "word", "empty",
             "superscript", "minus nought", "list", "list of nonsense", "folded", "repeated"],
    )  # fmt: skip
    async def test_t126_unclear_lengths(self, kit: Kit, length: str) -> None:
        """T-126: a length that is not one decimal number is an error, not guessed at.

        Source: RFC 9112 section 6.3.
        """
        answer = head_of(f"Content-Length: {length}") + b"0123456789"
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError) as refused:
                await bench.get()
            assert refused.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("n_digits", [19, 20, 40, 5000])
    async def test_t127_huge_lengths(self, kit: Kit, n_digits: int) -> None:
        """T-127: a length beyond counting neither wraps around nor breaks anything.

        Source: RFC 9110 section 8.6.
        """
        answer = head_of(f"Content-Length: {'9' * n_digits}") + b"short"
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            with pytest.raises((ProtocolError, TruncatedBody)):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "coding",
        ["gzip", "identity", "chunked, gzip", "chunked, identity", "chunked, chunked",
         "chunked;q=1", "xchunked", "chunked-x", "", "\xb2",
         "chunked\r\nTransfer-Encoding: identity"],
    )  # fmt: skip
    async def test_t128_other_codings(self, kit: Kit, coding: str) -> None:
        """T-128: a body that does not end in one chunked coding is refused, or ends with all.

        Source: RFC 9112 section 6.3.
        """
        rest = b"4\r\nbody\r\n0\r\n\r\n"
        head = head_of("Content-Length: 4", f"Transfer-Encoding: {coding}")
        async with kit.bench(say(head + rest), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, rest}
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "answer", [ok(), CHUNKED + b"0\r\n\r\n", CHUNKED + b"0\r\nX: y\r\n\r\n"],
        ids=["length", "chunked", "trailer"],
    )  # fmt: skip
    async def test_t139_empty_bodies(self, kit: Kit, answer: bytes) -> None:
        """T-139: a body may be empty, and its connection goes on.

        Source: RFC 9112 section 6.3.
        """
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (await reply.next(), await reply.next()) == (b"", b"")
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize("line", ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK"])
    async def test_t140_until_close(self, kit: Kit, line: str) -> None:
        """T-140: a body without framing ends with the connection, whatever was said of keeping it.

        Source: RFC 9112 section 6.3.
        """
        answer = head_of("Connection: keep-alive", status_line=line) + b"to the "
        async with kit.bench(say(answer, b"end")) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"to the end"
            assert bench.server.n_connections == 2

    @pytest.mark.parametrize(
        "head", [head_of("Content-Length: 9"), CHUNKED + b"9\r\n", head_of()],
        ids=["length", "chunked", "until close"],
    )  # fmt: skip
    async def test_t142_reset_within_the_body(self, kit: Kit, head: bytes) -> None:
        """T-142: a body cut by a reset of its connection is an error, however it is framed.

        Source: RFC 9112 section 8.
        """
        got_first, is_reset = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head + b"short")
            assert peer.wait(got_first), "the first bytes did not reach the caller"
            peer.reset()
            is_reset.set()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            reply = await bench.get()
            assert await reply.next() == b"short"
            got_first.set()
            assert await bench.subject.wait(is_reset)
            with pytest.raises(TruncatedBody) as cut:
                await reply.next()
            assert cut.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("n_bytes", [1, 5, 256, 10_000])
    async def test_t143_any_bytes(self, kit: Kit, n_bytes: int) -> None:
        """T-143: a body may have any bytes, those of its framing too.

        Source: RFC 9112 section 6.
        """
        scripts = say(ok(BINARY, "Connection: close")), say(CHUNKED + in_chunks(BINARY, n_bytes))
        async with kit.bench(*scripts) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == BINARY

    @pytest.mark.parametrize(
        ("head", "end"),
        [(head_of("Content-Length: 12"), b""), (CHUNKED + b"c\r\n", b"\r\n0\r\n\r\n"),
         (head_of(), b"")],
        ids=["length", "within a chunk", "until close"],
    )  # fmt: skip
    async def test_t144_parts_as_they_come(self, kit: Kit, head: bytes, end: bytes) -> None:
        """T-144: bytes reach the caller before the rest of their chunk or body is sent.

        Source: seam, promise 1.
        """
        parts = [b"one", b"two", b"three", b"!"]
        got = [threading.Event() for _ in parts]

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head)
            for part, is_there in zip(parts, got, strict=True):
                peer.send(part)
                assert peer.wait(is_there), f"{part!r} did not reach the caller"
            peer.send(end)

        async with kit.bench(script) as bench:
            reply = await bench.get()
            for part, is_there in zip(parts, got, strict=True):
                assert await reply.next() == part
                is_there.set()
            assert await reply.next() == b""

    @pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
    async def test_t145_never_held(self, kit: Kit, chunked: bool) -> None:
        """T-145: a large body passes through; the server sends on only once its bytes are read.

        Source: seam, promise 1.
        """
        n_parts, part = 64, b"x" * MIB
        read = threading.Semaphore(0)
        head = CHUNKED if chunked else head_of(f"Content-Length: {n_parts * MIB}")

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(head)
            for _ in range(n_parts):
                peer.send(in_chunks(part, MIB, b"") if chunked else part)
                assert read.acquire(timeout=peer.server.patience_s), "a part was held back"
            peer.send(b"0\r\n\r\n" if chunked else b"")

        async with kit.bench(script) as bench:
            reply = await bench.get()
            n_read = 0
            while chunk := await reply.next():
                n_parts_before = n_read // MIB
                n_read += len(chunk)
                assert chunk.count(b"x") == len(chunk)
                for _ in range(n_read // MIB - n_parts_before):
                    read.release()
            assert n_read == n_parts * MIB

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity", "gzip, gzip"])
    async def test_t146_content_coding(self, kit: Kit, coding: str) -> None:
        """T-146: a coded body passes untouched in chunks too, with its header and length.

        Source: seam, promise 3.
        """
        head = head_of("Transfer-Encoding: chunked", f"Content-Encoding: {coding}")
        async with kit.bench(say(head + in_chunks(BINARY, 100))) as bench:
            reply = await bench.get()
            assert await reply.read() == BINARY
            assert reply.headers.get_all("content-encoding") == [coding]

    async def test_t148_error_page_without_length(self, kit: Kit) -> None:
        """T-148: an error status frames its body like any other.

        Source: RFC 9112 section 6.3.
        """
        line = "HTTP/1.1 503 Service Unavailable"
        scripts = (
            say_always(head_of("Transfer-Encoding: chunked", status_line=line)
                       + in_chunks(b"busy", 1)),
            say(head_of(status_line=line) + b"busy"),
        )  # fmt: skip
        async with kit.bench(*scripts) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, await reply.read()) == (503, b"busy")
            assert bench.server.n_connections == 1
