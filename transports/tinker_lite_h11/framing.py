"""How a request is framed, and how an answer is: RFC 9112 section 6 as decisions on values."""

from __future__ import annotations

from collections.abc import AsyncIterable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import h11

from tinker_lite.errors import InvalidRequest

if TYPE_CHECKING:
    from tinker_lite.http import Request, Target

__all__ = ["AnswerFraming", "BodyEnd", "RequestFraming", "frame_request", "read_framing"]

# With these an absent body is the normal case; for others a server may insist on a length.
BODILESS_METHODS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
BODILESS_STATUS = frozenset({204, 304})


class RequestFraming(NamedTuple):
    """A request head ready to send; ``length`` is None for a chunked body."""

    head: h11.Request
    length: int | None


def frame_request(request: Request, target: Target) -> RequestFraming:
    """Choose the framing and build the head: Host first, then the caller's headers in order.

    Raises:
        InvalidRequest: The framing headers contradict each other or the body.
        h11.LocalProtocolError: The method, the target or a header is not HTTP.
    """
    if not isinstance(request.body, bytes | AsyncIterable):
        _refuse("an async transport takes bytes or an async iterable of bytes as body")
    headers = request.headers
    declared, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if declared is not None and encoding is not None:
        _refuse("a request has either Content-Length or Transfer-Encoding, not both")
    pairs = list(headers.items())
    if "host" not in headers:
        pairs.insert(0, ("Host", target.host_header))
    length = None if encoding is not None else _length(request, declared)
    if declared is None and encoding is None:
        if length is None:
            pairs.append(("Transfer-Encoding", "chunked"))
        elif length or request.method not in BODILESS_METHODS:
            pairs.append(("Content-Length", str(length)))
    head = h11.Request(method=request.method, target=target.path, headers=_encoded(pairs))
    return RequestFraming(head, length)


def _length(request: Request, declared: str | None) -> int | None:
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        _refuse(f"Content-Length is not a count of bytes: {declared!r}")
    if not isinstance(request.body, bytes):
        return None if declared is None else int(declared)
    if declared is not None and int(declared) != len(request.body):
        _refuse(f"Content-Length says {declared}, the body has {len(request.body)} bytes")
    return len(request.body)


def _encoded(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in pairs]


class BodyEnd(Enum):
    """What ends the body of an answer."""

    LENGTH = "the declared length"
    LAST_CHUNK = "the last chunk"
    CLOSE = "the end of the connection"


class AnswerFraming(NamedTuple):
    """What ends the body, its length where that is known, and whether the connection may go on."""

    end: BodyEnd
    length: int
    persistent: bool


def read_framing(method: str, request: h11.Request, answer: h11.Response) -> AnswerFraming:
    """How the body of an answer is framed (RFC 9112 sections 6.3 and 9.3).

    An answer with both framing headers is read by its chunks, and its connection is not used again:
    it may be an attempt to smuggle a second answer.
    """
    persistent = answer.http_version >= b"1.1" and not (_closes(request) or _closes(answer))
    length: int | None = None
    chunked = False
    for name, value in answer.headers:
        if name == b"transfer-encoding":
            chunked = True
        elif name == b"content-length":
            length = int(value)
    if method == "HEAD" or answer.status_code in BODILESS_STATUS:
        return AnswerFraming(BodyEnd.LENGTH, 0, persistent)
    if chunked:
        return AnswerFraming(BodyEnd.LAST_CHUNK, 0, persistent and length is None)
    if length is not None:
        return AnswerFraming(BodyEnd.LENGTH, length, persistent)
    return AnswerFraming(BodyEnd.CLOSE, 0, persistent=False)


def _closes(message: h11.Request | h11.Response) -> bool:
    return any(
        name == b"connection" and b"close" in {token.strip() for token in value.lower().split(b",")}
        for name, value in message.headers
    )


def _refuse(reason: str) -> NoReturn:
    message = f"The request cannot be sent: {reason}."
    raise InvalidRequest(message, may_have_arrived=False)
