"""The figures we hold the code to: sizes, comments, docstrings, type ignores.

Run ``python scripts/metrics.py`` for the table; it exits with 1 when a hard bound is broken. The
hard bounds on sizes are tests too (``tests/rules/test_sizes.py``); the rest is for reading.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("tinker_lite", "transports", "conformance")

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 50
MAX_IGNORES_PER_THOUSAND_LINES = 3
REASON = re.compile(r"#\s*long:\s*\S")  # on the lines of a def: why this function is long

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Documented: TypeAlias = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class FunctionSize:
    """How long one function is, its docstring not counted."""

    name: str
    n_lines: int
    has_reason: bool
    typed: bool


@dataclass(frozen=True)
class FileMeasure:
    """What one file adds to the figures."""

    n_lines: int
    n_comment_lines: int
    n_docstring_lines: int
    n_ignores: int
    functions: tuple[FunctionSize, ...]


def measure(text: str) -> FileMeasure:
    """Measure the source text of one module."""
    tree = ast.parse(text)
    lines = text.splitlines()
    comments = [
        token for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]  # fmt: skip
    return FileMeasure(
        n_lines=len(lines),
        n_comment_lines=len({token.start[0] for token in comments}),
        n_docstring_lines=sum(
            _docstring_lines(node) for node in ast.walk(tree) if isinstance(node, Documented)
        ),
        n_ignores=sum("type: ignore" in token.string for token in comments),
        functions=tuple(
            _function_size(node, lines) for node in ast.walk(tree) if isinstance(node, Function)
        ),
    )


def _function_size(node: Function, lines: list[str]) -> FunctionSize:
    signature = lines[node.lineno - 1 : node.body[0].lineno - 1]
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    untyped = [a for a in arguments if a.annotation is None and a.arg not in {"self", "cls"}]
    return FunctionSize(
        name=node.name,
        n_lines=(node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node),
        has_reason=any(REASON.search(line) for line in signature),
        typed=node.returns is not None and not untyped,
    )


def _docstring_lines(node: Documented) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def too_long(path: str, found: FileMeasure) -> list[str]:
    """What in one file passes a size bound, one sentence each."""
    complaints = [
        f"{path}: {function.name} has {function.n_lines} lines, more than {MAX_FUNCTION_LINES}; "
        "split it, or give the reason as '# long: ...' on its def line"
        for function in found.functions
        if function.n_lines > MAX_FUNCTION_LINES and not function.has_reason
    ]
    if found.n_lines > MAX_FILE_LINES:
        complaints.append(f"{path}: {found.n_lines} lines, more than {MAX_FILE_LINES}; split it")
    return complaints


def python_files(*folders: str) -> dict[str, FileMeasure]:
    """Measure every Python file under some folders of the project, by its path."""
    return {
        str(path.relative_to(ROOT)): measure(path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def table(library: list[FileMeasure], tests: list[FileMeasure]) -> list[tuple[str, str, str]]:
    """The figures as rows: what, how much, and the bound."""
    functions = [function for found in library for function in found.functions]
    n_lines = sum(found.n_lines for found in library)
    typed = 100 * sum(function.typed for function in functions) / len(functions)
    return [
        ("file median / p95 / max", _spread([f.n_lines for f in library]), "150 / 420 / 450 lines"),
        ("function median / p95 / max", _spread([f.n_lines for f in functions]), "7 / 30 / 50"),
        ("typed functions", f"{typed:.0f} %", "100 %"),
        ("comment lines", _share(sum(f.n_comment_lines for f in library), n_lines), "5-12 %"),
        ("docstring lines", _share(sum(f.n_docstring_lines for f in library), n_lines), "15-35 %"),
        ("type ignores per 1000", f"{1000 * sum(f.n_ignores for f in library) / n_lines:.1f}", "3"),
        ("tests : code", f"{sum(f.n_lines for f in tests) / n_lines:.2f}", "0.8-1.6"),
    ]


def _spread(values: list[int]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.0f} / {p95} / {ordered[-1]}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def main() -> int:
    """Print the table and what breaks a hard bound."""
    library, tests = python_files(*LIBRARY), python_files("tests")
    for what, figure, bound in table(list(library.values()), list(tests.values())):
        print(f"{what:<30} {figure:>16}   bound {bound}")
    complaints = [
        line for path, found in (library | tests).items() for line in too_long(path, found)
    ]
    n_ignores = sum(found.n_ignores for found in library.values())
    n_lines = sum(found.n_lines for found in library.values())
    if 1000 * n_ignores > MAX_IGNORES_PER_THOUSAND_LINES * n_lines:
        complaints.append(f"{n_ignores} type ignores in {n_lines} lines")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
