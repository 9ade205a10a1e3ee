from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator

import anyio
import pytest

from tests.engine.scripted import (
    PATIENCE_S,
    Gate,
    ScriptedService,
    example,
    threaded_client,
)
from tinker_lite.engine.transports import ThreadedTransport, as_async, is_async
from tinker_lite.errors import ConnectError, TruncatedBody
from tinker_lite.http import AsyncResponse, Request, Response
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

REQUEST = Request(method="GET", url="http://127.0.0.1:9/x")
N_HELD_POLLS = 60


class Scripted:
    """A blocking transport whose response is given, and which keeps on which thread it was asked.

    Args:
        body: Chunks of the body.
        entered: Set once ``send`` is running.
        release: ``send`` waits for it.
    """

    def __init__(self, body: Iterable[bytes] = ()) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.response_closed = threading.Event()
        self.threads: list[threading.Thread] = []
        self.closed = False
        self._body = iter(body)

    def send(self, request: Request) -> Response:
        """Wait for the release and answer."""
        assert request is REQUEST
        self.threads.append(threading.current_thread())
        self.entered.set()
        assert self.release.wait(PATIENCE_S)
        return Response(200, [("X-A", "b")], self._body, close=self.response_closed.set)

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def test_the_form_of_a_transport_is_seen_from_its_send() -> None:
    """Async ones are used as they are, blocking ones go behind threads."""
    blocking, native = (
        FakeTransport(lambda _: FakeReply()),
        AsyncFakeTransport(lambda _: FakeReply()),
    )
    assert not is_async(blocking)
    assert is_async(native)
    assert as_async(native) is native
    assert isinstance(as_async(blocking), ThreadedTransport)


async def test_a_blocking_send_runs_on_a_worker_thread() -> None:
    """Status, headers and body come through, and the response is closed at its end."""
    inner = Scripted(iter([b"one", b"", b"two"]))
    inner.release.set()
    transport = ThreadedTransport(inner)
    response = await transport.send(REQUEST)
    assert (response.status, response.headers.get("x-a")) == (200, "b")
    assert [chunk async for chunk in response.iter_bytes()] == [b"one", b"two"]
    assert inner.response_closed.is_set()
    assert inner.threads[0] is not threading.current_thread()
    await transport.aclose()
    assert inner.closed


async def test_errors_of_a_blocking_transport_come_through() -> None:
    """From the head and from the body."""

    def refuse(_: Request) -> FakeReply:
        raise ConnectError("refused")

    with pytest.raises(ConnectError, match="refused"):
        await ThreadedTransport(FakeTransport(refuse)).send(REQUEST)

    def broken() -> Iterator[bytes]:
        yield b"one"
        raise TruncatedBody("short", may_have_arrived=True)

    inner = Scripted(broken())
    inner.release.set()
    response = await ThreadedTransport(inner).send(REQUEST)
    with pytest.raises(TruncatedBody, match="short"):
        await response.read()
    assert inner.response_closed.is_set()


async def test_a_cancelled_send_is_abandoned_at_once() -> None:
    """The caller goes on while the thread still waits; the late response is closed."""
    inner = Scripted()
    transport = ThreadedTransport(inner)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.send, REQUEST)
        assert await anyio.to_thread.run_sync(inner.entered.wait, PATIENCE_S)
        tasks.cancel_scope.cancel()
    assert not inner.release.is_set()
    assert not inner.response_closed.is_set()
    inner.release.set()
    assert await anyio.to_thread.run_sync(inner.response_closed.wait, PATIENCE_S)


async def test_leaving_a_body_early_closes_its_response() -> None:
    """Whoever reads only the beginning lets go of the connection."""
    inner = Scripted(iter([b"one", b"two"]))
    inner.release.set()
    async with await ThreadedTransport(inner).send(REQUEST) as response:
        chunks: AsyncIterator[bytes] = response.iter_bytes()
        assert await anext(chunks) == b"one"
        assert not inner.response_closed.is_set()
    assert inner.response_closed.is_set()


def test_submissions_do_not_wait_behind_held_polls() -> None:
    """With many polls held by the server, a submission still goes out at once."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m").result(PATIENCE_S)
        gates = [Gate(service) for _ in range(N_HELD_POLLS)]
        service.script("/retrieve_future", *gates)
        held = [training.optim_step({}) for _ in gates]
        for gate in gates:
            gate.wait_reached()
        training.forward([example()], "cross_entropy").result(PATIENCE_S)
        assert not any(future.done() for future in held)
        for gate in gates:
            gate.open()
        for future in held:
            future.result(PATIENCE_S)


async def test_the_async_form_gives_an_async_response() -> None:
    """What comes out has the async form, whatever the transport's own."""
    inner = Scripted(iter([b"x"]))
    inner.release.set()
    response = await as_async(inner).send(REQUEST)
    assert isinstance(response, AsyncResponse)
    assert await response.read() == b"x"
