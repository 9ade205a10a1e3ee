"""The audit log."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from tinker_lite.types.answers import Answer, Moment

__all__ = ["AuditEventType", "AuditLogEntry", "AuditLogResponse"]

# Which events ``GET /audit`` is asked for.
AuditEventType: TypeAlias = Literal["all", "checkpoints", "projects", "teams", "organizations"]


class AuditLogEntry(Answer, frozen=True, kw_only=True):
    """Something that was done.

    Attributes:
        timestamp: When.
        event: What, as ``<resource>_<action>``.
        event_details: With which particulars, by name.
        model_id: Deprecated: the model.
        tinker_path: Deprecated: the checkpoint.
        purpose: Deprecated: why.

    Source: protocol section 2.13.
    """

    timestamp: Moment
    event: str
    event_details: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    model_id: str | None = None
    tinker_path: str | None = None
    purpose: str | None = None


class AuditLogResponse(Answer, frozen=True, kw_only=True):
    """The answer of ``GET /audit``."""

    entries: list[AuditLogEntry]
