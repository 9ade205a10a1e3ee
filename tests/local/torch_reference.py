"""The model and the losses once more, in torch with autograd, written for plainness.

Float64 throughout; LoRA as its two thin products, attention with its whole bias matrix, one
sequence at a time. What the numpy code computes is compared with this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch", reason="autograd is the reference; see the dev dependencies")

import torch
from torch.nn.functional import layer_norm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.local.transformer import ModelShape

Tensors = dict[str, torch.Tensor]


def tensor(array: npt.ArrayLike) -> torch.Tensor:
    """Return a float64 tensor that takes part in autograd."""
    return torch.tensor(
        np.asarray(array, np.float64).tolist(), dtype=torch.float64
    ).requires_grad_()


def tensors(arrays: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    """Return float64 tensors that take part in autograd, by name."""
    return {name: tensor(array) for name, array in arrays.items()}


def to_numpy(of: torch.Tensor) -> npt.NDArray[np.float64]:
    """Return the values of a tensor."""
    return np.asarray(of.detach().numpy(), np.float64)


def logits(shape: ModelShape, w: Tensors, adapter: Tensors, tokens: list[int]) -> torch.Tensor:
    """Return logits (T, V) for one sequence; ``adapter`` may be empty."""
    n_tokens, width = len(tokens), shape.d_model // shape.n_heads

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        out = x @ w[name].T
        if f"{name}.lora_a" in adapter:
            a, b = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"]
            out = out + 32 / len(a) * (x @ a.T @ b.T)
        return out

    back = torch.arange(n_tokens)[:, None] - torch.arange(n_tokens)[None, :]
    x = w["embedding"][tokens]
    for i in range(shape.n_blocks):
        name = f"blocks.{i}."
        y = layer_norm(x, (shape.d_model,), w[name + "attention_norm"])
        q, k, v = (linear(name + part, y) for part in ("query", "key", "value"))
        mixed: list[torch.Tensor] = []
        for head in range(shape.n_heads):
            at = slice(head * width, (head + 1) * width)
            slope = 2 ** (-8 * (head + 1) / shape.n_heads)
            scores = q[:, at] @ k[:, at].T / width**0.5 - slope * back
            mixed.append(scores.masked_fill(back < 0, -torch.inf).softmax(1) @ v[:, at])
        x = x + linear(name + "output", torch.cat(mixed, 1))
        y = linear(name + "up", layer_norm(x, (shape.d_model,), w[name + "mlp_norm"]))
        x = x + linear(name + "down", y * torch.sigmoid(1.702 * y))
    return linear("unembedding", layer_norm(x, (shape.d_model,), w["final_norm"]))


def target_logprobs(all_logits: torch.Tensor, targets: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return the log-probabilities of targets (T,) or (T, K), in their shape."""
    rows = torch.tensor(targets.reshape(len(targets), -1).tolist())
    return all_logits.log_softmax(1).gather(1, rows).reshape(targets.shape)


def loss(
    loss_fn: str,
    lp: torch.Tensor,
    inputs: Mapping[str, npt.NDArray[Any]],
    config: Mapping[str, float],
) -> torch.Tensor:
    """Return a loss as its definition reads, summed."""
    floats = {name: tensor(array).detach() for name, array in inputs.items()}
    if loss_fn == "cross_entropy":
        return -(lp * floats["weights"]).sum()
    q, advantages = floats["logprobs"], floats["advantages"]
    ratio = (lp - q).exp()
    if loss_fn == "importance_sampling":
        return -(ratio * advantages).sum()
    if loss_fn == "dro":
        return -(lp * advantages - 0.5 * config["beta"] * (lp - q) ** 2).sum()
    low, high = config["clip_low_threshold"], config["clip_high_threshold"]
    if loss_fn == "cispo":
        return -(ratio.clamp(low, high).detach() * lp * advantages).sum()
    if loss_fn == "gspo":
        chosen = floats["sequence_ratio_mask"] != 0
        ratio = (lp.detach() - q)[chosen].mean().exp() * (lp - lp.detach()).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages).sum()


def gradients(of: torch.Tensor, by: Tensors) -> dict[str, npt.NDArray[np.float64]]:
    """Return d(of)/d(each tensor), zeros where it does not matter."""
    found = torch.autograd.grad(of, list(by.values()), allow_unused=True, materialize_grads=True)
    return {name: to_numpy(g) for name, g in zip(by, found, strict=True)}
