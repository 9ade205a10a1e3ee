from __future__ import annotations

import anyio
import pytest

from tests.engine.scripted import (
    BASE_URL,
    PATIENCE_S,
    AsyncGate,
    Gate,
    ScriptedService,
    open_client,
    refusal,
    run_virtual,
)
from tinker_lite import (
    ConfigError,
    ModelInput,
    SamplingParams,
    ServiceClient,
)
from tinker_lite.testing import AsyncFakeTransport, FakeTransport

FINISH = "/sessions/S/finish"


class OwnInterrupt(BaseException):
    """Stands for Ctrl-C."""


def made(service: ScriptedService) -> ServiceClient:
    """A client on the background thread."""
    return ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))


ENDS: list[tuple[BaseException | None, str, str | None]] = [
    (None, "success", None),
    (LookupError("x"), "errored", "LookupError"),
    (OwnInterrupt(), "interrupted", "OwnInterrupt"),
]
END_IDS = ["well", "with an error", "with an interrupt"]


def finish_of(service: ScriptedService) -> tuple[str, str | None]:
    """Reason and detail of the one finish request."""
    (body,) = service.bodies(FINISH)
    return body["reason"]["type"], body.get("detail")


@pytest.mark.parametrize(("error", "reason", "detail"), ENDS, ids=END_IDS)
def test_a_with_block_ends_the_session(
    error: BaseException | None, reason: str, detail: str | None
) -> None:
    """The service knows how the block ended when the block is over; the error goes on."""
    service = ScriptedService()

    def program() -> None:
        with made(service) as client:
            client.create_lora_training_client("m").result(PATIENCE_S)
            if error is not None:
                raise error

    if error is None:
        program()
    else:
        with pytest.raises(type(error)) as caught:
            program()
        assert caught.value is error
    assert finish_of(service) == (reason, detail)


@pytest.mark.parametrize("opened", [False, True], ids=["async with", "open"])
@pytest.mark.parametrize(("error", "reason", "detail"), ENDS, ids=END_IDS)
async def test_an_async_block_ends_the_session(
    error: BaseException | None, reason: str, detail: str | None, opened: bool
) -> None:
    """The same on an event loop, with the background thread and on the own loop."""
    service = ScriptedService()

    async def program() -> None:
        block = open_client(service) if opened else made(service)
        async with block as client:
            await client.create_lora_training_client_async("m")
            if error is not None:
                raise error

    if error is None:
        await program()
    else:
        with pytest.raises(type(error)) as caught:
            await program()
        assert caught.value is error
    assert finish_of(service) == (reason, detail)


def test_queued_operations_are_sent_before_the_session_ends() -> None:
    """Closing right after the calls loses nothing, although creation has hardly begun."""
    service = ScriptedService()
    gate = Gate(service)
    service.script("/create_session", gate)
    with made(service) as client:
        training = client.create_lora_training_client("m")
        training.optim_step({})
        training.save_state("x")
        gate.open()
    paths = service.paths()
    assert paths.index("/optim_step") < paths.index("/save_weights") < paths.index(FINISH)


def test_closing_by_hand_says_what_it_is_told() -> None:
    """Reason and detail of ``close`` arrive; the first close counts, later ones wait for it."""
    service = ScriptedService()
    with made(service) as client:
        client.create_lora_training_client("m").result(PATIENCE_S)
        client.close("errored", "ran out of data").result(PATIENCE_S)
        client.close("success").result(PATIENCE_S)
    assert finish_of(service) == ("errored", "ran out of data")


def test_a_client_that_did_nothing_ends_silently() -> None:
    """Without a session there is nothing to finish."""
    service = ScriptedService()
    with made(service):
        pass
    assert service.requests == []


def test_use_after_close_is_refused_at_once() -> None:
    """Every client of the closed service client says which one is closed."""
    service = ScriptedService()
    client = made(service)
    training = client.create_lora_training_client("m").result(PATIENCE_S)
    sampling = client.create_sampling_client(base_model="m").result(PATIENCE_S)
    rest = client.create_rest_client()
    closing = client.close()
    prompt = ModelInput.from_ints([1])
    for call in (
        lambda: training.optim_step({}),
        training.get_info,
        lambda: sampling.sample(prompt, 1, SamplingParams()),
        lambda: sampling.compute_logprobs(prompt),
        rest.list_training_runs,
        lambda: client.create_lora_training_client("m"),
        lambda: client.create_sampling_client(base_model="m"),
        client.get_server_capabilities,
    ):
        with pytest.raises(RuntimeError, match="the ServiceClient of this client is closed"):
            call()
    closing.result(PATIENCE_S)
    assert training.model_id == "S:train:0"


def test_a_server_that_cannot_finish_sessions_does_not_mind() -> None:
    """404 on the finish route is no failure."""
    service = ScriptedService()
    service.script(FINISH, refusal(404))
    with made(service) as client:
        client.create_lora_training_client("m").result(PATIENCE_S)
    assert service.paths()[-1] == FINISH


def test_a_failing_finish_is_logged_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The program has its results; an error that ended the block comes out as it is."""

    async def main(error: Exception | None) -> None:
        service = ScriptedService()
        service.script(FINISH, *[refusal(500)] * 9)
        async with open_client(service, max_retries=1) as client:
            await client.create_lora_training_client_async("m")
            if error is not None:
                raise error

    run_virtual(lambda: main(None))
    assert "could not be told that the session ended" in caplog.text
    with pytest.raises(LookupError, match="mine"):
        run_virtual(lambda: main(LookupError("mine")))


def test_a_dead_service_holds_up_a_failed_program_for_seconds_only() -> None:
    """After an error the farewell is given up after 5 s."""

    async def program(service: ScriptedService) -> None:
        async with open_client(service) as client:
            await client.create_lora_training_client_async("m")
            raise LookupError("mine")

    async def main() -> float:
        service = ScriptedService()
        service.script(FINISH, AsyncGate(service))
        started = anyio.current_time()
        with pytest.raises(LookupError, match="mine"):
            await program(service)
        return anyio.current_time() - started

    assert run_virtual(main) == pytest.approx(5.0)


async def test_an_injected_transport_stays_open() -> None:
    """Who made it closes it; it serves the next client as well."""
    service = ScriptedService()
    transport = AsyncFakeTransport(service)
    for _ in range(2):
        async with ServiceClient.open(base_url=BASE_URL, transport=transport) as client:
            await client.create_lora_training_client_async("m")
    assert not transport.closed
    blocking = FakeTransport(service)
    async with ServiceClient(base_url=BASE_URL, http_client=blocking) as client:
        await client.create_lora_training_client_async("m")
    assert not blocking.closed
    with pytest.raises(ConfigError, match="transport or http_client"):
        ServiceClient(base_url=BASE_URL, transport=blocking, http_client=blocking)


def test_two_clients_with_two_transports_do_not_mix() -> None:
    """Each client's requests, sessions and keys go through its own transport."""
    services = [ScriptedService(), ScriptedService()]
    clients = [
        ServiceClient(
            base_url=f"http://127.0.0.1:{port}",
            api_key=f"tml-{port}",
            transport=FakeTransport(service),
        )
        for port, service in zip((1, 2), services, strict=True)
    ]
    trainings = [client.create_lora_training_client(f"m{i}") for i, client in enumerate(clients)]
    for training in trainings:
        training.optim_step({}).result(PATIENCE_S)
    for port, service in zip((1, 2), services, strict=True):
        hosts = {request.url.split("/api")[0] for request in service.requests}
        keys = {request.headers.get("x-api-key") for request in service.requests}
        assert (hosts, keys) == ({f"http://127.0.0.1:{port}"}, {f"tml-{port}"})
        assert service.bodies("/create_model")[0]["base_model"] == f"m{port - 1}"
    for client in clients:
        client.close().result(PATIENCE_S)
