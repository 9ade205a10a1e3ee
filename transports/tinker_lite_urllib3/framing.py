"""How a request is framed: which header says where its body ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tinker_lite.errors import InvalidRequest

if TYPE_CHECKING:
    from tinker_lite.http import Request, Target

__all__ = ["RequestFraming", "frame_request"]

# With these an absent body is the normal case; for others a server may insist on a length.
BODILESS_METHODS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

# Stricter than http.client, which lets spaces into names and folded lines into values.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class RequestFraming(NamedTuple):
    """The headers to send, in order; ``length`` is None for a chunked body."""

    headers: list[tuple[str, str]]
    length: int | None
    closes: bool


def frame_request(request: Request, target: Target) -> RequestFraming:
    """Choose the framing: Host first, then the caller's headers in order, then what is missing.

    Raises:
        InvalidRequest: The framing headers contradict each other or the body.
    """
    if not isinstance(request.body, Iterable):
        _refuse("a blocking transport takes bytes or an iterable of bytes as body")
    headers = request.headers
    declared, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if declared is not None and encoding is not None:
        _refuse("a request has either Content-Length or Transfer-Encoding, not both")
    if encoding is not None and encoding.strip().lower() != "chunked":
        _refuse(f"the only transfer coding is chunked, not {encoding!r}")
    pairs = list(headers.items())
    if "host" not in headers:
        pairs.insert(0, ("Host", target.host_header))
    length = None if encoding is not None else _length(request, declared)
    if declared is None and encoding is None:
        if length is None:
            pairs.append(("Transfer-Encoding", "chunked"))
        elif length or request.method not in BODILESS_METHODS:
            pairs.append(("Content-Length", str(length)))
    _check(pairs)
    closes = "close" in (headers.get("connection") or "").lower()
    return RequestFraming(pairs, length, closes)


def _check(pairs: list[tuple[str, str]]) -> None:
    for name, value in pairs:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            _refuse(f"the header {name!r} is not one: name or value has characters of no header")


def _length(request: Request, declared: str | None) -> int | None:
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        _refuse(f"Content-Length is not a count of bytes: {declared!r}")
    if not isinstance(request.body, bytes):
        return None if declared is None else int(declared)
    if declared is not None and int(declared) != len(request.body):
        _refuse(f"Content-Length says {declared}, the body has {len(request.body)} bytes")
    return len(request.body)


def _refuse(reason: str) -> NoReturn:
    message = f"The request cannot be sent: {reason}."
    raise InvalidRequest(message, may_have_arrived=False)
