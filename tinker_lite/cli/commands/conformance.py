"""``tinker-lite conformance``: the kits that prove an implementation of somebody's own."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import click

from tinker_lite.cli import EXIT_FAILURE
from tinker_lite.cli.conformance_display import Progress, show_cases, show_report

__all__ = ["command"]

NEEDED = ("pytest", "trustme")
EXPECTED_FAILURE = re.compile(r"(T-\d+)\s*(?:#\s*(.*))?")


@click.group("conformance")
def command() -> None:
    """Prove an implementation of your own, case by case."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise click.ClickException(
            "the kits need pytest and trustme. Install them with: "
            "python -m pip install 'tinker-lite[cli,conformance]'"
        )


@command.command("transport")
@click.argument("factory", required=False, metavar="[MODULE:FACTORY]")
@click.option("--async", "is_async", is_flag=True, help="The transport is an async one.")
@click.option(
    "--xfails",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Cases that are expected to fail: a number a line, and a reason after #.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results to a file as well.",
)
@click.option("-k", "--case", "only", multiple=True, metavar="T-NN", help="Only this case.")
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    metavar="SECONDS",
    help="How long to wait for what only a defect delays.",
)
@click.option("--list", "is_list", is_flag=True, help="List the cases with their sources instead.")
def transport(
    factory: str | None,
    is_async: bool,
    xfails: Path | None,
    json_file: Path | None,
    only: tuple[str, ...],
    patience_s: float,
    is_list: bool,
) -> None:
    """Prove a transport: requests, answers, connections, proxies and limits.

    MODULE:FACTORY is a callable that takes tinker_lite_conformance.transport.Options and gives a
    transport; modules in the current folder are found. Its attribute "lacks" maps capabilities that
    the transport lacks to reasons. A transport without sockets gives a request that it can answer
    as the attribute "probe".

    Exit code 0 means that every case that applies passed.
    """
    from tinker_lite_conformance.running import Plan, run_transport_cases

    if is_list:
        from tinker_lite_conformance.transport import TransportCases
        from tinker_lite_conformance.transport.catalogue import catalogue

        show_cases(catalogue(TransportCases))
        return
    if factory is None:
        raise click.UsageError("Name the transport to prove as MODULE:FACTORY, or give --list.")
    sys.path.insert(0, str(Path.cwd()))
    expected = {} if xfails is None else read_xfails(xfails)
    try:
        with Progress() as progress:
            plan = Plan(factory, is_async, expected, only, patience_s)
            report = run_transport_cases(plan, progress.step)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    show_report(report)
    if json_file is not None:
        json_file.write_bytes(report.to_json())
    if not report.is_good:
        click.get_current_context().exit(EXIT_FAILURE)


def read_xfails(path: Path) -> dict[str, str]:
    """The cases of a file of expected failures, with their reasons.

    Raises:
        UsageError: A line is none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = EXPECTED_FAILURE.fullmatch(text)
        if match is None:
            raise click.UsageError(
                f"{path}, line {number}: {text!r} is not a case number with a reason after #."
            )
        found[match[1]] = match[2] or ""
    return found
