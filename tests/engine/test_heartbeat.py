from __future__ import annotations

import gc
import logging
from collections.abc import Awaitable

import anyio
import pytest

from tests.engine.scripted import (
    BASE_URL,
    ScriptedService,
    Step,
    open_client,
    path_of,
    refusal,
    run_virtual,
)
from tinker_lite import ServiceClient
from tinker_lite.engine.runtime import task_runtime
from tinker_lite.errors import ConnectError
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply

BEAT = "/session_heartbeat"


class Beats(ScriptedService):
    """Keeps when heartbeats came, in seconds since the session was made."""

    def __init__(self, *beats: Step) -> None:
        super().__init__()
        self.script(BEAT, *beats)
        self.times: list[float] = []
        self._started = 0.0

    def __call__(self, request: Request) -> FakeReply | Awaitable[FakeReply]:
        """Note the time of a heartbeat and answer."""
        if path_of(request) == "/create_session":
            self._started = anyio.current_time()
        if path_of(request) == BEAT:
            self.times.append(round(anyio.current_time() - self._started, 3))
        return super().__call__(request)


def live(service: Beats, seconds: float) -> None:
    """A client that does nothing for a while after its model is made."""

    async def main() -> None:
        async with open_client(service) as client:
            await client.create_lora_training_client_async("m")
            await anyio.sleep(seconds)

    run_virtual(main)


def test_a_session_beats_every_ten_seconds() -> None:
    """First after 10 s, then every 10 s, naming the session."""
    service = Beats()
    live(service, 35)
    assert service.times == [10, 20, 30]
    assert service.bodies(BEAT)[0] == {"session_id": "S", "type": "session_heartbeat"}


def test_a_client_without_a_session_does_not_beat() -> None:
    """Looking at capabilities needs no session."""

    async def main() -> None:
        service.script("/get_server_capabilities", FakeReply({"supported_models": ["m"]}))
        async with open_client(service) as client:
            await client.get_server_capabilities_async()
            await anyio.sleep(60)

    service = Beats()
    run_virtual(main)
    assert service.paths() == ["/get_server_capabilities"]


def test_a_finished_session_stops_beating() -> None:
    """410 ends the heartbeat quietly."""
    service = Beats(FakeReply(), refusal(410))
    live(service, 100)
    assert service.times == [10, 20]


def test_a_failed_beat_is_not_repeated_but_followed_by_the_next() -> None:
    """Each beat is one attempt; the next one comes 10 s later."""
    service = Beats(refusal(503), ConnectError("refused"), refusal(404))
    live(service, 45)
    assert service.times == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "failure", [ConnectError("refused"), refusal(503)], ids=["no answer", "an error status"]
)
def test_two_minutes_of_silence_are_worth_a_warning(
    failure: Step, caplog: pytest.LogCaptureFixture
) -> None:
    """Failures warn once more than 120 s have passed without a success; a success ends that."""
    service = Beats(*[failure] * 14, FakeReply(), *[failure] * 3)
    with caplog.at_level(logging.WARNING, "tinker_lite"):
        live(service, 185)
    warnings = [record.getMessage().partition(" s:")[0] for record in caplog.records]
    assert warnings == [f"No heartbeat got through for {t}" for t in (130, 140)]


def test_beats_end_when_the_client_is_closed() -> None:
    """Closing the service client ends the heartbeat, also while its loop lives on."""

    async def main() -> None:
        async with open_client(service) as client:
            await client.create_lora_training_client_async("m")
            await anyio.sleep(15)
            await client.close()
            await anyio.sleep(60)

    service = Beats()
    run_virtual(main)
    assert service.times == [10]


def test_beats_go_on_while_a_closing_client_still_sends() -> None:
    """The session must not die of silence while its last operations are being accepted."""

    async def slow(request: Request) -> FakeReply:
        await anyio.sleep(25)
        return service.answer(request)

    async def main() -> None:
        service.script("/optim_step", slow)
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            training.optim_step({})

    service = Beats()
    run_virtual(main)
    assert service.times == [10, 20]
    assert service.paths()[-1] == "/sessions/S/finish"


def test_beats_end_when_the_last_client_is_collected() -> None:
    """The runtime holds no client: dropping them is enough, and a derived client keeps it up."""

    async def main() -> None:
        async with task_runtime() as runtime:
            service_client = ServiceClient(base_url=BASE_URL, transport=AsyncFakeTransport(service))
            service_client.host_on(runtime)
            training = await service_client.create_lora_training_client_async("m")
            del service_client
            gc.collect()
            await anyio.sleep(15)
            assert service.times == [10]
            del training
            gc.collect()
            await anyio.sleep(60)

    service = Beats()
    run_virtual(main)
    assert service.times == [10]
