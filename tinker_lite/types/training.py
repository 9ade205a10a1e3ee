"""Forward, backward and optimiser steps: requests and results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.structs import force_setattr

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer
from tinker_lite.types.datum import Datum, LossFnOutput
from tinker_lite.types.optimizers import DimuonParams, OptimizerConfig

__all__ = [
    "AdamParams",
    "ForwardBackwardInput",
    "ForwardBackwardOutput",
    "ForwardBackwardRequest",
    "ForwardRequest",
    "LossFnType",
    "OptimParams",
    "OptimStepRequest",
    "OptimStepResponse",
    "OptimizerStepRequest",
]

# A real Literal: command-line parsers of callers read it from annotations.
LossFnType = Literal[
    "cross_entropy",
    "importance_sampling",
    "ppo",
    "cispo",
    "dro",
    "gspo",
    "stable_reinforce",
    "custom",
]


class AdamParams(Wire, frozen=True, kw_only=True):
    """Settings of one Adam step.

    Attributes:
        learning_rate: Step size.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.
        weight_decay: Decoupled weight decay, times the learning rate.
        grad_clip_norm: Largest global gradient norm; 0 is off.

    Source: protocol section 3.5.
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0

    def __post_init__(self) -> None:
        """Take numbers of any library, and refuse what would turn every weight into NaN."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, bool) or not hasattr(value, "__float__"):
                raise TypeError(f"AdamParams.{name} must be a number, not {value!r}.")
            if not math.isfinite(value):
                raise ValueError(f"AdamParams.{name} is {value}; it must be finite.")
            force_setattr(self, name, float(value))


class ForwardBackwardInput(Wire, frozen=True, kw_only=True):
    """The batch and the loss of one pass, in the JSON form.

    Attributes:
        data: The examples.
        loss_fn: Name of the loss; servers may know more names than ``LossFnType``.
        loss_fn_config: Settings of the loss.
    """

    data: list[Datum]
    loss_fn: str
    loss_fn_config: Mapping[str, float | str] | None = None


class ForwardBackwardRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/forward_backward`` in the JSON form (protocol section 12.1)."""

    forward_backward_input: ForwardBackwardInput
    model_id: str
    seq_id: int | None = None


class ForwardRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/forward`` in the JSON form (protocol section 12.1)."""

    forward_input: ForwardBackwardInput
    model_id: str
    seq_id: int | None = None


class ForwardBackwardOutput(Answer, frozen=True, kw_only=True):
    """What a pass gives back.

    Attributes:
        loss_fn_output_type: Name of the kind of output.
        loss_fn_outputs: Per example, tensors by name; ``logprobs`` float32 has the shape of
            ``target_tokens`` and is in nats.
        metrics: Numbers by ``name:reduction``; a plain dict that callers may write into.

    Source: protocol sections 3.7 and 12.1.
    """

    loss_fn_output_type: str = ""
    loss_fn_outputs: list[LossFnOutput]
    metrics: dict[str, float] = msgspec.field(default_factory=dict[str, float])

    def __repr__(self) -> str:
        """Counts and metrics; the outputs can be large."""
        return (
            f"ForwardBackwardOutput(<{len(self.loss_fn_outputs)} outputs>, metrics={self.metrics})"
        )


# What an optimiser takes for one step; families that are not known here are mappings.
OptimParams: TypeAlias = AdamParams | DimuonParams | OptimizerConfig


class OptimStepRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/optim_step`` for Adam (protocol section 2.6)."""

    adam_params: AdamParams
    model_id: str
    seq_id: int | None = None
    type: Literal["optim_step"] = "optim_step"

    @property
    def optim_params(self) -> OptimParams:
        """The settings, whatever the optimiser."""
        return self.adam_params


class OptimizerStepRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/optim_step`` for every other optimiser (protocol section 2.6).

    Attributes:
        optimizer_params: ``DimuonParams``, or a mapping with the ``type`` of another family.
        model_id: The model.
        seq_id: Number of the request within the model's.
        type: The kind of request.

    Raises:
        ValueError: The settings do not name their family.
    """

    optimizer_params: OptimizerConfig
    model_id: str
    seq_id: int | None = None
    type: Literal["optim_step"] = "optim_step"

    def __post_init__(self) -> None:
        """Refuse settings whose family the server could only guess."""
        if not isinstance(self.optimizer_params.get("type"), str):
            # A wrong value rather than a wrong type: the mapping as a whole names no family.
            raise ValueError(  # noqa: TRY004
                "OptimizerStepRequest.optimizer_params has no `type`."
            )

    @property
    def optim_params(self) -> OptimParams:
        """The settings, whatever the optimiser."""
        return self.optimizer_params


class OptimStepResponse(Answer, frozen=True, kw_only=True):
    """Result of an optimiser step.

    Attributes:
        metrics: Free-form numbers of the server, or None.
    """

    metrics: dict[str, float] | None = None


def checked_optim_params(value: OptimParams | Mapping[str, Any]) -> OptimParams:
    """Settings of a step from what a caller gives; a mapping without ``type`` is Adam's.

    Raises:
        TypeError: Another type, or a field Adam does not have.
    """
    if isinstance(value, AdamParams):
        return value
    if isinstance(value, Mapping):
        return dict(value) if "type" in value else AdamParams(**value)
    raise TypeError(f"optim_step: adam_params must be AdamParams, not {type(value).__name__}.")


def optim_step_request(
    params: OptimParams, model_id: str, seq_id: int
) -> OptimStepRequest | OptimizerStepRequest:
    """The body of a step, which has a form for Adam and one for every other family."""
    if isinstance(params, AdamParams):
        return OptimStepRequest(adam_params=params, model_id=model_id, seq_id=seq_id)
    return OptimizerStepRequest(optimizer_params=params, model_id=model_id, seq_id=seq_id)
