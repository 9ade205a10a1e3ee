"""``x`` and ``x_async``: same parameters, the right number of awaits, and neither calls the other.

Callers wrap or replace methods on the classes; a call must be seen exactly where it was made.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.engine.scripted import (
    PATIENCE_S,
    ScriptedService,
    example,
    open_client,
    threaded_client,
)
from tinker_lite import (
    APIFuture,
    ModelInput,
    RestClient,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TrainingClient,
)
from tinker_lite.testing import FakeReply

PATH = "tinker://S:train:0/weights/a"
PROMPT = ModelInput.from_ints([1, 2])
CHECKPOINTS = "/training_runs/r/checkpoints"


def zero_loss(data: list[Any], logprobs: list[Any]) -> tuple[float, list[list[float]], Any]:
    """Explicit zero gradients."""
    assert len(data) == len(logprobs)
    return 0.0, [[0.0] * len(values) for values in logprobs], {}


ARGUMENTS: dict[type, dict[str, tuple[Any, ...]]] = {
    TrainingClient: {
        "forward": ([example()], "cross_entropy"),
        "forward_backward": ([example()], "cross_entropy"),
        "forward_backward_custom": ([example()], zero_loss),
        "optim_step": ({},),
        "save_state": ("a",),
        "load_state": (PATH,),
        "load_state_with_optimizer": (PATH,),
        "save_weights_for_sampler": ("a",),
        "get_info": (),
        "create_sampling_client": (PATH,),
        "save_weights_and_get_sampling_client": (),
    },
    SamplingClient: {
        "sample": (PROMPT, 1, SamplingParams()),
        "compute_logprobs": (PROMPT,),
        "get_base_model": (),
    },
    ServiceClient: {
        "create_lora_training_client": ("m",),
        "create_training_client_from_state": (PATH,),
        "create_training_client_from_state_with_optimizer": (PATH,),
        "create_sampling_client": (PATH,),
        "get_server_capabilities": (),
    },
    RestClient: {
        "list_training_runs": (),
        "get_training_run": ("r",),
        "get_training_run_by_tinker_path": (PATH,),
        "list_checkpoints": ("r",),
        "list_user_checkpoints": (),
        "delete_checkpoint": ("r", "weights/a"),
        "delete_checkpoint_from_tinker_path": (PATH,),
        "get_checkpoint_archive_url_from_tinker_path": (PATH,),
        "get_sampler": ("s",),
        "get_server_capabilities": (),
    },
}
AWAITED_TWICE = {
    "forward",
    "forward_backward",
    "forward_backward_custom",
    "optim_step",
    "save_state",
    "load_state",
    "load_state_with_optimizer",
    "save_weights_for_sampler",
}
TWINS = [(cls, name) for cls, names in ARGUMENTS.items() for name in names]
TWIN_IDS = [f"{cls.__name__}.{name}" for cls, name in TWINS]

RUN: dict[str, object] = {
    "training_run_id": "S:train:0",
    "base_model": "m",
    "model_owner": "me",
    "is_lora": True,
    "corrupted": False,
    "lora_rank": 4,
    "last_request_time": "2026-01-01T00:00:00Z",
}
CURSOR = {"offset": 0, "limit": 20, "total_count": 0}


def service() -> ScriptedService:
    """A service that answers what the twins ask."""
    made = ScriptedService()
    archive = {"url": "https://storage.invalid/a", "expires": "2026-01-01T00:00:00Z"}
    answers: dict[str, object] = {
        "/training_runs": {"training_runs": [RUN], "cursor": CURSOR},
        "/training_runs/r": RUN,
        "/training_runs/S:train:0": RUN,
        "/checkpoints": {"checkpoints": [], "cursor": CURSOR},
        CHECKPOINTS: {"checkpoints": []},
        "/training_runs/S:train:0/checkpoints/weights/a/archive": archive,
        "/get_server_capabilities": {"supported_models": ["m"]},
    }
    for path, body in answers.items():
        made.script(path, FakeReply(body))
    return made


def subject(client: ServiceClient, cls: type) -> Any:
    """A client of the class under test."""
    if cls is TrainingClient:
        return client.create_lora_training_client("m")
    if cls is SamplingClient:
        return client.create_sampling_client(base_model="m")
    return client.create_rest_client() if cls is RestClient else client


def keywords(name: str) -> dict[str, str]:
    """What a call needs besides its positional arguments."""
    return {"gradients": "returned"} if name == "forward_backward_custom" else {}


def forbid(monkeypatch: pytest.MonkeyPatch, cls: type, name: str) -> None:
    """Replace a method on the class, as tracing code does, by one that must not be called."""

    def recorded(*_: object, **__: object) -> object:
        raise AssertionError(f"{name} was called although its twin was asked")

    monkeypatch.setattr(cls, name, recorded)


def test_every_async_method_is_covered_here() -> None:
    """The table names all twins of all clients; tokenizers need a real model, see the programs."""
    for cls, names in ARGUMENTS.items():
        found = {
            name.removesuffix("_async")
            for name in dir(cls)
            if name.endswith("_async") and name not in {"result_async", "get_tokenizer_async"}
        }
        assert found == set(names), cls.__name__


@pytest.mark.parametrize(("cls", "name"), TWINS, ids=TWIN_IDS)
def test_twins_have_the_same_parameters(cls: type, name: str) -> None:
    """And only the async one is a coroutine function, a plain function on the class."""
    blocking, native = getattr(cls, name), getattr(cls, f"{name}_async")
    assert inspect.isfunction(blocking)
    assert inspect.isfunction(native)
    assert inspect.iscoroutinefunction(native)
    assert not inspect.iscoroutinefunction(blocking)
    assert inspect.signature(blocking).parameters == inspect.signature(native).parameters


@pytest.mark.parametrize(("cls", "name"), TWINS, ids=TWIN_IDS)
def test_the_blocking_form_does_not_call_the_async_one(
    cls: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing ``x_async`` on the class changes nothing for ``x``."""
    with threaded_client(service()) as client:
        asked = subject(client, cls)
        forbid(monkeypatch, cls, f"{name}_async")
        value = getattr(asked, name)(*ARGUMENTS[cls][name], **keywords(name))
        if isinstance(value, APIFuture):
            value.result(PATIENCE_S)


@pytest.mark.parametrize(("cls", "name"), TWINS, ids=TWIN_IDS)
async def test_the_async_form_is_independent_and_awaited_as_documented(
    cls: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training operations give a future that is awaited again; everything else its value."""
    async with open_client(service()) as client:
        asked = subject(client, cls)
        forbid(monkeypatch, cls, name)
        value = await getattr(asked, f"{name}_async")(*ARGUMENTS[cls][name], **keywords(name))
        is_client = isinstance(value, TrainingClient | SamplingClient)
        assert (isinstance(value, APIFuture) and not is_client) == (name in AWAITED_TWICE)
        if name in AWAITED_TWICE:
            assert await value is await value.result_async(PATIENCE_S)
        if is_client:
            assert value.done()


async def test_the_first_await_queues_and_does_not_wait() -> None:
    """Two operations can be in flight before either is waited for, in the order of the calls."""
    asked = service()
    async with open_client(asked) as client:
        training = client.create_lora_training_client("m")
        passed = await training.forward_backward_async([example()], "cross_entropy")
        step = await training.optim_step_async({})
        assert not passed.done()
        await step
        await passed
    assert asked.numbered() == [("/forward_backward", 1), ("/optim_step", 2)]


def test_asking_for_a_tokenizer_calls_no_other_public_method(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What tracing code wraps is only seen when the caller calls it."""
    asked = service()
    with threaded_client(asked) as client:
        training = client.create_lora_training_client("m")
        sampling = client.create_sampling_client(base_model="m")
        forbid(monkeypatch, TrainingClient, "get_info")
        forbid(monkeypatch, SamplingClient, "get_base_model")
        info = {"model_id": "x", "model_data": {"tokenizer_id": "tinker-lite/bytes"}}
        asked.script("/get_info", FakeReply(info))
        assert training.get_tokenizer().decode([104, 105]) == "hi"
        assert sampling.get_tokenizer().decode([104, 105]) == "hi"
