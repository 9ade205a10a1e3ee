from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import IO, Any, cast

import anyio
import anyio.to_thread
import pytest

from tinker_lite.wire.files import (
    FileTypes,
    file_from_path,
    file_pairs,
    read_files,
    read_files_async,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file on disk."""
    path = tmp_path / "y.bin"
    path.write_bytes(b"on disk")
    return path


def test_a_file_from_a_path_is_its_name_and_its_bytes(path: Path) -> None:
    """Given as text or as a path."""
    assert file_from_path(path) == ("y.bin", b"on disk")
    assert file_from_path(str(path)) == ("y.bin", b"on disk")


async def test_every_form_is_read(path: Path) -> None:
    """Into what other HTTP clients take, in the blocking form and in the async one."""
    headers = {"X": "1"}
    # One row per form of FileTypes, which a type checker has to accept as it is.
    rows: list[tuple[FileTypes, tuple[object, ...]]] = [
        (path, ("y.bin", b"on disk")),
        (anyio.Path(path), ("y.bin", b"on disk")),
        (b"bytes", ("upload", b"bytes")),
        (("n", b"bytes"), ("n", b"bytes")),
        (("n", path), ("n", b"on disk")),
        ((None, path), (None, b"on disk")),
        (("n", path, "a/b"), ("n", b"on disk", "a/b")),
        (("n", path, None), ("n", b"on disk")),
        (("n", path, "a/b", headers), ("n", b"on disk", "a/b", headers)),
        (("n", b"bytes", None, headers), ("n", b"bytes", None, headers)),
        (("n", b"bytes", None, {}), ("n", b"bytes")),
    ]
    pairs = [("f", file) for file, _ in rows]
    expected = [("f", read) for _, read in rows]
    assert read_files(pairs) == expected
    assert await read_files_async(pairs, anyio.to_thread.run_sync) == expected


async def test_file_objects_are_read_from_where_they_stand(path: Path) -> None:
    """And left open; their name is that of their path, where they have one."""
    with path.open("rb") as file:
        file.seek(3)
        assert read_files({"a": file, "b": io.BytesIO(b"x")}) == [
            ("a", ("y.bin", b"disk")),
            ("b", ("upload", b"x")),
        ]
        assert not file.closed
        file.seek(0)
        assert await read_files_async({"a": file}, anyio.to_thread.run_sync) == [
            ("a", ("y.bin", b"on disk"))
        ]


def test_a_file_opened_by_its_descriptor_has_no_name(path: Path) -> None:
    """What it has instead is a number."""
    with open(os.open(path, os.O_RDONLY), "rb") as file:  # noqa: PTH123  there is no path
        assert read_files({"a": file}) == [("a", ("upload", b"on disk"))]


async def test_no_files_are_none() -> None:
    """So that a call without files stays a call without a form."""
    assert read_files(None) is None
    assert await read_files_async(None, anyio.to_thread.run_sync) is None
    assert read_files({}) == []


async def test_reading_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """A worker thread waits for the FIFO; the loop is free to have it written."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    results: list[object] = []

    async def read() -> None:
        results.append(await read_files_async({"f": path}, anyio.to_thread.run_sync))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.to_thread.run_sync(path.write_bytes, b"at last")
    assert results == [[("f", ("fifo", b"at last"))]]


async def test_every_read_happens_in_the_callers_runner(path: Path) -> None:
    """Which may be a thread, as here, or anything else."""
    threads: set[int] = set()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threads.add(threading.get_ident())
            return super().read(size)

    files: dict[str, FileTypes] = {"a": Watched(b"x"), "b": ("n", path)}
    assert await read_files_async(files, anyio.to_thread.run_sync)
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("path.txt", r"files\['f'\] is a str, which could be a path or a content"),
        (7, r"files\['f'\] is a int, not a file: give bytes, a path"),
        (None, r"files\['f'\] is a NoneType, not a file"),
        (bytearray(b"x"), r"files\['f'\] is a bytearray, not a file"),
        (io.StringIO("x"), r"files\['f'\] is a file opened as text; open it with mode 'rb'"),
        (("n",), r"files\['f'\] is a tuple of 1; a file is \(name, content\)"),
        (("n", b"", None, None, 1), r"files\['f'\] is a tuple of 5"),
        (("n", "text"), r"files\['f'\] is a str, which could be"),
        ((7, b""), r"The file name of files\['f'\] is a int; it must be text or None"),
        (("n", b"", 7), r"The content type of files\['f'\] is a int"),
        (("n", b"", None, [("X", "1")]), r"The headers of files\['f'\] are a list"),
        (("n", b"", None, {"X": 1}), r"The headers of files\['f'\] must be texts"),
    ],
)
def test_what_is_no_file_is_refused(file: Any, text: str) -> None:
    """With the name of its field."""
    with pytest.raises(TypeError, match=text):
        file_pairs({"f": file})


def test_type_checkers_refuse_what_is_no_file() -> None:
    """They would report the comment here if they did not."""
    with pytest.raises(TypeError, match=r"files\['f'\] is a int"):
        read_files({"f": 7})  # type: ignore[dict-item]  # the point of the test


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ("abc", "files is a str; give a mapping from field names to files"),
        (b"abc", "files is a bytes"),
        (7, "files is a int"),
        ([b"abc"], r"files\[0\] is not a pair"),
        ([("a", b"x"), ("b", b"x", "n")], r"files\[1\] is not a pair"),
        ([(1, b"x")], r"The field name of files\[0\] is a int, not text"),
        ({1: b"x"}, r"The field name of files\[0\] is a int, not text"),
    ],
)
def test_what_holds_no_files_is_refused(files: Any, text: str) -> None:
    """A list is a list of pairs."""
    with pytest.raises(TypeError, match=text):
        file_pairs(files)


async def test_a_file_object_that_gives_no_bytes_is_an_error() -> None:
    """Whatever else it may be."""

    class Odd:
        def read(self) -> str:
            return "text"

    with pytest.raises(TypeError, match=r"files\['f'\]: read\(\) gave str instead of bytes"):
        read_files({"f": cast("IO[bytes]", Odd())})


def test_a_missing_file_is_the_systems_own_error(tmp_path: Path) -> None:
    """With its path in it."""
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        read_files({"f": tmp_path / "no-such-file"})


def test_the_repr_of_a_file_is_short() -> None:
    """Contents may be large and are nobody's business."""
    [(_, file)] = file_pairs({"f": ("n", b"x" * 1000, "a/b")})
    assert repr(file) == "File('n', <bytes>, 'a/b')"
