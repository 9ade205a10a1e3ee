"""Weights that leave the service: saved as files, or copied to another project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer, Moment

__all__ = [
    "CopyWeightsRequest",
    "CopyWeightsResponse",
    "ExternalWeightsUrlsResponse",
    "SaveWeightsExternalRequest",
    "SaveWeightsExternalResponse",
    "SaveWeightsExternalResponseInternal",
]

# Protocol section 2.7.
MAX_RECIPIENTS = 10


class SaveWeightsExternalRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/save_weights_external``.

    Attributes:
        model_id: The model.
        path: Name of the checkpoint.
        seq_id: Number of the request within the model's.
        ttl_seconds: Seconds until it is deleted; None means never.
        age_encryption_recipients: Whom to encrypt for, 10 at most; the files then end in ``.age``.

    Raises:
        ValueError: There are too many recipients.

    Source: protocol section 2.7.
    """

    model_id: str
    path: str
    seq_id: int | None = None
    ttl_seconds: int | None = None
    age_encryption_recipients: Sequence[str] | None = None
    type: Literal["save_weights_external"] = "save_weights_external"

    def __post_init__(self) -> None:
        """Refuse what no server takes."""
        recipients = self.age_encryption_recipients or ()
        if len(recipients) > MAX_RECIPIENTS:
            raise ValueError(
                "SaveWeightsExternalRequest.age_encryption_recipients has "
                f"{len(recipients)}; {MAX_RECIPIENTS} at most."
            )


class SaveWeightsExternalResponseInternal(Answer, frozen=True, kw_only=True):
    """What the service answers; ``path`` may be null by its schema."""

    path: str | None = None
    size_bytes: int | None = None
    type: str | None = None


class SaveWeightsExternalResponse(Answer, frozen=True, kw_only=True):
    """Where weights were saved.

    Attributes:
        path: The ``tinker://`` path.
        size_bytes: Their size.
    """

    path: str
    size_bytes: int | None = None
    type: str | None = None


class ExternalWeightsUrlsResponse(Answer, frozen=True, kw_only=True):
    """Where the files of a checkpoint can be fetched for a while.

    Attributes:
        urls: A URL for each file, by its relative path; whoever holds one may read the file.
        expires: Until when they work.
    """

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"urls"})

    urls: dict[str, str]
    expires: Moment


class CopyWeightsRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/copy_weights`` (protocol section 2.9).

    Attributes:
        source_path: The ``tinker://`` path of what is copied.
        destination_project_id: The project it goes to.
        session_id: The session it goes to.
        model_seq_id: The model of that session.
        ttl_seconds: Seconds until the copy is deleted; None means never.
        weights_access_token: Secret of the source's owner; clients send it as a header instead.
    """

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"weights_access_token"})

    source_path: str
    destination_project_id: str | None = None
    session_id: str | None = None
    model_seq_id: int | None = None
    ttl_seconds: int | None = None
    weights_access_token: str | None = None


class CopyWeightsResponse(Answer, frozen=True, kw_only=True):
    """The ``tinker://`` path of the copy."""

    tinker_path: str
