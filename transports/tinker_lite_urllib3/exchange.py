"""One request and the head of its answer, over one connection."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinker_lite.errors import InvalidRequest

from .answer import AnswerHead, read_head
from .connection import BLOCK_BYTES
from .failures import PeerClosed, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite.http import Request, Target

    from .connection import Connection
    from .failures import Attempt
    from .framing import RequestFraming

__all__ = ["exchange"]

JOINED_MAX_BYTES = 65_536  # a body up to this is sent with its head in one write


def exchange(
    connection: Connection, request: Request, target: Target, framing: RequestFraming
) -> AnswerHead:
    """Send a request and read the head of the final answer.

    Args:
        connection: Started for this request, and owned by the caller.
        request: The request.
        target: Where it goes.
        framing: How it is framed.
    """
    attempt = connection.attempt
    attempt.stage = Stage.WRITE
    try:
        head = connection.head(request.method, target.path, framing.headers)
    except (ValueError, http.client.InvalidURL) as error:
        raise attempt.error(
            InvalidRequest, f"this cannot be put into HTTP/1.1 ({error})"
        ) from error
    try:
        attempt.sent_whole = _send(connection, request, head, framing.length)
    except (OSError, PeerClosed) as error:
        return _answer_despite(error, connection, request)
    attempt.stage = Stage.HEAD
    return read_head(connection.reader, request.max_head_bytes)


def _answer_despite(error: Exception, connection: Connection, request: Request) -> AnswerHead:
    """A server that refuses an upload answers and hangs up: look for the answer first."""
    attempt = connection.attempt
    if error is attempt.caller_error:
        raise error
    attempt.stage = Stage.HEAD
    try:
        return read_head(connection.reader, request.max_head_bytes)
    except (OSError, PeerClosed):
        attempt.stage = Stage.WRITE
        raise error from None


def _send(connection: Connection, request: Request, head: bytes, length: int | None) -> bool:
    """Send head and body; False if the peer answered before it had all of it."""
    body = request.body
    if isinstance(body, bytes) and len(body) <= JOINED_MAX_BYTES and length is not None:
        return connection.write(head + body)
    assert isinstance(body, Iterable), "framing has looked at it"
    if not connection.write(head):
        return False
    pieces = (body,) if isinstance(body, bytes) else body
    blocks = _blocks(pieces, connection.attempt)
    framed = _chunked(blocks) if length is None else _counted(blocks, length, connection.attempt)
    return all(connection.write(block, listening=True) for block in framed)


def _blocks(pieces: Iterable[bytes], attempt: Attempt) -> Iterator[bytes]:
    """The caller's bytes in blocks of bounded size; what the caller raises is marked as theirs."""
    try:
        for piece in pieces:
            for start in range(0, len(piece), BLOCK_BYTES):
                yield piece[start : start + BLOCK_BYTES]
    except Exception as error:
        attempt.caller_error = error
        raise


def _chunked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield b"%x\r\n%b\r\n" % (len(block), block)
    yield b"0\r\n\r\n"


def _counted(blocks: Iterable[bytes], length: int, attempt: Attempt) -> Iterator[bytes]:
    left = length
    for block in blocks:
        left -= len(block)
        if left < 0:
            raise attempt.error(InvalidRequest, "the body is longer than its Content-Length")
        yield block
    if left:
        raise attempt.error(
            InvalidRequest, f"the body is {left} bytes shorter than its Content-Length"
        )
