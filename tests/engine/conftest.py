"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.door import Door
from tinker_lite.engine.runtime import ThreadRuntime


@pytest.fixture
def runtime() -> Iterator[ThreadRuntime]:
    """A background thread of the test's own."""
    made = ThreadRuntime()
    yield made
    made.stop()


@pytest.fixture
def door(runtime: ThreadRuntime) -> Door:
    """A closed door."""
    return Door(runtime)
