"""How a client is doing, as a value."""

from __future__ import annotations

import msgspec

from tinker_lite.types import QueueState

__all__ = ["ClientStatus"]


class ClientStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is doing.

    Attributes:
        ready: Whether the thing behind it (model or sampling session) exists.
        last_error: What the last failed operation raised, or None.
        queue_state: What the service last said about waiting, or None.
        queue_state_reason: The service's words for it, or None.
    """

    ready: bool
    last_error: BaseException | None = None
    queue_state: QueueState | None = None
    queue_state_reason: str | None = None


def status_of(
    *,
    ready: bool,
    last_error: BaseException | None,
    queue_state: tuple[QueueState, str | None] | None,
) -> ClientStatus:
    """A status from what the engine keeps."""
    state, reason = queue_state or (None, None)
    return ClientStatus(
        ready=ready, last_error=last_error, queue_state=state, queue_state_reason=reason
    )
