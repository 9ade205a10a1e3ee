"""Models: how a trainable model is made and what the service says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer
from tinker_lite.types.optimizers import OptimizerConfig, adamw

__all__ = [
    "CreateModelRequest",
    "CreateModelResponse",
    "GetInfoRequest",
    "GetInfoResponse",
    "LoraConfig",
    "ModelData",
    "ModelID",
    "OptimizerConfig",
    "UnloadModelRequest",
    "UnloadModelResponse",
    "adamw",
]

ModelID: TypeAlias = str


class LoraConfig(Wire, frozen=True, kw_only=True):
    """Which low-rank adapters to train.

    Attributes:
        rank: Rank of every adapter.
        seed: Seed of the adapters' first values; None leaves it to the service.
        train_unembed: Whether the unembedding gets an adapter.
        train_mlp: Whether the MLP layers get adapters.
        train_attn: Whether the attention layers get adapters.

    Raises:
        ValueError: The rank is below 1, or nothing is to be trained.

    Source: protocol section 3.6.
    """

    rank: int
    seed: int | None = None
    train_unembed: bool = True
    train_mlp: bool = True
    train_attn: bool = True

    def __post_init__(self) -> None:
        """Refuse a configuration that trains nothing."""
        if self.rank < 1:
            raise ValueError(f"LoraConfig.rank is {self.rank}; it must be at least 1.")
        if not (self.train_unembed or self.train_mlp or self.train_attn):
            raise ValueError(
                "LoraConfig: train_unembed, train_mlp and train_attn are all False; "
                "at least one must be True."
            )


class CreateModelRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/create_model`` (protocol section 2.5)."""

    session_id: str
    model_seq_id: int
    base_model: str
    user_metadata: Mapping[str, str] | None = None
    lora_config: LoraConfig | None = None
    optimizer_config: OptimizerConfig = msgspec.field(default_factory=adamw)
    type: Literal["create_model"] = "create_model"


class CreateModelResponse(Answer, frozen=True, kw_only=True):
    """The model that was made."""

    model_id: str
    type: str | None = None


class GetInfoRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/get_info``."""

    model_id: str
    type: Literal["get_info"] = "get_info"


class ModelData(Answer, frozen=True, kw_only=True):
    """What kind of model it is.

    Attributes:
        arch: Name of the architecture.
        model_name: The base model.
        tokenizer_id: Which tokenizer belongs to it.
    """

    arch: str | None = None
    model_name: str | None = None
    tokenizer_id: str | None = None


class GetInfoResponse(Answer, frozen=True, kw_only=True):
    """What the service knows of a model."""

    model_data: ModelData
    model_id: str
    is_lora: bool | None = None
    lora_rank: int | None = None
    model_name: str | None = None
    optimizer_config: OptimizerConfig = msgspec.field(default_factory=adamw)
    type: str | None = None


class UnloadModelRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/unload_model``, which servers have up to 0.25."""

    model_id: str
    type: Literal["unload_model"] = "unload_model"


class UnloadModelResponse(Answer, frozen=True, kw_only=True):
    """The model that was unloaded."""

    model_id: str
    type: str | None = None
