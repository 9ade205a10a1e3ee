"""A base model with an adapter under training, and the frozen views that are sampled from.

``AdaptedModel`` is for one caller at a time; a ``ModelSnapshot`` never changes and may be used from
anywhere. The same calls give the same bits on the same machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinker_lite.local.adam import AdamHyper, AdamState, adam_step, fresh_state, global_norm
from tinker_lite.local.batches import AnyArray, Example, LossOutput, Objective, run_batch
from tinker_lite.local.generation import (
    DecodingParams,
    GeneratedSequence,
    generate,
    score_prompt,
)
from tinker_lite.local.lora import (
    LoraSpec,
    adapted_matrices,
    adapter_gradients,
    merged_weights,
    new_adapter,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinker_lite.local.base_models import BaseModel
    from tinker_lite.local.layers import FloatArray
    from tinker_lite.local.transformer import ModelShape, Weights

__all__ = ["AdaptedModel", "Example", "LossOutput", "ModelSnapshot", "base_snapshot"]


@dataclass(frozen=True)
class ModelSnapshot:
    """A model as it was at one moment, for sampling."""

    shape: ModelShape
    weights: Weights

    def generate(
        self, prompt: AnyArray, params: DecodingParams, num_samples: int = 1, n_top: int = 0
    ) -> list[GeneratedSequence]:
        """Continue a prompt; see ``generation.generate``."""
        return generate(self.shape, self.weights, np.asarray(prompt), params, num_samples, n_top)

    def score_prompt(self, prompt: AnyArray) -> FloatArray:
        """Score a prompt; see ``generation.score_prompt``."""
        return score_prompt(self.shape, self.weights, np.asarray(prompt))


def base_snapshot(base: BaseModel) -> ModelSnapshot:
    """Return a base model as it is, for sampling."""
    return ModelSnapshot(base.shape, base.weights)


class AdaptedModel:
    """A base model, a LoRA adapter, Adam's state and the gradient since the last step."""

    def __init__(self, base: BaseModel, spec: LoraSpec) -> None:
        """Start with a fresh adapter, which leaves the base model as it is."""
        self.base, self.spec = base, spec
        self._matrices = frozenset(adapted_matrices(base.shape, spec))
        self._set_adapter(new_adapter(base.shape, spec))
        self._adam = fresh_state(self._adapter)
        self._pending = self._zeros()

    @property
    def n_steps(self) -> int:
        """Optimiser steps taken."""
        return self._adam.n_steps

    def forward(
        self,
        examples: Sequence[Example],
        loss_fn: str = "cross_entropy",
        loss_fn_config: Mapping[str, object] | None = None,
    ) -> LossOutput:
        """Compute log-probabilities and loss; changes nothing. See ``forward_backward``."""
        output, _ = self._run(examples, Objective(loss_fn, loss_fn_config or {}), frozenset())
        return output

    def forward_backward(
        self,
        examples: Sequence[Example],
        loss_fn: str = "cross_entropy",
        loss_fn_config: Mapping[str, object] | None = None,
    ) -> LossOutput:
        """Compute log-probabilities and loss, and add the gradient to the pending one.

        Args:
            examples: The batch, one or more, of any lengths up to the context.
            loss_fn: One of ``losses.LOSS_FUNCTIONS``.
            loss_fn_config: Settings of the loss; those left out take their defaults.

        Raises:
            ValueError: The batch, the loss or its settings cannot be used; the text names the
                example and field, or says that training has diverged. Nothing has changed then.
        """
        objective = Objective(loss_fn, loss_fn_config or {})
        output, gradients = self._run(examples, objective, self._matrices)
        added = adapter_gradients(self._adapter, gradients)
        self._pending = {name: self._pending[name] + added[name] for name in added}
        return output

    def optim_step(self, hyper: AdamHyper) -> dict[str, float]:
        """Apply the pending gradient, which counts as zero if there is none, and clear it.

        Returns:
            ``grad_norm:mean``, the gradient's global norm before clipping.
        """
        norm = global_norm(self._pending)
        adapter, self._adam = adam_step(self._adapter, self._pending, self._adam, hyper)
        self._set_adapter(adapter)
        self._pending = self._zeros()
        return {"grad_norm:mean": norm}

    def snapshot(self) -> ModelSnapshot:
        """Return the model as it is now; costs nothing, later steps do not change it."""
        return ModelSnapshot(self.base.shape, self._weights)

    def state_dict(self, *, include_optimizer: bool) -> dict[str, AnyArray]:
        """Return everything a checkpoint needs, bit for bit; the pending gradient is left out."""
        state: dict[str, AnyArray] = _prefixed("adapter", self._adapter)
        if include_optimizer:
            state |= _prefixed("optimizer.first", self._adam.first)
            state |= _prefixed("optimizer.second", self._adam.second)
            state["optimizer.step"] = np.array(self._adam.n_steps, np.int64)
        return state

    def load_state_dict(self, state: Mapping[str, AnyArray], *, include_optimizer: bool) -> None:
        """Take over a state of a model with the same base and spec; drops the pending gradient.

        Args:
            state: What ``state_dict`` returned.
            include_optimizer: Take over Adam's state too; otherwise it starts afresh.

        Raises:
            ValueError: An array is missing or has another shape; nothing has been changed then.
        """
        adapter = self._taken(state, "adapter")
        adam = fresh_state(adapter)
        if include_optimizer:
            first, second = (self._taken(state, f"optimizer.{m}") for m in ("first", "second"))
            adam = AdamState(int(_entry(state, "optimizer.step", ())), first, second)
        self._set_adapter(adapter)
        self._adam = adam
        self._pending = self._zeros()

    def _run(
        self, examples: Sequence[Example], objective: Objective, trained: frozenset[str]
    ) -> tuple[LossOutput, dict[str, FloatArray]]:
        return run_batch(self.base.shape, self._weights, examples, objective, trained)

    def _set_adapter(self, adapter: dict[str, FloatArray]) -> None:
        self._adapter = adapter
        self._weights = merged_weights(self.base.weights, adapter)

    def _zeros(self) -> dict[str, FloatArray]:
        return {name: np.zeros_like(array) for name, array in self._adapter.items()}

    def _taken(self, state: Mapping[str, AnyArray], prefix: str) -> dict[str, FloatArray]:
        return {
            name: _entry(state, f"{prefix}.{name}", array.shape).astype(np.float32)
            for name, array in self._adapter.items()
        }


def _prefixed(prefix: str, arrays: Mapping[str, FloatArray]) -> dict[str, AnyArray]:
    return {f"{prefix}.{name}": array.copy() for name, array in arrays.items()}


def _entry(state: Mapping[str, AnyArray], name: str, shape: tuple[int, ...]) -> AnyArray:
    if name not in state:
        raise ValueError(f"checkpoint: {name} is missing")
    if state[name].shape != shape:
        raise ValueError(f"checkpoint: {name} has shape {state[name].shape}, the model {shape}")
    return state[name]
