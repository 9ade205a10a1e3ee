"""The project speaks of itself alone: not of the machines and tools it was written with."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_SUFFIXES = {".cfg", ".ini", ".md", ".proto", ".py", ".pyi", ".sh", ".toml", ".yaml", ".yml"}
NOT_OURS = {".git", ".hypothesis", ".venv", "__pycache__", "build", "data", "dist"}

# Each pattern is put together here, so that this file passes its own test.
FORBIDDEN = [
    re.compile("(?i)" + pattern)
    for pattern in (
        "/" + r"(work|root|home/\w+)/",  # a folder of somebody's machine
        r"(?<!user[-_ ])\b(sub-?)?" + "ag" + r"ents?\b",
        r"\b" + "help" + r"ers?\b",
        r"\b" + "issue" + r" #?\d",
        r"\b" + "clau" + r"de\b",
        r"\b" + "anth" + r"ropic\b",
        r"\b" + "co" + r"pilot\b",
        r"\b" + "chat" + r"gpt\b",
        "co-authored" + "-by",
        r"\b" + "pypi" + r"\.org",
        "python" + "hosted",
        "npm" + r"js\.(org|com)",
    )
]


def breaches(text: str) -> list[str]:
    """The words of a text that have no place in the project, with their line numbers."""
    return [
        f"line {number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern in FORBIDDEN
        for match in pattern.finditer(line)
    ]


def project_texts() -> Iterator[Path]:
    """Every text file of the project that we wrote; shipped books are not ours to change."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and "_cache" not in name]
        for path in (Path(folder, name) for name in names):
            if path.suffix in TEXT_SUFFIXES or path.parent.name == ".ci":
                yield path


def test_no_file_names_a_machine_or_a_tool() -> None:
    """Texts hold no path of a machine and none of the words listed here."""
    paths = list(project_texts())
    assert ROOT / "pyproject.toml" in paths
    found = {str(path): breaches(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    [
        "cd " + "/" + "work/tree",
        "fixes is" + "sue 12",
        "as the ag" + "ent wrote",
        "a small Help" + "er",
        "from https://py" + "pi.org/simple",
    ],
)
def test_such_words_are_found(text: str) -> None:
    """A forbidden word is reported with its line."""
    [breach] = breaches(f"fine\n{text}\n")
    assert breach.startswith("line 2: ")


@pytest.mark.parametrize(
    "text", ["the User-Agent header", "user_agent: str", "an agency", "network/roots", "tissue 3"]
)
def test_innocent_words_pass(text: str) -> None:
    """Words that only look alike are left alone."""
    assert breaches(text) == []
