"""The adapters in conformance/examples pass the kit, and are as small as they are said to be."""

from __future__ import annotations

import ast
import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import ROOT
from tinker_lite_conformance.running import Plan, run_transport_cases

if TYPE_CHECKING:
    from tinker_lite_conformance.report import Report

EXAMPLES = ROOT / "conformance" / "examples"
MAX_CODE_LINES = 120


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the adapters is where modules are looked for, as it is for the command."""
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])


def failures(report: Report) -> dict[str, str]:
    """The reason of each failure."""
    return {one.case: one.reason for one in report.results if not one.outcome.is_good}


@pytest.mark.usefixtures("examples")
@pytest.mark.timeout(120)
def test_the_adapter_over_http_client() -> None:
    """It passes more than a hundred cases, and says of the others why they do not apply."""
    report = run_transport_cases(Plan("http_client_adapter:HTTPClientTransport"))
    assert failures(report) == {}
    assert report.counts["passed"] > 100


@pytest.mark.skipif(
    importlib.util.find_spec("httpx") is None,
    reason="httpx is not installed; the group dev of pyproject.toml has it",
)
@pytest.mark.slow
# httpcore leaves the generator of a body that is closed early to the garbage collector.
@pytest.mark.filterwarnings("ignore:Async generator 'httpcore:ResourceWarning")
@pytest.mark.usefixtures("examples")
def test_the_adapter_over_httpx() -> None:
    """It does so on asyncio and on trio."""
    report = run_transport_cases(Plan("httpx_adapter:HttpxTransport", is_async=True))
    assert failures(report) == {}
    assert report.backends == ("asyncio", "trio")
    assert report.counts["passed"] > 100


@pytest.mark.parametrize("name", ["http_client_adapter", "httpx_adapter"])
def test_an_adapter_is_small(name: str) -> None:
    """Lines of code, not counting blank ones, comments, docstrings and the declaration."""
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) or (
            isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "lacks"
        ):
            left_out |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = [
        line
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.strip().startswith("#") and number not in left_out
    ]
    assert len(lines) < MAX_CODE_LINES
