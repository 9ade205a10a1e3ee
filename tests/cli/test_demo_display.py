"""How the demo looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinker_lite.cli.demo_display import Display, side_by_side
from tinker_lite.cli.demo_events import (
    Compared,
    Downloaded,
    Measured,
    Outcome,
    Prepared,
    Sampled,
    Saved,
    Stepped,
)
from tinker_lite.cli.demo_meters import LiveMeter, PlainMeter


def test_two_texts_stand_side_by_side() -> None:
    """Both are wrapped to half the width, and the shorter one leaves room."""
    lines = side_by_side("one two three four", "five\nsix seven", 23)
    assert lines == [
        "before training | after training",
        "---------- | ----------",
        "one two    | five",
        "three ...  | six ...",
    ]


def test_what_a_terminal_cannot_show_is_replaced() -> None:
    """Control characters of an untrained model do not reach the terminal."""
    assert "\x1b" not in "".join(side_by_side("\x1b[31m red", "a\x00b c", 40))
    assert "\ufffd[31m ..." in side_by_side("\x1b[31m red", "", 40)[2]


def test_a_pipe_gets_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Events are plain text: the first and the last step, and the figures of the end."""
    monkeypatch.setenv("COLUMNS", "80")
    archive = tmp_path / "checkpoint.tar"
    archive.write_bytes(bytes(1_500_000))
    with Display(PlainMeter(every_s=1e9)) as display:
        display(Prepared("some/model", 9000, 1000, 256))
        display(Measured("before", 2.0))
        display(Sampled("before", "And so", "it was once"))
        for step in (1, 2, 3):
            display(Stepped("cross entropy", step, 3, 2.0 - step / 10, 64))
        display(Measured("after", 1.5))
        display(Sampled("after", "And so", "it is now"))
        display(Saved("tinker://r/weights/demo"))
        display(Downloaded(1_500_000, None))
        display(Compared("loaded back", 0.0))
        outcome = Outcome(
            2.0, 1.5, 0.0, "tinker://r/weights/demo", "tinker://r/sampler_weights/demo"
        )
        display.ended(outcome, "local:x", archive)
    shown = capsys.readouterr().out
    assert "model: some/model\n" in shown
    assert "text: 9,000 bytes to learn, 1,000 held out\n" in shown
    assert "knowing nothing is ln 256 = 5.55\n" in shown
    assert "step 1/3  loss 1.900" in shown
    assert "step 2/3" not in shown
    assert "step 3/3  loss 1.700" in shown
    assert "download  1.5 MB\n" in shown
    assert "fell by 25.0%,\nfrom 2.000 to 1.500 nats per byte." in shown
    assert f"The checkpoint is in {archive} (1.5 MB).\n" in shown
    assert "ServiceClient(base_url='local:x')" in shown


def test_lines_come_when_it_is_time(capsys: pytest.CaptureFixture[str]) -> None:
    """With no pause between lines every step has one, and a new piece of work begins with one."""
    meter = PlainMeter(every_s=0)
    for n in (1, 2):
        meter.show("a", n, 3, str(n))
    meter.show("b", 1, 3, "1")
    meter.close()
    assert capsys.readouterr().out == "a  1\na  2\nb  1\n"


def test_tokens_are_named_as_such_where_they_are_not_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The unit and the loss of chance follow the vocabulary."""
    Display(PlainMeter())(Prepared("some/model", 10, 1, 32_000))
    shown = capsys.readouterr().out
    assert "10 tokens to learn" in shown
    assert "nats per token; knowing nothing is ln 32000 = 10.37" in shown


def test_a_bar_is_drawn_and_left_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures show markup as it is, each piece of work has a bar, and closing twice is harmless."""
    monkeypatch.setenv("COLUMNS", "80")
    meter = LiveMeter()
    meter.show("first", 1, 2, "[red]half")
    meter.show("first", 2, 2, "[red]all")
    meter.show("second", 10, None, "some")
    meter.close()
    meter.close()
    shown = capsys.readouterr().out
    assert "[red]all" in shown
    assert shown.index("first") < shown.index("second")
