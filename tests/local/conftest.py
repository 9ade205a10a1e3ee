"""A temporary service for each test, and a plain client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.service_driver import Driver
from tinker_lite.local import LocalService, ServiceSettings


@pytest.fixture
def service() -> Iterator[LocalService]:
    """A service whose polls are short, so that a test that waits for nothing ends soon."""
    with LocalService(settings=ServiceSettings(poll_s=0.2)) as service:
        yield service


@pytest.fixture
def driver(service: LocalService) -> Driver:
    """A client for it."""
    return Driver(service)
