"""Section S2: the module for files, its converters, and a file that is too large for memory."""

from __future__ import annotations

import errno
import importlib
import inspect
import io
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import tinker_lite as tl
from tests.acceptance.tapes import PLACE, nonblocking
from tests.wire.parsed_forms import parse_with_email
from tinker_lite.clients.verbs import Verb
from tinker_lite.testing import AsyncFakeTransport, FakeReply
from tinker_lite.wire.files import read_files, read_files_async
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer, ok

BINARY = bytes(range(256))
LARGE_BYTES = 2**30
MAX_GROWTH_BYTES = 8 * 2**20  # some chunks of a file, and what the interpreter does besides


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file on disk."""
    path = tmp_path / "y.bin"
    path.write_bytes(BINARY)
    return path


def test_s2_1_module() -> None:
    """S2.1: there is a module for files, and all that it exports is documented."""
    module = importlib.import_module("tinker_lite.wire.files")
    assert "Files as callers give them" in (inspect.getdoc(module) or "")
    functions = [value for name in module.__all__ if inspect.isroutine(value := vars(module)[name])]
    assert {read_files, read_files_async, tl.file_from_path} <= set(functions)
    assert all(map(inspect.getdoc, functions))


def test_s2_2_file_types() -> None:
    """S2.2: the union is exported, at the top too."""
    assert vars(importlib.import_module("tinker_lite.wire.files"))["FileTypes"] is tl.FileTypes
    assert "FileTypes" in tl.__all__
    assert inspect.signature(Verb.__call__).parameters["files"].annotation == "RequestFiles | None"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mypy") is None, reason="needs mypy")
def test_s2_2_type_checker(tmp_path: Path) -> None:
    """S2.2: mypy takes every form of a file, and refuses an int and a str."""
    program = """\
        import io
        from pathlib import Path
        import tinker_lite as tl

        forms: list[tl.FileTypes] = [
            b"x",
            Path("x"),
            io.BytesIO(),
            open("x", "rb"),
            ("n", b"x"),
            (None, Path("x")),
            ("n", io.BytesIO(), "a/b"),
            ("n", Path("x"), None, {"X": "1"}),
        ]
        number: tl.FileTypes = 7
        text: tl.FileTypes = "x"
        client = tl.Tinker()
        client.post("/x", cast_to=object, files={"f": b"x"})
        client.post("/x", cast_to=object, files={"f": 7})
    """
    (tmp_path / "uses.py").write_text(textwrap.dedent(program), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "uses.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    errors = [line.split(": ")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert (errors, done.returncode) == (["uses.py:15", "uses.py:16", "uses.py:19"], 1), done


def every_form(path: Path) -> list[tuple[str, tl.FileTypes]]:
    """A file in every form that is read anew each time."""
    return [
        ("a", b"x"),
        ("a", path),
        ("b", io.BytesIO(b"y")),
        ("c", ("n", path, "a/b")),
        ("d", (None, anyio.Path(path), None, {"X-Sum": "1"})),
    ]


READ: list[tuple[str, tuple[Any, ...]]] = [
    ("a", ("upload", b"x")),
    ("a", ("y.bin", BINARY)),
    ("b", ("upload", b"y")),
    ("c", ("n", BINARY, "a/b")),
    ("d", (None, BINARY, None, {"X-Sum": "1"})),
]


def test_s2_6_sync_converter(path: Path) -> None:
    """S2.6: a mapping or a list of pairs becomes names, bytes, types and headers."""
    assert read_files(every_form(path)) == READ
    assert read_files(dict(every_form(path)[1:])) == READ[1:]
    assert read_files(None) is None


async def write_when_awaited(fifo: Path, content: bytes) -> None:
    """Write into a FIFO when somebody waits for it: a loop that waits itself never comes here."""
    while True:
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
            await anyio.sleep(0.001)
        else:
            os.write(descriptor, content)
            os.close(descriptor)
            return


async def test_s2_7_async_converter(path: Path, tmp_path: Path) -> None:
    """S2.7: the async form gives the same, and leaves the loop free while a FIFO is silent."""
    run = anyio.to_thread.run_sync
    assert await read_files_async(every_form(path), run) == READ
    assert await read_files_async(dict(every_form(path)[1:]), run) == READ[1:]
    assert await read_files_async(None, run) is None
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    results: list[object] = []

    async def read() -> None:
        results.append(await read_files_async({"f": anyio.Path(fifo)}, run))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await write_when_awaited(fifo, b"at last")
    assert results == [[("f", ("fifo", b"at last"))]]


async def test_s2_7_upload_of_a_fifo(tmp_path: Path) -> None:
    """S2.7: an async upload of a silent FIFO leaves the loop free as well."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    transport = AsyncFakeTransport(lambda _: FakeReply())

    async def upload() -> None:
        await nonblocking(transport).post(PLACE, cast_to=object, files={"f": fifo})

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(upload)
            await write_when_awaited(fifo, b"at last")
    [request] = transport.requests
    content_type, body = request.headers.get("content-type") or "", request.body
    assert isinstance(body, bytes)
    [part] = parse_with_email(content_type, body)
    assert part[:3] == ("f", "fifo", b"at last")


def test_s2_10_file_from_path(path: Path) -> None:
    """S2.10: the name and the bytes of a file, from a path of either type."""
    assert tl.file_from_path(path) == tl.file_from_path(str(path)) == ("y.bin", BINARY)


# A process of its own: what the others of this one need would hide the growth.
UPLOADER = """
import sys
from pathlib import Path
import anyio
import tinker_lite as tl

def peak_bytes():
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return 1024 * int(line.split()[1])

def call(client, content):
    return client.post("/x", cast_to=object, files={"f": content}, timeout=None, max_retries=0)

async def run_async(url, path):
    async with tl.AsyncTinker(base_url=url) as client:
        await call(client, b"first, so that everything is loaded")
        before = peak_bytes()
        await call(client, path)
    return peak_bytes() - before

def run(url, path):
    with tl.Tinker(base_url=url) as client:
        call(client, b"first, so that everything is loaded")
        before = peak_bytes()
        call(client, path)
    return peak_bytes() - before

colour, url, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
print(run(url, path) if colour == "blocking" else anyio.run(run_async, url, path, backend=colour))
"""


class Drain:
    """A server that counts what it is sent, and keeps the last bytes only."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.ends: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        while (head := peer.head()) is not None:
            n_left = int(head.values("content-length")[0])
            self.lengths.append(n_left)
            last = b""
            while n_left:
                block = peer.read(min(n_left, 2**20))
                assert block, "the body ended early"
                n_left -= len(block)
                last = (last + block)[-200:]
            self.ends.append(last)
            peer.send(ok(b"{}", "Content-Type: application/json"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("colour", ["blocking", "asyncio", "trio"])
def test_x2_6_one_gib(colour: str, tmp_path: Path) -> None:
    """X2.6: a file of 1 GiB arrives whole, and the sender's peak memory grows by a few MiB."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES - 3)
        file.seek(0, io.SEEK_END)
        file.write(b"end")
    drain = Drain()
    with Adversary(drain, patience_s=60) as server:
        done = subprocess.run(
            [sys.executable, "-c", UPLOADER, colour, server.url(""), str(path)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert drain.lengths[1] > LARGE_BYTES
    assert b"end\r\n--" in drain.ends[1]
    assert int(done.stdout) < MAX_GROWTH_BYTES
