"""Reading an answer: its head, strictly, and how its body is framed.

Why not http.client's own reader: it takes the first interim answer but 100 for the final one, reads
chunk sizes such as ``-1`` and ``0x5``, does not look at what stands between two chunks, and bounds
a head at 6.5 MB only.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from .failures import BadAnswer, HeadTooLarge, PeerClosed

if TYPE_CHECKING:
    import io

__all__ = ["Answer", "AnswerHead", "BodyEnd", "Framing", "read_framing", "read_head"]

MAX_INTERIM_ANSWERS = 100  # 1xx before the final answer; more is an attack or a loop
MAX_LENGTH_DIGITS = 18
SWITCHING_PROTOCOLS = 101
FIRST_FINAL_STATUS = 200
BODILESS_STATUS = frozenset({204, 304})

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00\r\n]*)?")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")


class Answer:
    """Stands in where http.client makes a response; it reads nothing and is always finished."""

    will_close = False

    def __init__(self, *_: object, **__: object) -> None:
        """Take what http.client passes."""

    def begin(self, **_: object) -> None:
        """Nothing: ``read_head`` reads."""

    def close(self) -> None:
        """Nothing to close."""

    def isclosed(self) -> bool:
        """Yes, so that the next request may be written."""
        return True


class AnswerHead(NamedTuple):
    """Status, HTTP version and headers of a final answer."""

    status: int
    version: str
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """Every element of the comma-separated headers of this name, in lower case."""
        return [
            element.strip().lower()
            for key, value in self.headers
            if key.lower() == name
            for element in value.split(",")
        ]


def read_head(reader: io.BufferedReader, max_bytes: int) -> AnswerHead:
    """Read up to the end of the final answer's head.

    Raises:
        HeadTooLarge: It takes more than ``max_bytes``, interim answers included.
        BadAnswer: It is not HTTP/1.1.
        PeerClosed: The connection ended first.
    """
    lines = _Lines(reader, max_bytes)
    for _ in range(MAX_INTERIM_ANSWERS + 1):
        head = _one_head(lines)
        if head.status == SWITCHING_PROTOCOLS:
            message = "the peer switched protocols, which nobody asked for"
            raise BadAnswer(message)
        if head.status >= FIRST_FINAL_STATUS:
            return head
    message = f"more than {MAX_INTERIM_ANSWERS} interim answers"
    raise BadAnswer(message)


class _Lines:
    """Lines within a budget of bytes."""

    def __init__(self, reader: io.BufferedReader, max_bytes: int) -> None:
        self._reader = reader
        self._left = max_bytes

    def next(self) -> bytes:
        line = self._reader.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise HeadTooLarge
        if not line.endswith(b"\n"):
            message = "the peer closed the connection"
            raise PeerClosed(message)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]


def _one_head(lines: _Lines) -> AnswerHead:
    line = lines.next()
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        message = f"not a status line: {line[:60]!r}"
        raise BadAnswer(message)
    headers: list[tuple[str, str]] = []
    while line := lines.next():
        if line[:1] in b" \t" and headers:  # a folded line, to be read as one space
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip().decode('latin-1')}"))
            continue
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            message = f"not a header line: {line[:60]!r}"
            raise BadAnswer(message)
        headers.append((field[1].decode("ascii"), field[2].decode("latin-1")))
    return AnswerHead(int(match[2]), f"1.{match[1].decode()}", headers)


class BodyEnd(Enum):
    """What ends the body of an answer."""

    LENGTH = "the declared length"
    LAST_CHUNK = "the last chunk"
    CLOSE = "the end of the connection"


class Framing(NamedTuple):
    """What ends the body, its length where that is known, and whether the connection may go on."""

    end: BodyEnd
    length: int
    persistent: bool


def read_framing(method: str, head: AnswerHead) -> Framing:
    """How the body of an answer is framed (RFC 9112 sections 6.3 and 9.3).

    An answer with both framing headers is read by its chunks, and its connection is not used again:
    it may be an attempt to smuggle a second answer.

    Raises:
        BadAnswer: The framing headers make no sense.
    """
    persistent = head.version == "1.1" and "close" not in head.values("connection")
    codings, lengths = head.values("transfer-encoding"), set(head.values("content-length"))
    if codings not in ([], ["chunked"]):
        message = f"unknown transfer coding {', '.join(codings)[:60]!r}"
        raise BadAnswer(message)
    length = _length(lengths)
    if method == "HEAD" or head.status in BODILESS_STATUS:
        return Framing(BodyEnd.LENGTH, 0, persistent)
    if codings:
        return Framing(BodyEnd.LAST_CHUNK, 0, persistent and length is None)
    if length is not None:
        return Framing(BodyEnd.LENGTH, length, persistent)
    return Framing(BodyEnd.CLOSE, 0, persistent=False)


def _length(values: set[str]) -> int | None:
    if not values:
        return None
    [value, *others] = values
    if others or not (value.isascii() and value.isdigit() and len(value) <= MAX_LENGTH_DIGITS):
        message = f"Content-Length makes no sense: {', '.join(sorted(values))[:60]!r}"
        raise BadAnswer(message)
    return int(value)
