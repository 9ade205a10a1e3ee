from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="a loss by autograd needs it; see the dev dependencies")

import torch

from tests.engine.losses import LOGPROBS, batch, promised, sent_weights
from tests.engine.scripted import (
    PATIENCE_S,
    ScriptedService,
    example,
    threaded_client,
)
from tinker_lite import Datum

FORWARD = "/forward"
BACKWARD = "/forward_backward"


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


def a_bare_tensor(_: list[Datum], logprobs: list[torch.Tensor]) -> Any:
    """No metrics."""
    return logprobs[0].sum()


def a_number(_: list[Datum], logprobs: list[torch.Tensor]) -> Any:
    """A float has no gradient."""
    return float(logprobs[0].detach().sum()), {}


def a_constant(_: list[Datum], logprobs: list[torch.Tensor]) -> Any:
    """Cut off from the logprobs."""
    return logprobs[0].detach().sum(), {}


def the_first_example_only(_: list[Datum], logprobs: list[torch.Tensor]) -> Any:
    """Forgets the second."""
    return logprobs[0].sum(), {}


MISTAKES: list[tuple[Callable[..., Any], type[Exception], str]] = [
    (a_bare_tensor, TypeError, r"must return \(loss, metrics\)"),
    (a_number, TypeError, r"returned a float as its loss"),
    (a_constant, ValueError, r"does not depend on the logprobs"),
    (the_first_example_only, ValueError, r"never used the logprobs of data\[1\]"),
]


@pytest.mark.parametrize(("loss_fn", "kind", "text"), MISTAKES)
def test_mistakes_in_a_torch_loss_are_named(
    loss_fn: Callable[..., Any], kind: type[Exception], text: str
) -> None:
    """Nothing of the backward pass is sent."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward_custom([example(), example()], loss_fn)
        with pytest.raises(kind, match=text):
            future.result(PATIENCE_S)
    assert service.to(BACKWARD) == []
