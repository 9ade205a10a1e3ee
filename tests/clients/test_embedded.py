"""Whole programs over the embedded service, which really trains."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="a loss by autograd needs it; see the dev dependencies")

import torch

from tinker_lite import (
    Datum,
    ModelInput,
    ServiceClient,
    TensorData,
    TrainingClient,
)

MODEL = "tinker-lite/tiny-random"
TEXT = list(b"A word, and a word again.")
PATIENCE_S = 15.0


def batch() -> list[Datum]:
    """Predict each next byte, later ones with more weight."""
    n = len(TEXT) - 1
    weights = TensorData([i / n for i in range(n)], "float32", [n])
    targets = TensorData(TEXT[1:], "int64", [n])
    return [Datum(ModelInput.from_ints(TEXT[:-1]), {"target_tokens": targets, "weights": weights})]


def scores_after_a_step(training: TrainingClient) -> list[float]:
    """The logprobs once the gathered gradients have been applied."""
    training.optim_step({"learning_rate": 0.05})
    output = training.forward(batch(), "cross_entropy").result(PATIENCE_S)
    scores: list[float] = output.loss_fn_outputs[0]["logprobs"].data
    return scores


def by_torch(
    data: list[Datum], logprobs: list[torch.Tensor]
) -> tuple[torch.Tensor, dict[str, float]]:
    """Weighted cross entropy, as the service computes it."""
    weights = data[0].loss_fn_inputs["weights"].to_torch()
    return -(logprobs[0] * weights).sum(), {}


def by_hand(
    data: list[Datum], logprobs: list[TensorData]
) -> tuple[float, list[list[float]], dict[str, float]]:
    """The same with its gradient written out."""
    weights = data[0].loss_fn_inputs["weights"].data
    loss = -sum(w * p for w, p in zip(weights, logprobs[0].data, strict=True))
    return loss, [[-w for w in weights]], {}


def test_a_custom_loss_trains_as_the_same_loss_of_the_service_does() -> None:
    """Cross entropy by the service, by autograd and by hand gives one model."""
    with ServiceClient(base_url="local:") as service:
        trainings = [service.create_lora_training_client(MODEL, rank=4, seed=3) for _ in range(3)]
        built_in = trainings[0].forward_backward(batch(), "cross_entropy")
        autograd = trainings[1].forward_backward_custom(batch(), by_torch)
        returned = trainings[2].forward_backward_custom(batch(), by_hand, gradients="returned")
        losses = [f.result(PATIENCE_S).metrics["loss:sum"] for f in (built_in, autograd, returned)]
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
        expected, *others = [scores_after_a_step(training) for training in trainings]
        for scores in others:
            assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)
