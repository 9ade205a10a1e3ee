"""The layers of the transformer, each forward and backward, as functions of float32 arrays.

Every ``*_backward`` is the exact derivative of its forward function. Nothing here knows of
parameters being trained, of adapters, or of batches of unequal length.

Letters in shapes: N rows (tokens of all sequences), B sequences, H heads, T query tokens,
S key tokens (S - T of them from before the queries), D model width, C width of one head.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

NORM_EPSILON = 1e-5
GELU_SLOPE = 1.702  # of the sigmoid form of GELU (Hendrycks and Gimpel 2016): one exp, no erf
QUERY_BLOCK_TOKENS = 64  # smaller skips more of the masked half, larger has fewer calls


class NormTape(NamedTuple):
    """What ``layer_norm_backward`` needs: normalised input (N, D) and 1 / deviation (N, 1)."""

    normalised: FloatArray
    inverse_deviation: FloatArray


def layer_norm(x: FloatArray, gain: FloatArray) -> tuple[FloatArray, NormTape]:
    """Normalise each row of x (N, D) to mean 0 and variance 1, times gain (D,)."""
    normalised = x - x.mean(axis=1, keepdims=True)
    variance = np.einsum("nd,nd->n", normalised, normalised)[:, None] / x.shape[1]
    inverse_deviation = 1 / np.sqrt(variance + NORM_EPSILON)
    normalised *= inverse_deviation
    return normalised * gain, NormTape(normalised, inverse_deviation)


def layer_norm_backward(d_out: FloatArray, gain: FloatArray, tape: NormTape) -> FloatArray:
    """Return the gradient of the input (N, D); the gain is frozen and gets none."""
    width = d_out.shape[1]
    d_x = d_out * gain
    along = np.einsum("nd,nd->n", d_x, tape.normalised)[:, None] / width
    d_x -= d_x.mean(axis=1, keepdims=True)
    d_x -= tape.normalised * along
    d_x *= tape.inverse_deviation
    return d_x


class GeluTape(NamedTuple):
    """What ``gelu_backward`` needs: input, output and gate, all of one shape."""

    x: FloatArray
    out: FloatArray
    gate: FloatArray


def gelu(x: FloatArray) -> tuple[FloatArray, GeluTape]:
    """Return x * sigmoid(1.702 x), the sigmoid form of GELU."""
    gate: FloatArray = np.multiply(x, -GELU_SLOPE)
    with np.errstate(over="ignore"):  # exp overflows to inf where the gate is truly 0
        np.exp(gate, out=gate)
    gate += 1
    np.reciprocal(gate, out=gate)
    out = x * gate
    return out, GeluTape(x, out, gate)


def gelu_backward(d_out: FloatArray, tape: GeluTape) -> FloatArray:
    """Return the gradient of the input: d_out * gate * (1 + 1.702 (x - out))."""
    d_x = tape.x - tape.out
    d_x *= GELU_SLOPE
    d_x += 1
    d_x *= tape.gate
    d_x *= d_out
    return d_x


@cache
def head_slopes(n_heads: int) -> FloatArray:
    """Return the position slope of each head (H,): 2 ** (-8 h / H) for h = 1 ... H.

    Attention to a token n places back is lowered by n times the slope (ALiBi, Press et al. 2021):
    no weights to ship, and it carries past the length seen in pretraining.
    """
    slopes: FloatArray = (2.0 ** (-8.0 * np.arange(1, n_heads + 1) / n_heads)).astype(np.float32)
    slopes.setflags(write=False)
    return slopes


@cache
def _future_mask(n_tokens: int) -> FloatArray:
    mask: FloatArray = np.triu(np.full((n_tokens, n_tokens), -np.inf, np.float32), 1)
    mask.setflags(write=False)
    return mask


class AttentionBlock(NamedTuple):
    """A block of queries: its range, attention (B, H, t, s) undivided, row totals (B, H, t, 1)."""

    start: int
    stop: int
    unscaled: FloatArray
    totals: FloatArray


class AttentionTape(NamedTuple):
    """What ``attention_backward`` needs; q is (B, H, T, C), k and v (B, H, S, C)."""

    q: FloatArray
    k: FloatArray
    v: FloatArray
    out: FloatArray
    blocks: list[AttentionBlock]


def attention(q: FloatArray, k: FloatArray, v: FloatArray) -> tuple[FloatArray, AttentionTape]:
    """Mix the values by causal softmax attention with a linear position bias.

    Args:
        q: Queries (B, H, T, C), already divided by the square root of C. They belong to the
            last T of the S positions.
        k: Keys (B, H, S, C).
        v: Values (B, H, S, C).

    Returns:
        Mixed values (B, H, T, C), in memory (B, T, H, C) so that joining the heads is free.
    """
    n_sequences, n_heads, n_queries, width = q.shape
    n_past = k.shape[2] - n_queries
    out = np.empty((n_sequences, n_queries, n_heads, width), np.float32).transpose(0, 2, 1, 3)
    slopes = head_slopes(n_heads)[:, None, None]
    blocks: list[AttentionBlock] = []
    for start in range(0, n_queries, QUERY_BLOCK_TOKENS):
        stop = min(start + QUERY_BLOCK_TOKENS, n_queries)
        end = n_past + stop
        scores = q[:, :, start:stop] @ k[:, :, :end].swapaxes(2, 3)
        # Within a row the softmax ignores constants, so one bias serves all rows of the block.
        scores += slopes * np.arange(1 - end, 1, dtype=np.float32)
        scores[..., n_past + start :] += _future_mask(stop - start)
        scores -= scores.max(axis=3, keepdims=True)
        np.exp(scores, out=scores)
        totals = scores.sum(axis=3, keepdims=True)
        np.divide(scores @ v[:, :, :end], totals, out=out[:, :, start:stop])
        blocks.append(AttentionBlock(start, stop, scores, totals))
    return out, AttentionTape(q, k, v, out, blocks)


def attention_backward(
    d_out: FloatArray, tape: AttentionTape
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradients of q, k and v, in memory (B, T, H, C) as ``attention`` returns."""
    d_q, d_k, d_v = (_zeros_as_joined(x) for x in (tape.q, tape.k, tape.v))
    for start, stop, unscaled, totals in tape.blocks:
        end = unscaled.shape[3]
        d_mixed = d_out[:, :, start:stop] / totals
        along = np.einsum("bhtc,bhtc->bht", d_mixed, tape.out[:, :, start:stop])[..., None]
        d_scores = d_mixed @ tape.v[:, :, :end].swapaxes(2, 3)
        d_scores -= along
        d_scores *= unscaled
        d_v[:, :, :end] += unscaled.swapaxes(2, 3) @ d_mixed
        d_q[:, :, start:stop] = d_scores @ tape.k[:, :, :end]
        d_k[:, :, :end] += d_scores.swapaxes(2, 3) @ tape.q[:, :, start:stop]
    return d_q, d_k, d_v


def _zeros_as_joined(like: FloatArray) -> FloatArray:
    n_sequences, n_heads, n_tokens, width = like.shape
    zeros = np.zeros((n_sequences, n_tokens, n_heads, width), np.float32)
    return zeros.transpose(0, 2, 1, 3)
