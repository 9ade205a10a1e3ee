"""Futures of the wire: what a submission answers, and what asking for its result may answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer

__all__ = [
    "FutureReply",
    "FutureRetrieveRequest",
    "QueueState",
    "RequestErrorCategory",
    "RequestFailedResponse",
    "RequestID",
    "TryAgainResponse",
    "UntypedAPIFuture",
]

RequestID: TypeAlias = str


class QueueState(StrEnum):
    """Why a result is not there yet; words that are not known become ``UNKNOWN``."""

    ACTIVE = "active"
    PAUSED_RATE_LIMIT = "paused_rate_limit"
    PAUSED_CAPACITY = "paused_capacity"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> QueueState:
        return cls.UNKNOWN


class RequestErrorCategory(StrEnum):
    """Whose fault a failed operation is."""

    UNKNOWN = "unknown"
    SERVER = "server"
    USER = "user"
    # The official client's spelling of the same members.
    Unknown = UNKNOWN
    Server = SERVER
    User = USER

    @classmethod
    def _missing_(cls, value: object) -> RequestErrorCategory:
        return cls.UNKNOWN


class UntypedAPIFuture(Answer, frozen=True, kw_only=True):
    """The immediate answer to a submission (protocol section 4.1)."""

    request_id: str
    model_id: str | None = None
    sample_sequence_ids: list[str] | None = None


class FutureRetrieveRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/retrieve_future`` (protocol section 4.2)."""

    request_id: str
    allow_metadata_only: bool = False


class TryAgainResponse(Answer, frozen=True, kw_only=True):
    """The result is still pending."""

    request_id: str
    queue_state: str
    queue_state_reason: str | None = None
    type: str = "try_again"


class RequestFailedResponse(Answer, frozen=True, kw_only=True):
    """The operation failed (protocol section 4.5)."""

    error: str
    category: str = "unknown"


class FutureReply(Wire, frozen=True, kw_only=True):
    """The fields that tell answers to ``/retrieve_future`` apart (protocol section 4.2).

    Not an ``Answer``: it looks at every result in passing, and keeps nothing else of it.

    Any value passes, since a strange one in a field that only informs must not hide what the answer
    says.
    """

    type: Any = None
    status: Any = None
    response_payload_size: Any = None
    error: Any = None
    category: Any = None
    detail: Any = None
    queue_state: Any = None
    queue_state_reason: Any = None
