"""Telemetry: what a client tells of itself, when the user has asked for that."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer

__all__ = [
    "EventType",
    "GenericEvent",
    "SessionEndEvent",
    "SessionStartEvent",
    "Severity",
    "TelemetryBatch",
    "TelemetryEvent",
    "TelemetryResponse",
    "TelemetrySendRequest",
    "UnhandledExceptionEvent",
]

EventType: TypeAlias = Literal[
    "SESSION_START", "SESSION_END", "UNHANDLED_EXCEPTION", "GENERIC_EVENT"
]
Severity: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

# Protocol section 7: a batch has 1 to 100 events.
MAX_EVENTS = 100


class _Event(Wire, frozen=True, kw_only=True, tag_field="event"):
    event_id: str
    event_session_index: int
    severity: Severity
    timestamp: datetime

    @property
    def event(self) -> str:
        """The kind of event, as on the wire."""
        return str(self.__struct_config__.tag)


class SessionStartEvent(_Event, frozen=True, kw_only=True, tag="SESSION_START"):
    """The first event of a session.

    Attributes:
        event_id: A UUID.
        event_session_index: Number of the event within its session, from 0.
        severity: How bad it is.
        timestamp: When, in UTC.

    Source: protocol section 7.
    """


class SessionEndEvent(_Event, frozen=True, kw_only=True, tag="SESSION_END"):
    """A session ended by an exception; ``duration`` is ``H:MM:SS.ffffff``."""

    duration: str


class UnhandledExceptionEvent(_Event, frozen=True, kw_only=True, tag="UNHANDLED_EXCEPTION"):
    """An exception that reached the caller."""

    error_type: str
    error_message: str
    traceback: str | None = None


class GenericEvent(_Event, frozen=True, kw_only=True, tag="GENERIC_EVENT"):
    """Anything else, by name."""

    event_name: str
    event_data: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


TelemetryEvent: TypeAlias = (
    SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent | GenericEvent
)


class TelemetryBatch(Wire, frozen=True, kw_only=True):
    """Events that are sent together.

    Attributes:
        events: The events, 1 to 100.
        platform: Name of the operating system.
        sdk_version: Generation of the protocol.
        session_id: The session, or ``sessionless-`` and a UUID.
        process_uuid: A UUID of the process; None is left out, as 0.6.3 has it.

    Raises:
        ValueError: There are no events, or too many.

    Source: protocol section 7.
    """

    events: list[TelemetryEvent]
    platform: str
    sdk_version: str
    session_id: str
    process_uuid: str | None = None

    def __post_init__(self) -> None:
        """Refuse a batch that no server takes."""
        if not 1 <= len(self.events) <= MAX_EVENTS:
            raise ValueError(
                f"{type(self).__name__}.events has {len(self.events)}; "
                f"a batch has 1 to {MAX_EVENTS}."
            )


class TelemetrySendRequest(TelemetryBatch, frozen=True, kw_only=True):
    """Body of ``/telemetry``: a batch, its fields at the top level."""


class TelemetryResponse(Answer, frozen=True, kw_only=True):
    """The answer to a batch, which can only be this."""

    status: Literal["accepted"]
