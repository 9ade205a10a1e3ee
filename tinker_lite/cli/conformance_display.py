"""What a run of a kit looks like: a bar while it runs, then a table and its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tinker_lite.cli.demo_meters import LiveMeter, Meter, PlainMeter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from tinker_lite_conformance.report import Report, Result
    from tinker_lite_conformance.transport.catalogue import Entry

__all__ = ["Progress", "show_cases", "show_report"]

STYLES = {"passed": "green", "failed": "bold red", "xpassed": "bold red", "xfailed": "yellow"}
N_DETAIL_LINES = 40  # the end of a traceback is what tells


class Progress:
    """Shows how far a run is; a context manager."""

    def __init__(self) -> None:
        self._meter: Meter = LiveMeter() if _console().is_terminal else PlainMeter()
        self._n_failed = 0

    def step(self, n_done: int, n_total: int, case: str, passed: bool | None) -> None:
        """One test is over."""
        if passed is False:
            self._n_failed += 1
        failed = f"{self._n_failed} failed" if self._n_failed else "none failed"
        figures = f"{n_done} of {n_total} tests, {failed}, now {case}"
        self._meter.show("transport cases", n_done, n_total, figures)

    def __enter__(self) -> Progress:
        """Nothing is shown before the first step."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the terminal as it was."""
        self._meter.close()


def show_cases(cases: Iterable[Entry]) -> None:
    """List cases: number and sentence, then the source, and what a candidate needs for it."""
    for case in cases:
        click.echo(f"{case.number:<6} {case.sentence}")
        needed = f"  Needs: {', '.join(case.needs)}." if case.needs else ""
        click.echo(f"       {case.source}.{needed}")


def show_report(report: Report) -> None:
    """Print the table of a run, its failures, and how many cases came out how."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("case", "what must hold", "result", box=box.SIMPLE_HEAD, pad_edge=False)
    for one in report.results:
        told = one.outcome.value if one.outcome.value == "passed" else _with_reason(one)
        table.add_row(one.case, Text(one.sentence), Text(told, STYLES.get(one.outcome.value, "")))
    _console().print(table)
    for one in report.results:
        if one.details and not one.outcome.is_good:
            click.echo(f"{one.case}: {one.sentence}\n    {one.source}.")
            tail = one.details.rstrip().splitlines()[-N_DETAIL_LINES:]
            click.echo("".join(f"    {line}\n" for line in tail))
    loops = f" on {' and '.join(report.backends)}" if report.backends else ""
    counts = ", ".join(f"{n} {outcome}" for outcome, n in report.counts.items() if n)
    click.echo(f"{report.candidate} ({report.form}{loops}), tinker-lite {report.version}")
    n_cases = len(report.results)
    click.echo(f"{n_cases} case{'s' if n_cases > 1 else ''}: {counts}")


def _with_reason(result: Result) -> str:
    return f"{result.outcome.value}: {result.reason}" if result.reason else result.outcome.value


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
