"""What docs/bodies.md shows is what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import ROOT
from tests.rules.test_readme import Fence, fences, run

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = (ROOT / "docs" / "bodies.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("fence", fences(GUIDE), ids=lambda fence: f"line {fence.line}")
def test_each_example_runs(fence: Fence, tmp_path: Path) -> None:
    """By itself, with no account and no network."""
    done = run(fence.code, [], tmp_path)
    assert done.returncode == 0, done.stderr
