"""Adam with decoupled weight decay and clipping by the global norm, on named float32 arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinker_lite.local.layers import FloatArray

Arrays = Mapping[str, FloatArray]


@dataclass(frozen=True)
class AdamHyper:
    """The settings of one step; ``grad_clip_norm`` 0 is off.

    Raises:
        ValueError: A setting is out of range; the text names it.
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "eps", "weight_decay", "grad_clip_norm"):
            value: float = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"adam_params.{name}: must be 0 or more, got {value}")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"adam_params.{name}: must be in [0, 1), got {value}")


@dataclass(frozen=True)
class AdamState:
    """Steps taken, and running means of the gradients and of their squares, by name."""

    n_steps: int
    first: Arrays
    second: Arrays


def fresh_state(parameters: Arrays) -> AdamState:
    """Return the state before the first step."""
    zeros = {name: np.zeros_like(array) for name, array in parameters.items()}
    return AdamState(0, zeros, zeros)


def global_norm(arrays: Arrays) -> float:
    """Return the Euclidean norm of all the arrays taken as one vector, summed in float64."""
    return math.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays.values()))


@np.errstate(over="ignore", invalid="ignore")  # the next forward pass tells what has diverged
def adam_step(
    parameters: Arrays, gradients: Arrays, state: AdamState, hyper: AdamHyper
) -> tuple[dict[str, FloatArray], AdamState]:
    """Take one step; nothing passed in is changed.

    Args:
        parameters: The arrays to train, by name.
        gradients: The gradient of each, summed over the batch.
        state: What the previous step returned, or ``fresh_state``.
        hyper: The settings of this step.

    Returns:
        The new parameters and the new state.
    """
    norm = global_norm(gradients)
    clips = 0 < hyper.grad_clip_norm < norm
    clip = np.float32(hyper.grad_clip_norm / norm if clips else 1.0)
    n_steps = state.n_steps + 1
    decay = np.float32(1 - hyper.learning_rate * hyper.weight_decay)
    rate = np.float32(hyper.learning_rate / (1 - hyper.beta1**n_steps))
    second_correction = np.float32(1 / math.sqrt(1 - hyper.beta2**n_steps))
    stepped: dict[str, FloatArray] = {}
    first: dict[str, FloatArray] = {}
    second: dict[str, FloatArray] = {}
    for name, parameter in parameters.items():
        gradient = gradients[name] * clip
        first[name] = _running_mean(state.first[name], gradient, hyper.beta1)
        second[name] = _running_mean(state.second[name], np.square(gradient), hyper.beta2)
        deviation = np.sqrt(second[name]) * second_correction + np.float32(hyper.eps)
        # Where nothing has come in yet both are 0 and eps may be 0 too: no step, not 0 / 0.
        step = np.divide(first[name], deviation, out=np.zeros_like(parameter), where=deviation > 0)
        stepped[name] = parameter * decay - rate * step
    return stepped, AdamState(n_steps, first, second)


def _running_mean(mean: FloatArray, value: FloatArray, beta: float) -> FloatArray:
    updated: FloatArray = np.multiply(mean, beta)
    updated += np.multiply(value, 1 - beta)
    return updated
