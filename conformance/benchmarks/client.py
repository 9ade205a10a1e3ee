"""One client doing one job: a process of its own, so that its processor time and memory are too.

Arguments: the job as JSON, and the base URL of the server. Prints the figures as JSON.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from benchmarks.async_peers import ASYNC_PEERS
from benchmarks.blocking_peers import BLOCKING_PEERS
from benchmarks.curl import measure_curl
from benchmarks.job import Figures, Job, stay_on_processor
from benchmarks.memory import peak_bytes, reset_peak

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.async_peers import AsyncPeer
    from benchmarks.blocking_peers import BlockingPeer

BLOCK = bytes(262_144)


class Meter:
    """Takes the figures of whatever happens between its making and ``read``."""

    def __init__(self) -> None:
        reset_peak()
        self._idle_bytes = peak_bytes()
        self._cpu_s, self._wall_s = time.process_time(), time.perf_counter()

    def read(self) -> Figures:
        """The figures so far."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        peak, idle = peak_bytes(), self._idle_bytes
        return Figures(
            wall_s=wall_s - self._wall_s,
            cpu_s=cpu_s - self._cpu_s,
            peak_bytes=peak,
            growth_bytes=None if peak is None or idle is None else peak - idle,
        )


def expect(n_bytes: int, job: Job) -> None:
    """Refuse to measure a client that does not get what it asked for."""
    wanted = job.size_bytes if job.method == "GET" else 0
    if n_bytes != wanted:
        message = f"{job.client}: {n_bytes} bytes came instead of {wanted}"
        raise RuntimeError(message)


def blocks(size_bytes: int) -> Iterator[bytes]:
    """A body in blocks that are there already, so that making them costs nothing."""
    for _ in range(size_bytes // len(BLOCK)):
        yield BLOCK
    yield bytes(size_bytes % len(BLOCK))


async def async_blocks(size_bytes: int) -> AsyncIterator[bytes]:
    """Async form of ``blocks``."""
    for block in blocks(size_bytes):
        yield block


def run_blocking(peer: BlockingPeer, job: Job) -> Figures:
    """Do a job with a blocking client."""
    path = f"/{job.size_bytes}"
    if job.kind == "ask":
        body = b"" if job.method == "GET" else bytes(job.size_bytes)
        for _ in range(job.n_before):
            expect(peer.ask(job.method, path, body), job)
        meter = Meter()
        for _ in range(job.n_times):
            expect(peer.ask(job.method, path, body), job)
        return meter.read()
    peer.ask("GET", "/1000")
    meter = Meter()
    if job.kind == "download":
        expect(peer.download(path), job)
    else:
        expect(peer.ask(job.method, path, blocks(job.size_bytes), job.size_bytes), job)
    return meter.read()


async def run_async(peer: AsyncPeer, job: Job) -> Figures:
    """Do a job with an async client."""
    path = f"/{job.size_bytes}"
    if job.kind == "burst":
        return await run_burst(peer, job)
    if job.kind == "ask":
        body = b"" if job.method == "GET" else bytes(job.size_bytes)
        for _ in range(job.n_before):
            expect(await peer.ask(job.method, path, body), job)
        meter = Meter()
        for _ in range(job.n_times):
            expect(await peer.ask(job.method, path, body), job)
        return meter.read()
    await peer.ask("GET", "/1000")
    meter = Meter()
    if job.kind == "download":
        expect(await peer.download(path), job)
    else:
        expect(await peer.ask(job.method, path, async_blocks(job.size_bytes), job.size_bytes), job)
    return meter.read()


async def run_burst(peer: AsyncPeer, job: Job) -> Figures:
    """Ask for everything at once; what went before has left connections that are used again."""

    async def ask() -> None:
        expect(await peer.ask(job.method, f"/{job.size_bytes}"), job)

    async def ask_for_all(n_times: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(n_times):
                group.start_soon(ask)

    await ask_for_all(job.n_before)
    meter = Meter()
    await ask_for_all(job.n_times)
    return meter.read()


def made(factory: Any, module: str | None, base_url: str) -> Any:
    """A peer; its library is loaded here, since none but ours has to be installed."""
    libraries = [] if module is None else [importlib.import_module(module)]
    return factory(base_url, *libraries)


def measure(job: Job, base_url: str) -> Figures:
    """Do a job with the client it names."""
    if job.client == "curl":
        return measure_curl(job, base_url)
    if job.client in BLOCKING_PEERS:
        module, factory = BLOCKING_PEERS[job.client]
        return run_blocking(made(factory, module, base_url), job)
    backend, module, make_async = ASYNC_PEERS[job.client]

    async def run() -> Figures:
        peer: AsyncPeer = made(make_async, module, base_url)
        try:
            return await run_async(peer, job)
        finally:
            await peer.aclose()

    return anyio.run(run, backend=backend)


def main() -> None:
    """Do the job that the command line describes."""
    stay_on_processor(0)
    job, base_url = msgspec.json.decode(sys.argv[1], type=Job), sys.argv[2]
    figures = measure(job, base_url)
    print(msgspec.json.encode(figures).decode())  # noqa: T201  # read by the benchmark


if __name__ == "__main__":
    main()
