from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.lora import (
    LoraSpec,
    adapted_matrices,
    adapter_gradients,
    merged_weights,
    new_adapter,
)

BASE = load_base_model("tinker-lite/tiny-random")
SPEC = LoraSpec(rank=4, seed=3)


def test_a_fresh_adapter_is_the_base_bit_for_bit() -> None:
    """B starts at zero, so nothing changes before the first step."""
    merged = merged_weights(BASE.weights, new_adapter(BASE.shape, SPEC))
    assert set(merged) == set(BASE.weights)
    assert all(np.array_equal(merged[name], BASE.weights[name]) for name in merged)


def test_a_matrix_acts_as_base_plus_32_over_rank_b_a() -> None:
    """Alpha is 32 whatever the rank."""
    adapter = new_adapter(BASE.shape, SPEC)
    adapter["blocks.1.up.lora_b"] = np.ones_like(adapter["blocks.1.up.lora_b"])
    merged = merged_weights(BASE.weights, adapter)["blocks.1.up"]
    expected = BASE.weights["blocks.1.up"] + 8 * adapter["blocks.1.up.lora_a"].sum(axis=0)
    np.testing.assert_allclose(merged, expected, rtol=1e-5)
    assert not merged.flags.writeable


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({"train_attn": True}, {"query", "key", "value", "output"}),
        ({"train_mlp": True}, {"up", "down"}),
        ({"train_unembed": True}, {"unembedding"}),
    ],
    ids=["attention", "mlp", "unembedding"],
)
def test_only_the_chosen_matrices_are_adapted(chosen: dict[str, bool], names: set[str]) -> None:
    """Each switch stands for its own matrices, in every block."""
    flags = {"train_attn": False, "train_mlp": False, "train_unembed": False} | chosen
    matrices = adapted_matrices(BASE.shape, LoraSpec(**flags))
    assert {name.split(".")[-1] for name in matrices} == names
    assert len(matrices) == len(names) * (1 if "unembedding" in names else BASE.shape.n_blocks)


def test_a_seed_gives_one_adapter_and_another_seed_another() -> None:
    """The same seed draws the same bits, whichever matrices are trained; None is seed 0."""
    first = new_adapter(BASE.shape, SPEC)
    mlp_only = new_adapter(
        BASE.shape, LoraSpec(rank=4, seed=3, train_attn=False, train_unembed=False)
    )
    other = new_adapter(BASE.shape, LoraSpec(rank=4, seed=4))
    key = "blocks.0.up.lora_a"
    assert np.array_equal(first[key], mlp_only[key])
    assert not np.array_equal(first[key], other[key])
    unseeded, zero = (new_adapter(BASE.shape, LoraSpec(rank=4, seed=seed)) for seed in (None, 0))
    assert np.array_equal(unseeded[key], zero[key])


def test_a_negative_or_huge_seed_is_taken() -> None:
    """Seeds are 64-bit integers of either sign."""
    low, high = (new_adapter(BASE.shape, LoraSpec(rank=1, seed=seed)) for seed in (-1, 2**63 - 1))
    assert not np.array_equal(low["unembedding.lora_a"], high["unembedding.lora_a"])


def test_gradients_follow_the_chain_rule() -> None:
    """A moves W by (32 / rank) B dA, so its gradient is that of W seen through B; B likewise."""
    adapter = {name: a + np.float32(0.1) for name, a in new_adapter(BASE.shape, SPEC).items()}
    generator = np.random.default_rng(0)
    matrix_gradients = {
        name: generator.standard_normal(BASE.weights[name].shape, np.float32)
        for name in adapted_matrices(BASE.shape, SPEC)
    }
    gradients = adapter_gradients(adapter, matrix_gradients)
    assert set(gradients) == set(adapter)
    for name in ("unembedding", "blocks.1.down"):
        a, b, g = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"], matrix_gradients[name]
        np.testing.assert_allclose(gradients[f"{name}.lora_a"], 8 * b.T @ g, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gradients[f"{name}.lora_b"], 8 * g @ a.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rank": 0}, "lora_config.rank: must be 1 to 512, got 0"),
        ({"rank": 513}, "lora_config.rank: must be 1 to 512, got 513"),
        (
            {"train_attn": False, "train_mlp": False, "train_unembed": False},
            "lora_config: nothing to train",
        ),
    ],
    ids=["rank zero", "rank too large", "nothing to train"],
)
def test_a_useless_spec_is_refused(fields: dict[str, Any], message: str) -> None:
    """The error names the field and what it may be."""
    with pytest.raises(ValueError, match=message):
        LoraSpec(**fields)
