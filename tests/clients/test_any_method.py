"""``request``: calls with methods that have no verb of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.scripted import BASE_URL
from tinker_lite import AsyncTinker, InternalServerError, Tinker
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite_conformance.transport.adversary import Adversary

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.adversary import Peer

HEAD_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\nETag: x\r\n\r\n"


def no_bodies(peer: Peer) -> None:
    """Answers heads that speak of a body, on one connection."""
    while peer.request() is not None:
        peer.send(HEAD_ANSWER)


@pytest.mark.parametrize("method", ["OPTIONS", "options", "PROPFIND", "M-SEARCH", "POST"])
async def test_any_method_is_sent_as_the_verbs_are(method: str) -> None:
    """With path, body, query and type, in both colours."""
    transport = FakeTransport(lambda _: FakeReply({"n": 1}))
    client = Tinker(base_url=BASE_URL, transport=transport)
    options: dict[str, Any] = {"body": {"a": 1}, "extra_query": {"q": 1}}
    assert client.request(method, "/x", cast_to=dict[str, int], **options) == {"n": 1}
    async_transport = AsyncFakeTransport(lambda _: FakeReply({"n": 1}))
    async with AsyncTinker(base_url=BASE_URL, transport=async_transport) as async_client:
        assert await async_client.request(method, "/x", **options) == {"n": 1}
    for [request] in (transport.requests, async_transport.requests):
        assert (request.method, request.url) == (method.upper(), f"{BASE_URL}/x?q=1")
        assert request.body == b'{"a":1}'


async def test_a_head_has_no_body() -> None:
    """Whatever its headers say of one; over both default transports, read and unread."""
    with Adversary(no_bodies) as server:
        with Tinker(base_url=server.url(""), max_retries=0) as client:
            head = client.with_raw_response.request("HEAD", "/x")
            assert (head.headers["etag"], head.read()) == ("x", b"")
            with client.with_streaming_response.request("HEAD", "/x") as unread:
                assert list(unread.iter_bytes()) == []
            assert client.request("HEAD", "/x") is None
        assert server.n_connections == 1
        async with AsyncTinker(base_url=server.url(""), max_retries=0) as async_client:
            async_head = await async_client.with_raw_response.request("HEAD", "/x")
            assert (async_head.headers["etag"], await async_head.read()) == ("x", b"")
            assert await async_client.request("HEAD", "/x") is None
        assert server.n_connections == 2


@pytest.mark.parametrize(("method", "n_sent"), [("HEAD", 2), ("OPTIONS", 2), ("PROPFIND", 1)])
def test_what_only_reads_is_repeated_without_a_key(method: str, n_sent: int) -> None:
    """Another origin gets no key, so what may have applied there is not sent again."""
    transport = FakeTransport(lambda _: FakeReply(status=500))
    client = Tinker(base_url=BASE_URL, transport=transport, max_retries=1)
    with pytest.raises(InternalServerError, match="500"):
        client.request(method, "https://storage.example/x")
    assert len(transport.requests) == n_sent


@pytest.mark.parametrize("method", ["", "GET /x", "G\r\n", "GÉT"])
def test_a_method_is_a_word(method: str) -> None:
    """Anything else is refused before anything is sent."""
    transport = FakeTransport(lambda _: FakeReply())
    with pytest.raises(ValueError, match="must be a word, such as 'HEAD'"):
        Tinker(base_url=BASE_URL, transport=transport).request(method, "/x")
    assert not transport.requests
