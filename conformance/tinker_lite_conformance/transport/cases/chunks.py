"""T-129 to T-149: bodies in chunks; those of other framings stand in ``bodies``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import LimitExceeded, ProtocolError, TransportError, TruncatedBody
from tinker_lite_conformance.transport.adversary import ok
from tinker_lite_conformance.transport.capabilities import needs

from .framing import CHUNKED, say, say_always
from .heads import body_or_refusal, head_of

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["ChunkCases", "in_chunks"]


def in_chunks(body: bytes, n_bytes: int, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunks of that many bytes."""
    pieces = [body[start : start + n_bytes] for start in range(0, len(body), n_bytes)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


class ChunkCases:
    """Chunks by the letter of RFC 9112 section 7.1, and against it."""

    @pytest.mark.parametrize("coding", ["CHUNKED", "Chunked", "chunked \t", "\r\n chunked"])
    @needs("strict_framing")
    async def test_t129_spellings_of_chunked(self, kit: Kit, coding: str) -> None:
        """T-129: the name of a coding is read without regard to case and to spaces around it.

        Source: RFC 9112 section 7.
        """
        answer = head_of(f"Transfer-Encoding: {coding}") + in_chunks(b"body", 4)
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"body"
            assert bench.server.n_connections == 1

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "size",
        [b"+4", b" 4", b"\t4", b"4 4", b"4,", b"4.0", b"0X4", b"4h", b"\xb2", b"4\x00", b";x",
         b"0000000000000000000000000g", b"4\r"],
    )  # fmt: skip
    async def test_t130_bad_chunk_sizes(self, kit: Kit, size: bytes) -> None:
        """T-130: a chunk size is hexadecimal digits and nothing else.

        Source: RFC 9112 section 7.1.
        """
        answer = CHUNKED + size + b"\r\nbody\r\n0\r\n\r\n"
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("size", [b"1" + b"0" * 16, b"f" * 17, b"f" * 16, b"1" + b"0" * 8])
    async def test_t131_huge_chunk_sizes(self, kit: Kit, size: bytes) -> None:
        """T-131: a chunk size beyond counting neither wraps around nor breaks anything.

        Source: RFC 9112 section 7.1.
        """
        answer = CHUNKED + size + b"\r\n\r\n0\r\n\r\n"
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            with pytest.raises((ProtocolError, TruncatedBody)):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("size", [b"a", b"A", b"0a", b"000000000000000a"])
    async def test_t132_spellings_of_sizes(self, kit: Kit, size: bytes) -> None:
        """T-132: a chunk size may have capitals and leading zeros, the last one more zeros.

        Source: RFC 9112 section 7.1.
        """
        answer = CHUNKED + size + b"\r\n0123456789\r\n0000\r\n\r\n"
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"0123456789"
            assert bench.server.n_connections == 1

    async def test_t133_space_after_a_size(self, kit: Kit) -> None:
        """T-133: a space between a chunk size and the line's end is passed over or refused.

        Source: RFC 9112 section 7.1.1.
        """
        answer = head_of("Transfer-Encoding: chunked", "Connection: close")
        chunks = b"4 \r\nbody\r\n0 \r\n\r\n"
        async with kit.bench(say(answer + chunks), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "chunks",
        [b"4\nbody\r\n0\r\n\r\n", b"4;x\nbody\r\n0\r\n\r\n", b"4\r\nbody\r\n0\n\r\n",
         b"4\r\nbody\n0\r\n\r\n", b"4\r\nbody\r0\r\n\r\n", b"4\r\nbody0\r\n\r\n",
         b"4\r\nbodyXX0\r\n\r\n", b"4\r\nbody\n\r0\r\n\r\n"],
        ids=["LF after a size", "LF after an extension", "LF after the last size",
             "LF after data", "CR after data", "nothing after data", "XX after data", "LF CR"],
    )  # fmt: skip
    async def test_t134_line_ends_of_chunks(self, kit: Kit, chunks: bytes) -> None:
        """T-134: the lines and the data of chunks end with CRLF and with nothing else.

        Source: RFC 9112 section 7.1.
        """
        async with kit.bench(say(CHUNKED + chunks), say(ok(b"next"))) as bench:
            with pytest.raises((ProtocolError, TruncatedBody)):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        ("before", "unit", "after"),
        [(b"4;x=", b"y", b"\r\nbody\r\n0\r\n\r\n"),
         (b"4\r\nbody\r\n0\r\nX: ", b"y", b"\r\n\r\n"),
         (b"4\r\nbody\r\n0\r\n", b"X: y\r\n", b"\r\n")],
        ids=["an extension", "a trailer", "trailers"],
    )  # fmt: skip
    @needs("strict_framing")
    async def test_t135_bounded_framing(
        self, kit: Kit, before: bytes, unit: bytes, after: bytes
    ) -> None:
        """T-135: extensions and trailers without measure end in an error.

        Source: RFC 9112 section 7.1.1.
        """
        filler = unit * (4_000_000 // len(unit))
        answer = CHUNKED + before + filler + after
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            with pytest.raises((ProtocolError, LimitExceeded)):
                await (await bench.get()).read()
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize(
        "name", ["Transfer-Encoding: chunked", "Connection: close", "Host: x", "Set-Cookie: a=b",
                 "Content-Encoding: gzip", "X-Here: late"],
    )  # fmt: skip
    async def test_t136_trailers_change_nothing(self, kit: Kit, name: str) -> None:
        """T-136: a trailer neither changes the head of its answer nor the one after it.

        Source: RFC 9110 section 6.5.1.
        """
        answer = head_of("Transfer-Encoding: chunked", "X-Here: early") + in_chunks(
            b"body", 2, f"0\r\n{name}\r\n\r\n".encode()
        )
        async with kit.bench(say_always(answer), say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert await reply.read() == b"body"
                assert reply.headers.get_all("x-here") == ["early"]
                assert len(reply.headers) == 2

    @needs("strict_framing")
    async def test_t137_answer_among_trailers(self, kit: Kit) -> None:
        """T-137: what looks like an answer among the trailers never becomes the next one.

        Source: RFC 9112 section 7.1.2.
        """
        answer = CHUNKED + in_chunks(b"body", 4, b"0\r\n" + ok(b"smuggled"))
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"

    async def test_t138_chunks_byte_by_byte(self, kit: Kit) -> None:
        """T-138: chunks, extensions and trailers mean the same however their bytes are cut.

        Source: RFC 9112 section 2.2.
        """
        answer = CHUNKED + b'1;x="y"\r\nb\r\n003\r\nody\r\n0;z\r\nX: y\r\nY: z\r\n\r\n'
        parts = [answer[start : start + 1] for start in range(len(answer))]
        async with kit.bench(say_always(*parts)) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"body"
            assert bench.server.n_connections == 1

    async def test_t141_chunks_in_http_1_0(self, kit: Kit) -> None:
        """T-141: chunks in HTTP/1.0 are read or refused, and their connection ends.

        Source: RFC 9112 section 6.1.
        """
        head = head_of(
            "Transfer-Encoding: chunked", "Connection: keep-alive", status_line="HTTP/1.0 200 OK"
        )
        answer = head + in_chunks(b"body", 4)
        async with kit.bench(say_always(answer), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"
            assert bench.server.n_connections == 2

    @needs("strict_framing")
    async def test_t147_chunks_cut_anywhere(self, kit: Kit) -> None:
        """T-147: a chunked answer cut anywhere is an error, its trailers included.

        Source: RFC 9112 section 8.
        """
        answer = CHUNKED + b"4;x\r\nbody\r\n0\r\nX: y\r\n\r\n"
        scripts = [say(answer[:end]) for end in range(len(answer))]
        async with kit.bench(*scripts, say(answer)) as bench:
            for _ in scripts:
                with pytest.raises(TransportError):
                    await (await bench.get()).read()
            assert await (await bench.get()).read() == b"body"

    @pytest.mark.parametrize(
        "trailer", ["Transfer-Encoding: gzip", "Content-Length: x", "no colon", "Bad Name: 1",
                    " folded: 1", ": no name"],
    )  # fmt: skip
    async def test_t149_bad_trailers(self, kit: Kit, trailer: str) -> None:
        """T-149: a trailer that makes no sense is passed over or refused.

        Source: RFC 9110 section 6.5.1.
        """
        head = head_of("Transfer-Encoding: chunked", "Connection: close")
        answer = head + in_chunks(b"body", 4, f"0\r\n{trailer}\r\n\r\n".encode())
        async with kit.bench(say(answer), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"
