"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.testing.both import ASYNC, BLOCKING, Kit


@pytest.fixture(params=[BLOCKING, ASYNC], ids=["blocking", "async"])
def kit(request: pytest.FixtureRequest) -> Kit:
    """The transports of one form; a test runs with each."""
    chosen: Kit = request.param
    return chosen
