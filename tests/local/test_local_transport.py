from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import anyio
import msgspec
import pytest

from tests.local.service_driver import Driver, datum, pass_body, request
from tinker_lite.errors import (
    InvalidRequest,
    LimitExceeded,
    TransportClosed,
    TransportTimeout,
)
from tinker_lite.http import Headers, Request
from tinker_lite.local import AsyncLocalTransport, LocalService, LocalTransport, ServiceSettings

BOUND_S = 10.0  # every wait of these tests ends by then


@pytest.fixture
def patient() -> Iterator[LocalService]:
    """A service that holds polls and gaps for longer than any test runs."""
    settings = ServiceSettings(poll_s=3600, gap_patience_s=3600)
    with LocalService(settings=settings) as service:
        yield service


def held_poll(service: LocalService, timeout: float = 3600.0) -> tuple[Driver, str, Request]:
    """A model whose step 2 waits for step 1, and a poll for the result of step 2."""
    driver = Driver(service)
    model_id = driver.model()
    submission = driver.step(model_id, 2)
    body = {"request_id": submission["request_id"]}
    return driver, model_id, request("POST", "/retrieve_future", body, timeout=timeout)


def test_a_body_may_be_an_iterable(service: LocalService) -> None:
    """A request body in pieces is the same request."""
    transport = LocalTransport(service)
    whole = request("POST", "/create_session", {"sdk_version": "0.38.0"})
    assert isinstance(whole.body, bytes)
    pieces = msgspec.structs.replace(whole, body=iter([whole.body[:5], whole.body[5:]]))
    assert transport.send(pieces).status == 200


@pytest.mark.parametrize("pair", [("X-A", "a\r\nX-B: b"), ("X A", "a"), ("X-A", "a\0")])
async def test_a_header_that_is_none_is_refused(
    service: LocalService, pair: tuple[str, str]
) -> None:
    """As the transports over a network refuse it, in both forms."""
    broken = request("POST", "/create_session", {}, headers=Headers([pair]))
    with pytest.raises(InvalidRequest, match=f"the header {pair[0]!r} is not one"):
        LocalTransport(service).send(broken)
    with pytest.raises(InvalidRequest, match=f"the header {pair[0]!r} is not one"):
        await AsyncLocalTransport(service).send(broken)


def test_an_error_of_the_body_passes_through(service: LocalService) -> None:
    """What the caller's own iterable raises reaches the caller, and the transport goes on."""
    transport = LocalTransport(service)

    def body() -> Iterator[bytes]:
        yield b"{"
        raise KeyError("mine")

    broken = msgspec.structs.replace(request("POST", "/create_session"), body=body())
    with pytest.raises(KeyError, match="mine"):
        transport.send(broken)
    assert transport.send(request("GET", "/healthz")).status == 200


def test_an_async_body_needs_the_async_transport(service: LocalService) -> None:
    """The blocking form refuses an async body before anything is sent."""

    async def body() -> AsyncIterator[bytes]:
        yield b"{}"

    wrong = msgspec.structs.replace(request("POST", "/create_session"), body=body())
    with pytest.raises(InvalidRequest, match="async transport") as raised:
        LocalTransport(service).send(wrong)
    assert not raised.value.may_have_arrived


def test_a_body_is_read_within_its_limit(service: LocalService) -> None:
    """Reading whole takes a limit, and so does the head."""
    transport = LocalTransport(service)
    with pytest.raises(LimitExceeded, match="5 bytes"):
        transport.send(request("GET", "/healthz")).read(5)
    tight = msgspec.structs.replace(request("GET", "/healthz"), max_head_bytes=10)
    with pytest.raises(LimitExceeded, match="10 are allowed"):
        transport.send(tight)


def test_a_poll_ends_with_the_callers_patience(patient: LocalService) -> None:
    """If the caller's limit comes before the service's, it is a timeout of phase and effect."""
    driver, _, poll = held_poll(patient, timeout=0.01)
    with pytest.raises(TransportTimeout, match=r"within 0\.01 s") as raised:
        driver.transport.send(poll)
    assert raised.value.phase == "read"
    assert raised.value.may_have_arrived


def test_a_poll_is_answered_when_the_result_is_there(patient: LocalService) -> None:
    """A waiting poll gets the result as soon as the missing request has come."""
    driver, model_id, poll = held_poll(patient)
    statuses: list[int] = []
    waiting = threading.Thread(target=lambda: statuses.append(driver.transport.send(poll).status))
    waiting.start()
    driver.step(model_id, 1)
    waiting.join(BOUND_S)
    assert statuses == [200]


def test_closing_ends_waiting_polls(patient: LocalService) -> None:
    """Close wakes polls; the transport then sends no more, and the service goes on."""
    driver, _, poll = held_poll(patient)
    errors: list[TransportClosed] = []

    def wait() -> None:
        try:
            driver.transport.send(poll)
        except TransportClosed as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    with driver.transport:
        waiting.start()
    waiting.join(BOUND_S)
    driver.transport.close()
    assert [str(error) for error in errors] == ["The transport is closed."]
    with pytest.raises(TransportClosed, match="closed") as raised:
        driver.transport.send(poll)
    assert not raised.value.may_have_arrived
    assert LocalTransport(patient).send(request("GET", "/healthz")).status == 200


def test_many_threads_at_once(service: LocalService) -> None:
    """Sessions made by many threads over one transport are all different."""
    driver = Driver(service)
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(driver.session())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_S)
    assert len(set(made)) == 8


async def test_an_async_exchange(service: LocalService) -> None:
    """The async form gives the same answers; a body may come in pieces."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"sdk_version":'
        yield b' "0.38.0"}'

    async with AsyncLocalTransport(service) as transport:
        sent = msgspec.structs.replace(request("POST", "/create_session"), body=body())
        async with await transport.send(sent) as response:
            assert response.status == 200
            assert b"session_id" in await response.read()
        refused = await transport.send(request("POST", "/create_session", {}))
        assert refused.status == 422
    with pytest.raises(TransportClosed, match="closed"):
        await transport.send(request("GET", "/healthz"))


async def test_large_bodies_take_the_same_way(service: LocalService) -> None:
    """A batch large enough to be read off the loop is trained on, and its result comes back."""
    driver = Driver(service)
    model_id = driver.model()
    body = pass_body(model_id, 1, *[datum(b"x" * 200)] * 100)
    transport = AsyncLocalTransport(service)
    submitted = await transport.send(request("POST", "/forward_backward", body))
    promised = msgspec.json.decode(await submitted.read())
    with anyio.fail_after(BOUND_S):
        status, result = 408, b""
        while status == 408:
            poll = request("POST", "/retrieve_future", {"request_id": promised["request_id"]})
            response = await transport.send(poll)
            status, result = response.status, await response.read()
    assert len(msgspec.json.decode(result)["loss_fn_outputs"]) == 100


async def test_a_waiting_poll_does_not_hold_the_loop(patient: LocalService) -> None:
    """While one poll waits, another request is answered, and it is what ends the wait."""
    driver, model_id, poll = held_poll(patient)
    transport = AsyncLocalTransport(patient)
    statuses: list[int] = []

    async def wait() -> None:
        statuses.append((await transport.send(poll)).status)

    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert (await transport.send(request("GET", "/healthz"))).status == 200
            assert statuses == []
            driver.step(model_id, 1)
    assert statuses == [200]


async def test_a_cancelled_poll_leaves_the_result(patient: LocalService) -> None:
    """Cancelling a waiting poll is immediate; the result can be asked for again."""
    driver, model_id, poll = held_poll(patient)
    transport = AsyncLocalTransport(patient)
    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            group.start_soon(transport.send, poll)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        driver.step(model_id, 1)
        assert (await transport.send(poll)).status == 200


async def test_an_async_poll_ends_with_the_callers_patience(patient: LocalService) -> None:
    """The async form keeps the caller's limit too."""
    _, _, poll = held_poll(patient, timeout=0.01)
    with pytest.raises(TransportTimeout, match=r"within 0\.01 s"):
        await AsyncLocalTransport(patient).send(poll)


async def test_closing_ends_waiting_async_polls(patient: LocalService) -> None:
    """Closing the transport wakes its polls with an error of the seam."""
    _, _, poll = held_poll(patient)
    transport = AsyncLocalTransport(patient)
    errors: list[TransportClosed] = []

    async def wait() -> None:
        try:
            await transport.send(poll)
        except TransportClosed as error:
            errors.append(error)

    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await transport.aclose()
    assert [error.may_have_arrived for error in errors] == [True]


async def test_an_archive_is_streamed(service: LocalService) -> None:
    """A streamed body arrives whole, and one that is dropped half-way lets go of its files."""
    driver = Driver(service)
    model_id = driver.model(rank=256)
    driver.save(model_id, 1, "ck")
    path = f"/training_runs/{model_id}/checkpoints/weights/ck/archive"
    transport = AsyncLocalTransport(service)
    redirect = await transport.send(request("GET", path))
    url = str(redirect.headers.get("location"))
    response = await transport.send(request("GET", url))
    chunks = [chunk async for chunk in response.iter_bytes()]
    assert len(chunks) > 3
    assert sum(map(len, chunks)) == int(response.headers.get("content-length", "0"))
    dropped = await transport.send(request("GET", url))
    async with aclosing(dropped.iter_bytes()) as body:
        assert len(await anext(body)) > 0
    await dropped.aclose()


def test_one_async_transport_serves_loop_after_loop(service: LocalService) -> None:
    """The transport is bound to no loop."""
    transport = AsyncLocalTransport(service)

    async def healthy() -> int:
        return (await transport.send(request("GET", "/healthz"))).status

    for backend in ("asyncio", "trio", "asyncio"):
        assert anyio.run(healthy, backend=backend) == 200
