"""Searching sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from tinker_lite.types._base import Variant, Wire
from tinker_lite.types.answers import Answer, Moment
from tinker_lite.types.session_status import ClientSessionFinishReasonType, SessionStatus

__all__ = [
    "AccessibleSearchOwner",
    "ActiveSessionStatusQuery",
    "CancelledSessionStatusQuery",
    "ClientFinishedSessionStatusQuery",
    "FailedSessionStatusQuery",
    "OwnSearchOwner",
    "SearchOwner",
    "SessionSearchCursor",
    "SessionSearchRequest",
    "SessionSearchResponse",
    "SessionStatusQuery",
    "SessionSummary",
    "UserSearchOwner",
]

# Protocol section 2.4.
MAX_SESSIONS = 200
MAX_OWNERS = 10


class OwnSearchOwner(Variant, frozen=True, kw_only=True, tag="own"):
    """Sessions of one's own."""


class AccessibleSearchOwner(Variant, frozen=True, kw_only=True, tag="accessible"):
    """Every session that one may see."""


class UserSearchOwner(Variant, frozen=True, kw_only=True, tag="user"):
    """Sessions of certain users, 1 to 10."""

    owner_urns: list[str]

    def __post_init__(self) -> None:
        """Refuse what no server takes."""
        if not 1 <= len(self.owner_urns) <= MAX_OWNERS:
            raise ValueError(
                f"UserSearchOwner.owner_urns has {len(self.owner_urns)}; give 1 to {MAX_OWNERS}."
            )


SearchOwner: TypeAlias = OwnSearchOwner | AccessibleSearchOwner | UserSearchOwner


class ActiveSessionStatusQuery(Variant, frozen=True, kw_only=True, tag="active"):
    """Sessions that go on."""


class CancelledSessionStatusQuery(Variant, frozen=True, kw_only=True, tag="cancelled"):
    """Sessions that were stopped."""


class FailedSessionStatusQuery(Variant, frozen=True, kw_only=True, tag="failed"):
    """Sessions that failed."""


class ClientFinishedSessionStatusQuery(Variant, frozen=True, kw_only=True, tag="client_finished"):
    """Sessions that their clients ended, for any reason or for certain ones."""

    reasons: list[ClientSessionFinishReasonType] | None = None


SessionStatusQuery: TypeAlias = (
    ActiveSessionStatusQuery
    | CancelledSessionStatusQuery
    | FailedSessionStatusQuery
    | ClientFinishedSessionStatusQuery
)


class SessionSearchCursor(Answer, frozen=True, kw_only=True):
    """Where the next page begins; pass on the one that came with a page."""

    last_created_at: Moment
    last_session_id: str


class SessionSearchRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/sessions/search``.

    Attributes:
        session_id: An exact id; a session with it or with ``display_name`` is found.
        project_ids: Only of these projects; None means of all.
        user_metadata: Pairs that must all match.
        display_name: Words that must all occur, in upper or lower case.
        owner: Whose sessions.
        statuses: Any of these; None means any at all.
        limit: Most sessions of a page, 1 to 200.
        cursor: Where the page begins; None means at the newest.

    Raises:
        ValueError: A field is outside what servers take.

    Source: protocol section 2.4.
    """

    session_id: str | None = None
    project_ids: list[str] | None = None
    user_metadata: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    display_name: str | None = None
    owner: SearchOwner = OwnSearchOwner()
    statuses: list[SessionStatusQuery] | None = None
    limit: int = 50
    cursor: SessionSearchCursor | None = None

    def __post_init__(self) -> None:
        """Refuse what no server takes."""
        if not 1 <= self.limit <= MAX_SESSIONS:
            raise ValueError(
                f"SessionSearchRequest.limit is {self.limit}; it must be 1 to {MAX_SESSIONS}."
            )
        for name in ("display_name", "statuses"):
            if getattr(self, name) is not None and not getattr(self, name):
                raise ValueError(f"SessionSearchRequest.{name} is empty; None means any.")


class SessionSummary(Answer, frozen=True, kw_only=True):
    """A session that was found.

    Attributes:
        session_id: Its id.
        created_at: When it began.
        owner: Whose it is.
        project_id: Its project.
        status: How it stands, or None if the server does not tell.
        checkpoints_count: How many checkpoints it has.
        display_name: Its name for people.
        user_metadata: Text by name.
        checkpoint_storage_bytes: Size of its checkpoints.
    """

    session_id: str
    created_at: Moment
    owner: str
    project_id: str
    status: SessionStatus | None = None
    checkpoints_count: int
    display_name: str | None = None
    user_metadata: dict[str, str] | None = None
    checkpoint_storage_bytes: int | None = None


class SessionSearchResponse(Answer, frozen=True, kw_only=True):
    """A page of sessions, and where the next one begins."""

    sessions: list[SessionSummary]
    next_cursor: SessionSearchCursor | None = None
