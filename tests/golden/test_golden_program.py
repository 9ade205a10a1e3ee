"""The high-level clients against the requests that the protocol describes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from tests.engine.scripted import run_virtual
from tests.golden.golden_request import BASE_URL, KEY, check_always_sent, golden, sent
from tests.golden.scripted_program import SENT, ProgramService, run
from tinker_lite import AsyncTinker, ServiceClient, Tinker
from tinker_lite.protocol.endpoints import SUBMISSIONS
from tinker_lite.testing import AsyncFakeTransport, FakeTransport
from tinker_lite.types import UntypedAPIFuture

ROUNDTRIP = "X-Tinker-Create-Promise-Roundtrip-Time"

# By request id, the last poll for a result.
LAST_POLLS = {
    "1": "futures.retrieve.first",
    "2": "futures.retrieve.protobuf_pass",
    "4": "futures.retrieve.again",
    "9": "futures.retrieve.protobuf_sample",
}


def blocking(service: ProgramService) -> AbstractAsyncContextManager[ServiceClient]:
    """A client on the background thread, over a blocking transport."""
    return ServiceClient(base_url=BASE_URL, api_key=KEY, transport=FakeTransport(service))


def on_own_loop(service: ProgramService) -> AbstractAsyncContextManager[ServiceClient]:
    """A client on the running loop, over an async transport."""
    transport = AsyncFakeTransport(service)
    return ServiceClient.open(base_url=BASE_URL, api_key=KEY, transport=transport)


@pytest.fixture(params=[blocking, on_own_loop])
async def asked(request: pytest.FixtureRequest) -> ProgramService:
    """What a program has asked of its service."""
    service = ProgramService()
    async with request.param(service) as client:
        await run(client)
    return service


async def test_a_program_asks_nothing_else(asked: ProgramService) -> None:
    """Its requests have the places of the files, in order, and each a key of its own."""
    came = [sent(request).partition("\n")[0] for request in asked.others]
    assert came == [golden(name).partition("\n")[0] for name in SENT]
    keyed = [request for request in asked.others if request.method != "GET"]
    assert len({request.headers.get("X-Idempotency-Key") for request in keyed}) == len(keyed)
    for request in asked.others:
        check_always_sent(request)


@pytest.mark.parametrize("name", SENT)
async def test_a_program_sends_what_the_protocol_says(asked: ProgramService, name: str) -> None:
    """Headers and body too, with the defaults that a caller never sees."""
    assert sent(asked.others[SENT.index(name)]) == golden(name)


@pytest.mark.parametrize("request_id", LAST_POLLS)
async def test_a_program_polls_as_the_protocol_says(asked: ProgramService, request_id: str) -> None:
    """Form, kind, number and, in the first poll, how long the submission took."""
    polls = asked.polls[request_id]
    assert sent(polls[-1]) == golden(LAST_POLLS[request_id])
    for request in polls:
        check_always_sent(request)


@pytest.mark.parametrize("request_id", LAST_POLLS)
async def test_the_raw_clients_poll_likewise(request_id: str) -> None:
    """But for the duration of a submission that was a call of its own."""
    name = golden(LAST_POLLS[request_id]).partition("x-tinker-request-type: ")[2].split()[0]
    row = SUBMISSIONS[name]
    future = UntypedAPIFuture(request_id=request_id)
    services = ProgramService(), ProgramService()
    Tinker(base_url=BASE_URL, api_key=KEY, transport=FakeTransport(services[0])).result(row, future)
    transport = AsyncFakeTransport(services[1])
    await AsyncTinker(base_url=BASE_URL, api_key=KEY, transport=transport).result(row, future)
    for service in services:
        last = service.polls[request_id][-1]
        assert sent(last) == golden(LAST_POLLS[request_id], without=[ROUNDTRIP])


def test_a_heartbeat_is_what_the_protocol_says() -> None:
    """The session is named, ten seconds after it was made."""
    service = ProgramService()

    async def main() -> None:
        async with on_own_loop(service) as client:
            await client.create_sampling_client_async(base_model="B")
            await anyio.sleep(10.5)

    run_virtual(main)
    [beat] = [request for request in service.others if "heartbeat" in request.url]
    assert sent(beat) == golden("service.session_heartbeat")
    check_always_sent(beat)
