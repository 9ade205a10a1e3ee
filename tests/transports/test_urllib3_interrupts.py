"""A KeyboardInterrupt anywhere in the blocking transport costs nothing but its request."""

from __future__ import annotations

import contextlib
import dis
import gc
import linecache
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

import tinker_lite_urllib3
from tinker_lite.attempt import PhaseExpired
from tinker_lite.http import Origin, Request, Timeout
from tinker_lite.pooling import PoolSize
from tinker_lite.routes import Route
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_conformance.transport.proxy import tunnel
from tinker_lite_urllib3 import Urllib3Transport
from tinker_lite_urllib3.limits import Limits
from tinker_lite_urllib3.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from tinker_lite.http import Response

PACKAGE = str(Path(tinker_lite_urllib3.__file__).parent)
WAIT_S = 10.0  # what only a defect makes anybody wait for
MOST_LINES = 2000  # far more than any exchange here runs


class Interrupter:
    """A trace function that interrupts at one line of the transport's own modules.

    Args:
        n_lines: How many lines run before.
        on_wait: Called when the transport begins to wait for a slot.
    """

    def __init__(self, n_lines: int, on_wait: Callable[[], None] = lambda: None) -> None:
        self.n_left = n_lines
        self._on_wait = on_wait

    def __call__(self, frame: FrameType, event: str, _: Any) -> Interrupter | None:
        """What Python calls before each line."""
        if not frame.f_code.co_filename.startswith(PACKAGE) or _is_finalizer(frame):
            return None
        if event == "call" and frame.f_code.co_name == "_wait":
            self._on_wait()
        if event == "line" and not _is_leaving_with(frame):
            self.n_left -= 1
            if self.n_left == -1:
                raise KeyboardInterrupt
        return self

    @contextlib.contextmanager
    def active(self) -> Generator[None]:
        """Trace what runs inside."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


def _is_leaving_with(frame: FrameType) -> bool:
    """Whether a ``with`` block is at its end: Python traces that, but takes no signal there."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
    operation = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return line.startswith("with ") and operation == "LOAD_CONST"


def _is_finalizer(frame: FrameType | None) -> bool:
    """Whether a frame is part of a ``__del__``, whose errors Python itself swallows."""
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


Act: TypeAlias = "Callable[[Urllib3Transport, Adversary, Interrupter], None]"


def echo(peer: Peer) -> None:
    """Answer every request with its target, in two chunks."""
    while received := peer.request():
        target = received.line.split(" ")[1].encode()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n/\r\n")
        peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(target) - 1, target[1:]))


def get(server: Adversary, path: str) -> Request:
    """A request whose every wait is bounded."""
    return Request(method="GET", url=server.url(path), timeout=BOUNDED)


def upload(server: Adversary) -> Request:
    """A request with a body in several blocks."""
    body = (b"x" * 100_000 for _ in range(3))
    return Request(method="POST", url=server.url("/upload"), body=body, timeout=BOUNDED)


def check(transport: Urllib3Transport, server: Adversary, path: str) -> None:
    """Make a request and see that the answer is its own."""
    assert transport.send(get(server, path)).read() == path.encode()


def ask(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """A request without a body, and its answer."""
    with interrupter.active():
        check(transport, server, "/asked")


def ask_again(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """The same over a connection that is kept."""
    check(transport, server, "/before")
    ask(transport, server, interrupter)


def send_upload(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """A request with a body from an iterator."""
    with interrupter.active():
        assert transport.send(upload(server)).read() == b"/upload"


def read(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """A body, its head being there."""
    response = transport.send(get(server, "/read"))
    with interrupter.active():
        assert response.read() == b"/read"


def close(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """A response that is closed before its body is read."""
    response = transport.send(get(server, "/closed"))
    with interrupter.active():
        response.close()


def wait(transport: Urllib3Transport, server: Adversary, interrupter: Interrupter) -> None:
    """A request that waits until another one's response is closed."""
    waiting = threading.Event()
    held = transport.send(get(server, "/held"))
    closer = threading.Thread(target=close_after, args=(waiting, held))
    closer.start()
    try:
        traced = Interrupter(interrupter.n_left, waiting.set)
        with traced.active():
            check(transport, server, "/waited")
        interrupter.n_left = traced.n_left
    finally:
        waiting.set()
        closer.join(WAIT_S)
        assert not closer.is_alive()


def close_after(event: threading.Event, response: Response) -> None:
    """Close a response when told to."""
    event.wait(WAIT_S)
    response.close()


def interrupted_at(n_lines: int, act: Act, transport: Urllib3Transport, server: Adversary) -> bool:
    """Interrupt after so many lines; whether there were as many."""
    interrupter = Interrupter(n_lines)
    try:
        act(transport, server, interrupter)
    except KeyboardInterrupt:
        return True
    assert interrupter.n_left >= 0, "an interrupt was swallowed"
    return False


def sweep(act: Act, transport: Urllib3Transport, server: Adversary) -> None:
    """Interrupt at every line, one after the other, and make a good request after each."""
    # In another thread, which a lock left taken would stop.
    with ThreadPoolExecutor(1) as threads:
        for n_lines in range(MOST_LINES):
            was_interrupted = interrupted_at(n_lines, act, transport, server)
            threads.submit(check, transport, server, f"/after/{n_lines}").result(WAIT_S)
            if not was_interrupted:
                assert n_lines > 3
                gc.collect()  # complains of what was lost unclosed
                return
    pytest.fail("the exchange never came to its end")


@pytest.mark.parametrize("max_idle", [0, 1], ids=["new connections", "kept connections"])
@pytest.mark.parametrize("act", [ask, ask_again, send_upload, read, close, wait])
def test_interrupt_at_every_line(act: Act, max_idle: int) -> None:
    """Wherever an exchange is interrupted, the only slot is free and the next answer is right."""
    with (
        Adversary(echo) as server,
        Urllib3Transport(
            max_connections=1, max_connections_per_host=1, max_idle_per_host=max_idle
        ) as transport,
    ):
        sweep(act, transport, server)


def test_interrupt_at_every_line_of_making_room() -> None:
    """Interrupted while the connection to another host makes room, the bound still holds."""
    with (
        Adversary(echo) as other,
        Adversary(echo) as server,
        Urllib3Transport(max_connections=1) as transport,
    ):

        def ask_other_first(
            transport: Urllib3Transport, server: Adversary, interrupter: Interrupter
        ) -> None:
            check(transport, other, "/other")
            ask(transport, server, interrupter)

        sweep(ask_other_first, transport, server)


@pytest.mark.parametrize("bounds", [(1, None), (None, 1)], ids=["in total", "to a host"])
def test_interrupt_at_every_line_of_giving_back(bounds: tuple[int | None, int | None]) -> None:
    """A turn that is given back under an interrupt is given back whole, or not at all."""
    pool = Pool(PoolSize(*bounds, None, 30.0))
    for n_lines in range(MOST_LINES):
        lease, following = (pool.lease(Route(Origin("http", "a.invalid", 80))) for _ in range(2))
        lease.acquire(Limits(BOUNDED))
        with pytest.raises(PhaseExpired):  # and so it stands in line
            following.acquire(Limits(Timeout(pool_s=1e-9)))
        assert following.bell is not None
        interrupter = Interrupter(n_lines)
        with contextlib.suppress(KeyboardInterrupt), interrupter.active():
            lease.discard()
        assert following.bell.locked() is not lease.over
        lease.discard()
        assert not following.bell.locked()
        following.discard()
        if interrupter.n_left >= 0:
            return
    pytest.fail("giving back never came to its end")


@pytest.mark.slow
def test_interrupt_at_every_line_of_a_tunnel() -> None:
    """Interrupted on the way through a proxy and two TLS handshakes, nothing is lost either."""
    certificates = make_certificates()
    with (
        Adversary(tunnel, tls=certificates.server) as proxy,
        Adversary(echo, tls=certificates.server) as server,
        Urllib3Transport(
            proxy=proxy.url("").rstrip("/"),
            verify=certificates.trusting,
            max_connections=1,
            max_connections_per_host=1,
            max_idle_per_host=0,
        ) as transport,
    ):
        sweep(ask, transport, server)


def test_interrupt_at_every_line_of_closing() -> None:
    """A transport whose closing is interrupted is closed by closing it again."""
    with Adversary(echo) as server:
        for n_lines in range(MOST_LINES):
            transport = Urllib3Transport()
            held = transport.send(get(server, "/held"))
            check(transport, server, "/idle")
            interrupter = Interrupter(n_lines)
            with contextlib.suppress(KeyboardInterrupt), interrupter.active():
                transport.close()
            transport.close()
            held.close()
            if interrupter.n_left >= 0:
                gc.collect()
                return
    pytest.fail("closing never came to its end")


# By a real signal -----------------------------------------------------------------------------

on_posix = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="this machine has no signals to threads"
)


def press_ctrl_c() -> None:
    """Interrupt the main thread."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def before_the_head(peer: Peer) -> None:
    """Interrupt the client while it waits for an answer."""
    peer.request()
    press_ctrl_c()
    peer.wait_for_end()


def within_the_body(peer: Peer) -> None:
    """Interrupt the client while it reads."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"half")
    press_ctrl_c()
    peer.wait_for_end()


def within_the_upload(peer: Peer) -> None:
    """Interrupt the client while it sends what nobody reads."""
    peer.head()
    press_ctrl_c()
    peer.wait_for_end()


@on_posix
@pytest.mark.parametrize("script", [before_the_head, within_the_body, within_the_upload])
def test_a_signal_costs_no_slot(script: Callable[[Peer], None]) -> None:
    """Ctrl-C during a request stops at once, and the only slot is free for the next one."""

    def good(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(ok(b"good"))

    with (
        Adversary(script, good) as server,
        Urllib3Transport(max_connections=1, max_connections_per_host=1) as transport,
    ):
        body = (b"x" * 1_000_000 for _ in range(100)) if script is within_the_upload else b""
        request = Request(method="POST", url=server.url(), body=body, timeout=BOUNDED)
        with pytest.raises(KeyboardInterrupt):
            transport.send(request).read()
        assert transport.send(get(server, "/")).read() == b"good"


@on_posix
def test_a_signal_while_waiting_for_a_slot() -> None:
    """Ctrl-C ends the wait for a slot, which goes on to the next in turn."""
    with (
        Adversary(echo, patience_s=60) as server,
        Urllib3Transport(max_connections=1, max_connections_per_host=1) as transport,
    ):
        held = transport.send(get(server, "/held"))
        waiting = threading.Event()

        def press_when_waiting() -> None:
            assert waiting.wait(WAIT_S)
            press_ctrl_c()

        presser = threading.Thread(target=press_when_waiting)
        presser.start()
        with pytest.raises(KeyboardInterrupt), Interrupter(sys.maxsize, waiting.set).active():
            transport.send(get(server, "/interrupted"))
        presser.join(WAIT_S)
        assert not presser.is_alive()
        held.close()
        check(transport, server, "/after")
