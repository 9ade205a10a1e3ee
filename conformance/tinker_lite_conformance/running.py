"""Runs the transport cases over one candidate: pytest underneath, values on top.

pytest runs in this process with a configuration of its own. The cases are imported only then, so
that their assertions tell the values they compared.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from tinker_lite import __version__

from .report import Outcome, Report, Result, judge
from .transport.adversary import WAIT_S
from .transport.candidates import check_form, load_candidate
from .transport.capabilities import CAPABILITIES
from .transport.catalogue import Entry, entry_of

__all__ = ["Plan", "Step", "run_transport_cases"]

Step = Callable[[int, int, str, bool | None], None]
"""Called after each test with how many are done, how many there are, the number of the case, and
whether it passed; None if it was not applicable."""

# The file is what somebody would write by hand who proves a transport with pytest.
TEST_FILE = """\
import pytest

from tinker_lite_conformance.transport.candidates import load_candidate
from tinker_lite_conformance.transport.suites import suite_for

TestCandidate = suite_for(
    load_candidate({target!r}), is_async={is_async!r}, patience_s={patience_s!r}
)


@pytest.fixture(scope="module", params={backends!r})
def anyio_backend(request):
    return request.param
"""
OPTIONS = (
    "--disable-plugin-autoload", "--noconftest", "--import-mode=importlib",
    "-p", "anyio.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:terminal", "--capture=no",
)  # fmt: skip


class Plan(NamedTuple):
    """What to run.

    Attributes:
        target: The factory, as ``module:attribute``.
        is_async: The candidate's form.
        xfails: Cases that are expected to fail, with a reason or "".
        only: The cases to run; all if empty.
        patience_s: How long to wait for what only a defect delays.
    """

    target: str
    is_async: bool = False
    xfails: Mapping[str, str] = {}
    only: Collection[str] = ()
    patience_s: float = WAIT_S


def run_transport_cases(plan: Plan, on_step: Step | None = None) -> Report:
    """Run the cases over a candidate.

    Args:
        plan: What to run.
        on_step: Told about each test as it ends.

    Raises:
        KeyboardInterrupt: Somebody interrupted the run.
        RuntimeError: pytest could not run.
        ValueError: The plan makes no sense; the text says what is wrong with it.
    """
    check_form(load_candidate(plan.target), is_async=plan.is_async)
    backends = _backends() if plan.is_async else ()
    observer = _Observer(plan, on_step)
    with tempfile.TemporaryDirectory(prefix="conformance") as folder:
        # A name of its own for each run: Python keeps modules by name.
        path = Path(folder, f"test_{Path(folder).name}.py")
        path.write_text(
            TEST_FILE.format(
                target=plan.target,
                is_async=plan.is_async,
                patience_s=plan.patience_s,
                backends=backends or ("asyncio",),
            ),
            encoding="utf-8",
        )
        configuration = Path(folder, "pytest.ini")
        configuration.write_text("[pytest]\n", encoding="utf-8")
        code = pytest.main(
            ["-c", str(configuration), f"--rootdir={folder}", *OPTIONS, str(path)],
            plugins=[observer],
        )
    if observer.unknown:
        raise ValueError(f"There is no case {', '.join(sorted(observer.unknown))}.")
    if code == pytest.ExitCode.INTERRUPTED and not observer.complaints:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError("\n".join(observer.complaints) or f"pytest ended with code {code!r}")
    return observer.report(backends)


def _backends() -> tuple[str, ...]:
    return tuple(name for name in ("asyncio", "trio") if importlib.util.find_spec(name))


class _Tally:
    """What became of the inputs of one case."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.n_passed = 0
        self.failures: list[tuple[str, str]] = []
        self.skip_reason = ""
        self.seconds = 0.0

    def result(self, xfails: Mapping[str, str]) -> Result:
        number = self.entry.number
        outcome = judge(
            failed=bool(self.failures), passed=self.n_passed > 0, expected=number in xfails
        )
        reason, details = self.failures[0] if self.failures else ("", "")
        if outcome is Outcome.NOT_APPLICABLE:
            reason = self.skip_reason
        elif outcome is Outcome.EXPECTED:
            reason = xfails[number] or reason
        elif outcome is Outcome.UNEXPECTED:
            reason = "it passes, so it does not belong into the list of expected failures"
        return Result(
            case=number,
            sentence=self.entry.sentence,
            source=self.entry.source,
            needs=self.entry.needs,
            outcome=outcome,
            reason=reason,
            details=details,
            seconds=round(self.seconds, 3),
        )


class _Observer:
    """A plugin that selects the cases, and notes what becomes of them."""

    def __init__(self, plan: Plan, on_step: Step | None) -> None:
        self.complaints: list[str] = []
        self.unknown: set[str] = set()
        self._plan = plan
        self._on_step = on_step
        self._tallies: dict[str, _Tally] = {}
        self._numbers: dict[str, str] = {}
        self._lacks: Mapping[str, str] = {}
        self._n_done = 0
        self._passed: bool | None = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what keeps the cases from being collected."""
        if report.failed:
            self.complaints.append(report.longreprtext)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the cases asked for, in the order of their numbers."""
        kept: list[tuple[Entry, pytest.Function]] = []
        self.unknown = {*self._plan.only, *self._plan.xfails}
        for item in items:
            assert isinstance(item, pytest.Function), "the file holds nothing but cases"
            self._lacks = item.cls.lacks if item.cls is not None else {}
            entry = entry_of(cast("Any", item).function)
            self.unknown.discard(entry.number)
            if not self._plan.only or entry.number in self._plan.only:
                kept.append((entry, item))
        if self.unknown:
            items.clear()
            return
        kept.sort(key=lambda pair: int(pair[0].number[2:]))
        items[:] = [item for _, item in kept]
        self._numbers = {item.nodeid: entry.number for entry, item in kept}
        self._tallies = {entry.number: _Tally(entry) for entry, _ in kept}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of one phase of one test, and tell when the test is over."""
        number = self._numbers[report.nodeid]
        tally = self._tallies[number]
        tally.seconds += report.duration
        if report.failed:
            tally.failures.append((_reason(report.longrepr), report.longreprtext))
            self._passed = False
        elif report.skipped:
            tally.skip_reason = _skip_reason(report.longrepr)
        elif report.when == "call":
            tally.n_passed += 1
            self._passed = True
        if report.when == "teardown":
            self._n_done += 1
            if self._on_step is not None:
                self._on_step(self._n_done, len(self._numbers), number, self._passed)
            self._passed = None

    def report(self, backends: Iterable[str]) -> Report:
        """Everything that was noted."""
        results = tuple(tally.result(self._plan.xfails) for tally in self._tallies.values())
        counts = Counter(one.outcome.value for one in results)
        return Report(
            kit="transport",
            version=__version__,
            candidate=self._plan.target,
            form="async" if self._plan.is_async else "blocking",
            backends=tuple(backends),
            capabilities={name: self._lacks.get(name) for name in CAPABILITIES},
            counts={outcome.value: counts[outcome.value] for outcome in Outcome},
            results=results,
        )


def _reason(longrepr: Any) -> str:  # pytest's own classes have no public names
    crash = getattr(longrepr, "reprcrash", None)
    text = str(longrepr) if crash is None else str(crash.message)
    lines = text.strip().splitlines() or ["no reason was given"]
    where = "" if crash is None else f" ({Path(crash.path).name}, line {crash.lineno})"
    return f"{lines[0]}{where}"


def _skip_reason(longrepr: Any) -> str:
    is_place = isinstance(longrepr, tuple)  # file, line, reason
    reason = str(cast("tuple[object, ...]", longrepr)[2] if is_place else longrepr)
    return reason.removeprefix("Skipped: ")
