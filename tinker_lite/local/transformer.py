"""A small causal transformer over bytes: its weights by name, forward and backward passes.

Pre-layer-norm blocks of attention (separate query, key, value, output matrices) and an MLP, a
final norm and an unembedding; no biases. Positions enter only through attention, so right-padded
sequences are exact without a padding mask. Which matrices are trained, and how, is not known here:
``backward`` returns the gradients of the matrices it is asked for.

Weights are float32, a matrix is (outputs, inputs), names are those of ``weight_sizes``.

Letters in shapes: B sequences, T tokens, V vocabulary, N = B * T; others as in ``layers``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinker_lite.local.layers import (
    AttentionTape,
    FloatArray,
    GeluTape,
    NormTape,
    attention,
    attention_backward,
    gelu,
    gelu_backward,
    layer_norm,
    layer_norm_backward,
)

IntArray = npt.NDArray[np.int64]
Weights = Mapping[str, FloatArray]

ATTENTION_MATRICES = ("query", "key", "value", "output")
MLP_MATRICES = ("up", "down")
UNEMBEDDING = "unembedding"


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model; ``context_length`` counts tokens."""

    d_model: int
    n_blocks: int
    n_heads: int
    d_mlp: int
    context_length: int
    n_vocab: int = 256


def weight_sizes(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Return the size of every weight by name, in the order of the forward pass."""
    d, m = shape.d_model, shape.d_mlp
    block = {"attention_norm": (d,), **dict.fromkeys(ATTENTION_MATRICES, (d, d)),
             "mlp_norm": (d,), "up": (m, d), "down": (d, m)}  # fmt: skip
    sizes: dict[str, tuple[int, ...]] = {"embedding": (shape.n_vocab, d)}
    for i in range(shape.n_blocks):
        sizes |= {f"blocks.{i}.{name}": size for name, size in block.items()}
    return sizes | {"final_norm": (d,), UNEMBEDDING: (shape.n_vocab, d)}


class KeyValueCache:
    """Keys and values of the tokens a group of sequences has seen, for decoding step by step."""

    def __init__(self, shape: ModelShape, n_sequences: int, capacity: int) -> None:
        """Make room for ``capacity`` tokens in each of the sequences."""
        width = shape.d_model // shape.n_heads
        size = (shape.n_blocks, 2, n_sequences, shape.n_heads, capacity, width)
        self._store: FloatArray = np.empty(size, np.float32)
        self.n_tokens = 0

    def extend(
        self, block: int, keys: FloatArray, values: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Write one block's keys and values (B, H, T, C); return all so far (B, H, S, C)."""
        end = self.n_tokens + keys.shape[2]
        self._store[block, 0, :, :, self.n_tokens : end] = keys
        self._store[block, 1, :, :, self.n_tokens : end] = values
        return self._store[block, 0, :, :, :end], self._store[block, 1, :, :, :end]

    def select(self, rows: npt.NDArray[np.intp]) -> KeyValueCache:
        """Return a cache of the sequences named by index, each a copy; an index may repeat."""
        chosen = object.__new__(KeyValueCache)
        chosen._store = self._store[:, :, rows]
        chosen.n_tokens = self.n_tokens
        return chosen


class BlockTape(NamedTuple):
    """What the backward pass needs of one block."""

    attention_input: FloatArray
    attention_norm: NormTape
    attention: AttentionTape
    mixed: FloatArray
    mlp_input: FloatArray
    mlp_norm: NormTape
    gelu: GeluTape


class Tape(NamedTuple):
    """What the backward pass needs of one forward pass over tokens (B, T)."""

    n_sequences: int
    blocks: list[BlockTape]
    final_norm: NormTape
    final: FloatArray


@np.errstate(over="ignore", invalid="ignore")  # what diverges is told from the logits
def forward(
    shape: ModelShape, weights: Weights, tokens: IntArray, cache: KeyValueCache | None = None
) -> tuple[FloatArray, Tape]:
    """Compute the logits of the token after each position.

    Args:
        shape: The sizes of the model.
        weights: Every weight, by name.
        tokens: Token ids (B, T), each in 0 ... V - 1; not checked here.
        cache: What the sequences have seen before; the tokens are added to it.

    Returns:
        Logits (B * T, V), sequence by sequence, and the tape for ``backward``.

    Raises:
        ValueError: The weights have diverged: the logits are not finite.
    """
    x = weights["embedding"][tokens.reshape(-1)]
    tapes: list[BlockTape] = []
    for i in range(shape.n_blocks):
        x, tape = _block_forward(shape, weights, i, x, tokens.shape[0], cache)
        tapes.append(tape)
    if cache is not None:
        cache.n_tokens += tokens.shape[1]
    final, final_norm = layer_norm(x, weights["final_norm"])
    logits = final @ weights[UNEMBEDDING].T
    if not np.isfinite(logits).all():
        raise ValueError(
            "model: has diverged, its logits are not finite; go back to an earlier checkpoint and "
            "train with a smaller learning_rate"
        )
    return logits, Tape(tokens.shape[0], tapes, final_norm, final)


def _block_forward(
    shape: ModelShape,
    weights: Weights,
    index: int,
    x: FloatArray,
    n_sequences: int,
    cache: KeyValueCache | None,
) -> tuple[FloatArray, BlockTape]:
    w = _BlockWeights(weights, index)
    y, attention_norm = layer_norm(x, w["attention_norm"])
    q, k, v = (y @ w[name].T for name in ("query", "key", "value"))
    q *= 1 / math.sqrt(shape.d_model // shape.n_heads)
    q, k, v = (_split_heads(each, n_sequences, shape.n_heads) for each in (q, k, v))
    if cache is not None:
        k, v = cache.extend(index, k, v)
    mixed_heads, attention_tape = attention(q, k, v)
    mixed = _join_heads(mixed_heads)
    x = np.add(x, mixed @ w["output"].T)
    z, mlp_norm = layer_norm(x, w["mlp_norm"])
    hidden, gelu_tape = gelu(z @ w["up"].T)
    x = np.add(x, hidden @ w["down"].T)
    return x, BlockTape(y, attention_norm, attention_tape, mixed, z, mlp_norm, gelu_tape)


class _BlockWeights:
    """The weights of one block by their short names."""

    def __init__(self, weights: Weights, index: int) -> None:
        self._weights, self._prefix = weights, f"blocks.{index}."

    def __getitem__(self, name: str) -> FloatArray:
        return self._weights[self._prefix + name]


def _split_heads(x: FloatArray, n_sequences: int, n_heads: int) -> FloatArray:
    return x.reshape(n_sequences, -1, n_heads, x.shape[1] // n_heads).transpose(0, 2, 1, 3)


def _join_heads(x: FloatArray) -> FloatArray:
    joined = x.transpose(0, 2, 1, 3)
    return joined.reshape(joined.shape[0] * joined.shape[1], -1)


def backward(
    shape: ModelShape,
    weights: Weights,
    tape: Tape,
    d_logits: FloatArray,
    trained: Collection[str],
) -> dict[str, FloatArray]:
    """Return the gradients of the matrices named in ``trained``.

    Args:
        shape: The sizes of the model.
        weights: The weights ``forward`` was called with.
        tape: What ``forward`` returned, without a cache.
        d_logits: Gradient of the logits (N, V).
        trained: Names of matrices. Blocks below the lowest of them are not visited.

    Returns:
        For each name in ``trained`` the gradient, float32, of the matrix's own shape.
    """
    gradients: dict[str, FloatArray] = {}
    if UNEMBEDDING in trained:
        gradients[UNEMBEDDING] = d_logits.T @ tape.final
    lowest = min(_block_indices(trained), default=shape.n_blocks)
    d_x = layer_norm_backward(
        d_logits @ weights[UNEMBEDDING], weights["final_norm"], tape.final_norm
    )
    for i in range(shape.n_blocks - 1, lowest - 1, -1):
        d_x = _block_backward(shape, weights, i, tape, d_x, trained, gradients)
    return gradients


def _block_indices(names: Collection[str]) -> Iterator[int]:
    return (int(name.split(".")[1]) for name in names if name.startswith("blocks."))


def _block_backward(
    shape: ModelShape,
    weights: Weights,
    index: int,
    tape: Tape,
    d_x: FloatArray,
    trained: Collection[str],
    gradients: dict[str, FloatArray],
) -> FloatArray:
    w, saved = _BlockWeights(weights, index), tape.blocks[index]

    def through(name: str, d_out: FloatArray, x: FloatArray) -> FloatArray:
        """Pass a gradient back through one matrix, keeping the matrix's own gradient."""
        full_name = f"blocks.{index}.{name}"
        if full_name in trained:
            gradients[full_name] = d_out.T @ x
        return d_out @ w[name]

    d_hidden = through("down", d_x, saved.gelu.out)
    d_mlp_input = through("up", gelu_backward(d_hidden, saved.gelu), saved.mlp_input)
    d_x = d_x + layer_norm_backward(d_mlp_input, w["mlp_norm"], saved.mlp_norm)
    d_mixed = through("output", d_x, saved.mixed)
    d_heads = attention_backward(
        _split_heads(d_mixed, tape.n_sequences, shape.n_heads), saved.attention
    )
    d_q, d_k, d_v = (_join_heads(d) for d in d_heads)
    d_q *= 1 / math.sqrt(shape.d_model // shape.n_heads)
    d_y = through("query", d_q, saved.attention_input)
    d_y += through("key", d_k, saved.attention_input)
    d_y += through("value", d_v, saved.attention_input)
    d_x += layer_norm_backward(d_y, w["attention_norm"], saved.attention_norm)
    return d_x
