from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from tests.engine.losses import LOGPROBS, batch, promised, sent_weights
from tests.engine.scripted import (
    PATIENCE_S,
    AsyncGate,
    ScriptedService,
    example,
    open_client,
    refusal,
    run_virtual,
    threaded_client,
)
from tinker_lite import BadRequestError, Datum, ModelInput, TensorData
from tinker_lite.testing import FakeReply

FORWARD = "/forward"
BACKWARD = "/forward_backward"


def test_the_forward_pass_sends_targets_and_weights_only() -> None:
    """Other inputs stay local; missing weights are zeros of the targets' shape."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward_custom(
            [example(1, 2, 3, advantages=TensorData([1.0, 2.0, 3.0], "float32", [3]))],
            zero_loss,
            gradients="returned",
        )
        future.result(PATIENCE_S)
    (forward,) = service.bodies(FORWARD)
    assert forward["forward_input"]["loss_fn"] == "cross_entropy"
    (datum,) = forward["forward_input"]["data"]
    assert datum["loss_fn_inputs"] == {
        "target_tokens": {"data": [1, 2, 3], "dtype": "int64", "shape": [3]},
        "weights": {"data": [0.0] * 3, "dtype": "float32", "shape": [3]},
    }
    assert service.numbered() == [(FORWARD, 1), (BACKWARD, 2)]


def zero_loss(
    data: list[Datum], logprobs: list[TensorData]
) -> tuple[float, list[list[float]], dict[str, float]]:
    """A loss that returns its own gradients, all zero."""
    assert len(data) == len(logprobs)
    return 0.0, [[0.0] * len(values) for values in logprobs], {}


def test_a_loss_may_return_its_gradients_without_torch() -> None:
    """Explicit gradients, as lists or tensors, are sent with the sign turned."""

    def loss_fn(
        data: list[Datum], logprobs: list[TensorData]
    ) -> tuple[float, list[object], dict[str, float]]:
        assert [values.shape for values in logprobs] == [[3], [3, 2]]
        assert data[0].loss_fn_inputs["advantages"].data == [1.0, 2.0, 3.0]
        return 1.5, [[0.5, 0.0, -0.25], TensorData([1.0] * 6, "float32", [3, 2])], {"a:sum": 2.0}

    service = ScriptedService()
    service.promise(FORWARD, promised(*LOGPROBS))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward_custom(batch(), loss_fn, gradients="returned")
        output = future.result(PATIENCE_S)
    weights = sent_weights(service)
    assert weights[0]["data"] == [-0.5, 0.0, 0.25]
    assert weights[1] == {"data": [-1.0] * 6, "dtype": "float32", "shape": [3, 2]}
    assert output.metrics["loss:sum"] == 1.5
    assert output.metrics["a:sum"] == 2.0


def test_chunks_of_a_custom_loss_are_one_call_of_the_loss() -> None:
    """The loss sees the whole batch once; both passes use the same chunks, numbered in order."""
    service = ScriptedService()
    service.script("/client/config", service_config(2))
    calls: list[int] = []

    def loss_fn(
        data: list[Datum], logprobs: list[TensorData]
    ) -> tuple[float, list[list[float]], dict[str, float]]:
        calls.append(len(data))
        return zero_loss(data, logprobs)

    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        training.forward_backward_custom([example()] * 3, loss_fn, gradients="returned").result(
            PATIENCE_S
        )
        training.optim_step({}).result(PATIENCE_S)
    assert calls == [3]
    numbered = service.numbered()
    assert numbered == [
        (FORWARD, 2),
        (FORWARD, 1),
        (BACKWARD, 4),
        (BACKWARD, 3),
        ("/optim_step", 5),
    ]


def service_config(max_len: int) -> FakeReply:
    """A configuration with small chunks."""
    return FakeReply({"fwdbwd_max_chunk_len": max_len})


def test_later_operations_wait_for_a_custom_loss() -> None:
    """A step queued behind it is sent after the backward pass was accepted."""

    async def main() -> None:
        service = ScriptedService()
        forward = AsyncGate(service)
        service.script(FORWARD, forward)
        async with open_client(service) as client:
            training = client.create_lora_training_client("m")
            custom = training.forward_backward_custom([example()], zero_loss, gradients="returned")
            step = training.optim_step({})
            await forward.reached.wait()
            await anyio.wait_all_tasks_blocked()
            assert not step.done()
            assert service.numbered() == [(FORWARD, 1)]
            forward.opened.set()
            await custom
            await step
        assert service.numbered() == [(FORWARD, 1), (BACKWARD, 2), ("/optim_step", 3)]

    anyio.run(main)


def returning(value: object) -> Any:
    """A loss that returns this, whatever it is given."""

    def loss_fn(_data: list[Datum], _logprobs: list[TensorData]) -> object:
        return value

    return loss_fn


class OwnError(Exception):
    """What a user's loss raises."""


def raising(error: BaseException) -> Any:
    """A loss that fails in this way."""

    def loss_fn(_data: list[Datum], _logprobs: list[TensorData]) -> Any:
        raise error

    return loss_fn


def test_a_raising_loss_leaves_the_client_usable() -> None:
    """The error arrives with the user's frames; later operations go on without a gap."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        loss_fn = raising(OwnError("mine"))
        failed = training.forward_backward_custom([example()], loss_fn, gradients="returned")
        step = training.optim_step({})
        with pytest.raises(OwnError, match="mine") as caught:
            failed.result(PATIENCE_S)
        assert caught.traceback[-1].name == "loss_fn"
        step.result(PATIENCE_S)
        assert isinstance(training.status().last_error, OwnError)
    assert service.numbered() == [(FORWARD, 1), ("/optim_step", 2)]


def test_a_loss_that_exits_fails_only_its_call() -> None:
    """``sys.exit()`` in a loss does not end the runtime."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        loss_fn = raising(SystemExit(2))
        failed = training.forward_backward_custom([example()], loss_fn, gradients="returned")
        assert isinstance(failed.exception(PATIENCE_S), SystemExit)
        training.optim_step({}).result(PATIENCE_S)


NAN = float("nan")
GRADIENT_MISTAKES: dict[str, tuple[list[list[float]], str]] = {
    "too few gradients": ([[0.0] * 3], r"1 gradients for 2 examples"),
    "wrong size": ([[0.0] * 3, [0.0] * 2], r"data\[1\]"),
    "not finite": ([[0.0] * 3, [0.0, NAN, 0.0]], r"data\[1\].*(nan|finite)"),
}


@pytest.mark.parametrize(
    ("gradients", "text"), GRADIENT_MISTAKES.values(), ids=GRADIENT_MISTAKES.keys()
)
def test_mistakes_in_returned_gradients_are_named(gradients: list[list[float]], text: str) -> None:
    """Which example does not fit is in the text, and nothing is sent back."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        metrics: dict[str, float] = {}
        loss_fn = returning((0.0, gradients, metrics))
        future = training.forward_backward_custom(
            [example(), example()], loss_fn, gradients="returned"
        )
        with pytest.raises(ValueError, match=text):
            future.result(PATIENCE_S)
        training.optim_step({}).result(PATIENCE_S)
    assert service.to(BACKWARD) == []


def test_a_wrong_batch_is_refused_before_anything_is_sent() -> None:
    """No targets, no data, an unknown way: errors of the call."""
    service = ScriptedService()
    without = Datum(ModelInput.from_ints([1]), {"weights": TensorData([1.0], "float32", [1])})
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m").result(PATIENCE_S)
        with pytest.raises(ValueError, match=r"data\[1\].loss_fn_inputs has no 'target_tokens'"):
            training.forward_backward_custom([example(), without], zero_loss, gradients="returned")
        with pytest.raises(ValueError, match="data is empty"):
            training.forward_backward_custom([], zero_loss, gradients="returned")
        with pytest.raises(ValueError, match="must be 'autograd' or 'returned'"):
            training.forward_backward_custom([example()], zero_loss, gradients=cast("Any", "x"))
        with pytest.raises(ValueError, match="only 'logprobs' exists"):
            training.forward_backward_custom(
                [example()], zero_loss, loss_type_input=cast("Any", "logits")
            )
    assert service.numbered() == []


def test_a_refused_forward_pass_never_calls_the_loss() -> None:
    """The service's refusal is the error, and the turn passes on."""
    service = ScriptedService()
    service.script(FORWARD, refusal(400, "bad data"))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        loss = raising(AssertionError("the loss was called"))
        failed = training.forward_backward_custom([example()], loss, gradients="returned")
        step = training.optim_step({})
        with pytest.raises(BadRequestError, match="bad data"):
            failed.result(PATIENCE_S)
        step.result(PATIENCE_S)


def test_a_cancelled_custom_loss_passes_the_turn_on() -> None:
    """Cancelling between the passes sends no backward pass; the next operation is number 2."""

    async def main() -> None:
        service = ScriptedService()
        result = AsyncGate(service)
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/retrieve_future", result)
            custom = training.forward_backward_custom([example()], zero_loss, gradients="returned")
            step = training.optim_step({})
            await result.reached.wait()
            custom.cancel()
            await step
        assert service.numbered() == [(FORWARD, 1), ("/optim_step", 2)]

    run_virtual(main)
