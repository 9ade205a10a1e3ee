"""What docs/testing.md shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.sources import ROOT
from tests.rules.test_readme import Fence, fences, run
from tinker_lite import testing

GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("fence", fences(GUIDE), ids=lambda fence: f"line {fence.line}")
def test_each_example_runs(fence: Fence, tmp_path: Path) -> None:
    """By itself, with no account and no network."""
    done = run(fence.code, [], tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_guide_shows_every_transport_and_fault() -> None:
    """Under the names by which they are imported."""
    blocking = [name for name in testing.__all__ if name.endswith("Transport")]
    faults = [
        name
        for name, value in vars(testing).items()
        if isinstance(value, type) and issubclass(value, testing.Fault)
    ]
    assert (len(blocking), len(faults)) == (10, 11)
    shown = [name.removeprefix("Async") for name in blocking] + faults
    assert [name for name in shown if f"`{name}" not in GUIDE] == []
