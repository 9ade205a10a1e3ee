"""Saving and loading weights: requests and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer
from tinker_lite.types.optimizers import OptimizerConfig, adamw

__all__ = [
    "LoadWeightsRequest",
    "LoadWeightsResponse",
    "SamplingClientKind",
    "SaveWeightsForSamplerRequest",
    "SaveWeightsForSamplerResponse",
    "SaveWeightsForSamplerResponseInternal",
    "SaveWeightsRequest",
    "SaveWeightsResponse",
    "WeightsInfoRequest",
    "WeightsInfoResponse",
]

SamplingClientKind = Literal["snapshot", "inflight"]


class SaveWeightsRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/save_weights`` (protocol section 2.7); ``path`` is a checkpoint name."""

    model_id: str
    path: str | None = None
    seq_id: int | None = None
    ttl_seconds: int | None = None
    overwrite: bool = False
    user_metadata: Mapping[str, str] | None = None
    type: Literal["save_weights"] = "save_weights"


class SaveWeightsResponse(Answer, frozen=True, kw_only=True):
    """Where a checkpoint was saved.

    Attributes:
        path: The ``tinker://`` path.
    """

    path: str
    type: str | None = None


class SaveWeightsForSamplerRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/save_weights_for_sampler``, named or ephemeral (protocol section 2.7)."""

    model_id: str
    path: str | None = None
    sampling_session_seq_id: int | None = None
    seq_id: int | None = None
    kind: SamplingClientKind = "snapshot"
    ttl_seconds: int | None = None
    user_metadata: Mapping[str, str] | None = None
    type: Literal["save_weights_for_sampler"] = "save_weights_for_sampler"


class SaveWeightsForSamplerResponseInternal(Answer, frozen=True, kw_only=True):
    """What the service answers: ``path`` for a named save, the session id for an ephemeral one."""

    path: str | None = None
    sampling_session_id: str | None = None
    type: str | None = None


class SaveWeightsForSamplerResponse(Answer, frozen=True, kw_only=True):
    """Where sampler weights were saved.

    Attributes:
        path: The ``tinker://`` path.
    """

    path: str
    type: str | None = None


class LoadWeightsRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/load_weights``: into an existing model, or as its creation (protocol 2.8)."""

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"weights_access_token"})

    path: str
    optimizer: bool
    model_id: str | None = None
    seq_id: int | None = None
    session_id: str | None = None
    model_seq_id: int | None = None
    base_model: str | None = None
    user_metadata: Mapping[str, str] | None = None
    optimizer_config: OptimizerConfig | None = None
    weights_access_token: str | None = None
    type: Literal["load_weights"] = "load_weights"


class LoadWeightsResponse(Answer, frozen=True, kw_only=True):
    """Result of a load.

    Attributes:
        path: What was loaded.
        model_id: The model that holds it.
    """

    path: str | None = None
    model_id: str | None = None
    type: str | None = None


class WeightsInfoRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/weights_info`` (protocol section 2.9)."""

    tinker_path: str


class WeightsInfoResponse(Answer, frozen=True, kw_only=True):
    """What a checkpoint holds.

    Attributes:
        base_model: The base model it belongs to.
        is_lora: Whether it holds LoRA adapters.
        optimizer_config: The optimiser family it was trained with.
        lora_rank: Their rank, or None.
        train_unembed: Whether the unembedding has an adapter, or None if the server does not tell.
        train_mlp: Whether the MLP layers have adapters, likewise.
        train_attn: Whether the attention layers have adapters, likewise.
    """

    base_model: str
    is_lora: bool
    optimizer_config: OptimizerConfig = msgspec.field(default_factory=adamw)
    lora_rank: int | None = None
    train_unembed: bool | None = None
    train_mlp: bool | None = None
    train_attn: bool | None = None
