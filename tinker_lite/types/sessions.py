"""Sessions: training sessions, their heartbeat and end, and sampling sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer
from tinker_lite.types.session_status import ClientSessionFinishReason

__all__ = [
    "CreateSamplingSessionRequest",
    "CreateSamplingSessionResponse",
    "CreateSessionRequest",
    "CreateSessionResponse",
    "FinishSessionRequest",
    "GetSamplerResponse",
    "JoinSamplingSessionRequest",
    "JoinSamplingSessionResponse",
    "SessionHeartbeatRequest",
    "SessionHeartbeatResponse",
]


class CreateSessionRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/create_session`` (protocol section 2.4)."""

    tags: tuple[str, ...] = ()
    user_metadata: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    sdk_version: str
    project_id: str | None = None
    display_name: str | None = None
    type: Literal["create_session"] = "create_session"


class CreateSessionResponse(Answer, frozen=True, kw_only=True):
    """The session that was made, with messages for the user."""

    session_id: str
    info_message: str | None = None
    warning_message: str | None = None
    error_message: str | None = None
    type: str | None = None


class SessionHeartbeatRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/session_heartbeat``."""

    session_id: str
    type: Literal["session_heartbeat"] = "session_heartbeat"


class SessionHeartbeatResponse(Answer, frozen=True, kw_only=True):
    """The answer to a heartbeat; it may be empty."""

    type: str | None = None


class FinishSessionRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/sessions/{id}/finish``; ``detail`` is for people."""

    reason: ClientSessionFinishReason
    detail: str | None = None

    def to_wire(self) -> dict[str, object]:
        """The JSON form: here a ``detail`` of None is sent as null (protocol section 1.7)."""
        return {"reason": self.reason, "detail": self.detail}


class CreateSamplingSessionRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/create_sampling_session`` (protocol section 2.10)."""

    session_id: str
    sampling_session_seq_id: int
    base_model: str | None = None
    model_path: str | None = None
    type: Literal["create_sampling_session"] = "create_sampling_session"


class CreateSamplingSessionResponse(Answer, frozen=True, kw_only=True):
    """The sampling session that was made."""

    sampling_session_id: str
    type: str | None = None


class JoinSamplingSessionRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/join_sampling_session``: one more client samples from the session."""

    sampling_session_id: str
    type: Literal["join_sampling_session"] = "join_sampling_session"


class JoinSamplingSessionResponse(Answer, frozen=True, kw_only=True):
    """The client's number within the session, 1 or more; the original client is 0."""

    client_counter: int
    type: str | None = None


class GetSamplerResponse(Answer, frozen=True, kw_only=True):
    """What a sampler holds.

    Attributes:
        sampler_id: The sampling session.
        base_model: Its base model.
        model_path: The ``tinker://`` path of its weights, or None for the bare base model.
    """

    sampler_id: str
    base_model: str
    model_path: str | None = None
