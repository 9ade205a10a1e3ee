"""Interrupting the async transport anywhere costs nothing but the request.

Every exchange below is interrupted at its first suspension, at its second, and so on until it comes
to its end. After each, the only slot there is must be free, and the next answer must be the right
one: every answer names the request it belongs to.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from tinker_lite.errors import TransportClosed
from tinker_lite.http import Request
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.proxy import tunnel
from tinker_lite_h11 import H11Transport
from tinker_lite_h11.pool import MAX_OPENINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
    from typing import TypeAlias

    Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

N_SUSPENSIONS = 500  # more than any of these exchanges has
FILLER = b"x" * 300_000


def answer(peer: Peer) -> None:
    """Answer every request with its request line, framed as its path says."""
    while received := peer.request():
        body = received.line.encode() + FILLER
        if "/chunked" in received.line:
            pieces = (body[:10], body[10:])
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            peer.send(*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
        elif "/close" in received.line:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n", body[:10], body[10:])
            peer.say_goodbye()
            return
        elif "/length" in received.line:
            peer.send(ok(body)[:-100], body[-100:])
        else:
            peer.send(ok(received.line.encode()))


def answer_early(peer: Peer) -> None:
    """Answer to the head of a request, and read no more of it."""
    received = peer.head()
    if received is not None:
        peer.send(ok(received.line.encode()))
        peer.wait_for_end()


def hold(peer: Peer) -> None:
    """Begin an answer and never end it."""
    if peer.request() is not None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin")
        peer.wait_for_end()


def forward(peer: Peer) -> None:
    """Answer requests in the absolute form, as a proxy would."""
    while received := peer.request():
        assert "http://" in received.line
        peer.send(ok(received.line.encode()))


async def blocks() -> AsyncIterator[bytes]:
    """A body in several blocks, with waits between them."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
        yield b"x" * 100_000


async def ask(transport: H11Transport, url: str, *, upload: bool = False) -> None:
    """Send a request and read its own answer."""
    body = blocks() if upload else b""
    method = "POST" if upload else "GET"
    request = Request(method=method, url=url, body=body, timeout=BOUNDED)
    read = await (await transport.send(request)).read()
    assert read.removesuffix(FILLER).endswith(b"/" + url.rpartition("/")[2].encode() + b" HTTP/1.1")


async def leave(transport: H11Transport, url: str) -> None:
    """Send a request, read the beginning of its answer and close it."""
    response = await transport.send(Request(method="GET", url=url, timeout=BOUNDED))
    await anext(response.iter_bytes())
    await response.aclose()


class Interrupted:
    """Runs a coroutine, and interrupts it at one of its suspensions.

    Args:
        work: The coroutine.
        at: The number of the suspension, from 1.
        how: ``"scope"`` cancels a scope around it; ``"task"`` cancels its task, once, as asyncio
            does; ``"woken"`` does so when what it waits for has come, but has not been told to it.
    """

    def __init__(self, work: Coroutine[Any, Any, None], at: int, how: str) -> None:
        self._work = work
        self._left = at
        self._how = how
        self._scope = anyio.CancelScope()

    @property
    def is_interrupted(self) -> bool:
        """Whether it came as far as that suspension."""
        return self._left <= 0

    async def run(self) -> None:
        """Run until the end or the interruption."""
        try:
            with self._scope:
                await self
        except asyncio.CancelledError:
            if self._how == "scope":
                raise

    def __await__(self) -> Generator[Any, Any, None]:
        resume = partial(self._work.send, None)
        while True:
            try:
                waits_for = resume()
            except StopIteration:
                return
            self._left -= 1
            if self._left == 0:
                self._interrupt(waits_for)
            try:
                resume = partial(self._work.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001  # goes on into the coroutine
                resume = partial(self._work.throw, error)

    def _interrupt(self, waits_for: Any) -> None:
        if self._how == "scope":
            self._scope.cancel()
            return
        task = asyncio.current_task()
        assert task is not None
        if self._how == "woken" and waits_for is not None:  # a future
            waits_for.add_done_callback(partial(_cancel, task))
        else:
            task.cancel()


def _cancel(task: asyncio.Task[Any], _: object) -> None:
    task.cancel()


async def sweep(work: Work, next_one: Callable[[str], Awaitable[None]]) -> None:
    """Interrupt the work at every suspension, in every way, each followed by another request."""
    runs_asyncio = sniffio.current_async_library() == "asyncio"
    if runs_asyncio:
        _overlook_late_readers(asyncio.get_running_loop())
    for how in ("scope", "task", "woken") if runs_asyncio else ("scope",):
        for at in range(1, N_SUSPENSIONS):
            was_interrupted = await interrupt(work(), at, how)
            await next_one(f"/{how}-{at}")
            if not was_interrupted:
                break
        else:
            pytest.fail("the exchange does not come to its end")
        assert at > 2, "sending and receiving suspend at least once each"
    gc.collect()  # a connection that nobody closed complains here


def _overlook_late_readers(loop: asyncio.AbstractEventLoop) -> None:
    """Leave one complaint of anyio's unix streams alone.

    A wait that is cancelled in the very moment its socket becomes readable is told of it as well,
    although it is over by then (anyio 4.16, ``_wait_until_readable``). Nothing is lost by it.
    """
    complain = loop.get_exception_handler() or asyncio.BaseEventLoop.default_exception_handler

    def handle(loop: Any, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncio.InvalidStateError):
            complain(loop, context)

    loop.set_exception_handler(handle)


async def interrupt(work: Coroutine[Any, Any, None], at: int, how: str) -> bool:
    """Run work in a task of its own and interrupt it; False if it ended before."""
    interrupted = Interrupted(work, at, how)
    async with anyio.create_task_group() as group:
        group.start_soon(interrupted.run)
    return interrupted.is_interrupted


WAYS = ["plain", "TLS", "unix", "forwarded", "tunnel", "tunnel by TLS"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
async def test_every_way(way: str, kept: bool) -> None:
    """However a connection is opened, an interruption there or later costs no slot."""
    certificates = make_certificates()
    with ExitStack() as stack:
        secure = certificates.server if way not in {"plain", "unix", "forwarded"} else None
        listen = "unix" if way == "unix" else "127.0.0.1"
        origin = stack.enter_context(Adversary(answer, tls=secure, listen=listen))
        proxy = None
        if way in {"forwarded", "tunnel", "tunnel by TLS"}:
            script = forward if way == "forwarded" else tunnel
            to_proxy = certificates.server if way == "tunnel by TLS" else None
            proxy = stack.enter_context(Adversary(script, tls=to_proxy)).url("")
        async with H11Transport(
            proxy=proxy,
            verify=certificates.trusting,
            max_connections=1,
            max_connections_per_host=1,
            max_idle_per_host=1 if kept else 0,
        ) as transport:

            async def exchange() -> None:
                await ask(transport, origin.url("/small"))

            async def follow(path: str) -> None:
                await ask(transport, origin.url(path))

            if kept:
                await follow("/first")
            await sweep(exchange, follow)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("path", ["/length", "/chunked", "/close"])
@pytest.mark.parametrize("read_whole", [True, False], ids=["read whole", "left early"])
async def test_every_body(path: str, read_whole: bool, secure: bool) -> None:
    """However a body is framed, an interruption while it is read or closed costs no slot."""
    certificates = make_certificates()
    with Adversary(answer, tls=certificates.server if secure else None) as server:
        async with H11Transport(
            verify=certificates.trusting, max_connections=1, max_connections_per_host=1
        ) as transport:

            async def exchange() -> None:
                await (ask if read_whole else leave)(transport, server.url(path))

            async def follow(path: str) -> None:
                await ask(transport, server.url(path))

            await sweep(exchange, follow)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("script", [answer, answer_early])
async def test_uploads(script: Callable[[Peer], None], secure: bool) -> None:
    """An upload may be interrupted anywhere, also while an early answer comes in."""
    certificates = make_certificates()
    tls = certificates.server if secure else None
    with Adversary(script, tls=tls) as server, Adversary(answer, tls=tls) as other:
        async with H11Transport(
            verify=certificates.trusting, max_connections=1, max_connections_per_host=1
        ) as transport:

            async def exchange() -> None:
                await ask(transport, server.url("/upload"), upload=True)

            async def follow(path: str) -> None:  # which closes an idle connection to the server
                await ask(transport, other.url(path))

            await sweep(exchange, follow)


@pytest.mark.parametrize("wait_for", ["host", "total"])
async def test_waiting(wait_for: str) -> None:
    """A waiter for either kind of slot gives back exactly what it holds, wherever it is stopped."""
    with Adversary(hold) as holding, Adversary(answer) as server:
        same_host = wait_for == "host"
        async with H11Transport(
            max_connections=None if same_host else 1, max_connections_per_host=1
        ) as transport:
            url = server.url("/length" if same_host else "/small")
            held_url = server.url("/length") if same_host else holding.url()

            async def exchange() -> None:
                held = await transport.send(Request(method="GET", url=held_url, timeout=BOUNDED))
                async with AsyncExitStack() as stack, anyio.create_task_group() as group:
                    stack.push_async_callback(held.aclose)

                    async def release() -> None:
                        await anyio.wait_all_tasks_blocked()
                        await held.aclose()

                    group.start_soon(release)
                    await ask(transport, url)

            async def follow(path: str) -> None:
                await ask(transport, server.url(path))

            await sweep(exchange, follow)


@pytest.mark.parametrize("how", ["scope", "task", "woken"])
async def test_closing(how: str) -> None:
    """A transport whose closing is interrupted is closed all the same, with every connection."""
    if sniffio.current_async_library() != "asyncio":
        how = "scope"  # trio knows no other
    with Adversary(hold) as held, Adversary(answer) as server:
        for at in range(1, N_SUSPENSIONS):
            transport = H11Transport()
            for _ in range(3):
                await transport.send(Request(method="GET", url=held.url(), timeout=BOUNDED))
            await ask(transport, server.url("/idle"))
            was_interrupted = await interrupt(transport.aclose(), at, how)
            with pytest.raises(TransportClosed, match="has been closed"):
                await ask(transport, server.url("/closed"))
            gc.collect()
            if not was_interrupted:
                return
    pytest.fail("the closing does not come to its end")


async def test_the_queue_goes_on() -> None:
    """A waiter that is cancelled leaves the queue, and the slot goes to the one behind it."""
    scope = anyio.CancelScope()
    answered: list[str] = []

    async def wait(path: str) -> None:
        await ask(transport, server.url(path))
        answered.append(path)

    async def give_up() -> None:
        with scope:
            await wait("/given-up")

    with Adversary(hold, answer) as server:
        async with H11Transport(max_connections_per_host=1) as transport:
            held = await transport.send(Request(method="GET", url=server.url(), timeout=BOUNDED))
            async with anyio.create_task_group() as group:
                group.start_soon(give_up)
                group.start_soon(wait, "/behind-it")
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                await held.aclose()
    assert answered == ["/behind-it"]


async def test_many_requests_at_once() -> None:
    """More requests than connections may be opened at a time all get their answers."""
    with Adversary(answer) as server:
        async with H11Transport() as transport, anyio.create_task_group() as group:
            for number in range(MAX_OPENINGS + 20):
                group.start_soon(ask, transport, server.url(f"/{number}"))
