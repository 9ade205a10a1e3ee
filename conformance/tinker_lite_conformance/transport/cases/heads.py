"""T-100 to T-121: the head of an answer, by the letter and against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import ConnectionLost, LimitExceeded, ProtocolError
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .framing import CHUNKED, say, say_always

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Bench, Kit

__all__ = ["HeadCases", "body_or_refusal", "head_of"]

# Where an answer may be refused or not, the next request must need a new connection either way.
CLOSE = b"Connection: close\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def head_of(*lines: str, status_line: str = "HTTP/1.1 200 OK") -> bytes:
    """A response head."""
    return "".join(f"{line}\r\n" for line in (status_line, *lines)).encode("latin-1") + b"\r\n"


async def body_or_refusal(bench: Bench) -> bytes | None:
    """The body that a GET brings; None if the answer is refused as a breach of HTTP/1.1.

    For what a recipient may either mend or refuse, but must not take for something else.
    """
    try:
        return await (await bench.get()).read()
    except ProtocolError:
        return None


class HeadCases:
    """Status lines and header lines."""

    @pytest.mark.parametrize("framing", ["Content-Length: 3", "Transfer-Encoding: chunked"])
    @needs("interim_answers")
    async def test_t100_interim_framing(self, kit: Kit, framing: str) -> None:
        """T-100: an interim answer ends with its head, and its headers are its own.

        Source: RFC 9112 section 6.3.
        """
        interim = f"HTTP/1.1 103 Early Hints\r\n{framing}\r\nX-Early: 1\r\n\r\n".encode()
        async with kit.bench(say_always(interim + ok(b"final"))) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, await reply.read()) == (200, b"final")
                assert "x-early" not in reply.headers
            assert bench.server.n_connections == 1

    @needs("interim_answers")
    async def test_t101_row_of_interim_answers(self, kit: Kit) -> None:
        """T-101: a short row of interim answers is passed over.

        Source: RFC 9110 section 15.2.
        """
        row = b"HTTP/1.1 102 Processing\r\n\r\n" * 20
        async with kit.bench(say_always(row, ok(b"final"))) as bench:
            for _ in range(2):
                assert await (await bench.get()).read() == b"final"
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize("status", [100, 102, 104, 199])
    @needs("interim_answers")
    async def test_t102_any_interim_status(self, kit: Kit, status: int) -> None:
        """T-102: an interim answer is passed over even if nobody asked for it or knows it.

        Source: RFC 9110 section 15.2.
        """
        interim = f"HTTP/1.1 {status} X\r\n\r\n".encode()
        async with kit.bench(say_always(interim, ok(b"final"))) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, await reply.read()) == (200, b"final")
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize("n_bytes", [1, 7, 100_000], ids=["byte by byte", "sevens", "at once"])
    @needs("interim_answers")
    async def test_t103_interim_cut_anywhere(self, kit: Kit, n_bytes: int) -> None:
        """T-103: an interim and a final answer mean the same however their bytes are cut.

        Source: RFC 9112 section 2.2.
        """
        answer = EARLY_HINTS + ok(b"final", "X: y")
        parts = [answer[start : start + n_bytes] for start in range(0, len(answer), n_bytes)]
        async with kit.bench(say_always(*parts)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert reply.headers.get("x") == "y"
                assert await reply.read() == b"final"
            assert bench.server.n_connections == 1

    @needs("strict_framing")
    async def test_t104_switch_after_an_interim_answer(self, kit: Kit) -> None:
        """T-104: an unasked switch of protocols is an error after an interim answer too.

        Source: RFC 9110 section 15.2.2.
        """
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        async with kit.bench(say(EARLY_HINTS, switch), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError) as refused:
                await bench.get()
            assert refused.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    async def test_t105_offered_upgrade(self, kit: Kit) -> None:
        """T-105: an answer that offers another protocol is an answer like any other.

        Source: RFC 9110 section 7.8.
        """
        async with kit.bench(say_always(ok(b"a", "Upgrade: h2c", "Connection: Upgrade"))) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert reply.headers.get("upgrade") == "h2c"
                assert await reply.read() == b"a"
            assert bench.server.n_connections == 1

    @pytest.mark.parametrize(
        "reason",
        [b"", b"Not  quite:\tOK", b"caf\xe9 \xff\x80", b"y" * 2000],
        ids=["empty", "spaces", "not ASCII", "long"],
    )
    async def test_t106_reasons(self, kit: Kit, reason: bytes) -> None:
        """T-106: the text after the status says nothing and disturbs nothing.

        Source: RFC 9112 section 4.
        """
        answer = b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 4\r\n\r\nbody"
        async with kit.bench(say_always(answer)) as bench:
            for _ in range(2):
                reply = await bench.get()
                assert (reply.status, await reply.read()) == (200, b"body")

    @pytest.mark.parametrize("status", [250, 299, 399, 418, 499, 599, 799])
    async def test_t107_unknown_status(self, kit: Kit, status: int) -> None:
        """T-107: a status that nobody knows is handed over as it is.

        Source: RFC 9110 section 15.
        """
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nbody".encode()
        async with kit.bench(say(answer)) as bench:
            reply = await bench.get()
            assert (reply.status, await reply.read()) == (status, b"body")

    async def test_t108_later_minor_version(self, kit: Kit) -> None:
        """T-108: a later minor version is read as HTTP/1.1.

        Source: RFC 9110 section 2.5.
        """
        async with kit.bench(say(b"HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\nbody")) as bench:
            reply = await bench.get()
            assert (reply.status, await reply.read()) == (200, b"body")

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "line",
        [b"http/1.1 200 OK", b"HTTP/0.9 200 OK", b"HTTP/3.0 200 OK", b"HTTP/1 200 OK",
         b"HTTP/1.10 200 OK", b"HTTP/11 200 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1200 OK",
         b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2\xb20 OK",
         b"ICY 200 OK", b"HTTP/1.1"],
    )  # fmt: skip
    async def test_t109_bad_status_lines(self, kit: Kit, line: bytes) -> None:
        """T-109: what is not quite a status line is an error, not guessed at.

        Source: RFC 9112 section 4.
        """
        scripts = say(line + b"\r\nContent-Length: 4\r\n\r\nbody"), say(ok(b"next"))
        async with kit.bench(*scripts) as bench:
            with pytest.raises(ProtocolError) as broken:
                await bench.get()
            assert broken.value.may_have_arrived is True
            assert await (await bench.get()).read() == b"next"

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "garbage",
        [b"garbage\r\n", b"\x00\x01\x02\xff\r\n", b"<html>an answer without a head</html>\n\n"],
        ids=["a line", "binary", "HTTP/0.9"],
    )
    async def test_t110_garbage_first(self, kit: Kit, garbage: bytes) -> None:
        """T-110: bytes before the status line are an error, not skipped.

        Source: RFC 9112 section 4.
        """
        async with kit.bench(say(garbage + ok(b"body")), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError):
                await bench.get()
            assert await (await bench.get()).read() == b"next"

    @needs("strict_framing")
    @pytest.mark.parametrize(
        "line",
        [b"Content-Length : 4", b"Content-Length\t: 4", b"X : y", b": y", b"X\x00: y", b"X\xe9: y",
         b"X(y): z", b"X\x0by: z", b"HTTP/1.1 200 OK"],
    )  # fmt: skip
    async def test_t111_bad_header_lines(self, kit: Kit, line: bytes) -> None:
        """T-111: a header whose name is not a token, or is not next to its colon, is an error.

        Source: RFC 9112 section 5.1.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + line + b"\r\n\r\n"
        async with kit.bench(say(head + b"body"), say(ok(b"next"))) as bench:
            with pytest.raises(ProtocolError):
                await bench.get()
            assert await (await bench.get()).read() == b"next"

    @needs("strict_framing")
    @pytest.mark.parametrize("odd", [b"\x00", b"\r"], ids=["NUL", "CR"])
    async def test_t112_no_nul_no_cr(self, kit: Kit, odd: bytes) -> None:
        """T-112: a NUL or a bare CR in a header is refused or read as a space, never handed on.

        Source: RFC 9110 section 5.5.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: a" + odd + b"b\r\n" + CLOSE + b"\r\n"
        async with kit.bench(say(head + b"body"), say(ok(b"next"))) as bench:
            try:
                reply = await bench.get()
            except ProtocolError:
                pass
            else:
                assert reply.headers.get("x") == "a b"
                assert await reply.read() == b"body"
            assert await (await bench.get()).read() == b"next"

    @pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b" \r\n  ", b"\r\n \r\n "])
    @needs("strict_framing")
    async def test_t113_folded_values(self, kit: Kit, fold: bytes) -> None:
        """T-113: a folded header value is read with spaces for its folds.

        Source: RFC 9112 section 5.2.
        """
        head = b"HTTP/1.1 200 OK\r\nX: one" + fold + b"two\r\nContent-Length: 4\r\n\r\n"
        async with kit.bench(say(head + b"body")) as bench:
            reply = await bench.get()
            value = reply.headers.get("x") or ""
            assert (value.split(), value.isprintable()) == (["one", "two"], True)
            assert await reply.read() == b"body"

    async def test_t114_fold_without_a_header(self, kit: Kit) -> None:
        """T-114: a fold right below the status line is refused or passed over.

        Source: RFC 9112 section 2.2.
        """
        head = b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 4\r\n" + CLOSE + b"\r\n"
        async with kit.bench(say(head + b"body"), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"

    async def test_t115_bytes_of_values(self, kit: Kit) -> None:
        """T-115: a header value comes as it was sent, each byte a character.

        Source: seam, promise 8.
        """
        value = 'a: b;\tc="d"  ,e\xe9\x80\xff'
        async with kit.bench(say(ok(b"", f"X: {value} \t"))) as bench:
            reply = await bench.get()
            assert (reply.headers.get("x"), await reply.read()) == (value, b"")

    async def test_t116_any_token_is_a_name(self, kit: Kit) -> None:
        """T-116: a header name may have any character of a token.

        Source: RFC 9110 section 5.6.2.
        """
        name = "!#$%&'*+-.^_`|~09AZaz"
        async with kit.bench(say(ok(b"", f"{name}: odd"))) as bench:
            reply = await bench.get()
            assert (reply.headers.get(name), await reply.read()) == ("odd", b"")

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\nContent-Length: 4\nConnection: close\n\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\n" + CLOSE + b"\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + CLOSE + b"\n",
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + CLOSE + b"\r\n",
            b"HTTP/1.1  200 OK\r\nContent-Length: 4\r\n" + CLOSE + b"\r\n",
            b"HTTP/1.1\t200\tOK\r\nContent-Length: 4\r\n" + CLOSE + b"\r\n",
            b"HTTP/1.1 200\r\nContent-Length: 4\r\n" + CLOSE + b"\r\n",
        ],
        ids=["LF", "LF after a header", "LF at the end", "empty line first", "two spaces", "tabs",
             "no space after the status"],
    )  # fmt: skip
    async def test_t117_may_be_mended(self, kit: Kit, head: bytes) -> None:
        """T-117: what a recipient may mend is read as it is meant, or refused.

        Source: RFC 9112 sections 2.2 and 4.
        """
        async with kit.bench(say(head + b"body"), say(ok(b"next"))) as bench:
            assert await body_or_refusal(bench) in {None, b"body"}
            assert await (await bench.get()).read() == b"next"

    @needs("bounded_heads")
    async def test_t118_many_headers(self, kit: Kit) -> None:
        """T-118: any number of headers is read within the limit on the head.

        Source: seam, promise 6.
        """
        lines = [f"X-{number}: y" for number in range(1000)]
        async with kit.bench(say(ok(b"body", *lines))) as bench:
            reply = await bench.get()
            assert [f"{k}: {v}".lower() for k, v in reply.headers if v == "y"] == [
                line.lower() for line in lines
            ]
            assert await reply.read() == b"body"

    @needs("bounded_heads")
    async def test_t119_limit_to_the_byte(self, kit: Kit) -> None:
        """T-119: a head as large as the limit is read, one a byte larger is an error.

        Source: seam, promise 6.
        """
        head = ok(b"", "X: " + "y" * 1000)
        async with kit.bench(say_always(head)) as bench:
            reply = await bench.subject.send(bench.request(max_head_bytes=len(head)))
            assert await reply.read() == b""
            with pytest.raises(LimitExceeded):
                await bench.subject.send(bench.request(max_head_bytes=len(head) - 1))

    @needs("bounded_heads")
    @pytest.mark.parametrize(
        "answer",
        [ok(b"x" * 50_000), CHUNKED + b"c350\r\n" + b"x" * 50_000 + b"\r\n0\r\n\r\n"],
        ids=["length", "chunked"],
    )
    async def test_t120_only_the_head_counts(self, kit: Kit, answer: bytes) -> None:
        """T-120: bytes of the body that come with the head do not count as head.

        Source: seam, promise 6.
        """
        async with kit.bench(say(answer)) as bench:
            reply = await bench.subject.send(bench.request(max_head_bytes=200))
            assert await reply.read() == b"x" * 50_000

    @needs("strict_framing", "reports_reuse")
    @pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
    @pytest.mark.parametrize(
        "start",
        [b"HTTP/1", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n", EARLY_HINTS],
        ids=["within the status line", "after it", "after a header", "after an interim answer"],
    )
    async def test_t121_end_within_the_head(self, kit: Kit, start: bytes, reset: bool) -> None:
        """T-121: a connection that ends within the head is lost; the request may have arrived.

        Source: seam, promise 5.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(start)
            if reset:
                peer.reset()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            with pytest.raises(ConnectionLost) as lost:
                await bench.get()
            assert (lost.value.may_have_arrived, lost.value.reused_connection) == (True, False)
            assert await (await bench.get()).read() == b"next"
