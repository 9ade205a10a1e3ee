"""Making a model: from a base model, or from a checkpoint on servers of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from tinker_lite.engine.training import CreatedModel
from tinker_lite.errors import APIError, NotFoundError, UnprocessableEntityError
from tinker_lite.protocol import endpoints as rows
from tinker_lite.types import (
    CreateModelRequest,
    LoadWeightsRequest,
    LoraConfig,
    WeightsInfoRequest,
)
from tinker_lite.types.models import OptimizerConfig, adamw

if TYPE_CHECKING:
    from tinker_lite.engine.session import Session
    from tinker_lite.types import WeightsInfoResponse

__all__ = ["NewModel", "SavedModel", "create_from_state", "create_lora"]


class NewModel(msgspec.Struct, frozen=True):
    """A model to be made from a base model."""

    base_model: str
    lora: LoraConfig
    user_metadata: Mapping[str, str] | None = None
    optimizer: OptimizerConfig = msgspec.field(default_factory=adamw)


class SavedModel(msgspec.Struct, frozen=True):
    """A model to be made from a checkpoint."""

    def __repr__(self) -> str:
        """What is loaded; never the access token."""
        return f"SavedModel({self.path!r})"

    path: str
    base_model: str | None
    user_metadata: Mapping[str, str] | None
    weights_access_token: str | None
    with_optimizer: bool


async def create_lora(session: Session, model: NewModel, model_seq_id: int) -> CreatedModel:
    """Make a model with fresh adapters and return it."""
    request = CreateModelRequest(
        session_id=await session.session_id(),
        model_seq_id=model_seq_id,
        base_model=model.base_model,
        user_metadata=model.user_metadata,
        lora_config=model.lora,
        optimizer_config=model.optimizer,
    )
    submitted = await session.submit(rows.MODELS_CREATE, request)
    made = await session.result(submitted)
    return CreatedModel(made.model_id)


async def create_from_state(session: Session, saved: SavedModel, model_seq_id: int) -> CreatedModel:
    """Make a model from a checkpoint and return it.

    One request where the server knows that form; otherwise the three older steps (protocol sections
    2.8 and 12.3).
    """
    request = LoadWeightsRequest(
        session_id=await session.session_id(),
        model_seq_id=model_seq_id,
        base_model=saved.base_model,
        user_metadata=saved.user_metadata,
        path=saved.path,
        optimizer=saved.with_optimizer,
        weights_access_token=saved.weights_access_token,
    )
    try:
        submitted = await session.submit(rows.WEIGHTS_LOAD, request)
    except (UnprocessableEntityError, NotFoundError) as refused:
        try:
            info = await session.call(rows.WEIGHTS_INFO, WeightsInfoRequest(tinker_path=saved.path))
        except NotFoundError:
            raise refused from None
        return await _in_three_steps(session, saved, model_seq_id, info)
    loaded = await session.result(submitted)
    if loaded.model_id is not None:
        return CreatedModel(loaded.model_id)
    # The form that the hosted service uses and that its own client relies on (protocol 2.8).
    return CreatedModel(f"{await session.session_id()}:train:{model_seq_id}")


async def _in_three_steps(
    session: Session, saved: SavedModel, model_seq_id: int, info: WeightsInfoResponse
) -> CreatedModel:
    if not info.is_lora or info.lora_rank is None:
        raise APIError(
            f"{saved.path} holds no LoRA adapters, and this server cannot load other weights."
        )
    lora = LoraConfig(
        rank=info.lora_rank,
        train_unembed=info.train_unembed is not False,
        train_mlp=info.train_mlp is not False,
        train_attn=info.train_attn is not False,
    )
    model = NewModel(saved.base_model or info.base_model, lora, saved.user_metadata)
    created = await create_lora(session, model, model_seq_id)
    request = LoadWeightsRequest(
        model_id=created.model_id,
        seq_id=1,
        path=saved.path,
        optimizer=saved.with_optimizer,
        weights_access_token=saved.weights_access_token,
    )
    submitted = await session.submit(rows.WEIGHTS_LOAD, request)
    await session.result(submitted)
    return CreatedModel(created.model_id, n_seq_ids=1)
