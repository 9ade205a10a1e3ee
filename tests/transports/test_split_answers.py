"""An answer means the same however the network cuts it."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.attempt import Attempt
from tinker_lite.framing import BodyEnd, read_framing
from tinker_lite.http import Origin, Request, Timeout
from tinker_lite.pooling import PoolSize
from tinker_lite.routes import Route
from tinker_lite_h11.body import Body as H11Body
from tinker_lite_h11.connection import Connection as H11Connection
from tinker_lite_h11.exchange import Exchange
from tinker_lite_h11.head import HeadReader
from tinker_lite_h11.limits import Limits
from tinker_lite_h11.pool import Pool
from tinker_lite_urllib3.answer import HeadReader as Urllib3HeadReader
from tinker_lite_urllib3.body import UntilLastChunk, UntilLength

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUEST = Request(method="GET", url="http://127.0.0.1/", timeout=Timeout.of(None))
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

bodies = st.binary(max_size=300)


def with_length(body: bytes) -> bytes:
    """An answer framed by its length."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: y\r\n\r\n%b" % (len(body), body)


def in_chunks(body: bytes) -> bytes:
    """An answer in chunks of 7 bytes, with an extension and a trailer."""
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    chunks = b"".join(b"%x;ext\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n%b0\r\nT: 1\r\n\r\n" % chunks
    )


def until_close(body: bytes) -> bytes:
    """An answer framed by the end of its connection."""
    return b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, none of them empty."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    starts = [0, *ends]
    return [data[start:end] for start, end in zip(starts, ends, strict=False) if start < end]


class Pieces(io.RawIOBase):
    """A file that gives one piece at a time."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = list(pieces)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io passes
        """The next piece, as much of it as there is room for."""
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        if len(piece) > len(buffer):
            self._pieces.insert(0, piece[len(buffer) :])
            piece = piece[: len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


class PieceStream(ByteStream):
    """A byte stream that gives one piece at a time."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)
        self._sock = socket.socket()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """A socket, since a connection looks for one."""
        return {SocketAttribute.raw_socket: lambda: self._sock}

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """The next piece."""
        await anyio.lowlevel.checkpoint()
        if not self._pieces:
            raise anyio.EndOfStream
        return self._pieces.pop(0)

    async def send(self, item: bytes) -> None:
        """Swallow it."""

    async def send_eof(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        """Close the socket."""
        self._sock.close()


@pytest.mark.parametrize("frame", [with_length, in_chunks])
@given(body=bodies, places=st.lists(st.integers(0, 10_000), max_size=12))
def test_urllib3_reads_the_same(
    frame: Callable[[bytes], bytes], body: bytes, places: list[int]
) -> None:
    """Head and body come out whole however their bytes are cut."""
    source = Pieces(cut(INTERIM + frame(body), places))
    reader: io.BufferedReader = io.BufferedReader(source, 64)
    head = Urllib3HeadReader(reader, 4096).final()
    assert (head.status, dict(head.headers)["X"]) == (200, "y")
    framing = read_framing("GET", head.status, head.version, head.headers)
    rest = (
        UntilLength(reader, framing.length)
        if framing.end is BodyEnd.LENGTH
        else UntilLastChunk(reader)
    )
    pieces: list[bytes] = []
    while not rest.complete:
        pieces.append(rest.next())
    assert b"".join(pieces) == body
    assert reader.read() == b""


async def ask(pieces: list[bytes]) -> bytes:
    """The body that the async transport reads from these pieces."""
    limits = Limits(REQUEST.timeout)
    lease = Pool(PoolSize(None, None, 0, 1.0)).lease(Route(Origin("http", "127.0.0.1", 80)))
    await lease.acquire(limits)
    connection = H11Connection(PieceStream(pieces))
    lease.attach(connection)
    head = HeadReader("GET", REQUEST.max_head_bytes)
    exchange = Exchange(
        connection, head, b"GET / HTTP/1.1\r\n\r\n", b"", 0, limits, Attempt(REQUEST)
    )
    answer = await exchange.run()
    assert answer.status_code == 200
    headers = [(name.decode(), value.decode()) for name, value in answer.headers]
    body = H11Body(exchange, read_framing("GET", 200, "1.1", headers), True, lease)
    read = b"".join([chunk async for chunk in body])
    await body.aclose()
    return read


@pytest.mark.parametrize("frame", [with_length, in_chunks, until_close])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(body=bodies, places=st.lists(st.integers(0, 10_000), max_size=12))
def test_h11_reads_the_same(
    backend: str, frame: Callable[[bytes], bytes], body: bytes, places: list[int]
) -> None:
    """Head and body come out whole however their bytes are cut, on either loop."""
    pieces = cut(INTERIM + frame(body), places)
    assert anyio.run(ask, pieces, backend=backend) == body
