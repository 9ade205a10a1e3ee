"""How far a piece of work is: a live bar on a terminal, a line every few seconds in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["LiveMeter", "Meter", "PlainMeter"]

PLAIN_EVERY_S = 5.0


class Meter(Protocol):
    """Shows one piece of work at a time."""

    def show(self, work: str, n_done: int, n_total: int | None, figures: str) -> None:
        """Show how far ``work`` is; it is done when ``n_done`` is ``n_total``."""
        ...

    def close(self) -> None:
        """End the piece of work and leave the terminal as it was."""
        ...


class PlainMeter:
    """Prints a line for the first and the last step of a piece of work, and now and then between.

    Args:
        every_s: Seconds between lines.
    """

    def __init__(self, every_s: float = PLAIN_EVERY_S) -> None:
        self._every_s = every_s
        self._work = ""
        self._told_at = 0.0

    def show(self, work: str, n_done: int, n_total: int | None, figures: str) -> None:
        """Print a line if it is time for one."""
        now = time.monotonic()
        if work != self._work or n_done == n_total or now - self._told_at >= self._every_s:
            self._work, self._told_at = work, now
            click.echo(f"{work}  {figures}")

    def close(self) -> None:
        """There is nothing to put back."""
        self._work = ""


class LiveMeter:
    """Draws a bar with figures behind it, and redraws it in place."""

    def __init__(self) -> None:
        self._work = ""
        self._progress: Progress | None = None

    def show(self, work: str, n_done: int, n_total: int | None, figures: str) -> None:
        """Draw the bar, a new one if this is another piece of work."""
        if work != self._work or self._progress is None:
            self.close()
            self._work, self._progress = work, _started_bar(work)
        task = self._progress.tasks[0].id
        self._progress.update(task, completed=n_done, total=n_total, figures=figures)

    def close(self) -> None:
        """Leave the bar as it stands and give the cursor back."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None


def _started_bar(work: str) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    progress.add_task(work, figures="")
    progress.start()
    return progress
