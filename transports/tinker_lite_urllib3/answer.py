"""Reading the head of an answer, strictly.

Why not http.client's own reader: it takes the first interim answer but 100 for the final one, reads
chunk sizes such as ``-1`` and ``0x5``, does not look at what stands between two chunks, and bounds
a head at 6.5 MB only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tinker_lite.attempt import BadAnswer, HeadTooLarge, PeerClosed

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

__all__ = ["Answer", "AnswerHead", "HeadReader"]

MAX_INTERIM_ANSWERS = 100  # 1xx before the final answer; more is an attack or a loop
SWITCHING_PROTOCOLS = 101
FIRST_FINAL_STATUS = 200

_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: [^\x00\r\n]*)?")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*")


class Answer:
    """Stands in where http.client makes a response; it reads nothing and is always finished."""

    will_close = False

    def __init__(self, *_: object, **__: object) -> None:
        """Take what http.client passes."""

    def begin(self, **_: object) -> None:
        """Nothing: ``HeadReader`` reads."""

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


class HeadReader:
    """Reads the heads that come in answer to one request: interim ones, then the final one.

    Args:
        reader: Where they come in.
        max_bytes: Most bytes of all of them together.
    """

    def __init__(self, reader: io.BufferedReader, max_bytes: int) -> None:
        self._reader = reader
        self._n_bytes_left = max_bytes
        self._n_interim_left = MAX_INTERIM_ANSWERS

    def final(self) -> AnswerHead:
        """Read up to the end of the final answer's head.

        Raises:
            HeadTooLarge: It takes more than ``max_bytes``, interim answers included.
            BadAnswer: It is not HTTP/1.1.
            PeerClosed: The connection ended first.
        """
        while (head := self.next()) is None:
            pass
        return head

    def next(self) -> AnswerHead | None:
        """Read one head; None if it was an interim answer's. Raises what ``final`` raises."""
        head = _one_head(self._line)
        if head.status >= FIRST_FINAL_STATUS:
            return head
        if head.status == SWITCHING_PROTOCOLS:
            raise BadAnswer("the peer switched protocols, which nobody asked for")
        self._n_interim_left -= 1
        if self._n_interim_left < 0:
            raise BadAnswer(f"more than {MAX_INTERIM_ANSWERS} interim answers")
        return None

    def _line(self) -> bytes:
        line = self._reader.readline(self._n_bytes_left + 1)
        self._n_bytes_left -= len(line)
        if self._n_bytes_left < 0:
            raise HeadTooLarge
        if not line.endswith(b"\n"):
            raise PeerClosed("the peer closed the connection")
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]


def _one_head(next_line: Callable[[], bytes]) -> AnswerHead:
    line = next_line()
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadAnswer(f"not a status line: {line[:60]!r}")
    headers: list[tuple[str, str]] = []
    while line := next_line():
        if line[:1] in b" \t" and headers:  # a folded line, to be read as one space
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip().decode('latin-1')}"))
            continue
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            raise BadAnswer(f"not a header line: {line[:60]!r}")
        headers.append((field[1].decode("ascii"), field[2].decode("latin-1")))
    version = "1.0" if match[1] == b"0" else "1.1"  # a later one is no less (RFC 9110 section 2.5)
    return AnswerHead(int(match[2]), version, headers)
