"""Bodies of multipart/form-data: from fields and files to bytes, in one order, in either colour.

``encode_form`` decides everything that can be decided without I/O: names, heads, order, boundary.
``Form.measure`` looks at the files (it blocks) and gives the body, whose length is known before
its first byte is sent. The body can be iterated as often as its files can be read; an async caller
takes ``body.read_by(run)``.

No content contains the boundary. What is in memory is searched, and another boundary is drawn if
need be; what is read from files is searched while it is sent, and the request fails if it is found
there. For a drawn boundary that does not happen: it has 128 random bits, so that a file of 2^40
bytes contains it with a probability below 2^-88.
"""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import msgspec

from tinker_lite.errors import StreamAlreadyConsumed
from tinker_lite.wire.file_source import FileSource, measure_file
from tinker_lite.wire.files import FileContent, RequestFiles, file_pairs
from tinker_lite.wire.form_fields import form_fields
from tinker_lite.wire.part_head import field_head, file_head

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Iterable,
        Iterator,
        Sequence,
    )

    from tinker_lite.wire.files import RunBlocking

__all__ = ["Form", "MultipartBody", "encode_form"]

# Pieces below this are joined, so that a form of many fields is not sent as many small writes.
JOINED_MAX_BYTES: Final = 65_536
MAX_BOUNDARY_DRAWS: Final = 10  # a source of boundaries that needs more is not random

# RFC 2046 section 5.1.1, without the characters that would need quotes in the Content-Type.
_BOUNDARY = re.compile(r"[0-9A-Za-z'+_.-]{1,70}")


def _draw_boundary() -> str:
    return secrets.token_hex(16)


class _Part(msgspec.Struct, frozen=True):
    head: bytes
    content: FileContent
    place: str


class Form:
    """A form whose parts are settled and whose files have not been looked at yet.

    Attributes:
        boundary: What separates the parts; in no content that is in memory.
    """

    def __init__(self, boundary: str, parts: Sequence[_Part]) -> None:
        self.boundary = boundary
        self._parts = parts

    def measure(self) -> MultipartBody:
        """Look at the files and give the body; this blocks.

        Raises:
            OSError: A file is missing or cannot be looked at.
            ValueError: A file object is closed, or one that can only be read once is in two parts.
        """
        pieces: list[bytes | FileSource] = []
        only_once: list[object] = []
        for part in self._parts:
            content = measure_file(part.content, part.place)
            if isinstance(content, FileSource) and not content.is_repeatable:
                if any(part.content is other for other in only_once):
                    raise ValueError(f"{part.place} is in the form twice and can be read once.")
                only_once.append(part.content)
            pieces += (f"--{self.boundary}\r\n".encode() + part.head + b"\r\n", content, b"\r\n")
        pieces.append(f"--{self.boundary}--\r\n".encode())
        return MultipartBody(self.boundary, list(_joined(pieces)))


def _joined(pieces: Iterable[bytes | FileSource]) -> Iterator[bytes | FileSource]:
    small: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes) and len(piece) < JOINED_MAX_BYTES:
            small.append(piece)
            continue
        yield b"".join(small)
        small.clear()
        yield piece
    yield b"".join(small)


class MultipartBody:
    """A body that is iterated once per attempt, and reads its files while it is.

    Two iterations at the same time would move the same file objects; one after the other is fine.

    Attributes:
        content_type: The value of the Content-Type header.
        content_length: Bytes of the whole body; None if a file must be read to know.
        is_repeatable: False if a file can be read only once, so that there is only one attempt.
    """

    def __init__(
        self, boundary: str, pieces: Sequence[bytes | FileSource], content_type: str | None = None
    ) -> None:
        self._boundary = boundary.encode()
        self._pieces = pieces
        sources = [piece for piece in pieces if isinstance(piece, FileSource)]
        sizes = [p.size_bytes if isinstance(p, FileSource) else len(p) for p in pieces]
        self.content_type = content_type or f"multipart/form-data; boundary={boundary}"
        self.content_length = None if None in sizes else sum(cast("list[int]", sizes))
        self.is_repeatable = all(source.is_repeatable for source in sources)
        self._is_spent = False

    def headers(self) -> list[tuple[str, str]]:
        """The headers that describe the body; without a length it has to go out chunked."""
        headers = [("Content-Type", self.content_type)]
        if self.content_length is not None:
            headers.append(("Content-Length", str(self.content_length)))
        return headers

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of one attempt; reading files blocks.

        Raises:
            StreamAlreadyConsumed: A file that can be read only once was read before.
            TinkerError: A file is not what it was when it was measured, or holds the boundary.
            OSError: A file cannot be read.
        """
        for piece in self._opened():
            if isinstance(piece, bytes):
                yield piece
                continue
            reader = piece.open(self._boundary)
            try:
                while chunk := reader.read():
                    yield chunk
            finally:
                reader.close()

    def read_by(self, run: RunBlocking) -> AsyncIterable[bytes]:
        """The same bytes, asynchronously and as often.

        Args:
            run: Runs each blocking read, such as ``anyio.to_thread.run_sync``. It may abandon the
                read when it is cancelled; the file is closed when that read returns.
        """
        return _AsyncBody(self._opened, self._boundary, run)

    def _opened(self) -> Iterator[bytes | FileSource]:
        """The pieces of one attempt."""
        if self._is_spent:
            raise StreamAlreadyConsumed(
                "This body holds a file that cannot be rewound and was sent already; open the file "
                "again and make a new request, or give its path or its bytes."
            )
        for piece in self._pieces:
            # Not earlier: an attempt that failed before the file was touched costs nothing.
            if isinstance(piece, FileSource) and not piece.is_repeatable:
                self._is_spent = True
            if piece:
                yield piece


class _AsyncBody:
    """The async form of a body: an async iterable that starts anew each time."""

    def __init__(
        self,
        pieces: Callable[[], Iterator[bytes | FileSource]],
        boundary: bytes,
        run: RunBlocking,
    ) -> None:
        self._pieces = pieces
        self._boundary = boundary
        self._run = run

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes of one attempt; the errors are those of the blocking form."""
        for piece in self._pieces():
            if isinstance(piece, bytes):
                yield piece
                continue
            reader = await self._run(partial(piece.open, self._boundary))
            try:
                while chunk := await self._run(reader.read):
                    yield chunk
            finally:
                reader.close()


def file_body(content: FileContent, content_type: str) -> MultipartBody:
    """A body that is one file and nothing else; looking at it blocks.

    Raises:
        OSError: It is missing or cannot be looked at.
        ValueError: The file object is closed.
    """
    return MultipartBody("", [measure_file(content, "The body")], content_type)


def encode_form(
    fields: object = None,
    files: RequestFiles | None = None,
    *,
    boundary: str | None = None,
    draw_boundary: Callable[[], str] = _draw_boundary,
) -> Form:
    """Settle a form: first the fields in their order, then the files in theirs. No I/O.

    Args:
        fields: A mapping or a struct; see ``form_fields``. None for no fields.
        files: Files by field name, or pairs where names repeat.
        boundary: The caller's own boundary; drawn if None.
        draw_boundary: Where drawn boundaries come from.

    Raises:
        TypeError: A field or a file is of no accepted form.
        ValueError: A name, a type or a header cannot be sent, or the caller's boundary is none or
            occurs in what is in memory.

    Source: RFC 7578.
    """
    parts = [
        _Part(field_head(name), value, f"the field {name!r}") for name, value in form_fields(fields)
    ]
    parts += [
        _Part(file_head(name, file), file.content, f"files[{name!r}]")
        for name, file in file_pairs(files)
    ]
    in_memory = [text for part in parts for text in (part.head, part.content)]
    if boundary is not None:
        return Form(_checked(boundary, in_memory), parts)
    for _ in range(MAX_BOUNDARY_DRAWS):
        drawn = draw_boundary()
        if not _occurs(drawn, in_memory):
            return Form(_checked(drawn, in_memory), parts)
    raise ValueError(f"{MAX_BOUNDARY_DRAWS} drawn boundaries all occur in the form.")


def _checked(boundary: str, in_memory: Iterable[FileContent]) -> str:
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError(
            f"The boundary {boundary!r} is none: 1 to 70 letters, digits, or any of '+_.- are."
        )
    if _occurs(boundary, in_memory):
        raise ValueError(f"The boundary {boundary!r} occurs in the form; give another one.")
    return boundary


def _occurs(boundary: str, in_memory: Iterable[FileContent]) -> bool:
    raw = boundary.encode()
    return any(isinstance(text, bytes) and raw in text for text in in_memory)
