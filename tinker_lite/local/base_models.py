"""The base models of the embedded service: their names, sizes and frozen weights.

``tinker-lite/tiny-random`` has seeded random weights, for tests. ``tinker-lite/english-bytes`` was
pretrained on public-domain English by ``scripts/pretrain_base.py``; its weights file holds every
matrix as int8 with a float16 scale per row, and the model computes with what that file says.
Both read bytes: token i is byte i, and byte 0 ends a text.
"""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tinker_lite.local.transformer import UNEMBEDDING, ModelShape, weight_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.local.layers import FloatArray

END_OF_TEXT = 0  # token id
WEIGHTS_PATH = Path(__file__).parent / "data" / "english_bytes.npz.gz"
TINY_RANDOM_SHAPE = ModelShape(d_model=32, n_blocks=2, n_heads=2, d_mlp=64, context_length=256)
ENGLISH_BYTES_SHAPE = ModelShape(d_model=128, n_blocks=3, n_heads=4, d_mlp=512, context_length=1024)
TINY_RANDOM_SEED = 20260101  # any fixed number


@dataclass(frozen=True)
class BaseModel:
    """A frozen model; the arrays in ``weights`` are read-only and shared by the process."""

    name: str
    shape: ModelShape
    weights: Mapping[str, FloatArray]


def base_model_names() -> tuple[str, ...]:
    """Return the names ``load_base_model`` knows."""
    return ("tinker-lite/tiny-random", "tinker-lite/english-bytes")


@cache
def load_base_model(name: str) -> BaseModel:
    """Return a base model by name; later calls return the same object.

    Raises:
        LookupError: There is no such model; the text lists those there are.
    """
    if name == "tinker-lite/tiny-random":
        return _frozen(name, TINY_RANDOM_SHAPE, _random_weights(TINY_RANDOM_SHAPE))
    if name == "tinker-lite/english-bytes":
        return _frozen(name, ENGLISH_BYTES_SHAPE, _read_weights(WEIGHTS_PATH))
    known = ", ".join(base_model_names())
    raise LookupError(f"base_model: there is no model {name!r} here; there are: {known}")


def _frozen(name: str, shape: ModelShape, weights: dict[str, FloatArray]) -> BaseModel:
    for array in weights.values():
        array.setflags(write=False)
    return BaseModel(name, shape, MappingProxyType(weights))


def _random_weights(shape: ModelShape) -> dict[str, FloatArray]:
    """Draw weights of the size a trained model has, so that attention and MLP both matter."""
    generator = np.random.Generator(np.random.PCG64(TINY_RANDOM_SEED))
    weights: dict[str, FloatArray] = {}
    for name, size in weight_sizes(shape).items():
        drawn = generator.standard_normal(size, dtype=np.float32) / np.float32(size[-1] ** 0.5)
        weights[name] = np.ones(size, np.float32) if name.endswith("norm") else drawn
    return weights


def _read_weights(path: Path) -> dict[str, FloatArray]:
    """Read a weights file; the unembedding is the embedding."""
    plain = io.BytesIO(gzip.decompress(path.read_bytes()))
    with np.load(plain, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    weights: dict[str, FloatArray] = {}
    for name, array in arrays.items():
        if name.endswith(".int8"):
            scale = arrays[name.removesuffix("int8") + "scale"].astype(np.float32)
            weights[name.removesuffix(".int8")] = array.astype(np.float32) * scale
        elif not name.endswith(".scale"):
            weights[name] = array.astype(np.float32)
    weights[UNEMBEDDING] = weights["embedding"]
    return weights
