"""What the store keeps about runs and checkpoints, as written to disk in JSON.

Fields that a newer version adds are ignored when they are read.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from tinker_lite.local.lora import LoraSpec
from tinker_lite.types import Checkpoint, CheckpointType, LoraConfig

__all__ = [
    "ADAPTER_FILE",
    "OPTIMIZER_FILE",
    "CheckpointKind",
    "CheckpointRecord",
    "RunRecord",
    "check_name",
    "lora_spec",
]

CheckpointKind: TypeAlias = Literal["weights", "sampler_weights"]
ADAPTER_FILE = "adapter.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"

_TYPES: dict[CheckpointKind, CheckpointType] = {
    "weights": "training",
    "sampler_weights": "sampler",
}
# Names become file names; a leading dot would hide them.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z")


def check_name(name: str) -> str:
    """Return a checkpoint's name if it can be one.

    Raises:
        ValueError: It is too long or holds other characters than letters, digits and ``._-``.
    """
    if not _NAME.match(name):
        raise ValueError(
            f"path: {name!r} cannot be a checkpoint's name; it takes 1 to 128 letters, digits "
            "and ._- and does not begin with a dot"
        )
    return name


def lora_spec(config: LoraConfig) -> LoraSpec:
    """Return the adapter that a configuration describes.

    Raises:
        ValueError: The rank is out of range.
    """
    return LoraSpec(
        rank=config.rank,
        seed=config.seed,
        train_attn=config.train_attn,
        train_mlp=config.train_mlp,
        train_unembed=config.train_unembed,
    )


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A training run; its id is the model's."""

    training_run_id: str
    base_model: str
    lora: LoraConfig
    created_at: datetime
    last_request_time: datetime
    user_metadata: dict[str, str] | None = None


class CheckpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A saved checkpoint.

    Attributes:
        training_run_id: The run it belongs to.
        kind: ``weights`` can be trained on, ``sampler_weights`` sampled from.
        name: Its name within run and kind.
        base_model: The base model its adapter fits.
        lora: The shape of the adapter.
        created_at: When it was saved.
        n_steps: Optimiser steps taken.
        size_bytes: Size of its files.
        has_optimizer: Whether Adam's state is there.
        user_metadata: Text by name, as given by the caller.
        expires_at: When it ceases to exist; None is never.
        files: Name of the folder with its files, unique for every save.
    """

    training_run_id: str
    kind: CheckpointKind
    name: str
    base_model: str
    lora: LoraConfig
    created_at: datetime
    n_steps: int = 0
    size_bytes: int = 0
    has_optimizer: bool = False
    user_metadata: dict[str, str] | None = None
    expires_at: datetime | None = None
    files: str = ""

    @property
    def tinker_path(self) -> str:
        """Its ``tinker://`` path."""
        return f"tinker://{self.training_run_id}/{self.kind}/{self.name}"

    def public(self) -> Checkpoint:
        """What callers are told of it."""
        return Checkpoint(
            checkpoint_id=f"{self.kind}/{self.name}",
            checkpoint_type=_TYPES[self.kind],
            time=self.created_at,
            tinker_path=self.tinker_path,
            size_bytes=self.size_bytes,
            user_metadata=self.user_metadata,
            expires_at=self.expires_at,
        )
