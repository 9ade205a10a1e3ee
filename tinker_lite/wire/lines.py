"""Lines out of bytes that come in pieces; ends of lines are LF, CRLF or CR."""

from __future__ import annotations

import re

from tinker_lite.errors import DecodeError

__all__ = ["MAX_LINE_BYTES", "LineSplitter"]

MAX_LINE_BYTES = 64 * 2**20  # a line is held whole; more is a broken server

_END = re.compile(rb"\r\n|\n|\r")


class LineSplitter:
    """Takes bytes as they come and gives lines as they are complete.

    Args:
        max_line_bytes: Longest line to hold, in bytes.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_line_bytes
        self._begun: list[bytes] = []  # the pieces of a line whose end has not come
        self._n_begun = 0
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece, without their ends.

        Raises:
            DecodeError: A line is longer than the bound.
        """
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):  # the other half of a CRLF
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        first, *others = _END.split(piece)
        self._keep(first)
        if not others:
            return []
        lines = [b"".join(self._begun), *others[:-1]]
        self._begun, self._n_begun = [], 0
        self._keep(others[-1])
        return lines

    def rest(self) -> bytes:
        """What stands behind the last end of a line, once everything has come."""
        rest = b"".join(self._begun)
        self._begun, self._n_begun = [], 0
        return rest

    def _keep(self, part: bytes) -> None:
        self._n_begun += len(part)
        if self._n_begun > self._max_bytes:
            raise DecodeError(f"A line is longer than the {self._max_bytes} bytes allowed for one.")
        self._begun.append(part)
