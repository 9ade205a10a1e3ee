"""T-181 to T-197: requests that must not go out, or not whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import ConnectError, InvalidRequest
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

from .framing import say
from .sending import answer_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite_conformance.transport.bench import Bench, Kit

__all__ = ["RefusalCases"]


async def refuses(bench: Bench, request: Request) -> bool:
    """Whether a request is refused with nothing sent, and the next one goes through."""
    with pytest.raises(InvalidRequest) as refused:
        await bench.subject.send(request)
    await (await bench.get("/next")).read()
    lines = [received.line for received in bench.server.requests]
    return refused.value.may_have_arrived is False and lines == ["GET /next HTTP/1.1"]


class RefusalCases:
    """Requests that cannot be put into HTTP/1.1."""

    @needs("guards_requests", "streams_uploads")
    async def test_t181_endless_blocks(self, kit: Kit) -> None:
        """T-181: a body longer than its length is refused as soon as that shows.

        Source: RFC 9112 section 6.3.
        """
        taken: list[int] = []

        def blocks() -> Iterator[bytes]:
            while True:
                taken.append(1)
                assert len(taken) < 100, "the body is read past its length"
                yield b"x" * 100

        async with kit.bench(answer_all) as bench:
            body = bench.subject.body(blocks())
            request = bench.request("PUT", headers=[("Content-Length", "250")], body=body)
            with pytest.raises(InvalidRequest) as refused:
                await bench.subject.send(request)
            assert refused.value.may_have_arrived is False
            await (await bench.get("/next")).read()
            assert not any(r.whole and r.line.startswith("PUT") for r in bench.server.requests)

    @needs("streams_uploads", "guards_requests")
    @pytest.mark.parametrize("length", ["5", "7"], ids=["too long", "too short"])
    async def test_t182_wrong_length_hangs_up(self, kit: Kit, length: str) -> None:
        """T-182: a connection on which a body did not fit its length is closed, not used again.

        Source: RFC 9112 section 6.3.
        """
        hung_up = threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"first"))
            peer.head()
            if peer.wait_for_end():
                hung_up.set()

        async with kit.bench(script, say(ok(b"next"))) as bench:
            assert await (await bench.get()).read() == b"first"
            body = bench.subject.body([b"one", b"two"])
            request = bench.request("PUT", headers=[("Content-Length", length)], body=body)
            with pytest.raises(InvalidRequest):
                await bench.subject.send(request)
            assert await bench.subject.wait(hung_up), "the connection stayed open"
            assert await (await bench.get()).read() == b"next"

    @needs("guards_requests")
    @pytest.mark.parametrize(
        "headers",
        [[("Content-Length", "5")], [("Content-Length", "3")], [("Content-Length", "-4")],
         [("Content-Length", "four")], [("Content-Length", "")], [("Content-Length", "\xb2")],
         [("Content-Length", "4"), ("content-length", "5")], [("Content-Length", "4, 5")],
         [("Content-Length", "4"), ("Transfer-Encoding", "chunked")],
         [("Transfer-Encoding", "gzip")], [("Transfer-Encoding", "gzip, chunked")],
         [("Transfer-Encoding", "")], [("Host", "a.example"), ("host", "b.example")]],
        ids=["longer", "shorter", "negative", "word", "empty", "superscript", "two lengths",
             "a list", "both framings", "gzip", "gzip first", "no coding", "two hosts"],
    )  # fmt: skip
    async def test_t183_contradictions(self, kit: Kit, headers: list[tuple[str, str]]) -> None:
        """T-183: headers that contradict the body or each other are refused before they are sent.

        Source: RFC 9112 sections 3.2 and 6.3.
        """
        async with kit.bench(answer_all) as bench:
            assert await refuses(bench, bench.request("POST", headers=headers, body=b"body"))

    @needs("guards_requests")
    @pytest.mark.parametrize(
        "header",
        [("X", "a\x00b"), ("X", "a\rb"), ("X", "a\r\n b"), ("X", "a\x01b"), ("X", "a\x7fb"),
         ("X", "\u20ac"), ("X\xe9", "1"), ("X\u20ac", "1"), ("X:", "1"), ("X\t", "1"), ("X ", "1"),
         (" X", "1"), ("X\x00", "1"), ("X(1)", "1"), ("Host", "a\r\nX: 1"),
         ("Connection", "close\nX: 1")],
    )  # fmt: skip
    async def test_t192_bad_headers(self, kit: Kit, header: tuple[str, str]) -> None:
        """T-192: a header that is none by its characters is refused before anything is sent.

        Source: RFC 9110 sections 5.1 and 5.5.
        """
        async with kit.bench(answer_all) as bench:
            assert await refuses(bench, bench.request("POST", headers=[header], body=b"body"))

    @needs("guards_requests")
    @pytest.mark.parametrize(
        "method",
        ["", "G T", "GET\r\n", "GET / HTTP/1.1\r\nX: 1\r\n\r\nGET", "GET\x00", "G\xc9T", "GET:",
         " GET"],
    )  # fmt: skip
    async def test_t193_bad_methods(self, kit: Kit, method: str) -> None:
        """T-193: a method that is not a token is refused before anything is sent.

        Source: RFC 9110 section 9.1.
        """
        async with kit.bench(answer_all) as bench:
            assert await refuses(bench, bench.request(method))

    @needs("guards_requests")
    @pytest.mark.parametrize(
        "path",
        ["/a b", "/a HTTP/1.1\r\nX: 1", "/a\n", "/a\r", "/a\tb", "/\x00", "/\x7f", "/\x1f",
         "/?q=\r\nX: 1", "/?q=a b", "/#\r\nX: 1", "/\xe9", "/?\u20ac"],
    )  # fmt: skip
    async def test_t195_bad_targets(self, kit: Kit, path: str) -> None:
        """T-195: a path or query with characters of no URL is refused before anything is sent.

        Source: RFC 9112 section 3.2.
        """
        async with kit.bench(answer_all) as bench:
            assert await refuses(bench, bench.request(path=path))

    @needs("guards_requests")
    @pytest.mark.parametrize(
        ("host", "error"),
        [("xn--mnchen-3ya.invalid", ConnectError), ("xn--.invalid", ConnectError),
         ("m\xfcnchen.invalid", InvalidRequest), ("\u4f8b\u3048.invalid", InvalidRequest),
         ("a\u3002invalid", InvalidRequest), ("\uff41.invalid", InvalidRequest)],
    )  # fmt: skip
    async def test_t197_international_hosts(
        self, kit: Kit, host: str, error: type[ConnectError | InvalidRequest]
    ) -> None:
        """T-197: a host name in its xn-- form is looked up as it is; another form is refused.

        Source: RFC 9110 section 4.2.3.
        """
        async with kit.bench(answer_all) as bench:
            request = Request(method="GET", url=f"http://{host}/")
            with pytest.raises(error) as failed:
                await bench.subject.send(request)
            assert failed.value.may_have_arrived is False
            await (await bench.get()).read()
