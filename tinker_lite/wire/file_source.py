"""Files as a body sends them: measured once, read in chunks, as often as the file allows.

All of this blocks; under an event loop each call belongs in a worker thread. A file is sent as it
was when it was measured, or not at all: a file that changes in between is an error, because its
announced length, or a second attempt, would no longer be true.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from typing import IO, TYPE_CHECKING, cast

import msgspec

from tinker_lite.errors import TinkerError

if TYPE_CHECKING:
    from tinker_lite.wire.files import FileContent

__all__ = ["FileReader", "FileSource", "measure_file"]

CHUNK_BYTES = 262_144  # the block that both transports write at a time


class FileSource(msgspec.Struct, frozen=True, kw_only=True):
    """A measured file.

    Attributes:
        content: The path or the file object.
        place: What errors call it.
        size_bytes: Bytes to send; None when only reading to the end tells.
        start: Where a file object stood; None for paths and for objects that cannot seek.
        modified_ns: When a file on disk was last written; None for everything else.
    """

    content: IO[bytes] | os.PathLike[str]
    place: str
    size_bytes: int | None = None
    start: int | None = None
    modified_ns: int | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether its bytes can be read again."""
        return self.start is not None or self.modified_ns is not None

    def open(self, forbidden: bytes = b"") -> FileReader:
        """Begin to read at the start.

        Args:
            forbidden: Bytes that must not occur in it.

        Raises:
            OSError: It cannot be opened.
            TinkerError: It is not the file that was measured.
        """
        if isinstance(self.content, os.PathLike):
            # Unbuffered: chunks are large, and a buffer would only copy them.
            file = cast("IO[bytes]", open(self.content, "rb", buffering=0))  # noqa: SIM115, PTH123
            reader = FileReader(file, self, forbidden, owned=True)
            if self.modified_ns is not None and _facts(os.fstat(file.fileno())) != (
                self.size_bytes,
                self.modified_ns,
            ):
                reader.close()
                raise TinkerError(f"{self.place} was changed after the request was made.")
            return reader
        if self.start is not None:
            self.content.seek(self.start)
        return FileReader(self.content, self, forbidden, owned=False)


class FileReader:
    """One reading of a file, chunk by chunk.

    ``close`` may come from another thread while ``read`` is under way, because a cancelled task
    does not wait for its worker: the file is then closed when that read returns.

    Args:
        file: The open file, standing at the start.
        source: What was measured.
        forbidden: Bytes that must not occur, also not across two chunks.
        owned: Close the file at the end.
    """

    def __init__(
        self, file: IO[bytes], source: FileSource, forbidden: bytes, *, owned: bool
    ) -> None:
        self._file = file
        self._place = source.place
        self._left = source.size_bytes
        self._forbidden = forbidden
        self._tail = b""
        self._owned = owned
        self._lock = threading.Lock()
        self._is_closing = False

    def read(self) -> bytes:
        """The next chunk; empty at the end.

        Raises:
            OSError: It cannot be read.
            TinkerError: It is shorter or longer than measured, or holds the forbidden bytes.
            TypeError: The file object gave something other than bytes.
        """
        try:
            with self._lock:
                return self._read()
        finally:
            if self._is_closing:
                self._close_if_idle()

    def close(self) -> None:
        """Stop reading, without waiting for a read in another thread."""
        self._is_closing = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._owned and self._lock.acquire(blocking=False):
            try:
                self._file.close()
            finally:
                self._lock.release()

    def _read(self) -> bytes:
        # At the announced end one byte more is asked for: a file that has grown, or one that
        # claims to be empty as those of /proc do, must not be cut in silence.
        max_bytes = CHUNK_BYTES if self._left is None else max(1, min(CHUNK_BYTES, self._left))
        data: object = self._file.read(max_bytes)
        if not isinstance(data, bytes):
            raise TypeError(f"{self._place}: read() gave {type(data).__name__} instead of bytes.")
        if self._left is not None:
            self._count(len(data))
        self._search(data)
        return data

    def _count(self, n_bytes: int) -> None:
        assert self._left is not None
        if n_bytes > self._left:
            raise TinkerError(
                f"{self._place} is longer than it was when the request was made; read it first "
                "and give the bytes."
            )
        if not n_bytes and self._left:
            raise TinkerError(
                f"{self._place} ended {self._left} bytes before the length it had when the request "
                "was made."
            )
        self._left -= n_bytes

    def _search(self, data: bytes) -> None:
        # Costs 0.13 s of CPU per GiB (measured), and holds for boundaries that callers choose too.
        forbidden, n_kept = self._forbidden, len(self._forbidden) - 1
        if n_kept < 0:
            return
        if forbidden in data or forbidden in self._tail + data[:n_kept]:
            raise TinkerError(
                f"{self._place} contains the boundary {forbidden.decode()!r}; "
                "give another one, or none to have one drawn."
            )
        seen = self._tail + data[max(0, len(data) - n_kept) :]
        self._tail = seen[max(0, len(seen) - n_kept) :]


def measure_file(content: FileContent, place: str) -> bytes | FileSource:
    """Look at a file: how long it is, and whether it can be sent twice.

    Args:
        content: What to send; bytes come back as they are.
        place: What errors call it.

    Raises:
        OSError: There is no such file, or it is a folder.
        ValueError: The file object is closed.
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, os.PathLike):
        return _measure_path(content, place)
    if getattr(content, "closed", False):
        raise ValueError(f"{place} is a closed file.")
    try:
        # Objects that only have read() end up here as well: they cannot seek.
        if not content.seekable():
            return FileSource(content=content, place=place)
        start = content.tell()
        content.seek(0, io.SEEK_END)
        end = content.tell()
        content.seek(start)
    except (AttributeError, io.UnsupportedOperation):
        return FileSource(content=content, place=place)
    return FileSource(content=content, place=place, size_bytes=max(0, end - start), start=start)


def _measure_path(path: os.PathLike[str], place: str) -> FileSource:
    found = os.stat(path)  # noqa: PTH116  any path-like, not only pathlib's
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{place} is a folder: {os.fspath(path)!r}.")
    if not stat.S_ISREG(found.st_mode):
        return FileSource(content=path, place=place)
    size_bytes, modified_ns = _facts(found)
    return FileSource(content=path, place=place, size_bytes=size_bytes, modified_ns=modified_ns)


def _facts(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
