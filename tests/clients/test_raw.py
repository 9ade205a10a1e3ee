from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from types import coroutine
from typing import Any

import pytest

from tests.engine.scripted import BASE_URL, ScriptedService, path_of, refusal
from tinker_lite import (
    APIConnectionError,
    AsyncTinker,
    BadRequestError,
    ConfigError,
    RequestFailedError,
    Tinker,
)
from tinker_lite import types as t
from tinker_lite.engine.future import in_event_loop
from tinker_lite.engine.world import drive
from tinker_lite.errors import ConnectError
from tinker_lite.http import Request
from tinker_lite.protocol import endpoints
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.types import LoraConfig, UntypedAPIFuture

SESSION = {"sdk_version": "x"}
MODEL = {"session_id": "S", "model_seq_id": 4, "base_model": "m", "lora_config": LoraConfig(rank=1)}


def blocking(service: Callable[[Request], Any], **options: Any) -> Tinker:
    """A blocking raw client."""
    return Tinker(base_url=BASE_URL, transport=FakeTransport(service), **options)


def test_a_blocking_call_needs_no_loop_and_no_thread() -> None:
    """Everything, retries and polls included, happens on the calling thread."""
    service = ScriptedService()
    service.script("/create_session", FakeReply(status=429, headers=(("retry-after-ms", "1"),)))
    service.script("/retrieve_future", FakeReply({"type": "try_again"}, status=408))
    seen: set[tuple[threading.Thread, bool]] = set()

    def handler(request: Request) -> Any:
        seen.add((threading.current_thread(), in_event_loop()))
        return service(request)

    before = set(threading.enumerate())
    with blocking(handler) as tinker:
        session = tinker.service.create_session(SESSION)
        future = tinker.models.create(MODEL)
        model = tinker.result(endpoints.MODELS_CREATE, future)
    assert (session.session_id, model.model_id) == ("S", "S:train:4")
    assert seen == {(threading.current_thread(), False)}
    assert set(threading.enumerate()) <= before
    assert service.paths().count("/retrieve_future") == 2


def test_a_result_is_asked_for_by_row_and_future() -> None:
    """A name of the table, or the bare id of a future, is refused by name."""
    tinker: Any = blocking(ScriptedService())
    future = UntypedAPIFuture(request_id="r")
    with pytest.raises(TypeError, match=r"submission is 'models\.create'; give the row"):
        tinker.result("models.create", future)
    with pytest.raises(TypeError, match=r"submission is .*get_info"):
        tinker.result(endpoints.MODELS_GET_INFO, future)
    with pytest.raises(TypeError, match="future is 'r'; give the row"):
        tinker.result(endpoints.MODELS_CREATE, "r")


async def test_a_forgotten_await_is_named_by_its_endpoint() -> None:
    """In the warning that Python gives of it."""
    client = AsyncTinker(base_url=BASE_URL, transport=AsyncFakeTransport(ScriptedService()))
    forgotten: Any = client.service.health_check()
    with pytest.warns(RuntimeWarning, match=r"'service\.health_check' was never awaited"):
        del forgotten


def test_a_client_shows_where_it_calls() -> None:
    """Its class and base URL; of a subclass, its own name."""

    class Mine(AsyncTinker):
        """A class of the caller's."""

    assert repr(Tinker(base_url="local:")) == "Tinker('local:')"
    assert repr(Mine(base_url=f"{BASE_URL}/x", api_key="tml-hush")) == f"Mine('{BASE_URL}/x')"


async def test_the_async_form_sends_the_same() -> None:
    """On asyncio and trio, over an async transport and over a blocking one."""
    for transport_of in (AsyncFakeTransport, FakeTransport):
        service = ScriptedService()
        async with AsyncTinker(base_url=BASE_URL, transport=transport_of(service)) as tinker:
            await tinker.service.create_session(SESSION)
            future = await tinker.models.create(MODEL)
            model = await tinker.result(endpoints.MODELS_CREATE, future)
        assert model.model_id == "S:train:4"
        assert service.paths() == ["/create_session", "/create_model", "/retrieve_future"]


def test_a_raw_answer_keeps_status_headers_and_body() -> None:
    """Nothing has been decoded; path values and query are encoded."""
    service = ScriptedService()
    service.script("/training_runs/a%20b", FakeReply(b"raw", headers=(("X-A", "b"),)))
    with blocking(service) as tinker:
        response = tinker.with_raw_response.training_runs.get("a b", "accessible")
    assert (response.status_code, response.headers.get("x-a")) == (200, "b")
    assert response.read() == b"raw"
    assert service.requests[0].url.endswith("/training_runs/a%20b?access_scope=accessible")


def test_errors_of_raw_calls_are_the_tree() -> None:
    """Refusals, lost connections and failed operations are told apart."""
    service = ScriptedService()
    service.script("/create_session", refusal(400, "bad"))
    service.script("/healthz", ConnectError("refused"))
    service.script("/retrieve_future", FakeReply({"error": "boom", "category": "server"}))
    with blocking(service, max_retries=0) as tinker:
        with pytest.raises(BadRequestError, match="400 - bad"):
            tinker.service.create_session(SESSION)
        with pytest.raises(APIConnectionError, match="refused"):
            tinker.service.health_check()
        with pytest.raises(RequestFailedError, match="boom"):
            tinker.result(endpoints.MODELS_CREATE, UntypedAPIFuture(request_id="r"))


def test_the_blocking_client_wants_a_blocking_transport() -> None:
    """An async transport is refused when the client is made."""
    transport: Any = AsyncFakeTransport(ScriptedService())
    with pytest.raises(ConfigError, match="Tinker needs a blocking transport"):
        Tinker(base_url=BASE_URL, transport=transport)


async def test_an_injected_transport_stays_its_owners() -> None:
    """Leaving the block closes only a transport that the client made itself."""
    service = ScriptedService()
    given = FakeTransport(service)
    with Tinker(base_url=BASE_URL, transport=given) as tinker:
        tinker.with_raw_response.service.health_check()
    native = AsyncFakeTransport(service)
    async with AsyncTinker(base_url=BASE_URL, transport=native) as async_tinker:
        await async_tinker.with_raw_response.service.health_check()
    assert not given.closed
    assert not native.closed


def test_only_what_never_suspends_can_be_driven() -> None:
    """A coroutine that wants an event loop is closed and refused; values and errors come out."""
    closed: list[bool] = []

    @coroutine
    def suspend() -> Any:
        yield "waiting"

    async def suspending() -> None:
        try:
            await suspend()
        finally:
            closed.append(True)

    async def value() -> int:
        return 3

    async def failing() -> None:
        raise LookupError("mine")

    with pytest.raises(RuntimeError, match="tried to wait for an event loop"):
        drive(suspending())
    assert closed == [True]
    assert drive(value()) == 3
    wrong: Coroutine[Any, Any, None] = failing()
    with pytest.raises(LookupError, match="mine"):
        drive(wrong)


def test_every_request_of_a_raw_client_goes_where_it_was_pointed() -> None:
    """The path prefix of the base URL is kept."""
    service = ScriptedService()
    with Tinker(base_url=f"{BASE_URL}/pre/", transport=FakeTransport(service)) as tinker:
        tinker.with_raw_response.service.health_check()
    assert service.requests[0].url == f"{BASE_URL}/pre/api/v1/healthz"
    assert path_of(service.requests[0]) == "/healthz"


def test_a_model_is_trained_and_sampled_by_single_calls() -> None:
    """Over the embedded service: session, model, pass, step, weights, samples, listing."""
    datum = t.Datum(
        model_input=t.ModelInput.from_ints([1, 2, 3]),
        loss_fn_inputs={"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]},
    )
    batch = t.ForwardBackwardInput(data=[datum], loss_fn="cross_entropy")
    with Tinker(base_url="local:") as tinker:
        base_model = tinker.service.get_server_capabilities().model_names[0]
        session_id = tinker.service.create_session(SESSION).session_id
        created = tinker.models.create(
            {"session_id": session_id, "model_seq_id": 0, "base_model": base_model,
             "lora_config": LoraConfig(rank=2)}
        )  # fmt: skip
        model_id = tinker.result(endpoints.MODELS_CREATE, created).model_id
        passed = tinker.training.forward_backward(
            t.ForwardBackwardRequest(forward_backward_input=batch, model_id=model_id, seq_id=1)
        )
        step = tinker.training.optim_step(
            t.OptimStepRequest(adam_params=t.AdamParams(), model_id=model_id, seq_id=2)
        )
        output = tinker.result(endpoints.TRAINING_FORWARD_BACKWARD, passed)
        assert len(output.loss_fn_outputs[0]["logprobs"].tolist()) == 3
        tinker.result(endpoints.TRAINING_OPTIM_STEP, step)
        saved = tinker.weights.save_for_sampler({"model_id": model_id, "path": "a", "seq_id": 3})
        path = tinker.result(endpoints.WEIGHTS_SAVE_FOR_SAMPLER, saved).path
        sampled = tinker.sampling.asample(
            t.SampleRequest(
                prompt=t.ModelInput.from_ints([1]),
                sampling_params=t.SamplingParams(max_tokens=3, seed=1),
                model_path=path,
            )
        )
        response = tinker.result(endpoints.SAMPLING_ASAMPLE, sampled)
        assert 1 <= len(response.sequences[0].tokens) <= 3
        [checkpoint] = tinker.checkpoints.list_for_run(model_id).checkpoints
        assert checkpoint.tinker_path == path
