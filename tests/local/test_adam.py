from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="autograd is the reference; see the dev dependencies")

import torch

from tests.local import torch_reference as reference
from tinker_lite.local.adam import (
    AdamHyper,
    AdamState,
    adam_step,
    fresh_state,
    global_norm,
)

if TYPE_CHECKING:
    from tinker_lite.local.layers import FloatArray

Arrays = dict[str, "FloatArray"]


def random_arrays(seed: int) -> Arrays:
    """Two arrays of different shape."""
    generator = np.random.default_rng(seed)
    return {
        "a": generator.standard_normal((3, 4), np.float32),
        "b": generator.standard_normal((5,), np.float32),
    }


@pytest.mark.parametrize(
    "hyper",
    [
        AdamHyper(),
        AdamHyper(learning_rate=0.1, beta1=0.5, beta2=0.7, eps=1e-3),
        AdamHyper(learning_rate=0.05, weight_decay=0.3),
        AdamHyper(learning_rate=0.05, grad_clip_norm=0.5),
    ],
    ids=["defaults", "other betas", "weight decay", "clipping"],
)
def test_steps_equal_torch_adamw(hyper: AdamHyper) -> None:
    """Six steps with changing gradients end where torch's AdamW ends."""
    parameters, state = random_arrays(0), fresh_state(random_arrays(0))
    tensors = {name: torch.tensor(a.tolist()) for name, a in parameters.items()}
    optimizer = torch.optim.AdamW(
        list(tensors.values()),
        lr=hyper.learning_rate,
        betas=(hyper.beta1, hyper.beta2),
        eps=hyper.eps,
        weight_decay=hyper.weight_decay,
    )
    for step in range(1, 7):
        gradients = random_arrays(step)
        parameters, state = adam_step(parameters, gradients, state, hyper)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name].tolist())
        if hyper.grad_clip_norm:
            torch.nn.utils.clip_grad_norm_(list(tensors.values()), hyper.grad_clip_norm)
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]  # torch types it in part
    for name, tensor in tensors.items():
        np.testing.assert_allclose(
            parameters[name], reference.to_numpy(tensor), rtol=2e-5, atol=2e-6
        )
    assert state.n_steps == 6


def test_the_first_two_steps_follow_the_formula() -> None:
    """By hand: bias-corrected means of g and g squared, decay apart from the gradient."""
    hyper = AdamHyper(learning_rate=0.1, beta1=0.9, beta2=0.95, eps=0.01, weight_decay=0.2)
    parameters: Arrays = {"p": np.array([2.0], np.float32)}
    state = fresh_state(parameters)
    p = 2.0
    m = v = 0.0
    for t, g in ((1, 3.0), (2, -1.0)):
        parameters, state = adam_step(parameters, {"p": np.array([g], np.float32)}, state, hyper)
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        p = p - 0.1 * 0.2 * p
        p -= 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.95**t)) + 0.01)
        assert float(parameters["p"][0]) == pytest.approx(p, rel=1e-6)


def test_clipping_is_by_the_norm_of_all_gradients_together() -> None:
    """A norm of 5 clipped to 1 gives the step of the gradients divided by 5; 0 clips nothing."""
    zero = {"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float32)}
    gradients = {"a": np.array([3.0], np.float32), "b": np.array([4.0], np.float32)}
    scaled = {name: g / np.float32(5) for name, g in gradients.items()}
    settings = {"learning_rate": 0.1, "eps": 1.0}  # a large eps makes the size matter
    start = fresh_state(zero)
    clipped, _ = adam_step(zero, gradients, start, AdamHyper(**settings, grad_clip_norm=1.0))
    by_hand, _ = adam_step(zero, scaled, start, AdamHyper(**settings))
    unclipped, _ = adam_step(zero, gradients, start, AdamHyper(**settings))
    assert global_norm(gradients) == pytest.approx(5.0)
    np.testing.assert_allclose(clipped["a"], by_hand["a"], rtol=1e-6)
    assert abs(float(unclipped["a"][0])) > abs(float(clipped["a"][0]))


def test_nothing_passed_in_is_changed() -> None:
    """A step returns new arrays: what holds the old ones keeps its values."""
    parameters = random_arrays(0)
    first, state = adam_step(parameters, random_arrays(1), fresh_state(parameters), AdamHyper())
    before = {name: a.copy() for name, a in first.items()}
    second = state.second["a"].copy()
    adam_step(first, random_arrays(2), state, AdamHyper(learning_rate=1.0))
    assert all(np.array_equal(first[name], before[name]) for name in first)
    assert np.array_equal(state.second["a"], second)
    assert np.array_equal(parameters["a"], random_arrays(0)["a"])


def test_a_zero_gradient_with_no_eps_moves_nothing() -> None:
    """0 / 0 is no step, not a nan."""
    parameters = random_arrays(0)
    zeros = {name: np.zeros_like(a) for name, a in parameters.items()}
    stepped, _ = adam_step(parameters, zeros, fresh_state(parameters), AdamHyper(eps=0.0))
    assert all(np.array_equal(stepped[name], parameters[name]) for name in parameters)


def test_a_saved_state_goes_on_as_if_never_saved() -> None:
    """The next step depends only on what the state holds."""
    parameters, state = random_arrays(0), fresh_state(random_arrays(0))
    parameters, state = adam_step(parameters, random_arrays(1), state, AdamHyper())
    copied = AdamState(
        state.n_steps,
        {name: a.copy() for name, a in state.first.items()},
        {name: a.copy() for name, a in state.second.items()},
    )
    one, _ = adam_step(parameters, random_arrays(2), state, AdamHyper())
    other, _ = adam_step(parameters, random_arrays(2), copied, AdamHyper())
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -1e-4),
        ("learning_rate", math.nan),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("eps", -1e-9),
        ("weight_decay", math.inf),
        ("grad_clip_norm", -1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    """The error names the setting."""
    with pytest.raises(ValueError, match=rf"adam_params\.{name}: must be "):
        AdamHyper(**{name: value})
