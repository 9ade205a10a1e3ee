"""LoRA adapters: which matrices they change, how they start, and how gradients reach them.

An adapted matrix W (O, I) acts as W + (alpha / rank) B A with A (rank, I) and B (O, rank), alpha
being 32 whatever the rank. B starts at zero, so a fresh adapter is the base model bit for bit.
The sum is formed once per optimiser step and the transformer runs on plain matrices: for matrices
this small that costs less than carrying the two thin products through every pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinker_lite.local.blas import single_threaded_blas
from tinker_lite.local.transformer import (
    ATTENTION_MATRICES,
    MLP_MATRICES,
    UNEMBEDDING,
    ModelShape,
    Weights,
    weight_sizes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.local.layers import FloatArray

LORA_ALPHA = 32.0
MAX_RANK = 512  # four times the widest model here; a slip of the keyboard must not eat the memory


@dataclass(frozen=True)
class LoraSpec:
    """What an adapter changes and how it starts; ``seed`` None is seed 0.

    Raises:
        ValueError: The rank is out of range, or nothing would be trained.
    """

    rank: int = 32
    seed: int | None = None
    train_attn: bool = True
    train_mlp: bool = True
    train_unembed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MAX_RANK:
            raise ValueError(f"lora_config.rank: must be 1 to {MAX_RANK}, got {self.rank}")
        if not (self.train_attn or self.train_mlp or self.train_unembed):
            raise ValueError(
                "lora_config: nothing to train; set train_attn, train_mlp or train_unembed"
            )


def adapted_matrices(shape: ModelShape, spec: LoraSpec) -> tuple[str, ...]:
    """Return the names of the matrices that the adapter changes."""
    chosen = ATTENTION_MATRICES * spec.train_attn + MLP_MATRICES * spec.train_mlp
    blocks = tuple(f"blocks.{i}.{name}" for i in range(shape.n_blocks) for name in chosen)
    return blocks + (UNEMBEDDING,) * spec.train_unembed


def new_adapter(shape: ModelShape, spec: LoraSpec) -> dict[str, FloatArray]:
    """Draw a fresh adapter.

    Returns:
        For each adapted matrix ``NAME.lora_a``, uniform within 1 / sqrt(I), and ``NAME.lora_b``,
        zero. What a matrix gets depends on the seed and on its place in the model, not on which
        others are trained.
    """
    sizes = weight_sizes(shape)
    places = {name: place for place, name in enumerate(sizes)}
    seed = (spec.seed or 0) % 2**64
    adapter: dict[str, FloatArray] = {}
    for name in adapted_matrices(shape, spec):
        n_outputs, n_inputs = sizes[name]
        generator = np.random.Generator(np.random.PCG64([seed, places[name]]))
        bound = n_inputs**-0.5
        drawn = generator.uniform(-bound, bound, (spec.rank, n_inputs))
        adapter[f"{name}.lora_a"] = drawn.astype(np.float32)
        adapter[f"{name}.lora_b"] = np.zeros((n_outputs, spec.rank), np.float32)
    return adapter


@np.errstate(over="ignore", invalid="ignore")  # the next forward pass tells what has diverged
@single_threaded_blas()
def merged_weights(base: Weights, adapter: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the weights with the adapter added; matrices it does not change are shared."""
    merged = dict(base)
    for name in _matrix_names(adapter):
        a, b = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"]
        merged[name] = base[name] + np.multiply(b @ a, LORA_ALPHA / len(a))
        merged[name].setflags(write=False)
    return merged


@single_threaded_blas()
def adapter_gradients(
    adapter: Mapping[str, FloatArray], matrix_gradients: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Turn gradients of the adapted matrices into gradients of A and B, by the chain rule."""
    gradients: dict[str, FloatArray] = {}
    for name in _matrix_names(adapter):
        a, b = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"]
        scaled: FloatArray = np.multiply(matrix_gradients[name], LORA_ALPHA / len(a))
        gradients[f"{name}.lora_a"] = b.T @ scaled
        gradients[f"{name}.lora_b"] = scaled @ a.T
    return gradients


def _matrix_names(adapter: Mapping[str, FloatArray]) -> list[str]:
    return [key.removesuffix(".lora_a") for key in adapter if key.endswith(".lora_a")]
