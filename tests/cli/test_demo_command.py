"""``tinker-lite demo`` as a command: options, failures, interruption."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from typing import IO, TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner, Result

from tinker_lite.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

TINY = [
    "--base-model",
    "tinker-lite/tiny-random",
    "--seq-len",
    "32",
    "--batch-size",
    "2",
    "--rank",
    "2",
]


def demo(out: Path, *options: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["demo", "--out", str(out), *options])


def test_a_text_of_ones_own_is_trained_on(tmp_path: Path) -> None:
    """It ends well however little is learnt, and keeps the checkpoint where it says."""
    text = tmp_path / "text.txt"
    text.write_text("All work and no play makes Jack a dull boy.\n" * 20)
    out = tmp_path / "kept"
    shown = demo(out, *TINY, "--text", str(text), "--steps", "2", "--learning-rate", "1e-9")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"The checkpoint is in {out / 'checkpoint.tar'} (" in shown.stdout
    assert {path.name for path in out.iterdir()} == {"checkpoint.tar", "service"}


def test_the_shipped_text_must_be_learnt(tmp_path: Path) -> None:
    """A run that hardly moves the loss is a failure, and says by how much it fell."""
    shown = demo(tmp_path, *TINY, "--steps", "1", "--learning-rate", "1e-9")
    assert shown.exit_code == 1
    assert "The loss on the held-out text fell by 0.0%" in shown.stdout
    assert shown.stderr == "Error: The held-out loss fell by 0.0% only, and 5% is the least.\n"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--text", "/nowhere"], "Error: --text /nowhere cannot be read: No such file"),
        (["--text", os.devnull], "Error: The text has 0 tokens"),
        (["--base-url", "http://127.0.0.1:1"], "Error: service.get_server_capabilities: no answer"),
        (["--base-url", "https://tinker.invalid"], "Error: No API key for https://tinker.invalid"),
        (["--base-url", "tinker.invalid"], "Error: base_url 'tinker.invalid' is not a URL"),
        (["--base-model", "some/model"], "Error: Error code: 400 - base_model: there is no model"),
        (["--rank", "100000"], "Error: Error code: 400 - lora_config.rank"),
        (["--out", "/dev/null/x"], "Error: The data folder /dev/null/x/service cannot be made"),
    ],
    ids=[
        "missing text",
        "empty text",
        "nobody there",
        "no key",
        "no URL",
        "unknown model",
        "rank",
        "unusable folder",
    ],
)
def test_what_cannot_work_is_one_line(options: list[str], line: str, tmp_path: Path) -> None:
    """Exit code 1, one line on standard error that says what is wrong, and no file is left."""
    shown = demo(tmp_path, *options)
    assert shown.exit_code == 1
    assert shown.stderr.startswith(line)
    assert shown.stderr.count("\n") == 1
    assert not (tmp_path / "checkpoint.tar").exists()


@pytest.mark.parametrize("option", ["--steps", "--batch-size", "--seq-len", "--rank"])
def test_counts_begin_at_one(option: str, tmp_path: Path) -> None:
    """Zero is wrong usage."""
    shown = demo(tmp_path, option, "0")
    assert shown.exit_code == 2
    assert "0 is not in the range x>=1" in shown.stderr


@pytest.mark.slow
def test_ctrl_c_stops_at_once(
    program: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """In the middle of training: exit code 130, one word, and nothing half-written."""
    process = subprocess.Popen(
        [*program, "demo", *TINY, "--steps", "100000", "--out", str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            for line in cast("IO[str]", process.stdout):
                if line.startswith("cross entropy"):
                    break
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "Stopped.\n")
    assert not (tmp_path / "checkpoint.tar").exists()
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.slow
def test_a_terminal_gets_bars_and_its_cursor_back(
    program: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Bars are redrawn in place, every piece of work ends with its last figure, exit code 0."""
    ours, theirs = pty.openpty()
    text = tmp_path / "text.txt"
    text.write_text("All work and no play makes Jack a dull boy.\n" * 20)
    process = subprocess.Popen(
        [*program, "demo", *TINY, "--steps", "3", "--text", str(text), "--out", str(tmp_path)],
        env={**environment, "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    with process, os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = read_to_end(terminal).decode()
        assert process.wait(15) == 0
    assert "step 3/3" in shown
    assert "\u2501" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def read_to_end(terminal: IO[bytes]) -> bytes:
    """All that was written to a terminal; Linux ends it with an error instead of nothing."""
    shown = b""
    while True:
        try:
            chunk = terminal.read(65536)
        except OSError:
            return shown
        if not chunk:
            return shown
        shown += chunk
