"""One request and the head of its answer, over one connection."""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinker_lite.attempt import PeerClosed, Stage
from tinker_lite.errors import InvalidRequest

from .answer import HeadReader
from .connection import SEND_BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinker_lite.attempt import Attempt
    from tinker_lite.framing import RequestFraming
    from tinker_lite.http import Request

    from .answer import AnswerHead
    from .connection import Connection

__all__ = ["exchange"]

JOINED_MAX_BYTES = 65_536  # a body up to this is sent with its head in one write


def exchange(
    connection: Connection, request: Request, request_target: str, framing: RequestFraming
) -> AnswerHead:
    """Send a request and read the head of the final answer.

    Args:
        connection: Started for this request, and owned by the caller.
        request: The request.
        request_target: What its request line names.
        framing: How it is framed.
    """
    attempt = connection.attempt
    attempt.stage = Stage.WRITE
    head = _request_head(connection, request, request_target, framing)
    answers = _Answers(connection, request.max_head_bytes)
    try:
        attempt.sent_whole = _send(connection, request, head, framing.length, answers)
    except (OSError, PeerClosed) as error:
        return _answer_despite(error, attempt, answers)
    finally:
        if inspect.isgenerator(request.body):  # one that is read to its end is closed already
            request.body.close()
    attempt.stage = Stage.HEAD
    return answers.final()


def _request_head(
    connection: Connection, request: Request, request_target: str, framing: RequestFraming
) -> bytes:
    try:
        return connection.head(request.method, request_target, framing.headers)
    except (ValueError, http.client.InvalidURL) as error:
        raise connection.attempt.error(
            InvalidRequest, f"this cannot be put into HTTP/1.1 ({error})"
        ) from error


class _Answers:
    """The heads of the answers to one request, which may come before all of it is sent."""

    def __init__(self, connection: Connection, max_bytes: int) -> None:
        self._connection = connection
        self._heads = HeadReader(connection.reader, max_bytes)
        self._final: AnswerHead | None = None

    def has_final(self) -> bool:
        """Read what has begun to arrive; whether it was the final head, so that sending ends."""
        self._final = self._heads.next()
        while self._final is None and self._connection.has_more():
            self._final = self._heads.next()
        return self._final is not None

    def final(self) -> AnswerHead:
        """The head of the final answer."""
        return self._final or self._heads.final()


def _answer_despite(error: Exception, attempt: Attempt, answers: _Answers) -> AnswerHead:
    """A server that refuses an upload answers and hangs up: look for the answer first."""
    if error is attempt.caller_error:
        raise error
    attempt.stage = Stage.HEAD
    try:
        return answers.final()
    except (OSError, PeerClosed):
        attempt.stage = Stage.WRITE
        raise error from None


def _send(
    connection: Connection, request: Request, head: bytes, length: int | None, answers: _Answers
) -> bool:
    """Send head and body; False if the peer answered before it had all of it."""
    body = request.body
    if isinstance(body, bytes) and len(body) <= JOINED_MAX_BYTES and length is not None:
        return connection.write(head + body)
    assert isinstance(body, Iterable), "the transport has looked at it"
    connection.write(head)
    pieces = (body,) if isinstance(body, bytes) else body
    blocks = _blocks(pieces, connection.attempt)
    framed: Iterator[bytes | memoryview] = (
        _chunked(blocks) if length is None else _counted(blocks, length, connection.attempt)
    )
    return all(connection.write(block, answers.has_final) for block in framed)


def _blocks(pieces: Iterable[bytes], attempt: Attempt) -> Iterator[memoryview]:
    """The caller's bytes in blocks of bounded size; what the caller raises is marked as theirs."""
    try:
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), SEND_BLOCK_BYTES):
                yield view[start : start + SEND_BLOCK_BYTES]
    except Exception as error:
        attempt.caller_error = error
        raise


def _chunked(blocks: Iterable[memoryview]) -> Iterator[bytes]:
    for block in blocks:
        yield b"".join((b"%x\r\n" % len(block), block, b"\r\n"))
    yield b"0\r\n\r\n"


def _counted(blocks: Iterable[memoryview], length: int, attempt: Attempt) -> Iterator[memoryview]:
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
