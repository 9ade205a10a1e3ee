"""``tinker-lite conformance transport``: usage, table, files and exit codes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.rules.sources import ROOT
from tinker_lite.cli.app import app
from tinker_lite.cli.conformance_display import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

BROKEN = "tests.conformance.broken"


@pytest.fixture(autouse=True)
def path_as_before() -> Iterator[None]:
    """Undo that the command looks for modules in the current folder."""
    path = list(sys.path)
    yield
    sys.path[:] = path


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["conformance", "transport", *arguments])


def test_a_run_ends_with_a_table_and_counts(tmp_path: Path) -> None:
    """Progress, then a row for each case, then the candidate and the counts; and JSON if asked."""
    file = tmp_path / "results.json"
    done = run(f"{BROKEN}:Whole", "-k", "T-40", "--case", "T-98", "--json", str(file))
    assert done.exit_code == 0, done.output
    assert "transport cases  2 of 2 tests, none failed, now T-98\n" in done.output
    assert "T-40" in done.output
    words = " ".join(done.output.split())
    assert "not applicable: lacks http2: it" in words
    assert words.endswith("2 cases: 1 passed, 1 not applicable")
    assert [one["outcome"] for one in json.loads(file.read_bytes())["results"]] == [
        "passed",
        "not applicable",
    ]


def test_a_failure_is_explained(tmp_path: Path) -> None:
    """The end of its traceback is below the table, and the exit code is 1."""
    done = run(f"{BROKEN}:NamesItself", "-k", "T-13")
    assert done.exit_code == 1
    assert "2 of 2 tests, 2 failed, now T-13\n" in done.output
    assert "T-13: only Host, the framing and Connection are added" in done.output
    assert "    seam, promise 8.\n" in done.output
    assert "user-agent" in done.output
    assert done.output.endswith("1 case: 1 failed\n")


def test_expected_failures_come_from_a_file(tmp_path: Path) -> None:
    """With the failure listed, the same run is good; a success that is listed is not."""
    file = tmp_path / "xfails"
    file.write_text("# known\n\nT-13  # it likes its name\n", encoding="utf-8")
    good = run(f"{BROKEN}:NamesItself", "-k", "T-13", "-k", "T-40", "--xfails", str(file))
    assert good.exit_code == 0
    assert "xfailed: it likes its" in good.output
    stale = run(f"{BROKEN}:Whole", "-k", "T-13", "--xfails", str(file))
    assert stale.exit_code == 1
    assert stale.output.endswith("1 case: 1 xpassed\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name the transport to prove as MODULE:FACTORY, or give --list."),
        (["nowhere"], "'nowhere' is not of the form module:attribute"),
        ([f"{BROKEN}:Nobody"], "has no 'Nobody'."),
        ([f"{BROKEN}:Whole", "--async"], "a blocking transport: leave out --async."),
        ([f"{BROKEN}:Whole", "-k", "T-9"], "There is no case T-9."),
        ([f"{BROKEN}:Whole", "--xfails", "no-such-file"], "does not exist"),
        ([f"{BROKEN}:Whole", "--patience", "0"], "--patience"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    """A sentence says what is wrong, and the exit code is 2."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.output.split())


def test_a_line_that_is_no_case_is_wrong_usage(tmp_path: Path) -> None:
    """A file of expected failures is read by the letter, and the line is named."""
    file = tmp_path / "xfails"
    file.write_text("T-13\nthirteen\n", encoding="utf-8")
    done = run(f"{BROKEN}:Whole", "--xfails", str(file))
    assert done.exit_code == 2
    assert "line 2: 'thirteen' is not a case number with a reason after #." in " ".join(
        done.output.split()
    )


def test_the_list_of_cases() -> None:
    """Every case with its source and its needs, by number; no candidate is needed for it."""
    done = run("--list")
    assert done.exit_code == 0
    assert done.output.startswith(
        "T-01   send returns when the head is in, before any of the body.\n"
        "       seam, promise 1.  Needs: sockets.\n"
    )
    assert "T-200  a head comes with its status, and the body after it.\n" in done.output


def test_missing_extras_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pytest the command says what to install."""
    find = importlib.util.find_spec

    def find_but_pytest(name: str) -> object:
        return None if name == "pytest" else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_but_pytest)
    done = run("--list")
    assert done.exit_code == 1
    assert "python -m pip install 'tinker-lite[cli,conformance]'" in done.output


def test_a_live_bar_where_it_can_be_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows how far the run is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Progress() as progress:
        progress.step(1, 2, "T-01", True)
        progress.step(2, 2, "T-02", False)


@pytest.mark.slow
def test_a_module_in_the_current_folder(program: list[str], environment: dict[str, str]) -> None:
    """As a process, in a folder with an adapter: what its first lines say is so."""
    done = subprocess.run(
        [*program, *["conformance", "transport", "http_client_adapter:HTTPClientTransport"]],
        cwd=ROOT / "conformance" / "examples",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "http_client_adapter:HTTPClientTransport (blocking), tinker-lite" in done.stdout
    assert " failed" not in done.stdout.splitlines()[-1]
