"""What the guides show is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.sources import ROOT
from tests.rules.test_readme import Fence, fences, run

EXAMPLES = [
    pytest.param(fence, id=f"{guide} line {fence.line}")
    for guide in ("bodies.md", "testing.md")
    for fence in fences((ROOT / "docs" / guide).read_text(encoding="utf-8"))
]


@pytest.mark.slow
@pytest.mark.parametrize("fence", EXAMPLES)
def test_each_example_runs(fence: Fence, tmp_path: Path) -> None:
    """By itself, with no account and no network."""
    done = run(fence.code, [], tmp_path)
    assert done.returncode == 0, done.stderr
