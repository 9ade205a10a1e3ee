"""Files as callers give them: the accepted forms, one settled form, and their whole contents.

What a body needs to send a large file piece by piece is in ``tinker_lite.wire.file_source``.
Nothing here knows an event loop: an async caller passes ``run``, which does a blocking function
elsewhere, such as ``anyio.to_thread.run_sync``.

A file object is read from where it stands, and is neither closed nor put back.
"""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Protocol, TypeAlias, TypeVar, cast

import msgspec

__all__ = [
    "File",
    "FileContent",
    "FileTypes",
    "ReadFile",
    "RequestFiles",
    "RunBlocking",
    "file_from_path",
    "file_pairs",
    "is_file",
    "read_content",
    "read_files",
    "read_files_async",
    "settle",
]

T = TypeVar("T")

FileContent: TypeAlias = bytes | IO[bytes] | os.PathLike[str]
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles: TypeAlias = Mapping[str, FileTypes] | Sequence[tuple[str, FileTypes]]
ReadFile: TypeAlias = (
    tuple[str | None, bytes]
    | tuple[str | None, bytes, str | None]
    | tuple[str | None, bytes, str | None, Mapping[str, str]]
)

UNNAMED = "upload"  # what the official client calls bytes that come without a name


class RunBlocking(Protocol):
    """Runs a blocking function where it does not hold up the event loop."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """Call ``function`` and give its result when awaited."""
        ...


class File(msgspec.Struct, frozen=True):
    """One file to send, whatever form it was given in.

    Attributes:
        name: The file name to tell the server; None for none.
        content: The bytes, or where to read them.
        content_type: The media type; None to guess it from the name.
        headers: More headers of its part.
    """

    name: str | None
    content: FileContent
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Name and kind; never the content."""
        return f"File({self.name!r}, <{type(self.content).__name__}>, {self.content_type!r})"


def settle(file: FileTypes, place: str) -> File:
    """The one form of the many a file may be given in.

    Args:
        file: The file as the caller gave it.
        place: Where it was given, for errors.

    Raises:
        TypeError: It is none of the forms.
    """
    if not isinstance(file, tuple):
        return File(_own_name(_content(file, place)), file)
    if not 2 <= len(file) <= 4:
        raise TypeError(
            f"{place} is a tuple of {len(file)}; a file is (name, content), "
            "(name, content, content type) or (name, content, content type, headers)."
        )
    # Type checkers have seen the forms; callers without one are checked here.
    name, content, content_type, headers = cast(
        "tuple[object, object, object, object]", (*file, None, None)[:4]
    )
    return File(
        _text_or_none(name, f"The file name of {place}"),
        _content(content, place),
        _text_or_none(content_type, f"The content type of {place}"),
        _headers(headers, place),
    )


def _content(content: object, place: str) -> FileContent:
    if isinstance(content, io.TextIOBase):
        raise TypeError(f"{place} is a file opened as text; open it with mode 'rb'.")
    if isinstance(content, str):
        raise TypeError(
            f"{place} is a str, which could be a path or a content: "
            "give pathlib.Path(...) or bytes."
        )
    if isinstance(content, bytes | os.PathLike) or hasattr(content, "read"):
        return cast("FileContent", content)
    raise TypeError(
        f"{place} is a {type(content).__name__}, not a file: give bytes, a path, a file opened "
        "with mode 'rb', or a tuple of a name and one of these."
    )


def _own_name(content: FileContent) -> str:
    name = content if isinstance(content, os.PathLike) else getattr(content, "name", None)
    # The name of a file opened by its descriptor is a number.
    if not isinstance(name, str | os.PathLike):
        return UNNAMED
    return Path(os.fspath(cast("str | os.PathLike[str]", name))).name or UNNAMED


def _text_or_none(value: object, subject: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{subject} is a {type(value).__name__}; it must be text or None.")


def _headers(headers: object, place: str) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if not isinstance(headers, Mapping):
        raise TypeError(
            f"The headers of {place} are a {type(headers).__name__}; give a mapping of texts."
        )
    pairs = tuple(cast("Mapping[object, object]", headers).items())
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise TypeError(f"The headers of {place} must be texts, names and values.")
    return cast("tuple[tuple[str, str], ...]", pairs)


def is_file(value: object) -> bool:
    """Whether a value inside a body can only be meant as a file."""
    return isinstance(value, bytes | os.PathLike | tuple) or hasattr(value, "read")


def file_pairs(files: RequestFiles | None) -> list[tuple[str, File]]:
    """Field names and settled files, in the order given; a name may repeat in pairs.

    Raises:
        TypeError: The container or one of the files is of no accepted form.
    """
    if files is None:
        return []
    given: object = files
    if isinstance(given, str | bytes) or not isinstance(given, Mapping | Sequence):
        raise TypeError(
            f"files is a {type(given).__name__}; give a mapping from field names to files, "
            "or a list of (field name, file) pairs."
        )
    pairs: Iterable[object] = files.items() if isinstance(files, Mapping) else files
    return [_settled_pair(pair, i) for i, pair in enumerate(pairs)]


def _settled_pair(pair: object, i: int) -> tuple[str, File]:
    if not isinstance(pair, tuple) or len(cast("tuple[object, ...]", pair)) != 2:
        raise TypeError(f"files[{i}] is not a pair of a field name and a file.")
    name, file = cast("tuple[object, FileTypes]", pair)
    if not isinstance(name, str):
        raise TypeError(f"The field name of files[{i}] is a {type(name).__name__}, not text.")
    return name, settle(file, f"files[{name!r}]")


def file_from_path(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """The name and the whole content of a file on disk.

    To send a large file, give its ``pathlib.Path`` instead: it is then read while it is sent.

    Raises:
        OSError: The file cannot be read.
    """
    return Path(path).name, Path(path).read_bytes()


def read_content(content: FileContent, place: str) -> bytes:
    """The whole content, read here and now.

    Raises:
        OSError: It cannot be read.
        TypeError: The file object gave something other than bytes.
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, os.PathLike):
        return Path(content).read_bytes()
    data: object = content.read()
    if not isinstance(data, bytes):
        raise TypeError(f"{place}: read() gave {type(data).__name__} instead of bytes.")
    return data


def read_files(files: RequestFiles | None) -> list[tuple[str, ReadFile]] | None:
    """Files with their contents in memory, as other HTTP clients take them.

    Args:
        files: A mapping from field names to files, or pairs of them; None gives None.

    Returns:
        Per file its field name and ``(name, bytes)``, with content type and headers where given.

    Raises:
        TypeError: The container or one of the files is of no accepted form.
        OSError: A file cannot be read.
    """
    if files is None:
        return None
    return [(field, _read(file, field)) for field, file in file_pairs(files)]


async def read_files_async(
    files: RequestFiles | None, run: RunBlocking
) -> list[tuple[str, ReadFile]] | None:
    """Async form of ``read_files``; same result and errors.

    Args:
        files: The same.
        run: Runs each blocking read, such as ``anyio.to_thread.run_sync``.
    """
    if files is None:
        return None
    return [(field, await run(partial(_read, file, field))) for field, file in file_pairs(files)]


def _read(file: File, field: str) -> ReadFile:
    content = read_content(file.content, f"files[{field!r}]")
    if file.headers:
        return file.name, content, file.content_type, dict(file.headers)
    if file.content_type is not None:
        return file.name, content, file.content_type
    return file.name, content
