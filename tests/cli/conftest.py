"""What the tests of the command share."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a failing command does to the logger of the process it thinks it owns."""
    logger = logging.getLogger("tinker_lite")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def program() -> list[str]:
    """The command line of the command, in an interpreter of its own."""
    return [sys.executable, "-m", "tinker_lite"]


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment for such an interpreter; its output comes line by line."""
    return bare_environment(PYTHONUNBUFFERED="1", COLUMNS="80")
