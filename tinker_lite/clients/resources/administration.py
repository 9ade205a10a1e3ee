"""What administrators look at: the audit log, costs, API keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack, cast

from tinker_lite.clients.faces import (
    AsyncRaw,
    AsyncStreamed,
    BlockingRaw,
    BlockingStreamed,
    Operation,
    Resource,
    Views,
)
from tinker_lite.engine.preparation import Args
from tinker_lite.protocol import endpoints as rows

if TYPE_CHECKING:
    import tinker_lite.types as t
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["APIKeys", "Audit", "Billing"]


class Audit(Resource[F]):
    """The audit log."""

    with_raw_response: Views[Audit[BlockingRaw], Audit[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Audit[BlockingStreamed], Audit[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def log(
        self,
        event_type: t.AuditEventType = "all",
        day: dt.date | None = None,
        **options: Unpack[CallOptions],
    ) -> Args[t.AuditLogResponse]:
        """What was done, on one day or of late."""
        if day is not None and not isinstance(cast("object", day), dt.date):
            raise TypeError(f"day is {day!r}; it must be a date.")
        query = {"event_type": event_type, "day": None if day is None else f"{day:%Y-%m-%d}"}
        return Args(row=rows.AUDIT_LOG, query=query, options=options)


class Billing(Resource[F]):
    """What is used, and what it costs."""

    with_raw_response: Views[Billing[BlockingRaw], Billing[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Billing[BlockingStreamed], Billing[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def usage_events(
        self, starting_on: dt.datetime, ending_before: dt.datetime, **options: Unpack[CallOptions]
    ) -> Args[t.BillingUsageResponse]:
        """What was used between two full hours, 14 days apart at most.

        Times without a zone are taken as UTC.
        """
        query = {
            "starting_on": _in_utc("starting_on", starting_on),
            "ending_before": _in_utc("ending_before", ending_before),
        }
        return Args(row=rows.BILLING_USAGE_EVENTS, query=query, options=options)

    @Operation
    def checkpoint_storage(
        self, project_id: str | None = None, **options: Unpack[CallOptions]
    ) -> Args[t.CurrentCheckpointStorageUsageResponse]:
        """What the checkpoints take up now, in one project or in all."""
        query = {"project_id": project_id}
        return Args(row=rows.BILLING_CHECKPOINT_STORAGE, query=query, options=options)


def _in_utc(name: str, moment: dt.datetime) -> dt.datetime:
    if not isinstance(cast("object", moment), dt.datetime):
        raise TypeError(f"{name} is {moment!r}; it must be a datetime.")
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


class APIKeys(Resource[F]):
    """The API key that the client itself uses."""

    with_raw_response: Views[APIKeys[BlockingRaw], APIKeys[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[APIKeys[BlockingStreamed], APIKeys[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def get(self, **options: Unpack[CallOptions]) -> Args[t.ApiKeyResponse]:
        """What the service knows of the key."""
        return Args(row=rows.API_KEYS_GET, options=options)

    @Operation
    def revoke(self, **options: Unpack[CallOptions]) -> Args[None]:
        """Make the key worthless."""
        return Args(row=rows.API_KEYS_REVOKE, options=options)
