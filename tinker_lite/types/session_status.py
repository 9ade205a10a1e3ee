"""How a session stands, and how it ended."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tinker_lite.types._base import short_repr
from tinker_lite.types.answers import Answer, AnswerVariant, Open, UnknownVariant

__all__ = [
    "ClientSessionFinishErrored",
    "ClientSessionFinishInterrupted",
    "ClientSessionFinishReason",
    "ClientSessionFinishReasonType",
    "ClientSessionFinishSuccess",
    "ClientSessionFinished",
    "SessionActive",
    "SessionCancelled",
    "SessionFailed",
    "SessionFailedReason",
    "SessionFailedRequestReason",
    "SessionFailedSamplingSessionReason",
    "SessionFailedTrainingRunReason",
    "SessionStatus",
    "UnknownSessionFailedReason",
    "UnknownSessionStatus",
]

ClientSessionFinishReasonType: TypeAlias = Literal["success", "errored", "interrupted"]


class ClientSessionFinishReason(Answer, frozen=True, kw_only=True):
    """Why a client ends, or ended, its session."""

    type: Open[ClientSessionFinishReasonType]

    def __eq__(self, other: object) -> bool:
        """Equal if the reason is the same, however it was made."""
        if not isinstance(other, ClientSessionFinishReason):
            return NotImplemented
        return self.type == other.type and self.extra == other.extra

    def __hash__(self) -> int:
        return hash(self.type)

    def __repr__(self) -> str:
        return f"ClientSessionFinishReason(type={short_repr(self.type)})"


class ClientSessionFinishSuccess(ClientSessionFinishReason, frozen=True, kw_only=True):
    """The work was done."""

    type: Open[ClientSessionFinishReasonType] = "success"


class ClientSessionFinishErrored(ClientSessionFinishReason, frozen=True, kw_only=True):
    """An exception ended the work."""

    type: Open[ClientSessionFinishReasonType] = "errored"


class ClientSessionFinishInterrupted(ClientSessionFinishReason, frozen=True, kw_only=True):
    """The user ended the work."""

    type: Open[ClientSessionFinishReasonType] = "interrupted"


class SessionActive(AnswerVariant, frozen=True, kw_only=True, tag="active"):
    """The session goes on."""


class SessionCancelled(AnswerVariant, frozen=True, kw_only=True, tag="cancelled"):
    """The session was stopped; ``detail`` is for people."""

    detail: str | None = None


class ClientSessionFinished(AnswerVariant, frozen=True, kw_only=True, tag="client_finished"):
    """The client ended the session; ``detail`` is for people."""

    reason: ClientSessionFinishReason
    detail: str | None = None


class SessionFailedRequestReason(AnswerVariant, frozen=True, kw_only=True, tag="request"):
    """A request failed."""

    request_id: str
    request_type: str


class SessionFailedTrainingRunReason(AnswerVariant, frozen=True, kw_only=True, tag="training_run"):
    """A training run failed."""

    training_run_id: str


class SessionFailedSamplingSessionReason(
    AnswerVariant, frozen=True, kw_only=True, tag="sampling_session"
):
    """A sampling session failed."""

    sampling_session_id: str


class UnknownSessionFailedReason(UnknownVariant, frozen=True, kw_only=True):
    """A cause that is not known here; all its fields are in ``extra``."""


SessionFailedReason: TypeAlias = (
    SessionFailedRequestReason
    | SessionFailedTrainingRunReason
    | SessionFailedSamplingSessionReason
    | UnknownSessionFailedReason
)


class SessionFailed(AnswerVariant, frozen=True, kw_only=True, tag="failed"):
    """The session failed.

    Attributes:
        category: Whose fault it is.
        message: What happened, for people.
        reason: What failed.
    """

    category: Open[Literal["user", "internal"]]
    message: str
    reason: SessionFailedReason


class UnknownSessionStatus(UnknownVariant, frozen=True, kw_only=True):
    """A status that is not known here; all its fields are in ``extra``."""


# Protocol section 2.4.
SessionStatus: TypeAlias = (
    SessionActive | SessionCancelled | ClientSessionFinished | SessionFailed | UnknownSessionStatus
)
