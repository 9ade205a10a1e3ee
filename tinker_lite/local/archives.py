"""A checkpoint as one uncompressed tar, made while it is sent, and links to it that expire."""

from __future__ import annotations

import re
import secrets
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tinker_lite.http import Headers
from tinker_lite.local.exchange import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite.local.records import CheckpointRecord

__all__ = ["Archive", "ArchiveLinks", "archive_reply"]

CHUNK_BYTES = 256 * 1024
_BLOCK = 512  # of the tar format


@dataclass(frozen=True)
class _Part:
    """A stretch of the archive: bytes at hand, or a file of ``size_bytes``."""

    source: bytes | Path
    size_bytes: int


class Archive:
    """The tar of a folder's files, in order of their names.

    Args:
        folder: The folder.
        mtime: The time written into it, so that the same checkpoint always gives the same bytes.
    """

    def __init__(self, folder: Path, mtime: datetime) -> None:
        self._parts: list[_Part] = []
        for path in sorted(folder.iterdir()):
            info = tarfile.TarInfo(path.name)
            info.size, info.mtime = path.stat().st_size, int(mtime.timestamp())
            self._add(info.tobuf(tarfile.USTAR_FORMAT))
            self._parts.append(_Part(path, info.size))
            self._add(b"\0" * (-info.size % _BLOCK))
        self._add(b"\0" * 2 * _BLOCK)
        self.size_bytes = sum(part.size_bytes for part in self._parts)

    def _add(self, block: bytes) -> None:
        self._parts.append(_Part(block, len(block)))

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to and without ``stop``, in chunks."""
        with ExitStack() as stack:
            # All files are opened first: a checkpoint deleted meanwhile can be read to its end.
            opened = [
                (part, stack.enter_context(part.source.open("rb")))
                if isinstance(part.source, Path)
                else (part, part.source)
                for part in self._parts
            ]
            offset = 0
            for part, source in opened:
                first, last = max(start - offset, 0), min(stop - offset, part.size_bytes)
                offset += part.size_bytes
                if first < last:
                    yield from _chunks(source, first, last)


def _chunks(source: bytes | BinaryIO, first: int, last: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source[first:last]
        return
    source.seek(first)
    while first < last:
        chunk = source.read(min(CHUNK_BYTES, last - first))
        if not chunk:
            raise OSError("a checkpoint's file has become shorter")
        first += len(chunk)
        yield chunk


class ArchiveLinks:
    """Links that whoever has one may use for a while, like the signed URLs of a storage service.

    Args:
        lifetime_s: How long a link works, in seconds.
    """

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime = timedelta(seconds=lifetime_s)
        self._links: dict[str, tuple[CheckpointRecord, datetime]] = {}

    def make(self, record: CheckpointRecord) -> tuple[str, datetime]:
        """Return a new link's token and the time at which it ends."""
        now = datetime.now(UTC)
        self._links = {token: link for token, link in self._links.items() if link[1] > now}
        token, ends = secrets.token_urlsafe(24), now + self._lifetime
        self._links[token] = (record, ends)
        return token, ends

    def find(self, token: str) -> CheckpointRecord:
        """Return the checkpoint behind a link.

        Raises:
            Refusal: 404, it never was one or has ended.
        """
        record, ends = self._links.get(token, (None, None))
        if record is None or ends is None or ends <= datetime.now(UTC):
            raise Refusal(
                404, "This archive link does not exist or has expired; ask for a new one."
            )
        return record


def archive_reply(archive: Archive, etag: str, headers: Headers) -> Reply:
    """Answer a request for an archive, whole or in part (RFC 9110, section 14)."""
    size = archive.size_bytes
    start, stop = _asked_range(headers, etag, size)
    pairs = [
        ("content-type", "application/x-tar"),
        ("content-length", str(stop - start)),
        ("etag", etag),
        ("accept-ranges", "bytes"),
    ]
    if (start, stop) == (0, size):
        return Reply(200, Headers(pairs), archive.read(0, size))
    pairs.append(("content-range", f"bytes {start}-{stop - 1}/{size}"))
    return Reply(206, Headers(pairs), archive.read(start, stop))


def _asked_range(headers: Headers, etag: str, size: int) -> tuple[int, int]:
    """The first byte wanted and the one after the last; forms we do not know mean the whole."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
    if match is None or match[0] == "bytes=-" or headers.get("if-range", etag) != etag:
        return 0, size
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise Refusal(
            416, f"The archive has {size} bytes.", headers=[("content-range", f"bytes */{size}")]
        )
    return start, stop
