"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import ROOT, bare_environment, fresh_interpreter

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
COMMAND_MARKERS = ("<!-- command: demo -->", "<!-- command: test -->")
FENCE = re.compile(r"^```(?P<label>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")

RUN_COMMAND = """
import sys
from tinker_lite.cli import main
sys.argv[0] = "tinker-lite"
main()
"""


@dataclass(frozen=True)
class Fence:
    """One fenced block: its label, its text, and the line it starts on."""

    label: str
    code: str
    line: int


def fences(text: str) -> list[Fence]:
    """The fenced blocks of a Markdown text."""
    return [
        Fence(found["label"].strip(), found["code"], text.count("\n", 0, found.start()) + 1)
        for found in FENCE.finditer(text)
    ]


def readme_fences(label: str) -> list[object]:
    """The README's blocks of one label, as test parameters."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    return [
        pytest.param(fence, id=f"line {fence.line}")
        for fence in fences(text)
        if fence.label == label
    ]


def run(code: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in an empty folder, against the embedded service."""
    return subprocess.run(
        [*fresh_interpreter(code), *arguments],
        cwd=folder,
        env=bare_environment(TINKER_BASE_URL="local:", COLUMNS="80", TERM="dumb", NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_two_commands_are_marked() -> None:
    """Each of the two set-up commands stands once, in a bash block after its marker."""
    text = README.read_text(encoding="utf-8")
    for marker in COMMAND_MARKERS:
        assert text.count(marker) == 1
        assert text.split(marker)[1].lstrip().startswith("```bash\npython3 -m venv .venv && ")


def test_the_readme_has_code_to_run() -> None:
    """At least one Python example is run below."""
    assert readme_fences("python")


@pytest.mark.slow
@pytest.mark.parametrize("fence", readme_fences("python"))
def test_python_examples_run(fence: Fence, tmp_path: Path) -> None:
    """Each Python block runs to its end, by itself, with no account and no network."""
    done = run(fence.code, [], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fence", readme_fences("console"))
def test_command_help_is_as_shown(fence: Fence, tmp_path: Path) -> None:
    """A shown ``--help`` is word for word what the command prints at 80 columns."""
    command, _, shown = fence.code.partition("\n")
    prompt, program, *arguments = shlex.split(command)
    assert (prompt, program) == ("$", "tinker-lite")
    if "--help" in arguments:
        assert run(RUN_COMMAND, arguments, tmp_path).stdout.strip() == shown.strip()


def test_links_into_the_project_lead_somewhere() -> None:
    """Every relative link of the README names a file or folder that is there."""
    links = LINK.findall(README.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_a_failing_example_is_noticed(tmp_path: Path) -> None:
    """Blocks are found with their label and line, and an error in one is an error of the test."""
    text = "Try:\n\n```python\nraise SystemExit(3)\n```\n\n```python no-run\nx\n```\n"
    first, second = fences(text)
    assert (first.label, first.line, second.label) == ("python", 3, "python no-run")
    assert run(first.code, [], tmp_path).returncode == 3
