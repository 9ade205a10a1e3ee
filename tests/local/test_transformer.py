from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from tests.local import torch_reference as reference
from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.transformer import (
    IntArray,
    KeyValueCache,
    ModelShape,
    backward,
    forward,
    weight_sizes,
)

if TYPE_CHECKING:
    from tinker_lite.local.layers import FloatArray

BASE = load_base_model("tinker-lite/tiny-random")
SHAPE = BASE.shape
MATRICES = [name for name in weight_sizes(SHAPE) if not name.endswith(("norm", "embedding"))]
MATRICES.append("unembedding")


def random_tokens(*size: int) -> IntArray:
    """The same tokens every time."""
    return np.random.default_rng(5).integers(0, SHAPE.n_vocab, size)


def relative_error(found: FloatArray, expected: npt.NDArray[np.float64]) -> float:
    """The largest difference, in units of the largest value expected."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("n_tokens", [1, 5, 64, 150])
def test_logits_equal_the_reference(n_tokens: int) -> None:
    """Logits agree with torch, within and beyond one block of queries."""
    tokens = random_tokens(1, n_tokens)
    found, _ = forward(SHAPE, BASE.weights, tokens)
    expected = reference.logits(SHAPE, reference.tensors(BASE.weights), {}, tokens[0].tolist())
    assert relative_error(found, reference.to_numpy(expected)) < 1e-4


def test_gradients_of_all_matrices_equal_autograd() -> None:
    """Every matrix of every block gets the gradient torch gives it, over two sequences."""
    tokens = random_tokens(2, 70)
    logits, tape = forward(SHAPE, BASE.weights, tokens)
    d_logits = np.random.default_rng(1).standard_normal(logits.shape, np.float32)
    found = backward(SHAPE, BASE.weights, tape, d_logits, MATRICES)
    weights = reference.tensors(BASE.weights)
    both = [reference.logits(SHAPE, weights, {}, row) for row in tokens.tolist()]
    halves = [reference.tensor(half) for half in d_logits.reshape(2, 70, -1)]
    total = (both[0] * halves[0]).sum() + (both[1] * halves[1]).sum()
    expected = reference.gradients(total, weights)
    assert set(found) == set(MATRICES)
    assert max(relative_error(found[name], expected[name]) for name in MATRICES) < 1e-4


@pytest.mark.parametrize("trained", [["unembedding"], ["blocks.1.up"], ["blocks.0.key"], []])
def test_only_the_gradients_asked_for_are_returned(trained: list[str]) -> None:
    """Leaving matrices out of the request changes nothing about the others."""
    logits, tape = forward(SHAPE, BASE.weights, random_tokens(1, 9))
    some = backward(SHAPE, BASE.weights, tape, np.ones_like(logits), trained)
    every = backward(SHAPE, BASE.weights, tape, np.ones_like(logits), MATRICES)
    assert list(some) == trained
    assert all(np.array_equal(some[name], every[name]) for name in trained)


def test_padding_does_not_reach_earlier_places() -> None:
    """What follows a token does not change its logits."""
    tokens = random_tokens(1, 80)
    whole, _ = forward(SHAPE, BASE.weights, tokens)
    short, _ = forward(SHAPE, BASE.weights, tokens[:, :50])
    np.testing.assert_allclose(whole[:50], short, atol=1e-5)


@pytest.mark.parametrize("steps", [[1] * 12, [5, 7], [12], [3, 1, 8]], ids=str)
def test_a_cache_gives_the_logits_of_the_whole_text(steps: list[int]) -> None:
    """Feeding a text in pieces through a cache gives what feeding it whole gives."""
    tokens = random_tokens(3, 12)
    whole, _ = forward(SHAPE, BASE.weights, tokens)
    cache, start = KeyValueCache(SHAPE, 3, 12), 0
    for n_tokens in steps:
        piece, _ = forward(SHAPE, BASE.weights, tokens[:, start : start + n_tokens], cache)
        expected = whole.reshape(3, 12, -1)[:, start : start + n_tokens]
        np.testing.assert_allclose(piece.reshape(expected.shape), expected, atol=1e-5)
        start += n_tokens


def test_a_selected_cache_is_a_copy_of_the_chosen_sequences() -> None:
    """Sequences can be dropped and repeated in mid-text, and the first cache lives on."""
    tokens = random_tokens(3, 6)
    whole, _ = forward(SHAPE, BASE.weights, tokens)
    cache = KeyValueCache(SHAPE, 3, 6)
    forward(SHAPE, BASE.weights, tokens[:, :5], cache)
    rows = np.array([2, 0, 2])
    chosen, _ = forward(SHAPE, BASE.weights, tokens[rows, 5:], cache.select(rows))
    first, _ = forward(SHAPE, BASE.weights, tokens[:, 5:], cache)
    last = whole.reshape(3, 6, -1)[:, 5]
    np.testing.assert_allclose(chosen, last[rows], atol=1e-5)
    np.testing.assert_allclose(first, last, atol=1e-5)


def test_weights_are_listed_for_every_block() -> None:
    """Sizes follow from the shape: six matrices and two norms a block, three arrays beside."""
    shape = ModelShape(d_model=8, n_blocks=5, n_heads=2, d_mlp=12, context_length=4)
    sizes = weight_sizes(shape)
    assert len(sizes) == 5 * 8 + 3
    assert sizes["blocks.4.up"] == (12, 8)
    assert sizes["blocks.4.down"] == (8, 12)
