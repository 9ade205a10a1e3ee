"""Training runs, checkpoints and their ``tinker://`` paths."""

from __future__ import annotations

from typing import ClassVar, Literal

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer, Moment, Open

__all__ = [
    "Checkpoint",
    "CheckpointArchiveUrlResponse",
    "CheckpointType",
    "CheckpointsListResponse",
    "Cursor",
    "ParsedCheckpointTinkerPath",
    "SetCheckpointTtlRequest",
    "TrainingRun",
    "TrainingRunsResponse",
]

CheckpointType = Literal["training", "sampler", "external"]

_KINDS: dict[str, CheckpointType] = {
    "weights": "training",
    "sampler_weights": "sampler",
    "external_weights": "external",
}


class Cursor(Answer, frozen=True, kw_only=True):
    """Where a page of a listing stands."""

    offset: int
    limit: int
    total_count: int


class Checkpoint(Answer, frozen=True, kw_only=True):
    """A saved checkpoint.

    Attributes:
        checkpoint_id: ``kind/name``.
        checkpoint_type: What it holds.
        time: When it was saved.
        tinker_path: Its path, which is what to rely on.
        size_bytes: Its size.
        public: Whether others may read it.
        user_metadata: Text by name, as given when it was saved.
        expires_at: When it will be deleted; None means never.

    Source: protocol section 3.8.
    """

    checkpoint_id: str
    checkpoint_type: Open[CheckpointType]
    time: Moment
    tinker_path: str
    size_bytes: int | None = None
    public: bool = False
    user_metadata: dict[str, str] | None = None
    expires_at: Moment | None = None


class CheckpointsListResponse(Answer, frozen=True, kw_only=True):
    """A page of checkpoints."""

    checkpoints: list[Checkpoint]
    cursor: Cursor | None = None


class CheckpointArchiveUrlResponse(Answer, frozen=True, kw_only=True):
    """Where a checkpoint's archive can be fetched for a while.

    Attributes:
        url: The URL; whoever holds it may read the checkpoint.
        expires: Until when it works.
    """

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"url"})

    url: str
    expires: Moment


class SetCheckpointTtlRequest(Wire, frozen=True, kw_only=True):
    """Body of ``PUT .../ttl``: seconds from now until it is deleted; None means never."""

    ttl_seconds: int | None

    def to_wire(self) -> dict[str, object]:
        """The JSON form: here None is sent as null (protocol section 1.7)."""
        return {"ttl_seconds": self.ttl_seconds}


class TrainingRun(Answer, frozen=True, kw_only=True):
    """A training run: a model and its checkpoints.

    Source: protocol section 3.8.
    """

    training_run_id: str
    base_model: str
    model_owner: str
    is_lora: bool
    corrupted: bool = False
    lora_rank: int | None = None
    last_request_time: Moment
    last_checkpoint: Checkpoint | None = None
    last_sampler_checkpoint: Checkpoint | None = None
    user_metadata: dict[str, str] | None = None


class TrainingRunsResponse(Answer, frozen=True, kw_only=True):
    """A page of training runs."""

    training_runs: list[TrainingRun]
    cursor: Cursor


class ParsedCheckpointTinkerPath(Wire, frozen=True, kw_only=True):
    """The parts of a checkpoint path.

    Attributes:
        tinker_path: The whole path.
        training_run_id: The run, which is the model id and may hold colons.
        checkpoint_type: What the checkpoint holds.
        checkpoint_id: ``kind/name``.

    Source: protocol section 10.
    """

    tinker_path: str
    training_run_id: str
    checkpoint_type: CheckpointType
    checkpoint_id: str

    @classmethod
    def from_tinker_path(cls, tinker_path: str) -> ParsedCheckpointTinkerPath:
        """Take a path apart.

        Raises:
            ValueError: It is not ``tinker://<run>/<kind>/<name>`` with a known kind.
        """
        scheme, _, rest = tinker_path.partition("://")
        parts = rest.split("/")
        if scheme != "tinker" or len(parts) != 3 or parts[1] not in _KINDS:
            raise ValueError(
                f"{tinker_path!r} is not a checkpoint path; it must look like "
                f"tinker://<run>/<kind>/<name> with kind one of {', '.join(_KINDS)}."
            )
        return cls(
            tinker_path=tinker_path,
            training_run_id=parts[0],
            checkpoint_type=_KINDS[parts[1]],
            checkpoint_id=f"{parts[1]}/{parts[2]}",
        )
