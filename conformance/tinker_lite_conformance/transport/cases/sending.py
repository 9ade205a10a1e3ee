"""T-10 to T-19: what goes over the wire is what the request says, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import InvalidRequest
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["SendingCases"]

# RFC 9112 sections 3.2, 6 and 9.6: what a client must or may say to be understood.
NEEDED = {"host", "content-length", "transfer-encoding", "connection"}


def answer_all(peer: Peer) -> None:
    """Answer every request of the connection with an empty success."""
    while peer.request() is not None:
        peer.send(ok())


class SendingCases:
    """Requests on the wire."""

    @pytest.mark.parametrize("body", [b"", b"x" * 1000, b"x" * 1_000_000], ids=len)
    async def test_t10_length_of_bytes(self, kit: Kit, body: bytes) -> None:
        """T-10: bytes go out with their length.

        Source: RFC 9112 section 6.2.
        """
        async with kit.bench(answer_all) as bench:
            await (await bench.subject.send(bench.request("POST", body=body))).read()
            [received] = bench.server.requests
            assert received.values("content-length") == [str(len(body))]
            assert received.values("transfer-encoding") == []
            assert received.body == body

    @needs("streams_uploads")
    async def test_t11_chunked_by_default(self, kit: Kit) -> None:
        """T-11: an iterable of unknown length goes out chunked, empty blocks left out.

        Source: seam, promise 2.
        """
        async with kit.bench(answer_all) as bench:
            body = bench.subject.body([b"one", b"", b"two" * 100_000])
            await (await bench.subject.send(bench.request("PUT", body=body))).read()
            [received] = bench.server.requests
            assert received.values("transfer-encoding") == ["chunked"]
            assert received.values("content-length") == []
            assert (received.whole, received.body) == (True, b"one" + b"two" * 100_000)

    @needs("streams_uploads")
    async def test_t12_declared_length(self, kit: Kit) -> None:
        """T-12: an iterable with a Content-Length goes out by it, not chunked.

        Source: seam, promise 2.
        """
        async with kit.bench(answer_all) as bench:
            request = bench.request(
                "PUT",
                headers=[("Content-Length", "6")],
                body=bench.subject.body([b"one", b"two"]),
            )
            await (await bench.subject.send(request)).read()
            [received] = bench.server.requests
            assert received.values("transfer-encoding") == []
            assert received.body == b"onetwo"

    @pytest.mark.parametrize("body", [b"", b"{}"], ids=["without a body", "with a body"])
    @needs("exact_requests")
    async def test_t13_nothing_added(self, kit: Kit, body: bytes) -> None:
        """T-13: only Host, the framing and Connection are added to the caller's headers.

        Source: seam, promise 8.
        """
        async with kit.bench(answer_all) as bench:
            request = bench.request("POST" if body else "GET", headers=[("A", "1")], body=body)
            await (await bench.subject.send(request)).read()
            [received] = bench.server.requests
            assert {name.lower() for name, _ in received.headers} <= {"a", *NEEDED}
            assert received.values("host") == [bench.server.url().split("/")[2]]

    @needs("exact_requests")
    async def test_t14_order_of_headers(self, kit: Kit) -> None:
        """T-14: the caller's headers go out in order, repeated names and case kept.

        Source: seam, promise 8.
        """
        pairs = [("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("X-Empty", ""), ("X-Latin", "\xe9")]
        async with kit.bench(answer_all) as bench:
            await (await bench.subject.send(bench.request(headers=pairs))).read()
            [received] = bench.server.requests
            assert [one for one in received.headers if one[0].lower() not in NEEDED] == pairs

    async def test_t15_own_host_header(self, kit: Kit) -> None:
        """T-15: the caller's Host replaces the one made from the URL.

        Source: RFC 9112 section 3.2.
        """
        async with kit.bench(answer_all) as bench:
            request = bench.request(headers=[("Host", "other.example")])
            await (await bench.subject.send(request)).read()
            assert bench.server.requests[0].values("host") == ["other.example"]

    @needs("exact_requests")
    async def test_t16_target(self, kit: Kit) -> None:
        """T-16: path and query go out as written, the fragment stays behind.

        Source: RFC 9112 section 3.2.1.
        """
        async with kit.bench(answer_all) as bench:
            for path in ("/a/../b%2Fc?q=%7B1%7D&r=//#here", "?only=query"):
                await (await bench.get(path)).read()
            lines = [received.line for received in bench.server.requests]
            assert lines == [
                "GET /a/../b%2Fc?q=%7B1%7D&r=// HTTP/1.1",
                "GET /?only=query HTTP/1.1",
            ]

    @pytest.mark.parametrize(
        "header",
        [("X", "1\r\nInjected: 1"), ("X\r\nInjected", "1"), ("X", "1\n2"), ("X y", "1"), ("", "1")],
        ids=["CRLF in value", "CRLF in name", "LF in value", "space in name", "empty name"],
    )
    @needs("guards_requests")
    async def test_t17_no_injection(self, kit: Kit, header: tuple[str, str]) -> None:
        """T-17: a header that would change the message is refused before anything is sent.

        Source: RFC 9110 section 5.5.
        """
        async with kit.bench(answer_all) as bench:
            with pytest.raises(InvalidRequest) as refused:
                await bench.subject.send(bench.request(headers=[header]))
            assert refused.value.may_have_arrived is False
            await (await bench.get("/next")).read()
            assert [received.line for received in bench.server.requests] == ["GET /next HTTP/1.1"]

    @pytest.mark.parametrize(
        "url",
        ["/relative", "ftp://127.0.0.1/", "http://", "http://u:secret@127.0.0.1/", "http://a b/",
         "http://127.0.0.1:99999/", "http://127.0.0.1/a\r\nX: 1", "http://127.0.0.1/\u20ac"],
    )  # fmt: skip
    @needs("guards_requests")
    async def test_t18_bad_urls(self, kit: Kit, url: str) -> None:
        """T-18: a URL that is not absolute http, or holds user info or odd characters, is refused.

        Source: RFC 9110 section 4.2.
        """
        async with kit.bench(answer_all) as bench:
            with pytest.raises(InvalidRequest) as refused:
                await bench.subject.send(Request(method="GET", url=url))
            assert refused.value.may_have_arrived is False
            assert "secret" not in str(refused.value)

    @pytest.mark.parametrize("length", [5, 7], ids=["too long", "too short"])
    @needs("streams_uploads")
    async def test_t19_wrong_length(self, kit: Kit, length: int) -> None:
        """T-19: a body that does not have its declared length is an error, and never arrives whole.

        Source: RFC 9112 section 6.2.
        """
        async with kit.bench(answer_all) as bench:
            request = bench.request(
                "PUT",
                headers=[("Content-Length", str(length))],
                body=bench.subject.body([b"one", b"two"]),
            )
            with pytest.raises(InvalidRequest) as refused:
                await bench.subject.send(request)
            assert refused.value.may_have_arrived is False
            await (await bench.get("/next")).read()
            assert not any(r.whole for r in bench.server.requests if r.line.startswith("PUT"))
