"""Whatever comes as an answer, the blocking transport gives a response or one of our errors."""

from __future__ import annotations

import contextlib
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinker_lite.errors import ConnectionLost, TransportError
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from tinker_lite.http import Timeout

SILENCE_S = 0.02  # how long a silent peer is borne; that it is borne no longer is not the point
MAX_BODY_BYTES = 1_000_000

Ending: TypeAlias = Literal["close", "reset", "silence"]


class Plan(NamedTuple):
    """What the server sends, piece by piece, and what it does then."""

    pieces: list[bytes]
    ending: Ending


GOOD_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\nhello, world",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\n"
    b"Trailer: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello, world",
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\n"
    b"Content-Length: 2\r\n\r\nno",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
]
# What a change puts in: the characters that HTTP is made of, and some that it is not.
TOKENS = [b"", b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b"0", b"-1", b"0x", b"f" * 20,
          b"\xff", b"chunked", b"Content-Length: 3\r\n", b"Transfer-Encoding: gzip\r\n",
          b"HTTP/1.1 "]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good answer with a few bytes replaced, inserted or left out."""
    answer = draw(st.sampled_from(GOOD_ANSWERS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(answer)))
        end = min(len(answer), start + draw(st.integers(0, 4)))
        answer = answer[:start] + draw(st.sampled_from(TOKENS)) + answer[end:]
    return answer


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Bytes, where they are cut, and how it ends."""
    answer = draw(st.one_of(mutated(), mutated(), st.binary(max_size=200)))
    places = sorted(draw(st.lists(st.integers(0, len(answer)), max_size=3)))
    cuts = [0, *places, len(answer)]
    pieces = [answer[start:end] for start, end in pairwise(cuts)]
    ending: Ending = draw(st.sampled_from(("close", "reset", "silence")))
    return Plan([piece for piece in pieces if piece], ending)


def follow(plan: Plan, peer: Peer) -> None:
    """Send what is planned, and end as is planned; silence leaves it open for another request."""
    peer.send(*plan.pieces)
    if plan.ending == "reset":
        peer.reset()
    elif plan.ending == "close":
        peer.close()


def get(server: Adversary, path: str, timeout: Timeout = BOUNDED) -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=server.url(path), timeout=timeout)


def answers_or_fails(server: Adversary, is_sent: threading.Event) -> None:
    """Ask for what is planned, then for something else; one slot has to do for both."""
    timeout = msgspec.structs.replace(BOUNDED, read_s=SILENCE_S)
    with Urllib3Transport(max_connections=1, max_connections_per_host=1) as transport:
        with contextlib.suppress(TransportError):
            transport.send(get(server, "/fuzz", timeout)).read(MAX_BODY_BYTES)
        # What is sent behind an answer while the next request is on its way belongs to that one,
        # for all that anybody can tell; so it is all sent by then.
        assert is_sent.wait(server.patience_s)
        try:
            body = transport.send(get(server, "/good")).read()
        except ConnectionLost as lost:
            if not lost.reused_connection:  # as it is where the first was good, and then closed
                raise
            body = transport.send(get(server, "/good")).read()
        assert body == b"good"


def fuzz(profile: settings) -> None:
    """Follow as many plans as the profile says, and see what the transport makes of each."""
    current: list[Plan] = []
    is_sent = threading.Event()

    def serve(peer: Peer) -> None:
        while received := peer.request():
            if received.line.startswith("GET /good "):
                peer.send(ok(b"good"))
            else:
                follow(plan := current[-1], peer)
                is_sent.set()
                if plan.ending != "silence":
                    return

    with Adversary(serve) as server:

        @profile
        @given(plan=plans())
        def check(plan: Plan) -> None:
            current.append(plan)
            is_sent.clear()
            answers_or_fails(server, is_sent)

        check()


def test_fuzz() -> None:
    """Any bytes, cut anywhere, end in a response or an error of ours, and cost no slot."""
    fuzz(settings(max_examples=200, derandomize=True, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fuzz_for_long() -> None:
    """The same with many more examples."""
    fuzz(settings(max_examples=5000, deadline=None))
