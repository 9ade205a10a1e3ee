"""Transports for tests: public, and free of any test framework.

``FakeTransport`` answers with what a function says, and keeps what it was asked.
"""

from __future__ import annotations

from tinker_lite.testing.fake import AsyncFakeTransport, FakeReply, FakeTransport

__all__ = ["AsyncFakeTransport", "FakeReply", "FakeTransport"]
