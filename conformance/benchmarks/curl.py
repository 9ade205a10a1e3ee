"""curl as a peer: the command line, over one connection, less what it takes to start."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.job import HEADERS, Figures, Job
from benchmarks.memory import peak_bytes

__all__ = ["measure_curl"]

LOOK_EVERY_S = 0.02
TIMES_MORE = 10  # so often each request, or what starting takes would drown it


def measure_curl(job: Job, base_url: str) -> Figures:
    """Do a job with curl; a run that asks for nothing goes before and is subtracted."""
    with tempfile.TemporaryDirectory(dir=_memory_folder()) as folder:
        body = Path(folder, "body")
        with body.open("wb") as file:
            file.truncate(job.size_bytes)  # a hole: no disk is read
        start = _run(["curl", *_OPTIONS, f"{base_url}/0"])
        work = _run(["curl", *_OPTIONS, *_arguments(job, base_url, body)])
    more = TIMES_MORE if job.kind == "ask" else 1
    work.wall_s = (work.wall_s - start.wall_s) / more
    work.cpu_s = (work.cpu_s - start.cpu_s) / more
    return work


_OPTIONS = [
    *("--disable", "--silent", "--show-error", "--fail", "--noproxy", "*"),
    *("--output", os.devnull, "--header", "Expect:"),
    *(part for name, value in HEADERS.items() for part in ("--header", f"{name}: {value}")),
]


def _arguments(job: Job, base_url: str, body: Path) -> list[str]:
    url = f"{base_url}/{job.size_bytes}"
    if job.kind == "upload":
        return ["--upload-file", str(body), url]
    if job.kind == "download":
        return [url]
    data = ["--data-binary", f"@{body}"] if job.method == "POST" else []
    return [*data, f"{url}?[1-{job.n_times * TIMES_MORE}]"]  # so many URLs, one connection


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a folder in memory


def _run(command: list[str]) -> Figures:
    start_s = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603  # curl, wherever the path finds it
    peaks: list[int] = []
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended), daemon=True)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Figures(wall_s=wall_s, cpu_s=cpu_s, peak_bytes=max(peaks, default=None))


def _watch(pid: int, peaks: list[int], ended: threading.Event) -> None:
    """Look at a process's memory again and again; afterwards nobody can say what it had."""
    while True:
        peak = peak_bytes(pid)
        if peak is not None:
            peaks.append(peak)
        if ended.wait(LOOK_EVERY_S):
            return
