"""The built-in losses, as functions of the log-probabilities of the target tokens.

Each returns a sum over tokens, never a mean, and its derivative with respect to every
log-probability. What an example must carry is a table here, and is checked here.

Letters: ``lp`` log-probabilities now, ``q`` those the tokens were sampled with (``logprobs``),
A ``advantages``, r = exp(lp - q). T tokens, K targets per token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tinker_lite.local.layers import FloatArray

LossInputs = Mapping[str, npt.NDArray[Any]]
Config = Mapping[str, float]
Values = npt.NDArray[np.float64]
LossAndGradient = tuple[float, Values]

TARGETS = "target_tokens"
_CLIP_RATIO: Config = {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}
_MAX_LOG_RATIO = 80.0  # exp of more leaves the range of float32


def _cross_entropy(lp: Values, inputs: Mapping[str, Values], _config: Config) -> LossAndGradient:
    weights = inputs["weights"]
    return -float((lp * weights).sum()), -weights


def _importance_sampling(
    lp: Values, inputs: Mapping[str, Values], _config: Config
) -> LossAndGradient:
    weighted = _ratio(lp, inputs["logprobs"]) * inputs["advantages"]
    return -float(weighted.sum()), -weighted


def _ppo(lp: Values, inputs: Mapping[str, Values], config: Config) -> LossAndGradient:
    return _clipped(_ratio(lp, inputs["logprobs"]), inputs["advantages"], config)


def _cispo(lp: Values, inputs: Mapping[str, Values], config: Config) -> LossAndGradient:
    ratio = _ratio(lp, inputs["logprobs"])
    weights = _clip(ratio, config) * inputs["advantages"]  # held constant: no gradient through it
    return -float((weights * lp).sum()), -weights


def _dro(lp: Values, inputs: Mapping[str, Values], config: Config) -> LossAndGradient:
    advantages, drift, beta = inputs["advantages"], lp - inputs["logprobs"], config["beta"]
    return -float((lp * advantages - 0.5 * beta * drift**2).sum()), beta * drift - advantages


def _gspo(lp: Values, inputs: Mapping[str, Values], config: Config) -> LossAndGradient:
    in_sequence = inputs["sequence_ratio_mask"] != 0
    if not in_sequence.any():
        return 0.0, np.zeros_like(lp)
    mean_log_ratio = (lp - inputs["logprobs"])[in_sequence].mean()
    # Every token carries the ratio of its sequence; its own lp enters through the gradient only.
    ratio = np.full_like(lp, math.exp(min(mean_log_ratio, _MAX_LOG_RATIO)))
    return _clipped(ratio, inputs["advantages"], config)


def _ratio(lp: Values, q: Values) -> Values:
    ratio: Values = np.exp(np.minimum(lp - q, _MAX_LOG_RATIO))
    return ratio


def _clip(ratio: Values, config: Config) -> Values:
    return np.clip(ratio, config["clip_low_threshold"], config["clip_high_threshold"])


def _clipped(ratio: Values, advantages: Values, config: Config) -> LossAndGradient:
    """The PPO surrogate: the worse of the ratio and the clipped ratio, times the advantage."""
    free, held = ratio * advantages, _clip(ratio, config) * advantages
    return -float(np.minimum(free, held).sum()), np.where(free <= held, -free, 0.0)


@dataclass(frozen=True)
class _Loss:
    compute: Callable[[Values, Mapping[str, Values], Config], LossAndGradient]
    float_inputs: tuple[str, ...] = ("logprobs", "advantages")
    config: Config = field(default_factory=dict[str, float])
    allows_many_targets: bool = False
    defaults_to_ones: tuple[str, ...] = ()


_LOSSES = {
    "cross_entropy": _Loss(
        _cross_entropy, ("weights",), allows_many_targets=True, defaults_to_ones=("weights",)
    ),
    "importance_sampling": _Loss(_importance_sampling),
    "ppo": _Loss(_ppo, config=_CLIP_RATIO),
    "cispo": _Loss(_cispo, config={"clip_low_threshold": 0.0, "clip_high_threshold": 4.0}),
    "dro": _Loss(_dro, config={"beta": 0.05}),
    "gspo": _Loss(
        _gspo, ("logprobs", "advantages", "sequence_ratio_mask"), config=_CLIP_RATIO
    ),
}  # fmt: skip
LOSS_FUNCTIONS = tuple(_LOSSES)


def loss_and_gradient(
    loss_fn: str, logprobs: FloatArray, inputs: LossInputs, config: Mapping[str, object]
) -> tuple[float, FloatArray]:
    """Compute one example's loss and its derivative.

    Args:
        loss_fn: One of ``LOSS_FUNCTIONS``.
        logprobs: Log-probabilities of the targets, shape (T,) or (T, K), in nats.
        inputs: What ``check_loss_inputs`` accepted. ``weights`` of cross_entropy defaults to ones.
        config: What ``complete_config`` accepts. Where the field has no settled default, ours:
            dro ``beta`` 0.05; gspo clips as ppo, 0.8 and 1.2.

    Returns:
        The loss, summed over tokens, and d(loss)/d(logprobs), float32 of the shape of logprobs.

    Raises:
        ValueError: The result does not fit float32.
    """
    loss = _LOSSES[loss_fn]
    values = {
        name: (np.ones(logprobs.shape) if name not in inputs else inputs[name].astype(np.float64))
        for name in loss.float_inputs
    }
    total, gradient = loss.compute(
        logprobs.astype(np.float64), values, complete_config(loss_fn, config)
    )
    with np.errstate(over="ignore"):
        narrow: FloatArray = gradient.astype(np.float32)
    if not (math.isfinite(total) and np.isfinite(narrow).all()):
        raise ValueError(
            f"loss_fn: {loss_fn} is beyond float32 here; logprobs are too far from the model's own "
            "or the weights or advantages too large"
        )
    return total, narrow


def complete_config(loss_fn: str, config: Mapping[str, object]) -> dict[str, float]:
    """Fill in the defaults of a loss's settings.

    Raises:
        ValueError: The loss is unknown, or a setting is unknown, no number, or out of order.
    """
    if loss_fn not in _LOSSES:
        raise ValueError(f"loss_fn: {loss_fn!r} is not one of {', '.join(LOSS_FUNCTIONS)}")
    complete = dict(_LOSSES[loss_fn].config)
    for key, value in config.items():
        if key not in complete:
            known = ", ".join(complete) or "none"
            raise ValueError(f"loss_fn_config[{key!r}]: not a setting of {loss_fn} ({known})")
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"loss_fn_config[{key!r}]: must be a finite number, got {value!r}")
        complete[key] = float(value)
    low, high = (complete.get(key, 0.0) for key in _CLIP_RATIO)
    if low > high:
        raise ValueError(
            f"loss_fn_config['clip_low_threshold']: {low} is above clip_high_threshold {high}"
        )
    return complete


def check_loss_inputs(loss_fn: str, inputs: LossInputs, n_tokens: int, n_vocab: int) -> None:
    """Check one example against what its loss needs.

    Args:
        loss_fn: One of ``LOSS_FUNCTIONS``.
        inputs: ``target_tokens``, integers (T,) or for cross_entropy also (T, K), and the loss's
            float arrays of the same shape.
        n_tokens: T, the number of tokens of the example's input.
        n_vocab: Targets are 0 up to and without this.

    Raises:
        ValueError: Something is missing, unknown, or of the wrong dtype, shape or range.
    """
    loss = _LOSSES[loss_fn]
    known = (TARGETS, *loss.float_inputs)
    for name in inputs:
        if name not in known:
            raise _input_error(name, f"not an input of {loss_fn}, which takes {', '.join(known)}")
    for name in known:
        if name not in inputs and name not in loss.defaults_to_ones:
            raise _input_error(name, f"missing; {loss_fn} needs it")
    targets = inputs[TARGETS]
    _check_targets(targets, n_tokens, n_vocab, n_dimensions=1 + loss.allows_many_targets)
    for name in loss.float_inputs:
        if name in inputs:
            _check_floats(name, inputs[name], targets.shape)


def _check_targets(
    targets: npt.NDArray[Any], n_tokens: int, n_vocab: int, n_dimensions: int
) -> None:
    if targets.dtype.kind not in "iu":
        raise _input_error(TARGETS, f"must be integers (int64), got {targets.dtype}")
    if not 1 <= targets.ndim <= n_dimensions or targets.shape[0] != n_tokens:
        wanted = f"({n_tokens},)" + (f" or ({n_tokens}, K)" if n_dimensions > 1 else "")
        raise _input_error(TARGETS, f"has shape {targets.shape}; the input needs {wanted}")
    if targets.size and not (targets.min() >= 0 and targets.max() < n_vocab):
        wrong = targets[(targets < 0) | (targets >= n_vocab)].flat[0]
        raise _input_error(TARGETS, f"token {wrong} is not in 0 to {n_vocab - 1}")


def _check_floats(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.dtype.kind != "f":
        raise _input_error(name, f"must be floats (float32), got {values.dtype}")
    if values.shape != shape:
        raise _input_error(name, f"has shape {values.shape}, {TARGETS} has {shape}")
    if not np.isfinite(values).all():
        raise _input_error(name, "holds a value that is not finite")


def _input_error(name: str, what: str) -> ValueError:
    return ValueError(f"loss_fn_inputs[{name!r}]: {what}")
