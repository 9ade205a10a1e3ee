"""Both transports against their peers: speed, processor time and memory, in one run.

Run ``python conformance/benchmarks/transports.py [--quick] [--json FILE]`` where the project is
installed (``pip install -e .``) and its peers are (``pip install httpx aiohttp trio``, and curl);
what is missing is named and left out. Linux shows memory too; Windows lacks what this needs.

Every figure is of a client process of its own against a server process, over loopback without TLS.
A round measures every client once, in turn; a ratio is taken within a round. Medians of the rounds
are shown, with the least and the most. Processor time (user and system, all threads) is the steady
figure: speed also counts the server and whatever else the machine does. Every client is used in the
way that costs it least, sends the same headers, and reads the same bytes. For curl, what a run that
asks for nothing takes is subtracted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from benchmarks.async_peers import ASYNC_PEERS
from benchmarks.blocking_peers import BLOCKING_PEERS
from benchmarks.job import Figures, Job, Kind
from benchmarks.report import Case, Results, Row, lines, summary

FOLDER = Path(__file__).resolve().parents[1]  # where Python finds this package
JOB_LIMIT_S = 300.0
ROUNDS, QUICK_ROUNDS = 5, 2
QUICKER = 8  # how many times less --quick does
N_AT_ONCE = 2_000
# Not httpx: its pool goes through all requests for each of them, which takes 15 to 27 ms of
# processor time a request here (measured), a minute for each round.
AT_ONCE = [name for name in ASYNC_PEERS if name != "httpx async"]


def cases(quicker: int) -> list[Case]:
    """What is measured, in the order in which it is shown."""
    n_small, n_large, stream_bytes = 2_000 // quicker, 200 // quicker, 2_000_000_000 // quicker

    def asks(title: str, method: str, size_bytes: int, n_times: int) -> Case:
        return _case(title, "ask", method, size_bytes, n_times, n_before=n_times // 10)

    return [
        asks("GET 1 KB", "GET", 1_000, n_small),
        asks("POST 1 KB", "POST", 1_000, n_small),
        asks("GET 1 MB", "GET", 1_000_000, n_large),
        asks("POST 1 MB", "POST", 1_000_000, n_large),
        _case(f"{N_AT_ONCE:,} GET at once, connecting", "burst", "GET", 1_000, N_AT_ONCE),
        _case(f"{N_AT_ONCE:,} GET at once, connected", "burst", "GET", 1_000, N_AT_ONCE, N_AT_ONCE),
        _case(f"download of {stream_bytes / 1e9:g} GB", "download", "GET", stream_bytes, 1),
        _case(f"upload of {stream_bytes / 1e9:g} GB", "upload", "POST", stream_bytes, 1),
    ]


def _case(
    title: str, kind: Kind, method: str, size_bytes: int, n_times: int, n_before: int = 0
) -> Case:
    job = Job(
        client="",
        kind=kind,
        method=method,
        size_bytes=size_bytes,
        n_times=n_times,
        n_before=n_before,
    )
    return Case(title, job)


def clients() -> tuple[list[str], list[str]]:
    """The names of all clients that can run here, and of what is not installed."""
    needs = {name: module for name, (module, _) in BLOCKING_PEERS.items()}
    for name, (backend, module, _) in ASYNC_PEERS.items():
        needs[name] = "trio" if backend == "trio" else module
    absent = sorted(
        {module for module in needs.values() if module and not importlib.util.find_spec(module)}
    )
    found = [name for name, module in needs.items() if module not in absent]
    if shutil.which("curl"):
        return [*found, "curl"], absent
    return found, [*absent, "curl"]


class Origin:
    """The server, in a process that ends when this one closes its pipe, or ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.origin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=FOLDER,
        )
        self.base_url = f"http://127.0.0.1:{self._line()}"

    def cpu_s(self) -> float:
        """The processor seconds it has used."""
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write("\n")
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None, "it is a pipe"
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Origin:
        """Use the server as a context manager that ends it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the server."""
        self._process.communicate(timeout=10.0)


def measure(job: Job, origin: Origin) -> Figures:
    """Do one job in a process of its own."""
    before_s = origin.cpu_s()
    done = subprocess.run(  # noqa: S603  # this package
        [
            sys.executable,
            "-m",
            "benchmarks.client",
            msgspec.json.encode(job).decode(),
            origin.base_url,
        ],
        stdout=subprocess.PIPE,
        check=True,
        timeout=JOB_LIMIT_S,
        cwd=FOLDER,
    )
    figures = msgspec.json.decode(done.stdout, type=Figures)
    figures.origin_cpu_s = origin.cpu_s() - before_s
    return figures


def measure_all(plan: list[Case], names: list[str], n_rounds: int) -> list[Results]:
    """Every round of every case; each round begins with another client."""
    results: list[Results] = [
        {name: [] for name in names if case.job.kind != "burst" or name in AT_ONCE} for case in plan
    ]
    with Origin() as origin:
        for turn in range(n_rounds):
            for case, of_case in zip(plan, results, strict=True):
                print(f"round {turn + 1}: {case.title}", file=sys.stderr)  # noqa: T201  # progress
                order = list(of_case)
                first = turn % len(order)
                for name in order[first:] + order[:first]:
                    job = msgspec.structs.replace(case.job, client=name)
                    of_case[name].append(measure(job, origin))
    return results


def environment() -> dict[str, str]:
    """What the figures depend on besides the code."""
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for name in ("tinker-lite", "urllib3", "h11", "anyio", "trio", "httpx", "aiohttp"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    curl = shutil.which("curl")
    if curl:
        told = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True)  # noqa: S603  # curl
        versions["curl"] = told.stdout.split()[1]
    return versions


def main() -> None:
    """Measure, print the table, and write the file if one is named."""
    parser = argparse.ArgumentParser(description="Both transports against their peers.")
    parser.add_argument("--quick", action="store_true", help="less of everything: a rough picture")
    parser.add_argument("--rounds", type=int, help="how often each client runs each case")
    parser.add_argument("--only", default="", help="only the cases whose title holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    plan = [one for one in cases(QUICKER if options.quick else 1) if options.only in one.title]
    names, absent = clients()
    n_rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    results = measure_all(plan, names, n_rounds)
    table = [", ".join(f"{name} {version}" for name, version in environment().items())]
    table += [f"not installed, and left out: {name}" for name in absent]
    rows: list[Row] = []
    for case, of_case in zip(plan, results, strict=True):
        table += lines(case, of_case)
        rows += summary(case, of_case)
    print("\n".join(table))  # noqa: T201  # what this is for
    if options.json:
        found = {"environment": environment(), "absent": absent, "rounds": n_rounds, "rows": rows}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))


if __name__ == "__main__":
    main()
