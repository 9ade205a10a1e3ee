"""Calls of what the service keeps and of telemetry, by the file that says what they send."""

from __future__ import annotations

import datetime as dt

from tests.golden.arguments import given
from tinker_lite import types as t

RUN = "S:train:0"
SAVED = (RUN, "weights/ck")
SAVED_FOR_SAMPLER = (RUN, "sampler_weights/s1")
EVENT_ID = "5f0c9a52-7d37-4c4e-9d0b-0c6a2e1c0a0"
NOON = dt.datetime(2026, 11, 23, 12, 48, 47, 934777, tzinfo=dt.UTC)

EVENTS: list[t.TelemetryEvent] = [
    t.SessionStartEvent(
        event_id=f"{EVENT_ID}1", event_session_index=0, severity="INFO", timestamp=NOON
    ),
    t.UnhandledExceptionEvent(
        event_id=f"{EVENT_ID}2",
        event_session_index=1,
        severity="ERROR",
        timestamp=NOON.replace(second=48, microsecond=0),
        error_type="ValueError",
        error_message="no such thing",
    ),
    t.GenericEvent(
        event_id=f"{EVENT_ID}3",
        event_session_index=2,
        severity="WARNING",
        timestamp=NOON.replace(second=49, microsecond=0),
        event_name="user_error",
        event_data={"status_code": 404, "body": None},
    ),
    t.SessionEndEvent(
        event_id=f"{EVENT_ID}4",
        event_session_index=3,
        severity="INFO",
        timestamp=NOON.replace(second=50, microsecond=0),
        duration="0:00:02.065223",
    ),
]

CALLS = {
    "training_runs.list.least": given(),
    "training_runs.list.full": given(
        limit=100, offset=200, access_scope="accessible", project_id="p-1"
    ),
    "training_runs.get": given(RUN),
    "checkpoints.list": given(),
    "checkpoints.list_for_run": given(RUN),
    "checkpoints.delete": given(*SAVED),
    "checkpoints.publish": given(*SAVED),
    "checkpoints.unpublish": given(*SAVED),
    "checkpoints.set_ttl.seconds": given(
        *SAVED_FOR_SAMPLER, t.SetCheckpointTtlRequest(ttl_seconds=3600)
    ),
    "checkpoints.set_ttl.never": given(
        *SAVED_FOR_SAMPLER, t.SetCheckpointTtlRequest(ttl_seconds=None)
    ),
    "checkpoints.archive": given(*SAVED),
    "checkpoints.external_weights_urls": given(RUN, "external_weights/download"),
    "audit.log.least": given(),
    "audit.log.full": given("checkpoints", dt.date(2026, 1, 2)),
    "billing.usage_events": given(
        dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 3, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    ),
    "billing.checkpoint_storage.least": given(),
    "billing.checkpoint_storage.full": given("p-1"),
    "api_keys.get": given(),
    "api_keys.revoke": given(),
    "telemetry.send": given(
        t.TelemetrySendRequest(
            events=EVENTS,
            platform="Linux",
            sdk_version="0.38.0",
            session_id="S",
            process_uuid="0d6f7a3e-21f4-4a7b-8a8e-7f0e5a2b9c10",
        )
    ),
}
