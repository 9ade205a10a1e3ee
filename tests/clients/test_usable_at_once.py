from __future__ import annotations

import asyncio
import concurrent.futures
import warnings
from collections.abc import Callable

import anyio
import pytest

from tests.engine.scripted import (
    BASE_URL,
    PATIENCE_S,
    AsyncGate,
    Gate,
    ScriptedService,
    example,
    open_client,
    refusal,
    threaded_client,
)
from tinker_lite import (
    APIFuture,
    BadRequestError,
    ModelInput,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TrainingClient,
)
from tinker_lite.testing import FakeTransport

PROMPT = ModelInput.from_ints([1])


def test_a_client_is_there_before_its_model() -> None:
    """The call returns at once; operations queue up behind creation."""
    service = ScriptedService()
    gate = Gate(service)
    service.script("/create_model", gate)
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        assert isinstance(training, TrainingClient)
        step = training.optim_step({})
        gate.wait_reached()
        assert not training.done()
        assert not training.status().ready
        with pytest.raises(TimeoutError, match="creating a LoRA model on m"):
            training.result(0.01)
        gate.open()
        step.result(PATIENCE_S)
        assert training.done()
        assert training.status().ready


def test_result_is_the_client_itself() -> None:
    """Older and newer style give the same object, as often as asked."""
    with threaded_client(ScriptedService()) as client:
        training = client.create_lora_training_client("m")
        assert training.result(PATIENCE_S) is training
        assert training.result() is training
        sampling = client.create_sampling_client(base_model="m")
        assert sampling.result(PATIENCE_S) is sampling
        assert sampling.done()
        assert sampling.status().ready
        assert isinstance(training, APIFuture)
        assert isinstance(sampling, APIFuture)


async def test_awaiting_gives_the_client_itself() -> None:
    """``await`` ends, twice as well as once, also through the async creators."""
    async with open_client(ScriptedService()) as client:
        training = client.create_lora_training_client("m")
        assert await training is training
        assert await training is training
        assert await training.result_async(PATIENCE_S) is training
        sampling = client.create_sampling_client(base_model="m")
        assert await sampling is sampling
        assert isinstance(await client.create_sampling_client_async(base_model="m"), SamplingClient)


def test_asyncio_gathers_clients_like_futures() -> None:
    """A client can be given to what takes awaitables."""

    async def main() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            async with open_client(ScriptedService()) as client:
                training = client.create_lora_training_client("m")
                step = training.optim_step({})
                both = await asyncio.gather(training, step)
                assert both[0] is training
                assert await asyncio.wait_for(training, PATIENCE_S) is training

    asyncio.run(main())


def test_a_failed_creation_surfaces_from_whatever_is_asked() -> None:
    """Every dependent call raises it with its cause; nothing else is sent."""
    service = ScriptedService()
    service.script("/create_model", refusal(400, "unknown base model"))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        passed = training.forward_backward([example()], "cross_entropy")
        step = training.optim_step({})
        sampling = training.save_weights_and_get_sampling_client()
        sample = sampling.sample(PROMPT, 1, SamplingParams())
        asks: list[Callable[[], object]] = [
            lambda: passed.result(PATIENCE_S),
            lambda: step.result(PATIENCE_S),
            lambda: sample.result(PATIENCE_S),
            lambda: sampling.result(PATIENCE_S),
            lambda: training.result(PATIENCE_S),
            lambda: training.model_id,
            training.get_info,
            lambda: training.save_state("x").result(PATIENCE_S),
        ]
        for ask in asks:
            with pytest.raises(BadRequestError, match="400 - unknown base model"):
                ask()
        assert not training.status().ready
    assert service.numbered() == []


def test_a_failed_sampling_session_surfaces_from_every_sample() -> None:
    """The same for sampling clients."""
    service = ScriptedService()
    service.script("/create_sampling_session", refusal(400, "unknown path"))
    with threaded_client(service) as client:
        sampling = client.create_sampling_client("tinker://nowhere")
        for _ in range(2):
            with pytest.raises(BadRequestError, match="unknown path"):
                sampling.sample(PROMPT, 1, SamplingParams()).result(PATIENCE_S)
        assert not sampling.status().ready


def test_the_model_id_waits_for_creation() -> None:
    """Older programs read it at once; it is only asked for once."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        assert training.model_id == "S:train:0"
        assert training.model_id == "S:train:0"
    assert service.paths().count("/create_model") == 1


async def test_the_model_id_does_not_block_a_running_loop() -> None:
    """Inside any event loop it raises until the client was awaited, with both runtimes."""
    service = ScriptedService()
    gate = Gate(service)
    service.script("/create_model", gate)
    transport = FakeTransport(service)
    async with ServiceClient(base_url=BASE_URL, transport=transport) as client:
        training = client.create_lora_training_client("m")
        with pytest.raises(RuntimeError, match="`await`"):
            _ = training.model_id
        gate.open()
        await training
        assert training.model_id == "S:train:0"
    async with open_client(ScriptedService()) as client:
        own = client.create_lora_training_client("m")
        with pytest.raises(RuntimeError, match="`await`"):
            _ = own.model_id
        assert (await own).model_id == "S:train:0"


async def test_no_other_attribute_blocks() -> None:
    """``done``, ``status`` and ``repr`` answer at once, whatever the service does."""
    service = ScriptedService()
    gate = AsyncGate(service)
    service.script("/create_session", gate)
    async with open_client(service) as client:
        training = client.create_lora_training_client("m")
        sampling = client.create_sampling_client(base_model="m")
        for waiting in (training, sampling):
            assert not waiting.done()
            assert not waiting.status().ready
            assert waiting.status().last_error is None
            assert repr(waiting)
        gate.opened.set()
        await training
        await sampling


async def test_giving_up_on_creation_does_not_cancel_it_for_dependents() -> None:
    """A cancelled wait for the client leaves queued operations alone."""
    service = ScriptedService()
    gate = AsyncGate(service)
    service.script("/create_model", gate)
    async with open_client(service) as client:
        training = client.create_lora_training_client("m")
        step = training.optim_step({})
        await gate.reached.wait()
        with anyio.move_on_after(0.01):
            await training
        gate.opened.set()
        assert (await step).metrics is not None


async def test_giving_up_on_a_client_that_nobody_uses_yet_does_not_spoil_it() -> None:
    """A time limit around ``await client`` is not an order to destroy it."""
    service = ScriptedService()
    gate = AsyncGate(service)
    service.script("/create_model", gate)
    async with open_client(service) as client:
        training = client.create_lora_training_client("m")
        await gate.reached.wait()
        with anyio.move_on_after(0.01):
            await training
        gate.opened.set()
        try:
            assert await training is training
        except concurrent.futures.CancelledError:
            pytest.fail("the client was cancelled along with the wait")


def test_information_is_asked_for_once() -> None:
    """``get_info`` and ``get_base_model`` keep what they were told."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        assert training.get_info().model_data.model_name == "org/m"
        assert training.get_info() is training.get_info()
        sampling = client.create_sampling_client(base_model="m")
        assert sampling.get_base_model() == "tinker-lite/tiny-random"
        assert sampling.get_base_model() == "tinker-lite/tiny-random"
        assert sampling.get_tokenizer().encode("a") == [97]
    assert service.paths().count("/get_info") == 1
    assert sum(path.startswith("/samplers/") for path in service.paths()) == 1


def test_wrong_creation_arguments_are_refused_at_the_call() -> None:
    """Nothing is sent for what cannot work."""
    service = ScriptedService()
    with threaded_client(service) as client:
        with pytest.raises(ValueError, match="base_model is empty"):
            client.create_lora_training_client("")
        with pytest.raises(ValueError, match="rank is 0"):
            client.create_lora_training_client("m", rank=0)
        with pytest.raises(ValueError, match="all False"):
            client.create_lora_training_client(
                "m", train_mlp=False, train_attn=False, train_unembed=False
            )
        with pytest.raises(ValueError, match="must begin with 'tinker://'"):
            client.create_training_client_from_state("weights/a")
    assert service.requests == []
