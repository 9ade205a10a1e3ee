"""What the processes of a benchmark tell each other, as JSON, and where they run."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

__all__ = ["HEADERS", "Figures", "Job", "Kind", "stay_on_processor"]

# What every client sends besides Host and framing, so that all do the same work.
HEADERS = {
    "Authorization": "Bearer 0123456789abcdef0123456789abcdef",
    "Content-Type": "application/octet-stream",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "User-Agent": "benchmark",
}

Kind = Literal["ask", "download", "upload", "burst"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One thing for one client to do, in a process of its own.

    Attributes:
        client: A name that ``client.py`` knows.
        kind: ``ask`` sends one request after another and reads each answer whole; ``download`` and
            ``upload`` stream a body without keeping it; ``burst`` asks for everything at once.
        method: The HTTP method.
        size_bytes: The size of the body that goes one way; there is none the other way.
        n_times: How many requests are measured.
        n_before: How many go before, unmeasured, over the same connections.
    """

    client: str
    kind: Kind
    method: str
    size_bytes: int
    n_times: int
    n_before: int = 0


class Figures(msgspec.Struct, kw_only=True):
    """What a job took.

    Attributes:
        wall_s: Seconds by the clock.
        cpu_s: Processor seconds of the client, in all its threads.
        peak_bytes: The client's largest resident set.
        growth_bytes: How much that is above its size before the first measured request.
        origin_cpu_s: Processor seconds of the server, warming up included.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int | None = None
    growth_bytes: int | None = None
    origin_cpu_s: float = 0.0


def stay_on_processor(place: int) -> None:
    """Keep this process on one of the processors it may use, where the system can.

    Otherwise client and server share one at times and not at others: two figures, half as large
    again, from one program (measured).

    Args:
        place: The index among those processors.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[place]})
