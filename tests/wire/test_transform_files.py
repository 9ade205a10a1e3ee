from __future__ import annotations

import base64
import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, TypedDict, TypeVar

import anyio
import anyio.to_thread
import pytest

from tinker_lite.types import ForwardBackwardRequest, SampleRequest
from tinker_lite.types.property_info import PropertyInfo
from tinker_lite.wire.annotations import record_of
from tinker_lite.wire.transform import atransform, transform

T = TypeVar("T")

B64 = PropertyInfo(format="base64")


class Upload(TypedDict, total=False):
    """Files in every position."""

    one: Annotated[
        str | IO[bytes] | os.PathLike[str], PropertyInfo(alias="theOne", format="base64")
    ]
    some: Annotated[list[Path], B64]
    inner: list[Annotated[Path | None, B64]]
    pair: tuple[Annotated[bytes, B64], Annotated[Path, B64]]
    by_key: dict[str, Annotated[Path, B64]]
    bare: Path
    data: Attachment


@dataclass
class Attachment:
    """A file in an object."""

    content: Annotated[Path, B64]


class Odd:
    """Gives neither bytes nor text."""

    def read(self) -> int:
        """A number."""
        return 7


def encoded(content: bytes) -> str:
    """What is expected on the wire."""
    return base64.b64encode(content).decode()


async def both(data: Callable[[], object], expected_type: object) -> object:
    """The result of both forms, which have to agree; file objects are made anew for each."""
    result = transform(data(), expected_type)
    assert await atransform(data(), expected_type, anyio.to_thread.run_sync) == result
    return result


async def test_files_become_base64(tmp_path: Path) -> None:
    """Paths, file objects of bytes and of text, and bytes, wherever the mark is."""
    path = tmp_path / "x"
    path.write_bytes(b"\x00disk")
    disk = encoded(b"\x00disk")
    cases: list[tuple[Callable[[], Any], Any]] = [
        (lambda: {"one": path}, {"theOne": disk}),
        (lambda: {"one": anyio.Path(path)}, {"theOne": disk}),
        (lambda: {"one": io.BytesIO(b"io")}, {"theOne": encoded(b"io")}),
        (lambda: {"one": io.StringIO("ü")}, {"theOne": encoded("ü".encode())}),
        (lambda: {"one": b"raw"}, {"theOne": encoded(b"raw")}),
        (lambda: {"one": "a text stays"}, {"theOne": "a text stays"}),
        (lambda: {"one": None}, {"theOne": None}),
        (lambda: {"some": [path, path]}, {"some": [disk, disk]}),
        (lambda: {"some": iter([path])}, {"some": [disk]}),
        (lambda: {"inner": [path, None]}, {"inner": [disk, None]}),
        (lambda: {"pair": (b"raw", path)}, {"pair": [encoded(b"raw"), disk]}),
        (lambda: {"by_key": {"a": path}}, {"by_key": {"a": disk}}),
        (lambda: {"data": Attachment(path)}, {"data": {"content": disk}}),
        (lambda: {"unknown": [Attachment(path)]}, {"unknown": [{"content": disk}]}),
        (lambda: {"unknown": (Attachment(path),)}, {"unknown": ({"content": disk},)}),
        (lambda: {"bare": path}, {"bare": path}),
    ]
    for data, expected in cases:
        assert await both(data, Upload) == expected
    assert await both(lambda: path, Annotated[Path, B64]) == disk


async def test_a_missing_file_says_where_it_stood(tmp_path: Path) -> None:
    """The system's own error, with the place in the body as a note."""
    body = {"inner": [None, tmp_path / "missing"]}
    with pytest.raises(FileNotFoundError, match="missing") as caught:
        transform(body, Upload)
    assert caught.value.__notes__ == ["The file stood at `$.inner[1]` in the body."]
    with pytest.raises(FileNotFoundError, match="missing") as caught:
        await atransform(body, Upload, anyio.to_thread.run_sync)
    assert caught.value.__notes__ == ["The file stood at `$.inner[1]` in the body."]


async def test_what_gives_no_content_is_named_by_its_place() -> None:
    """As a wrong value of an answer is."""
    body = {"by_key": {"a": Odd()}}
    text = r"The file at `\$\.by_key\.a`: read\(\) gave int, neither bytes nor text"
    with pytest.raises(TypeError, match=text):
        transform(body, Upload)
    with pytest.raises(TypeError, match=text):
        await atransform(body, Upload, anyio.to_thread.run_sync)


async def test_reading_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """A worker thread waits for the FIFO; the loop is free to have it written."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    results: list[object] = []

    async def read() -> None:
        results.append(await atransform({"one": path}, Upload, anyio.to_thread.run_sync))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.to_thread.run_sync(path.write_bytes, b"at last")
    assert results == [{"theOne": encoded(b"at last")}]


async def test_only_reading_goes_through_the_runner(tmp_path: Path) -> None:
    """One call per file, none for what is in memory."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    n_calls = 0
    threads: list[int] = []

    async def run(function: Callable[[], T]) -> T:
        nonlocal n_calls
        n_calls += 1

        def noted() -> T:
            threads.append(threading.get_ident())
            return function()

        return await anyio.to_thread.run_sync(noted)

    assert await atransform({"some": [path, path], "one": b"raw"}, Upload, run)
    assert n_calls == 2
    assert threading.get_ident() not in threads


async def test_pictures_of_requests_are_read_too(tmp_path: Path) -> None:
    """The library's own types carry the mark: a picture may be bytes, a path, a file or base64."""
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG")
    for data in (b"\x89PNG", path, encoded(b"\x89PNG"), io.BytesIO(b"\x89PNG")):
        fields = {"prompt": {"chunks": [{"type": "image", "data": data, "format": "png"}]}}
        found = await atransform(fields, SampleRequest, anyio.to_thread.run_sync)
        [chunk] = found["prompt"]["chunks"]
        assert chunk == {"type": "image", "data": encoded(b"\x89PNG"), "format": "png"}


def test_what_an_encoder_does_itself_needs_no_walk() -> None:
    """Requests with bytes marked as base64 go to the encoder as they are; others do not."""
    assert not record_of(SampleRequest).is_marked
    assert not record_of(ForwardBackwardRequest).is_marked
    assert record_of(Attachment).is_marked
    assert record_of(Upload).is_marked
