"""Bodies that know what is read of them, and servers that send them piece by piece."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import anyio
import anyio.to_thread

import tinker_lite as tl
from tinker_lite.http import AsyncResponse, Request, Response
from tinker_lite_conformance.transport.peer import Peer

NOWHERE = "http://127.0.0.1:9"  # nothing listens there


PLACE = "/api/v1/anything"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


THREE = b'data: {"n": 1}\n\ndata: {"n": 2}\n\nevent: ping\n\ndata: {"n": 3}\n\ndata: [DONE]\n\n'


class Item(TypedDict):
    """What the events of these tests hold."""

    n: int


class Tape(Iterator[bytes], AsyncIterator[bytes]):
    """A body that notes how much of it has been read, and whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = iter(chunks)
        self.n_read = self.n_closed = 0

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.n_read += 1
        return chunk

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for chunk in self._chunks:
            self.n_read += 1
            return chunk
        raise StopAsyncIteration

    def close(self) -> None:
        """Note it."""
        self.n_closed += 1

    async def aclose(self) -> None:
        """Note it."""
        self.n_closed += 1


class Player:
    """A blocking transport that answers every request with one tape."""

    def __init__(self, tape: Tape, *headers: tuple[str, str]) -> None:
        self.tape, self.headers = tape, headers
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        """Answer; nothing of the body is read."""
        self.requests.append(request)
        return Response(200, self.headers, self.tape, close=self.tape.close)

    def close(self) -> None:
        """Nothing is open."""


class AsyncPlayer:
    """The async form of ``Player``."""

    def __init__(self, tape: Tape, *headers: tuple[str, str]) -> None:
        self.tape, self.headers = tape, headers
        self.requests: list[Request] = []

    async def send(self, request: Request) -> AsyncResponse:
        """Answer; nothing of the body is read."""
        self.requests.append(request)
        return AsyncResponse(200, self.headers, self.tape, close=self.tape.aclose)

    async def aclose(self) -> None:
        """Nothing is open."""


def blocking(transport: Any, **options: Any) -> tl.Tinker:
    """A blocking client."""
    return tl.Tinker(base_url=NOWHERE, transport=transport, **options)


def nonblocking(transport: Any, **options: Any) -> tl.AsyncTinker:
    """An async client."""
    return tl.AsyncTinker(base_url=NOWHERE, transport=transport, **options)


async def both(
    run: Callable[[], object], run_async: Callable[[], Awaitable[object]]
) -> tuple[Any, Any]:
    """Run the blocking form in a thread, then the async one."""
    return await anyio.to_thread.run_sync(run), await run_async()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Stepwise:
    """A server that sends each piece of a body only when the client has seen the one before."""

    def __init__(self, head: bytes, *pieces: bytes) -> None:
        self.n_sent = 0
        self._head, self._pieces = head, pieces
        self._seen = [threading.Event() for _ in pieces]

    def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        peer.request()
        peer.send(self._head)
        for piece, seen in zip(self._pieces, self._seen, strict=True):
            peer.send(chunk(piece))
            self.n_sent += 1
            assert peer.wait(seen), "the client has not seen a piece that was sent"
        peer.send(b"0\r\n\r\n")

    def saw(self, n: int) -> None:
        """Tell that piece n, from 0, has come; no later one can have been sent."""
        assert self.n_sent <= n + 1
        self._seen[n].set()


def names_in(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
