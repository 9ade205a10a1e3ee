"""docs/testing.md shows all there is."""

from __future__ import annotations

from tests.rules.sources import ROOT
from tinker_lite import testing

GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


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
