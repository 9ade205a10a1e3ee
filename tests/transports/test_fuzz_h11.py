"""Whatever bytes a server sends, the async transport ends in an answer or one of its own errors."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinker_lite.errors import TransportError
from tinker_lite.http import Request, Timeout
from tinker_lite_h11 import H11Transport

if TYPE_CHECKING:
    from collections.abc import Generator

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
MAX_BODY_BYTES = 100_000
WAIT_S = 10.0
PATIENT = Timeout.of(WAIT_S)
# Of all that a server may do, only silence is ended by a limit.
IMPATIENT = Timeout(connect_s=WAIT_S, read_s=0.02, total_s=WAIT_S)


class Plan(NamedTuple):
    """How a server answers one request.

    Attributes:
        method: The request's method.
        writes: What is sent, a write each.
        ending: ``"close"``, ``"reset"`` or ``"silence"``.
    """

    method: str
    writes: list[bytes]
    ending: str


class Server:
    """Answers ``/odd`` by the plan at hand and anything else well, one connection at a time."""

    def __init__(self, listener: socket.socket) -> None:
        self.plan = Plan("GET", [], "close")
        self.has_done_it = threading.Event()
        self._listener = listener

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        """Serve until a connection says ``stop``."""
        while True:
            line = b""
            sock = self._listener.accept()[0]
            sock.settimeout(WAIT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock, sock.makefile("rb") as stream, contextlib.suppress(OSError):
                while (line := stream.readline()) and line != b"stop":
                    while stream.readline().strip():
                        pass
                    if b"/odd" not in line:
                        sock.sendall(GOOD)
                    elif not self._follow_plan(sock):
                        break
            if line == b"stop":
                return

    def _follow_plan(self, sock: socket.socket) -> bool:
        """Whether the connection goes on."""
        try:
            for data in self.plan.writes:
                sock.sendall(data)
            if self.plan.ending == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if self.plan.ending != "silence":
                sock.shutdown(socket.SHUT_WR)
        finally:
            self.has_done_it.set()
        return self.plan.ending == "silence"


@contextlib.contextmanager
def serving() -> Generator[Server]:
    """A server in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield server
        with socket.create_connection(listener.getsockname()) as sock:
            sock.sendall(b"stop")
        thread.join(WAIT_S)
        assert not thread.is_alive(), "the server still waits for a connection to end"


def chunked(pieces: list[bytes]) -> bytes:
    """A body in chunks, with an extension and a trailer."""
    chunks = b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\nTrailer: t\r\n\r\n"


@st.composite
def valid_answers(draw: st.DrawFn) -> bytes:
    """Answers as they should be, of every framing."""
    pieces = draw(st.lists(st.binary(max_size=40), max_size=4))
    status = draw(st.sampled_from([b"200 OK", b"204 No", b"304 Same", b"404 Gone", b"500 "]))
    version = draw(st.sampled_from([b"1.1", b"1.0"]))
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"]))
    head = b"HTTP/%b %b\r\nServer: s\r\n" % (version, status)
    body = b"".join(pieces)
    framed = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + chunked(pieces),
        "until close": b"Connection: close\r\n\r\n" + body,
        "both": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(pieces),
    }
    return interim + head + draw(st.sampled_from(list(framed.values())))


# What breaks parsers: line ends, signs, sizes, framing headers, and whole answers nobody asked for.
FRAGMENTS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"-1", b"+5", b"0x2", b"ffffffffffffffffff", b"\xff",
    b"Content-Length: 5\r\n", b"Content-Length: 5, 6\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b" folded: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switch\r\n\r\n", b"0\r\n\r\n", GOOD.replace(b"good", b"evil"),
    b"X: " + b"y" * 70_000 + b"\r\n",
]  # fmt: skip


@st.composite
def mutated_answers(draw: st.DrawFn) -> bytes:
    """Answers with parts left out, put in or doubled."""
    answer = draw(valid_answers())
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(answer)))
        end = min(len(answer), start + draw(st.integers(0, 12)))
        what = draw(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)))
        answer = answer[:start] + what + answer[draw(st.sampled_from([start, end])) :]
    return answer


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Bytes of any kind, cut anywhere."""
    data = draw(st.one_of(mutated_answers(), mutated_answers(), st.binary(max_size=200)))
    places = draw(st.lists(st.integers(0, max(0, len(data))), max_size=6))
    cuts = [0, *sorted(places), len(data)]
    writes = [data[start:end] for start, end in pairwise(cuts) if start < end]
    ending = draw(st.sampled_from(["close", "close", "reset", "silence"]))
    return Plan(draw(st.sampled_from(["GET", "GET", "GET", "HEAD"])), writes, ending)


async def probe(transport: H11Transport, server: Server, plan: Plan) -> None:
    """Ask once for what is planned, and then for a good answer."""
    server.plan = plan
    server.has_done_it.clear()
    odd = Request(method=plan.method, url=f"{server.url}/odd", timeout=IMPATIENT)
    with contextlib.suppress(TransportError), anyio.fail_after(WAIT_S):
        await (await transport.send(odd)).read(MAX_BODY_BYTES)
    # What is sent behind an answer while the next request is on its way belongs to that one, for
    # all that anybody can tell; so it is all sent by then.
    assert await anyio.to_thread.run_sync(server.has_done_it.wait, WAIT_S)
    good = Request(method="GET", url=f"{server.url}/good", timeout=PATIENT)
    assert await (await transport.send(good)).read() == b"good"


def fuzz(backend: str, n_examples: int) -> None:
    """Run that many plans through one transport, whose one slot each of them may lose."""
    with serving() as server, anyio.from_thread.start_blocking_portal(backend) as portal:
        transport = H11Transport(max_connections=1, max_connections_per_host=1)

        @settings(max_examples=n_examples, derandomize=True)
        @given(plan=plans())
        def run(plan: Plan) -> None:
            portal.call(probe, transport, server, plan)

        run()
        portal.call(transport.aclose)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_any_answer(backend: str) -> None:
    """Any bytes, cut anywhere and ended anyhow, give an answer or our error; the next is good."""
    fuzz(backend, 100)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_any_answer_at_length(backend: str) -> None:
    """The same, many times."""
    fuzz(backend, 2500)
