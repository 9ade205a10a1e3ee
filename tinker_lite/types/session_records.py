"""What the service keeps of sessions: listings, single ones, their project and trace."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer, Open

__all__ = [
    "AccessScope",
    "GetSessionResponse",
    "ListSessionsResponse",
    "SetSessionProjectRequest",
    "TraceExportResponse",
]

# Whose sessions and runs are listed.
AccessScope: TypeAlias = Literal["owned", "accessible"]


class ListSessionsResponse(Answer, frozen=True, kw_only=True):
    """A page of session ids."""

    sessions: list[str]


class GetSessionResponse(Answer, frozen=True, kw_only=True):
    """What a session holds.

    Attributes:
        training_run_ids: Its training runs.
        sampler_ids: Its samplers.
        user_metadata: Text by name.
        display_name: Its name for people.

    Source: protocol section 2.4.
    """

    training_run_ids: list[str]
    sampler_ids: list[str]
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None


class SetSessionProjectRequest(Wire, frozen=True, kw_only=True):
    """Body of ``PUT /sessions/{id}/project``."""

    project_id: str


class TraceExportResponse(Answer, frozen=True, kw_only=True):
    """How far the export of a session's trace is.

    Attributes:
        status: ``"pending"``, ``"ready"`` or ``"failed"``.
        url: When ready: where to fetch it for about an hour; whoever holds it may read the trace.
        error: When failed: why.
    """

    _secret_fields: ClassVar[frozenset[str]] = frozenset({"url"})

    status: Open[Literal["pending", "ready", "failed"]]
    url: str | None = None
    error: str | None = None
