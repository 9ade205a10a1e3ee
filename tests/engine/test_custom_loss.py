from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, cast

import anyio
import pytest
import torch

from tinker_lite import BadRequestError, Datum, ModelInput, TensorData
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

FORWARD = "/forward"
BACKWARD = "/forward_backward"


def batch() -> list[Datum]:
    """One flat example with inputs of its own, one of shape (3, 2)."""
    wide = TensorData([[1, 2], [3, 4], [5, 6]], "int64", [3, 2])
    return [
        example(1, 2, 3, advantages=TensorData([1.0, 2.0, 3.0], "float32", [3])),
        Datum(ModelInput.from_ints([1, 2, 3]), {"target_tokens": wide}),
    ]


def promised(*rows: Sequence[float]) -> dict[str, object]:
    """A pass that gives these logprobs."""
    shapes = [[3], [3, 2]]
    records = [
        {"logprobs": {"data": list(row), "dtype": "float32", "shape": shape}}
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return {"loss_fn_outputs": records, "metrics": {"loss:sum": 9.0, "tokens:sum": 9.0}}


LOGPROBS = ([-1.0, -2.0, -3.0], [-0.1, -0.2, -0.3, -0.4, -0.5, -0.6])


def sent_weights(service: ScriptedService) -> list[dict[str, Any]]:
    """The weights of the backward pass, per example."""
    (body,) = service.bodies(BACKWARD)
    data = body["forward_backward_input"]["data"]
    return [datum["loss_fn_inputs"]["weights"] for datum in data]


def test_a_torch_loss_trains_by_its_own_gradient() -> None:
    """Weights sent are minus the gradient, in the targets' shape and float32."""
    seen: list[tuple[list[Datum], list[torch.Tensor]]] = []

    def loss_fn(
        data: list[Datum], logprobs: list[torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        seen.append((data, [values.detach().clone() for values in logprobs]))
        assert all(values.is_leaf and values.requires_grad for values in logprobs)
        advantages = data[0].loss_fn_inputs["advantages"].to_torch()
        loss = -(logprobs[0].exp() * advantages).sum() + (logprobs[1] ** 2).mean()
        return loss, {"mine:mean": 0.5, "tokens:sum": 1.0}

    service = ScriptedService()
    service.promise(FORWARD, promised(*LOGPROBS))
    service.promise(BACKWARD, promised(*LOGPROBS))
    data = batch()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        output = training.forward_backward_custom(data, loss_fn).result(PATIENCE_S)

    first = torch.tensor(LOGPROBS[0], requires_grad=True)
    second = torch.tensor(LOGPROBS[1], requires_grad=True)
    advantages = torch.tensor([1.0, 2.0, 3.0])
    loss = -(first.exp() * advantages).sum() + (second**2).mean()
    gradients = torch.autograd.grad(loss, [first, second])
    weights = sent_weights(service)
    for sent, gradient in zip(weights, gradients, strict=True):
        assert sent["dtype"] == "float32"
        assert torch.allclose(torch.tensor(sent["data"]), -gradient, atol=1e-6, rtol=0)
    assert [sent["shape"] for sent in weights] == [[3], [3, 2]]

    ((given, logprobs),) = seen
    assert given == data
    assert [tuple(values.shape) for values in logprobs] == [(3,), (3, 2)]
    assert all(values.dtype == torch.float32 for values in logprobs)
    assert output.metrics == {
        "loss:sum": pytest.approx(float(loss.detach()), rel=1e-6),
        "surrogate_loss:sum": 9.0,
        "mine:mean": 0.5,
        "tokens:sum": 1.0,
    }


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


def service_config(max_len: int) -> Any:
    """A configuration with small chunks."""
    from tinker_lite.testing import FakeReply

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
        failed = training.forward_backward_custom([example()], raising(OwnError("mine")))
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
        failed = training.forward_backward_custom([example()], lambda *_: sys.exit(2))
        assert isinstance(failed.exception(PATIENCE_S), SystemExit)
        training.optim_step({}).result(PATIENCE_S)


TORCH_MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "no tuple": (lambda _, lp: lp[0].sum(), TypeError, r"must return \(loss, metrics\)"),
    "no tensor": (lambda _, __: (1.0, {}), TypeError, "returned a float as its loss"),
    "no gradient": (
        lambda _, __: (torch.tensor(1.0), {}),
        ValueError,
        "does not depend on the logprobs",
    ),
    "unused example": (
        lambda _, lp: (lp[0].sum(), {}),
        ValueError,
        r"never used the logprobs of data\[1\]",
    ),
}


@pytest.mark.parametrize(
    ("loss_fn", "kind", "text"), TORCH_MISTAKES.values(), ids=TORCH_MISTAKES.keys()
)
def test_mistakes_in_a_torch_loss_are_named(loss_fn: Any, kind: type[Exception], text: str) -> None:
    """Nothing of the backward pass is sent."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward_custom([example(), example()], loss_fn)
        with pytest.raises(kind, match=text):
            future.result(PATIENCE_S)
    assert service.to(BACKWARD) == []


GRADIENT_MISTAKES: dict[str, tuple[Any, str]] = {
    "too few gradients": (lambda _, __: (0.0, [[0.0] * 3], {}), "1 gradients for 2 examples"),
    "wrong size": (lambda _, __: (0.0, [[0.0] * 3, [0.0] * 2], {}), r"data\[1\]"),
    "not finite": (
        lambda _, __: (0.0, [[0.0] * 3, [0.0, float("nan"), 0.0]], {}),
        r"data\[1\].*(nan|finite)",
    ),
}


@pytest.mark.parametrize(
    ("loss_fn", "text"), GRADIENT_MISTAKES.values(), ids=GRADIENT_MISTAKES.keys()
)
def test_mistakes_in_returned_gradients_are_named(loss_fn: Any, text: str) -> None:
    """Which example does not fit is in the text, and nothing is sent back."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
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
