"""Server-sent events out of bytes that come in pieces.

Source: WHATWG HTML standard, section 9.2 (parsing and interpreting an event stream).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tinker_lite.errors import DecodeError
from tinker_lite.wire.lines import MAX_LINE_BYTES, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EventDecoder", "ServerSentEvent"]

BOM = b"\xef\xbb\xbf"
MAX_DIGITS = 18


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event.

    Attributes:
        data: Its lines of data, joined by LF.
        event: Its type; ``message`` when it names none.
        id: The last event id the stream has named so far; empty when it has named none.
        retry_ms: The reconnection time the stream has set so far, in milliseconds, if any.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry_ms: int | None = None


class EventDecoder:
    """Takes bytes as they come and gives events as they are complete.

    An event without its closing blank line is none, even at the end of the stream: it may have been
    cut. Bytes that are not UTF-8 become U+FFFD.

    Args:
        max_event_bytes: Largest event to hold, in bytes.
    """

    def __init__(self, max_event_bytes: int = MAX_LINE_BYTES) -> None:
        self._lines = LineSplitter(max_event_bytes)
        self._max_bytes = max_event_bytes
        self._head: bytes | None = b""  # None once it is known whether a byte order mark leads
        self._last_id = ""
        self._retry_ms: int | None = None
        self._start_event()

    def _start_event(self) -> None:
        self._data: list[str] = []
        self._n_bytes = 0
        self._event = ""

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """The events that are complete with this piece, to be taken before the next one is fed.

        Raises:
            DecodeError: An event is larger than the bound.
        """
        for line in self._lines.feed(self._without_bom(piece)):
            if line:
                self._n_bytes += len(line)
                if self._n_bytes > self._max_bytes:
                    raise DecodeError(
                        f"An event is larger than the {self._max_bytes} bytes allowed."
                    )
                self._take_field(line.decode("utf-8", "replace"))
                continue
            if self._data:
                yield self._event_so_far()
            self._start_event()

    def _without_bom(self, piece: bytes) -> bytes:
        if self._head is None:
            return piece
        self._head += piece
        if BOM.startswith(self._head):  # also empty: not enough has come to tell
            return b""
        head, self._head = self._head, None
        return head.removeprefix(BOM)

    def _event_so_far(self) -> ServerSentEvent:
        return ServerSentEvent(
            data="\n".join(self._data),
            event=self._event or "message",
            id=self._last_id,
            retry_ms=self._retry_ms,
        )

    def _take_field(self, line: str) -> None:
        name, _, value = line.partition(":")  # a comment has no name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._last_id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < MAX_DIGITS:
            self._retry_ms = int(value)
