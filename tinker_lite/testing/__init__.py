"""Transports for tests: public, and free of any test framework.

* ``FakeTransport`` answers with what a function says, and keeps what it was asked.
* ``ScriptedTransport`` expects calls in order, and refuses replies that no client could read.
* ``RecordingTransport`` writes every exchange of another transport into a file, without secrets;
  ``ReplayTransport`` answers from it.
* ``FaultyTransport`` does to another transport what networks do, by a plan or by a seed.

Each has an async form, for asyncio and trio. ``docs/testing.md`` shows them at work.
"""

from __future__ import annotations

from tinker_lite.testing.captured import CapturedCall, capture
from tinker_lite.testing.fake import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.testing.faults import (
    Answered,
    ConnectionRefused,
    Delayed,
    Duplicated,
    Fault,
    GarbledBody,
    GarbledHead,
    ResetAfterArrival,
    ResetBeforeArrival,
    Stalled,
    Truncated,
)
from tinker_lite.testing.faulty import (
    MIXED_RATES,
    AsyncFaultyTransport,
    FaultPlan,
    FaultyTransport,
    Injected,
)
from tinker_lite.testing.recorder import AsyncRecordingTransport, RecordingTransport
from tinker_lite.testing.replay import AsyncReplayTransport, ReplayTransport
from tinker_lite.testing.script import AsyncScriptedTransport, Script, ScriptedTransport

__all__ = [
    "MIXED_RATES",
    "Answered",
    "AsyncFakeTransport",
    "AsyncFaultyTransport",
    "AsyncRecordingTransport",
    "AsyncReplayTransport",
    "AsyncScriptedTransport",
    "CapturedCall",
    "ConnectionRefused",
    "Delayed",
    "Duplicated",
    "FakeReply",
    "FakeTransport",
    "Fault",
    "FaultPlan",
    "FaultyTransport",
    "GarbledBody",
    "GarbledHead",
    "Injected",
    "RecordingTransport",
    "ReplayTransport",
    "ResetAfterArrival",
    "ResetBeforeArrival",
    "Script",
    "ScriptedTransport",
    "Stalled",
    "Truncated",
    "capture",
]
