from __future__ import annotations

import gzip
import io
import os
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Generator
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import anyio
import anyio.to_thread
import pytest

from tinker_lite.errors import StreamAlreadyConsumed, TinkerError
from tinker_lite.wire.file_source import CHUNK_BYTES, FileReader, FileSource
from tinker_lite.wire.multipart import MultipartBody, encode_form

T = TypeVar("T")

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7]


class Pipe(io.RawIOBase):
    """A file object that gives its bytes once and cannot seek."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        return self._content.read(size)

    def seekable(self) -> bool:
        """It is not."""
        return False


class ReadOnly:
    """An object with nothing but ``read``, which gives what it is told to."""

    def __init__(self, *reads: object) -> None:
        self._reads = list(reads)

    def read(self, _size: int) -> object:
        """The next answer."""
        return self._reads.pop(0) if self._reads else b""


def measured(*files: Any, boundary: str = "BOUND") -> MultipartBody:
    """The body of a form with these files."""
    pairs = [(f"f{i}", file) for i, file in enumerate(files)]
    return encode_form(None, pairs, boundary=boundary).measure()


def content_of(raw: bytes) -> bytes:
    """The content of the only part of a form."""
    return raw.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n--BOUND--\r\n")


async def collected(body: MultipartBody) -> bytes:
    """The bytes of the async form, read by worker threads."""
    return b"".join([chunk async for chunk in body.read_by(anyio.to_thread.run_sync)])


# Lengths and forms


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_on_disk_is_sent_with_its_length(tmp_path: Path, size_bytes: int) -> None:
    """Known before its first byte is read, at every edge of the chunks, as often as asked."""
    content = os.urandom(size_bytes)
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    body = measured(path)
    assert body.is_repeatable
    for _ in range(2):
        chunks = list(body)
        assert sum(map(len, chunks)) == body.content_length
        assert content_of(b"".join(chunks)) == content
        assert all(0 < len(chunk) <= CHUNK_BYTES + 1024 for chunk in chunks)


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_both_forms_send_the_same_bytes(tmp_path: Path, size_bytes: int) -> None:
    """A path, an open file, bytes and an object that cannot seek, in one form, twice."""
    content = os.urandom(size_bytes)
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    body = measured(path, io.BytesIO(content), content, anyio.Path(path))
    raw = b"".join(body)
    assert raw.count(b"\r\n\r\n" + content + b"\r\n--BOUND") == 4
    assert await collected(body) == raw == await collected(body)
    assert await collected(measured(Pipe(content))) == b"".join(measured(Pipe(content)))


def test_small_parts_go_out_together(tmp_path: Path) -> None:
    """A form of many fields is not sent as many small writes."""
    path = tmp_path / "x"
    path.write_bytes(b"file")
    form = encode_form({f"field{i}": i for i in range(200)}, {"f": path, "g": b"y"})
    assert len(list(form.measure())) == 3


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    """64 MiB pass through less than 4 MiB."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * 2**20)
    body = measured(path)
    tracemalloc.start()
    n_bytes = sum(len(chunk) for chunk in body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_bytes == body.content_length
    assert peak_bytes < 4 * 2**20


def test_a_file_object_is_sent_from_where_it_stands(tmp_path: Path) -> None:
    """At every attempt, and it stays open."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        body = measured(file)
        assert content_of(b"".join(body)) == content_of(b"".join(body)) == b"456789"
        assert len(b"".join(body)) == body.content_length
        assert not file.closed


def test_the_same_file_object_may_be_in_two_parts() -> None:
    """It is rewound for each."""
    file = io.BytesIO(b"abc")
    assert b"".join(measured(file, file)).count(b"abc") == 2


def test_a_compressed_file_is_sent_as_what_it_holds(tmp_path: Path) -> None:
    """Whatever can seek is measured by seeking, not by its size on disk."""
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        file.write(b"z" * 10_000)
    with gzip.open(tmp_path / "x.gz", "rb") as file:
        body = measured(cast("IO[bytes]", file))
        assert content_of(b"".join(body)) == b"z" * 10_000
        assert len(b"".join(body)) == body.content_length


def test_measuring_reads_nothing_and_encoding_touches_nothing(tmp_path: Path) -> None:
    """So that a form can be settled on an event loop."""
    form = encode_form(None, {"f": tmp_path / "missing"})
    with pytest.raises(FileNotFoundError, match="missing"):
        form.measure()
    with pytest.raises(IsADirectoryError, match=r"files\['f'\] is a folder"):
        encode_form(None, {"f": tmp_path}).measure()


# Files that can be read once


@pytest.mark.parametrize("file", [Pipe(b"abc"), ReadOnly(b"a", b"bc")])
def test_what_cannot_seek_is_sent_once_and_without_a_length(file: Any) -> None:
    """The second attempt is an error that says what to do."""
    body = measured(file)
    assert body.content_length is None
    assert not body.is_repeatable
    assert body.headers() == [("Content-Type", body.content_type)]
    assert content_of(b"".join(body)) == b"abc"
    with pytest.raises(StreamAlreadyConsumed, match="cannot be rewound and was sent already"):
        next(iter(body))


async def test_the_async_form_spends_it_too() -> None:
    """A body is one body in both forms."""
    body = measured(Pipe(b"abc"))
    assert content_of(await collected(body)) == b"abc"
    with pytest.raises(StreamAlreadyConsumed, match="open the file again"):
        await collected(body)
    with pytest.raises(StreamAlreadyConsumed, match="open the file again"):
        list(body)


def test_an_attempt_that_did_not_reach_the_file_spends_nothing() -> None:
    """A failed connection does not cost the only reading."""
    body = measured(b"first", Pipe(b"abc"))
    iter(body)
    assert next(iter(body))
    assert b"abc" in b"".join(body)


def test_what_can_be_read_once_cannot_be_sent_twice_in_a_form() -> None:
    """The second part would be empty."""
    pipe = Pipe(b"abc")
    with pytest.raises(ValueError, match=r"files\['f1'\] is in the form twice"):
        measured(pipe, pipe)


def test_a_fifo_is_sent_once(tmp_path: Path) -> None:
    """Its length is not known, and what it gave is gone."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    body = measured(path)
    assert (body.content_length, body.is_repeatable) == (None, False)
    writer = threading.Thread(target=path.write_bytes, args=(b"through",))
    writer.start()
    assert content_of(b"".join(body)) == b"through"
    writer.join(timeout=10)
    assert not writer.is_alive()
    with pytest.raises(StreamAlreadyConsumed, match="cannot be rewound"):
        list(body)


# Files that are not what they were


def rewrite(path: Path, content: bytes, age_ns: int) -> None:
    """Write a file, and say that it was written at another time than before."""
    path.write_bytes(content)
    os.utime(path, ns=(age_ns, age_ns))


@pytest.mark.parametrize("content", [b"short", b"longer than it was", b"other text"])
async def test_a_file_that_was_changed_is_not_sent(tmp_path: Path, content: bytes) -> None:
    """Not with another length than announced, and not as another body than the first attempt."""
    path = tmp_path / "x"
    rewrite(path, b"its length", 10**18)
    body = measured(path)
    list(body)
    rewrite(path, content, 10**18 + 1)
    with pytest.raises(TinkerError, match=r"files\['f0'\] was changed after the request was made"):
        list(body)
    with pytest.raises(TinkerError, match="was changed"):
        await collected(body)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(CHUNK_BYTES, "ended 262144 bytes before"), (3 * CHUNK_BYTES, "is longer than it was")],
)
def test_a_file_that_changes_while_it_is_sent_is_an_error(
    tmp_path: Path, n_bytes: int, text: str
) -> None:
    """The form is not brought to an end that looks right."""
    path = tmp_path / "x"
    path.write_bytes(bytes(2 * CHUNK_BYTES))
    pieces = iter(measured(path))
    assert next(pieces).startswith(b"--BOUND")
    assert next(pieces)
    os.truncate(path, n_bytes)
    with pytest.raises(TinkerError, match=text):
        list(pieces)


def test_a_file_object_that_grew_or_shrank_is_an_error() -> None:
    """Checked by its bytes, since it has no date."""
    file = io.BytesIO(b"0123456789")
    body = measured(file)
    file.truncate(3)
    with pytest.raises(TinkerError, match=r"files\['f0'\] ended 7 bytes before"):
        list(body)
    file.seek(0)
    file.write(b"0123456789-")
    with pytest.raises(TinkerError, match="is longer than it was when the request was made"):
        list(body)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_file_that_claims_to_be_empty_is_an_error() -> None:
    """Those of /proc have a size of 0 and a content; it is not left out in silence."""
    with pytest.raises(TinkerError, match="read it first and give the bytes"):
        list(measured(Path("/proc/self/status")))


@pytest.mark.parametrize("read", [None, "text", bytearray(b"x")])
def test_a_file_object_that_gives_no_bytes_is_an_error(read: object) -> None:
    """Also one that does not block and says None for not yet."""
    with pytest.raises(TypeError, match=rf"files\['f0'\]: read\(\) gave {type(read).__name__}"):
        list(measured(ReadOnly(read)))


def test_a_closed_file_is_refused() -> None:
    """Before anything is sent."""
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(ValueError, match=r"files\['f0'\] is a closed file"):
        measured(file)


# Boundaries in files


@pytest.mark.parametrize("offset", [0, 5, CHUNK_BYTES - 5, CHUNK_BYTES - 1, CHUNK_BYTES, 300_000])
async def test_a_boundary_in_a_file_is_found_while_it_is_sent(tmp_path: Path, offset: int) -> None:
    """Also across two chunks, and before the bytes that end it are sent."""
    path = tmp_path / "x"
    path.write_bytes(bytes(offset) + b"BOUND" + bytes(100))
    with pytest.raises(TinkerError, match=r"files\['f0'\] contains the boundary 'BOUND'"):
        list(measured(path))
    with pytest.raises(TinkerError, match="contains the boundary"):
        await collected(measured(path))
    assert b"BOUND" in b"".join(measured(path, boundary="OTHER"))


def test_a_boundary_is_found_in_reads_of_any_size() -> None:
    """A file object may give one byte at a time."""
    with pytest.raises(TinkerError, match="contains the boundary"):
        list(measured(ReadOnly(*(bytes([byte]) for byte in b"xBOUNDx"))))


# Event loops


async def test_a_slow_file_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """The loop goes on while a worker thread waits for a FIFO to be written."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    received: list[bytes] = []

    async def send() -> None:
        received.append(await collected(measured(path)))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            # The reader waits in its thread until this loop, which it must not block, writes.
            await anyio.to_thread.run_sync(path.write_bytes, b"at last")
    assert content_of(received[0]) == b"at last"


async def test_a_cancelled_send_does_not_wait_for_a_read(tmp_path: Path) -> None:
    """The worker is left alone where the caller's ``run`` allows it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writing_end = os.open(path, os.O_RDWR)  # so that opening it to read does not wait
    is_reading = threading.Event()

    async def run(function: Callable[[], T]) -> T:
        def noted() -> T:
            is_reading.set()
            return function()

        return await anyio.to_thread.run_sync(noted, abandon_on_cancel=True)

    async def send() -> None:
        async for piece in measured(path).read_by(run):
            if piece == b"one":
                is_reading.clear()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            os.write(writing_end, b"one")
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert await anyio.to_thread.run_sync(is_reading.wait, 5)
            group.cancel_scope.cancel()
    os.close(writing_end)  # the abandoned read ends


def test_a_file_is_closed_by_the_read_that_a_close_finds_under_way() -> None:
    """Closing does not wait, and the file does not stay open."""
    is_reading, may_end = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            is_reading.set()
            assert may_end.wait(10)
            return super().read(size)

    file = Slow(b"abc")
    reader = FileReader(file, FileSource(content=file, place="f"), b"", owned=True)
    thread = threading.Thread(target=reader.read)
    thread.start()
    assert is_reading.wait(10)
    reader.close()
    assert not file.closed
    may_end.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert file.closed


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_send_that_is_left_closes_its_file(tmp_path: Path) -> None:
    """In both forms, as soon as the iterator is closed."""
    path = tmp_path / "x"
    path.write_bytes(bytes(3 * CHUNK_BYTES))
    pieces = cast("Generator[bytes, None, None]", iter(measured(path)))
    assert len(list(islice(pieces, 2))) == 2
    assert is_open(path)
    pieces.close()
    assert not is_open(path)
    # As a transport does: it closes what turns out to be a generator.
    later = aiter(measured(path).read_by(anyio.to_thread.run_sync))
    assert [await anext(later), await anext(later)]
    assert is_open(path)
    assert isinstance(later, AsyncGenerator)
    await later.aclose()
    assert not is_open(path)


def is_open(path: Path) -> bool:
    """Whether this process has a file open; Linux only, as the tests that ask are."""
    descriptors = Path("/proc/self/fd")
    return any(os.path.realpath(entry) == str(path) for entry in descriptors.iterdir())
