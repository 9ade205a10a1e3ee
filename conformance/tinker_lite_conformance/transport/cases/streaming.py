"""T-01 to T-09: bytes move when they are there, in both directions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import LimitExceeded, StreamAlreadyConsumed
from tinker_lite_conformance.transport.adversary import Peer, ok
from tinker_lite_conformance.transport.capabilities import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["StreamingCases"]

BIG = bytes(range(256)) * 32_768  # 8 MiB


class StreamingCases:
    """Bodies as streams."""

    async def test_t01_head_first(self, kit: Kit) -> None:
        """T-01: send returns when the head is in, before any of the body.

        Source: seam, promise 1.
        """
        head_is_in = threading.Event()

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            assert peer.wait(head_is_in), "the head alone did not reach the caller"
            peer.send(b"body")

        async with kit.bench(script) as bench:
            reply = await bench.get()
            head_is_in.set()
            assert (reply.status, await reply.read()) == (200, b"body")

    @pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with a length"])
    async def test_t02_bytes_as_they_come(self, kit: Kit, chunked: bool) -> None:
        """T-02: a part of the body reaches the caller before the next is sent.

        Source: seam, promise 1.
        """
        got_first = threading.Event()
        framing, first, last = (
            (b"Transfer-Encoding: chunked", b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n")
            if chunked
            else (b"Content-Length: 2", b"a", b"b")
        )

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\n", framing, b"\r\n\r\n", first)
            assert peer.wait(got_first), "the first byte did not reach the caller"
            peer.send(last)

        async with kit.bench(script) as bench:
            reply = await bench.get()
            assert await reply.next() == b"a"
            got_first.set()
            assert await reply.next() == b"b"
            assert await reply.next() == b""

    async def test_t03_large_bodies(self, kit: Kit) -> None:
        """T-03: large bodies go out and come back unchanged.

        Source: seam, promise 2.
        """

        def script(peer: Peer) -> None:
            received = peer.request()
            assert received is not None
            peer.send(ok(received.body))

        async with kit.bench(script) as bench:
            reply = await bench.subject.send(bench.request("POST", body=BIG))
            assert await reply.read() == BIG

    @needs("streams_uploads")
    async def test_t04_upload_in_blocks(self, kit: Kit) -> None:
        """T-04: a block of the request body is sent before the next is asked for.

        Source: seam, promise 2.
        """
        got_first = threading.Event()

        def script(peer: Peer) -> None:
            assert peer.head() is not None
            assert peer.read(len(b"5\r\nfirst\r\n")) == b"5\r\nfirst\r\n"
            got_first.set()
            assert peer.read(len(b"4\r\nlast\r\n0\r\n\r\n")) == b"4\r\nlast\r\n0\r\n\r\n"
            peer.send(ok(b"thanks"))

        def blocks() -> Iterator[bytes]:
            yield b"first"
            assert bench.server.wait(got_first), "the first block did not reach the server"
            yield b"last"

        async with kit.bench(script) as bench:
            body = bench.subject.body(blocks())
            reply = await bench.subject.send(bench.request("POST", body=body))
            assert await reply.read() == b"thanks"

    async def test_t05_close_twice(self, kit: Kit) -> None:
        """T-05: closing a response or the transport twice is harmless.

        Source: seam, promise 1.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"x" * 10_000_000))
            peer.wait_for_end()

        async with kit.bench(script) as bench:
            reply = await bench.get()
            await reply.close()
            await reply.close()
            await bench.subject.close()
            await bench.subject.close()

    async def test_t06_early_close_hangs_up(self, kit: Kit) -> None:
        """T-06: a response closed early drops its connection and reads no more.

        Source: seam, promise 7.
        """
        hung_up = threading.Event()

        def endless(peer: Peer) -> None:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 100)
            if peer.wait_for_end():
                hung_up.set()

        def normal(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"next"))

        async with kit.bench(endless, normal) as bench:
            reply = await bench.get()
            await reply.next()
            await reply.close()
            assert await bench.subject.wait(hung_up), "the connection stayed open"
            assert await (await bench.get()).read() == b"next"

    async def test_t07_body_limit(self, kit: Kit) -> None:
        """T-07: reading a body whole stops at the caller's limit.

        Source: seam, promise 6.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"x" * 100_000))
            peer.wait_for_end()

        async with kit.bench(script) as bench:
            reply = await bench.get()
            with pytest.raises(LimitExceeded, match="larger than the 1000 bytes"):
                await reply.read(1000)

    async def test_t08_body_once(self, kit: Kit) -> None:
        """T-08: a body is handed out once; asking again is an error.

        Source: seam, promise 1.
        """

        def script(peer: Peer) -> None:
            peer.request()
            peer.send(ok(b"body"))

        async with kit.bench(script) as bench:
            reply = await bench.get()
            await reply.read()
            with pytest.raises(StreamAlreadyConsumed, match="handed out already"):
                await reply.read()
