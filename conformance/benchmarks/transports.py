"""CPU microseconds per request of both transports on one kept connection, and of 2,000 at once.

Run: ``python conformance/benchmarks/transports.py``. The server is a process of its own, so that
the figures (user and system time of this process) are the client's alone. Compare them within one
run.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import TYPE_CHECKING

import anyio

from tinker_lite.http import AsyncResponse, Request, Timeout
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SIZES_BYTES = (1_000, 1_000_000)
N_SMALL, N_LARGE, N_AT_ONCE = 2_000, 100, 2_000
WARM_UP = 50


class Server(asyncio.Protocol):
    """Answers ``GET /n`` with n bytes and swallows the bodies of POSTs; no more than that."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._out = transport
        self._seen = b""
        self._left = 0

    def data_received(self, data: bytes) -> None:
        """Answer when a request is whole."""
        if self._left:
            self._left -= len(data)
            if not self._left:
                self._answer(0)
            return
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end:
            return
        self._seen = b""
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            self._answer(int(path[1:]))
            return
        self._left = int(path[1:]) - len(body)
        if not self._left:
            self._answer(0)

    def _answer(self, size_bytes: int) -> None:
        assert isinstance(self._out, asyncio.WriteTransport)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {size_bytes}\r\nX-Request-ID: 1\r\n\r\n"
        self._out.write(head.encode() + bytes(size_bytes))


def serve(pipe: Connection) -> None:
    """Serve until killed; say on which port."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            Server, "127.0.0.1", 0, backlog=4096
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def requests(base_url: str) -> list[tuple[str, int, Request]]:
    """What to measure: a label, how often, and the request."""
    rows: list[tuple[str, int, Request]] = []
    for size_bytes in SIZES_BYTES:
        n_times = N_SMALL if size_bytes == SIZES_BYTES[0] else N_LARGE
        url = f"{base_url}/{size_bytes}"
        rows.append((f"GET {size_bytes:>9,}", n_times, Request(method="GET", url=url)))
        post = Request(method="POST", url=url, body=bytes(size_bytes))
        rows.append((f"POST {size_bytes:>8,}", n_times, post))
    return rows


def report(label: str, n_times: int, cpu_s: float, wall_s: float) -> None:
    """Print one row."""
    cpu_us, wall_us = cpu_s / n_times * 1e6, wall_s / n_times * 1e6
    print(f"{label:<34}{cpu_us:8.0f} us CPU {wall_us:8.0f} us wall")  # noqa: T201  # a report


def measure_blocking(base_url: str) -> None:
    """The rows of the blocking transport."""
    with Urllib3Transport() as transport:
        for label, n_times, request in requests(base_url):
            for _ in range(WARM_UP):
                transport.send(request).read()
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for _ in range(n_times):
                transport.send(request).read()
            report(
                f"urllib3  {label}",
                n_times,
                time.process_time() - cpu_s,
                time.perf_counter() - wall_s,
            )


async def measure_async(base_url: str, backend: str) -> None:
    """The rows of the async transport."""
    async with H11Transport() as transport:
        for label, n_times, request in requests(base_url):
            for _ in range(WARM_UP):
                await (await transport.send(request)).read()
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for _ in range(n_times):
                await (await transport.send(request)).read()
            report(
                f"h11 {backend:<8} {label}",
                n_times,
                time.process_time() - cpu_s,
                time.perf_counter() - wall_s,
            )
        await measure_many(transport, base_url, backend)


async def measure_many(transport: H11Transport, base_url: str, backend: str) -> None:
    """Many requests at once: first each with a new connection, then over the same ones."""
    request = Request(method="GET", url=f"{base_url}/1000", timeout=Timeout.of(60.0))

    async def ask() -> None:
        response: AsyncResponse = await transport.send(request)
        await response.read()

    for turn in ("connecting", "connected"):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(N_AT_ONCE):
                group.start_soon(ask)
        report(
            f"h11 {backend:<8} {N_AT_ONCE:,} {turn}",
            N_AT_ONCE,
            time.process_time() - cpu_s,
            time.perf_counter() - wall_s,
        )


def main() -> None:
    """Measure everything once."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    base_url = f"http://127.0.0.1:{here.recv()}"
    try:
        measure_blocking(base_url)
        for backend in ("asyncio", "trio"):
            anyio.run(measure_async, base_url, backend, backend=backend)
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
