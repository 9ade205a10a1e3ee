"""The command as a whole: names, help, exit codes, and what it imports."""

from __future__ import annotations

import subprocess

import click
import pytest
from click.testing import CliRunner

from tests.rules.sources import bare_environment, fresh_interpreter
from tinker_lite import __version__
from tinker_lite.cli import commands
from tinker_lite.cli.app import app
from tinker_lite.errors import ConfigError, RequestFailedError

HEAVY = {"anyio", "h11", "numpy", "rich", "urllib3", "tinker_lite.engine", "tinker_lite.local"}


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, with arguments for the command."""
    return subprocess.run(
        [*fresh_interpreter(code), *arguments],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str) -> None:
    """The group's help has a line for each command, and each command has help of its own."""
    shown = CliRunner().invoke(app, [flag])
    assert shown.exit_code == 0
    for name, summary in commands.SUMMARIES.items():
        assert f"{name}  " in shown.output
        assert summary in shown.output
        own = CliRunner().invoke(app, [name, flag])
        assert (own.exit_code, own.output.split("[")[0]) == (0, f"Usage: app {name} ")


def test_each_command_has_its_name() -> None:
    """The module of a command holds a command of that name."""
    assert [commands.load(name).name for name in commands.SUMMARIES] == list(commands.SUMMARIES)


def test_version() -> None:
    """It prints the name and the version."""
    shown = CliRunner().invoke(app, ["version"])
    assert (shown.exit_code, shown.output) == (0, f"tinker-lite {__version__}\n")


@pytest.mark.parametrize("arguments", [["version"], ["--help"]])
def test_light_commands_import_little(arguments: list[str]) -> None:
    """The version and the list of commands need no transport, no event loop and no numbers."""
    done = run(
        "import sys\nfrom tinker_lite.cli import main\n"
        "try: main()\nfinally: print(*sorted(sys.modules), file=sys.stderr)",
        *arguments,
    )
    loaded = set(done.stderr.split())
    assert done.returncode == 0
    assert "tinker_lite.cli.app" in loaded
    assert loaded & HEAVY == set()


def test_without_click_it_says_what_to_install() -> None:
    """One line names the extra."""
    done = run("import sys\nsys.modules['click'] = None\nimport tinker_lite.__main__", "version")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'tinker-lite[cli]'" in done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["version", "--nonsense"], ["version", "x"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    """Unknown commands, options and arguments are wrong usage."""
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 2
    assert "Error: " in shown.stderr


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (ConfigError("No API key."), 1, "Error: No API key."),
        (RequestFailedError("It failed."), 1, "Error: It failed."),
        (ValueError("steps is 0."), 1, "Error: steps is 0."),
        (FileNotFoundError(2, "No such file", "x"), 1, "Error: [Errno 2] No such file: 'x'"),
        (ImportError("Install it."), 1, "Error: Install it."),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failures_become_a_line_and_a_code(
    failure: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person can mend is one line on standard error without a traceback."""

    @click.command("version")
    def failing() -> None:
        raise failure

    monkeypatch.setattr("tinker_lite.cli.commands.version.command", failing)
    shown = CliRunner().invoke(app, ["version"])
    assert (shown.exit_code, shown.stdout, shown.stderr) == (code, "", f"{line}\n")


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no one expects is not dressed up."""

    @click.command("version")
    def faulty() -> None:
        raise KeyError("what")

    monkeypatch.setattr("tinker_lite.cli.commands.version.command", faulty)
    assert isinstance(CliRunner().invoke(app, ["version"]).exception, KeyError)
