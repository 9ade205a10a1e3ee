"""T-200 to T-214: what holds of every transport, also of one that answers in process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tinker_lite.errors import (
    LimitExceeded,
    StreamAlreadyConsumed,
    TransportClosed,
    TransportError,
    TransportTimeout,
)
from tinker_lite.http import Headers, Request
from tinker_lite_conformance.transport.capabilities import needs

from .timeouts import limited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite_conformance.transport.prober import Prober

__all__ = ["InProcessCases"]

SOON_S = 0.1


class InProcessCases:
    """The cases that need no socket: the candidate is asked what it can answer by itself."""

    async def test_t200_head_and_body(self, prober: Prober) -> None:
        """T-200: a head comes with its status, and the body after it.

        Source: seam, promise 1.
        """
        async with prober.bench() as bench:
            reply = await bench.ask()
            assert 200 <= reply.status < 300
            chunks: list[bytes] = []
            while chunk := await reply.next():
                chunks.append(chunk)
            assert b"".join(chunks) == await (await bench.ask()).read() != b""

    async def test_t201_body_once(self, prober: Prober) -> None:
        """T-201: a body is handed out once, whole or in parts.

        Source: seam, promise 1.
        """
        async with prober.bench() as bench:
            reply = await bench.ask()
            await reply.next()
            with pytest.raises(StreamAlreadyConsumed, match="handed out already"):
                await reply.read()
            await reply.close()

    async def test_t202_body_limit(self, prober: Prober) -> None:
        """T-202: reading a body whole stops at the caller's limit, and the transport goes on.

        Source: seam, promise 6.
        """
        async with prober.bench() as bench:
            size = len(await (await bench.ask()).read())
            with pytest.raises(LimitExceeded, match=f"larger than the {size - 1} bytes"):
                await (await bench.ask()).read(size - 1)
            assert len(await (await bench.ask()).read(size)) == size

    async def test_t203_close_twice(self, prober: Prober) -> None:
        """T-203: closing twice is harmless, before and after a body is read.

        Source: seam, promise 1.
        """
        async with prober.bench() as bench:
            for is_read in (False, True):
                reply = await bench.ask()
                if is_read:
                    await reply.read()
                await reply.close()
                await reply.close()
            await bench.subject.close()
            await bench.subject.close()

    async def test_t204_closed_transport(self, prober: Prober) -> None:
        """T-204: a closed transport refuses requests, and nothing of them arrives.

        Source: seam, Transport.close.
        """
        async with prober.bench() as bench:
            assert await bench.works()
            await bench.subject.close()
            for _ in range(2):
                with pytest.raises(TransportClosed) as refused:
                    await bench.ask()
                assert refused.value.may_have_arrived is False

    async def test_t205_closed_unused(self, prober: Prober) -> None:
        """T-205: a transport that was never used can be closed, and is closed then.

        Source: seam, Transport.close.
        """
        async with prober.bench() as bench:
            await bench.subject.close()
            with pytest.raises(TransportClosed):
                await bench.ask()

    async def test_t206_many_at_once(self, prober: Prober) -> None:
        """T-206: many requests at once are all answered.

        Source: seam, promise 4.
        """
        async with prober.bench() as bench:

            async def ask() -> None:
                for _ in range(5):
                    assert await bench.works()

            await bench.subject.together([ask] * 20)

    @needs("bounded_pool")
    async def test_t207_closed_early(self, prober: Prober) -> None:
        """T-207: responses closed unread, again and again, cost no slot.

        Source: seam, promise 7.
        """
        async with prober.bench(max_connections=1) as bench:
            for _ in range(10):
                await (await bench.ask()).close()
            assert await bench.works()

    async def test_t208_half_read(self, prober: Prober) -> None:
        """T-208: a response closed while its body is read leaves the transport usable.

        Source: seam, promise 7.
        """
        async with prober.bench() as bench:
            reply = await bench.ask()
            assert await reply.next()
            await reply.close()
            assert await bench.works()

    @pytest.mark.parametrize("blocks", [[], [b""], [b"a", b"", b"b"]], ids=["no", "empty", "some"])
    @needs("streams_uploads")
    async def test_t209_iterable_body(self, prober: Prober, blocks: list[bytes]) -> None:
        """T-209: an iterable request body is taken to its end, once.

        Source: seam, promise 2.
        """
        taken: list[bytes] = []

        def body() -> Iterator[bytes]:
            for block in blocks:
                taken.append(block)
                yield block
            taken.append(b"the end")

        async with prober.bench() as bench:
            request = bench.request(body=bench.subject.body(body()))
            await (await bench.subject.send(request)).read()
            assert taken == [*blocks, b"the end"]

    @needs("streams_uploads")
    async def test_t210_error_of_the_body(self, prober: Prober) -> None:
        """T-210: what the caller's own body raises reaches the caller as it is.

        Source: seam, promise 7.
        """

        def body() -> Iterator[bytes]:
            yield b"one"
            message = "no second block"
            raise LookupError(message)

        async with prober.bench() as bench:
            with pytest.raises(LookupError, match="no second block"):
                await bench.subject.send(bench.request(body=bench.subject.body(body())))
            assert await bench.works()

    async def test_t211_headers(self, prober: Prober) -> None:
        """T-211: the headers of an answer are pairs of text, found without regard to case.

        Source: seam, promise 8.
        """
        async with prober.bench() as bench:
            reply = await bench.ask()
            assert isinstance(reply.headers, Headers)
            for name, value in reply.headers:
                assert value in reply.headers.get_all(name.upper())
                assert reply.headers.get_all(name.upper()) == reply.headers.get_all(name.lower())
            await reply.close()

    @needs("total_limit", "streams_uploads")
    async def test_t212_total(self, prober: Prober) -> None:
        """T-212: the total limit counts from the call on, the caller's own body included.

        Source: seam, promise 6.
        """

        def body() -> Iterator[bytes]:
            yield b"one"
            threading.Event().wait(2 * SOON_S)
            yield b"two"

        async with prober.bench() as bench:
            request = bench.request(
                body=bench.subject.body(body()), timeout=limited(total_s=SOON_S)
            )
            with pytest.raises(TransportTimeout) as expired:
                await bench.subject.send(request)
            assert expired.value.phase == "total"
            assert await bench.works()

    @pytest.mark.parametrize(
        "url",
        ["", "http://[::1", "http://[zz]/", "http://127.0.0.1:port/", "//no-scheme",
         "http://127.0.0.1:99999/", "http://a b/", "http://127.0.0.1/\r\nX: 1", "\x00"],
        ids=["empty", "open bracket", "no address", "port in words", "no scheme", "large port",
             "space in host", "line end", "NUL"],
    )  # fmt: skip
    async def test_t213_malformed_urls(self, prober: Prober, url: str) -> None:
        """T-213: a malformed URL is an error of the seam, and nothing of it arrives.

        Source: seam, promise 5.
        """
        async with prober.bench() as bench:
            with pytest.raises(TransportError) as refused:
                await bench.subject.send(Request(method="GET", url=url))
            assert refused.value.may_have_arrived is False
            assert await bench.works()

    @needs("bounded_heads")
    async def test_t214_head_limit(self, prober: Prober) -> None:
        """T-214: a head larger than the request allows is an error, and the transport goes on.

        Source: seam, promise 6.
        """
        async with prober.bench() as bench:
            with pytest.raises(LimitExceeded) as refused:
                await bench.subject.send(bench.request(max_head_bytes=16))
            assert refused.value.may_have_arrived is True
            assert await bench.works()
