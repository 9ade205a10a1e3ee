"""From figures to a table: medians, their range, and ratios within each round."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from benchmarks.job import Figures, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Case", "Results", "Row", "lines", "summary"]

REFERENCES = ("urllib3", "httpx async", "aiohttp", "curl")
MB, GB = 1e6, 1e9


class Case(msgspec.Struct, frozen=True):
    """What every client is asked to do: a title, and the job without the client's name."""

    title: str
    job: Job

    @property
    def streams(self) -> bool:
        """Whether it is about bytes rather than requests."""
        return self.job.kind in {"download", "upload"}

    def rate(self, figures: Figures) -> float:
        """Requests, or megabytes, per second."""
        amount = self.job.size_bytes / MB if self.streams else self.job.n_times
        return amount / figures.wall_s

    def cost(self, figures: Figures) -> float:
        """Processor microseconds per request, or seconds per gigabyte."""
        if self.streams:
            return figures.cpu_s / self.job.size_bytes * GB
        return figures.cpu_s / self.job.n_times * 1e6


# Client -> its figures, one for each round.
Results: TypeAlias = dict[str, list[Figures]]


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds, and their range."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of some values."""
        return cls(statistics.median(values), min(values), max(values))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One client in one case.

    Attributes:
        rate: Requests, or megabytes, per second.
        cost: Processor microseconds per request, or seconds per gigabyte.
        rate_ratio: By reference: above 1 is faster than it.
        cost_ratio: By reference: below 1 is cheaper than it.
        peak_mb: The largest resident set of the process.
        growth_mb: That above the process before it began.
    """

    case: str
    client: str
    rate: Spread
    cost: Spread
    rate_ratio: dict[str, Spread]
    cost_ratio: dict[str, Spread]
    peak_mb: float | None
    growth_mb: float | None


def summary(case: Case, results: Results) -> list[Row]:
    """The rows of one case."""
    return [_row(case, client, results) for client in results]


def _row(case: Case, client: str, results: Results) -> Row:
    rounds = results[client]
    return Row(
        case=case.title,
        client=client,
        rate=Spread.of([case.rate(one) for one in rounds]),
        cost=Spread.of([case.cost(one) for one in rounds]),
        rate_ratio=_ratios(case.rate, rounds, results),
        cost_ratio=_ratios(case.cost, rounds, results),
        peak_mb=_median_mb([one.peak_bytes for one in rounds]),
        growth_mb=_median_mb([one.growth_bytes for one in rounds]),
    )


def _ratios(
    value: Callable[[Figures], float], rounds: list[Figures], results: Results
) -> dict[str, Spread]:
    """Each round against the same round of a reference, which ran a moment before or after."""
    return {
        name: Spread.of(
            [value(one) / value(other) for one, other in zip(rounds, results[name], strict=True)]
        )
        for name in REFERENCES
        if name in results
    }


def _median_mb(sizes_bytes: list[int | None]) -> float | None:
    known = [size / MB for size in sizes_bytes if size is not None]
    return statistics.median(known) if known else None


def lines(case: Case, results: Results) -> Iterator[str]:
    """One case as lines of text."""
    names = [name for name in REFERENCES if name in results]
    rate, cost = ("MB/s", "CPU s/GB") if case.streams else ("req/s", "CPU us/req")
    columns = "".join(f"{name:>{_width(name)}}" for name in names)
    memory = f"{'peak MB':>10}{'growth':>8}" if case.streams else ""
    faster = "speed / that of".center(len(columns))
    cheaper = "CPU time / that of".center(len(columns))
    yield ""
    yield f"{case.title}; the server took {_origin_cost(case, results)}"
    yield f"{'':<68}{faster} |{cheaper}"
    yield f"{'':<20}{rate:>24}{cost:>24}{columns} |{columns}{memory}"
    for row in summary(case, results):
        yield _line(row, case, names)


def _width(name: str) -> int:
    return max(len(name) + 1, 8)


def _origin_cost(case: Case, results: Results) -> str:
    used_s = statistics.median(one.origin_cpu_s for rounds in results.values() for one in rounds)
    if case.streams:
        return f"{used_s / case.job.size_bytes * GB:.2f} CPU s/GB"
    return f"{used_s / (case.job.n_times + case.job.n_before) * 1e6:.0f} CPU us/req"


def _line(row: Row, case: Case, names: list[str]) -> str:
    rate, cost = _shown(row.rate, 0), _shown(row.cost, 2 if case.streams else 0)
    faster, cheaper = (
        "".join(f"{ratios[name].median:>{_width(name)}.2f}" for name in names)
        for ratios in (row.rate_ratio, row.cost_ratio)
    )
    memory = _shown_mb(row.peak_mb, 10) + _shown_mb(row.growth_mb, 8) if case.streams else ""
    return f"{row.client:<20}{rate:>24}{cost:>24}{faster} |{cheaper}{memory}"


def _shown(spread: Spread, digits: int) -> str:
    values = (spread.median, spread.least, spread.most)
    median, least, most = (f"{value:,.{digits}f}" for value in values)
    return f"{median} ({least}..{most})"


def _shown_mb(size: float | None, width: int) -> str:
    return f"{'-':>{width}}" if size is None else f"{size:>{width}.1f}"
