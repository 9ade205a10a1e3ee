from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.local import torch_reference as reference
from tinker_lite.local.losses import (
    LOSS_FUNCTIONS,
    check_loss_inputs,
    complete_config,
    loss_and_gradient,
)

Inputs = dict[str, npt.NDArray[Any]]


def policy_inputs(n_tokens: int = 40) -> tuple[npt.NDArray[np.float32], Inputs]:
    """Log-probabilities now, and inputs whose ratios fall on both sides of every clip."""
    generator = np.random.default_rng(11)
    lp = -generator.exponential(2.0, n_tokens).astype(np.float32)
    q = (lp - generator.normal(0, 0.7, n_tokens)).astype(np.float32)
    return lp, {
        "target_tokens": generator.integers(0, 256, n_tokens),
        "logprobs": q,
        "advantages": generator.standard_normal(n_tokens, np.float32),
    }


@pytest.mark.parametrize(
    ("loss_fn", "config"),
    [
        ("importance_sampling", {}),
        ("ppo", {}),
        ("ppo", {"clip_low_threshold": 0.5, "clip_high_threshold": 1.1}),
        ("cispo", {}),
        ("cispo", {"clip_low_threshold": 0.9, "clip_high_threshold": 1.3}),
        ("dro", {}),
        ("dro", {"beta": 2.0}),
        ("gspo", {}),
        ("gspo", {"clip_low_threshold": 0.99, "clip_high_threshold": 1.01}),
    ],
    ids=str,
)
def test_policy_losses_and_gradients_equal_autograd(loss_fn: str, config: dict[str, float]) -> None:
    """Value and gradient are those of the definition, clipped and unclipped places both."""
    lp, inputs = policy_inputs()
    if loss_fn == "gspo":
        inputs["sequence_ratio_mask"] = (np.arange(40) >= 10).astype(np.float32)
    loss, gradient = loss_and_gradient(loss_fn, lp, inputs, config)
    tensor = reference.tensor(lp)
    expected = reference.loss(loss_fn, tensor, inputs, complete_config(loss_fn, config))
    wanted = reference.gradients(expected, {"lp": tensor})["lp"]
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-7)
    assert gradient.dtype == np.float32
    if loss_fn == "ppo":
        assert 0 < (gradient == 0).sum() < 40


@pytest.mark.parametrize("shape", [(7,), (7, 3)], ids=["one target", "three targets"])
def test_cross_entropy_weighs_every_target(shape: tuple[int, ...]) -> None:
    """The loss is minus the weighted sum, its gradient minus the weights."""
    generator = np.random.default_rng(2)
    lp = -generator.exponential(1.0, shape).astype(np.float32)
    weights = generator.standard_normal(shape, np.float32)
    loss, gradient = loss_and_gradient("cross_entropy", lp, {"weights": weights}, {})
    assert loss == pytest.approx(-float((lp * weights).sum()), rel=1e-5)
    assert np.array_equal(gradient, -weights)


def test_cross_entropy_without_weights_counts_every_token_once() -> None:
    """Weights left out are ones."""
    lp = np.array([-1.0, -2.0], np.float32)
    loss, gradient = loss_and_gradient("cross_entropy", lp, {}, {})
    assert loss == 3.0
    assert gradient.tolist() == [-1.0, -1.0]


def test_losses_are_sums() -> None:
    """Twice the tokens is twice the loss, for every loss without a sequence ratio."""
    lp, inputs = policy_inputs()
    for loss_fn in set(LOSS_FUNCTIONS) - {"gspo"}:
        chosen = {"weights": inputs["advantages"]} if loss_fn == "cross_entropy" else inputs
        doubled = {name: np.concatenate([a, a]) for name, a in chosen.items()}
        once, _ = loss_and_gradient(loss_fn, lp, chosen, {})
        twice, _ = loss_and_gradient(loss_fn, np.concatenate([lp, lp]), doubled, {})
        assert twice == pytest.approx(2 * once, rel=1e-6), loss_fn


def test_on_policy_ratio_one_gives_minus_the_advantages() -> None:
    """Where nothing has moved, the policy gradients of all ratio losses agree."""
    lp, inputs = policy_inputs()
    inputs |= {"logprobs": lp, "sequence_ratio_mask": np.ones(40, np.float32)}
    for loss_fn in ("importance_sampling", "ppo", "cispo", "dro", "gspo"):
        _, gradient = loss_and_gradient(loss_fn, lp, inputs, {})
        np.testing.assert_allclose(gradient, -inputs["advantages"], rtol=1e-6, err_msg=loss_fn)


def test_gspo_of_an_empty_sequence_is_zero() -> None:
    """A mask of zeros names no token, so there is no ratio and no loss."""
    lp, inputs = policy_inputs()
    inputs["sequence_ratio_mask"] = np.zeros(40, np.float32)
    loss, gradient = loss_and_gradient("gspo", lp, inputs, {})
    assert loss == 0
    assert not gradient.any()


def test_a_result_beyond_float32_is_refused() -> None:
    """Sampler log-probabilities far from the model's are named as the cause."""
    lp, inputs = policy_inputs()
    inputs["logprobs"] = lp - np.float32(500)
    inputs["advantages"] = np.full(40, 1e6, np.float32)
    with pytest.raises(ValueError, match="importance_sampling is beyond float32"):
        loss_and_gradient("importance_sampling", lp, inputs, {})


INTS, FLOATS = np.zeros(3, np.int64), np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("loss_fn", "inputs", "message"),
    [
        ("cross_entropy", {"weights": FLOATS}, "['target_tokens']: missing; cross_entropy needs"),
        (
            "ppo",
            {"target_tokens": INTS, "logprobs": FLOATS},
            "['advantages']: missing; ppo needs it",
        ),
        (
            "cross_entropy",
            {"target_tokens": INTS, "mask": FLOATS},
            "['mask']: not an input of cross_entropy, which takes target_tokens, weights",
        ),
        (
            "cross_entropy",
            {"target_tokens": FLOATS},
            "['target_tokens']: must be integers (int64), got float32",
        ),
        (
            "cross_entropy",
            {"target_tokens": INTS, "weights": INTS},
            "['weights']: must be floats (float32), got int64",
        ),
        (
            "cross_entropy",
            {"target_tokens": np.zeros(2, np.int64)},
            "['target_tokens']: has shape (2,); the input needs (3,) or (3, K)",
        ),
        (
            "dro",
            {"target_tokens": np.zeros((3, 2), np.int64), "logprobs": FLOATS, "advantages": FLOATS},
            "['target_tokens']: has shape (3, 2); the input needs (3,)",
        ),
        (
            "cross_entropy",
            {"target_tokens": INTS, "weights": np.zeros((3, 1), np.float32)},
            "['weights']: has shape (3, 1), target_tokens has (3,)",
        ),
        (
            "cross_entropy",
            {"target_tokens": np.array([0, 256, 1])},
            "['target_tokens']: token 256 is not in 0 to 255",
        ),
        (
            "cross_entropy",
            {"target_tokens": np.array([0, -1, 1])},
            "['target_tokens']: token -1 is not in 0 to 255",
        ),
        (
            "cross_entropy",
            {"target_tokens": INTS, "weights": np.array([0, np.nan, 1], np.float32)},
            "['weights']: holds a value that is not finite",
        ),
    ],
)
def test_unusable_inputs_are_refused_by_name(loss_fn: str, inputs: Inputs, message: str) -> None:
    """The error names the array and what it should be."""
    with pytest.raises(ValueError, match=re.escape("loss_fn_inputs" + message)):
        check_loss_inputs(loss_fn, inputs, 3, 256)


@pytest.mark.parametrize("loss_fn", LOSS_FUNCTIONS)
def test_complete_inputs_are_accepted(loss_fn: str) -> None:
    """The arrays of the definition, float32 or float64, pass for every loss."""
    floats = {
        "cross_entropy": ("weights",),
        "gspo": ("logprobs", "advantages", "sequence_ratio_mask"),
    }.get(loss_fn, ("logprobs", "advantages"))
    for dtype in (np.float32, np.float64):
        inputs: Inputs = {"target_tokens": INTS} | {name: np.ones(3, dtype) for name in floats}
        check_loss_inputs(loss_fn, inputs, 3, 256)


@pytest.mark.parametrize(
    ("loss_fn", "config", "message"),
    [
        ("grpo", {}, "loss_fn: 'grpo' is not one of cross_entropy, importance_sampling, ppo"),
        ("dro", {"bta": 1.0}, "loss_fn_config['bta']: not a setting of dro (beta)"),
        ("cross_entropy", {"beta": 1.0}, "['beta']: not a setting of cross_entropy (none)"),
        ("dro", {"beta": "1"}, "loss_fn_config['beta']: must be a finite number, got '1'"),
        ("dro", {"beta": float("inf")}, "loss_fn_config['beta']: must be a finite number"),
        (
            "ppo",
            {"clip_low_threshold": 1.5},
            "loss_fn_config['clip_low_threshold']: 1.5 is above clip_high_threshold 1.2",
        ),
    ],
)
def test_unusable_settings_are_refused(
    loss_fn: str, config: dict[str, object], message: str
) -> None:
    """The error names the setting, or the losses there are."""
    with pytest.raises(ValueError, match=re.escape(message)):
        complete_config(loss_fn, config)
