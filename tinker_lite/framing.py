"""Where the bodies of requests and answers end: RFC 9112 section 6 as decisions on values.

Part of the seam, for transports to share. Pure.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tinker_lite.attempt import BadAnswer
from tinker_lite.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinker_lite.headers import Headers
    from tinker_lite.http import Request
    from tinker_lite.target import Target

__all__ = [
    "BodyEnd",
    "Framing",
    "RequestFraming",
    "check_headers",
    "frame_request",
    "read_framing",
]

# With these an absent body is the normal case; for others a server may insist on a length.
BODILESS_METHODS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
BODILESS_STATUS = frozenset({204, 304})
MAX_LENGTH_DIGITS = 18
# Of two, different readers take different ones.
_ONLY_ONCE = ("host", "content-length", "transfer-encoding")

# No folded lines, and no spaces in names, which some libraries let through.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class RequestFraming(NamedTuple):
    """How to send a request.

    Attributes:
        headers: What to send, in order.
        length: Bytes of the body; None for a chunked one.
        closes: The request asks for the connection to be closed after it.
    """

    headers: list[tuple[str, str]]
    length: int | None
    closes: bool


def frame_request(
    request: Request, target: Target, proxy_authorization: str | None = None
) -> RequestFraming:
    """Choose the framing: Host first, then the caller's headers in order, then what is missing.

    Args:
        request: The request.
        target: Its URL, split.
        proxy_authorization: Credentials for a proxy that reads the request.

    Raises:
        InvalidRequest: A header is none, or the framing headers contradict each other or the body.
    """
    pairs = list(request.headers.items())
    names = [name.lower() for name, _ in pairs]
    for name in _ONLY_ONCE:
        if names.count(name) > 1:
            _refuse(f"a request has one {name} header at most")
    if "host" not in names:
        pairs.insert(0, ("Host", target.host_header))
    length, framing_header = _request_length(request)
    if framing_header is not None:
        pairs.append(framing_header)
    if proxy_authorization is not None:
        pairs.append(("Proxy-Authorization", proxy_authorization))
    check_headers(pairs)
    return RequestFraming(pairs, length, closes="close" in _elements(pairs, "connection"))


def check_headers(headers: Headers | Sequence[tuple[str, str]]) -> None:
    """Refuse what would end a header early, or be read in two ways.

    Raises:
        InvalidRequest: A name or a value has characters of no header.
    """
    for name, value in headers:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            _refuse(f"the header {name!r} is not one: name or value has characters of no header")


def _request_length(request: Request) -> tuple[int | None, tuple[str, str] | None]:
    """The bytes of the body, None for a chunked one, and the header that is still to be added."""
    declared = request.headers.get("content-length")
    encoding = request.headers.get("transfer-encoding")
    if encoding is not None:
        if declared is not None:
            _refuse("a request has either Content-Length or Transfer-Encoding, not both")
        if encoding.strip().lower() != "chunked":
            _refuse(f"the only transfer coding is chunked, not {encoding!r}")
        return None, None
    if declared is not None:
        return _declared_length(declared, request.body), None
    if not isinstance(request.body, bytes):
        return None, ("Transfer-Encoding", "chunked")
    length = len(request.body)
    if not length and request.method in BODILESS_METHODS:
        return 0, None
    return length, ("Content-Length", str(length))


def _declared_length(declared: str, body: object) -> int:
    if not (declared.isascii() and declared.isdigit()):
        _refuse(f"Content-Length is not a count of bytes: {declared!r}")
    if isinstance(body, bytes) and int(declared) != len(body):
        _refuse(f"Content-Length says {declared}, the body has {len(body)} bytes")
    return int(declared)


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


def read_framing(
    method: str, status: int, version: str, headers: Sequence[tuple[str, str]]
) -> Framing:
    """How the body of an answer is framed (RFC 9112 sections 6.3 and 9.3).

    An answer with both framing headers is read by its chunks, and its connection is not used again:
    it may be an attempt to smuggle a second answer.

    Args:
        method: The request's method.
        status: The answer's final status.
        version: Its HTTP version, ``"1.1"`` or ``"1.0"``.
        headers: Its headers.

    Raises:
        BadAnswer: The framing headers make no sense.
    """
    codings = _elements(headers, "transfer-encoding")
    if codings not in ([], ["chunked"]):
        raise BadAnswer(f"unknown transfer coding {', '.join(codings)[:60]!r}")
    length = _answer_length(set(_elements(headers, "content-length")))
    persistent = version == "1.1" and "close" not in _elements(headers, "connection")
    if method == "HEAD" or status in BODILESS_STATUS:
        return Framing(BodyEnd.LENGTH, 0, persistent)
    if codings:
        return Framing(BodyEnd.LAST_CHUNK, 0, persistent and length is None)
    if length is not None:
        return Framing(BodyEnd.LENGTH, length, persistent)
    return Framing(BodyEnd.CLOSE, 0, persistent=False)


def _answer_length(values: set[str]) -> int | None:
    if not values:
        return None
    [value, *others] = values
    if others or not (value.isascii() and value.isdigit() and len(value) <= MAX_LENGTH_DIGITS):
        raise BadAnswer(f"Content-Length makes no sense: {', '.join(sorted(values))[:60]!r}")
    return int(value)


def _elements(headers: Headers | Sequence[tuple[str, str]], name: str) -> list[str]:
    """Every element of the comma-separated headers of this name, in lower case."""
    return [
        element.strip().lower()
        for key, value in headers
        if len(key) == len(name) and key.lower() == name
        for element in value.split(",")
    ]


def _refuse(reason: str) -> NoReturn:
    raise InvalidRequest(f"The request cannot be sent: {reason}.", may_have_arrived=False)
