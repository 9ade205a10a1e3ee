"""The file of a recording: its format, writing one exchange to it, and reading it back.

A recording is JSON lines: a head that names format and version, then one exchange a line, with
sorted keys and compact. Each line is written with one call as its exchange ends, so a crash loses
at most what was under way; exchanges are numbered in the order in which they began. Bodies of the
API are kept as JSON values, other bodies as text where they are text, else in base64.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from tinker_lite import errors
from tinker_lite.errors import TransportError
from tinker_lite.testing.captured import API_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tinker_lite.http import Headers, Request
    from tinker_lite.testing.redaction import Redactor

__all__ = [
    "VERSION",
    "Body",
    "Exchange",
    "Failure",
    "Head",
    "RecordedRequest",
    "RecordedResponse",
    "encode_line",
    "read_recording",
    "recorded_request",
    "recorded_response",
]

VERSION = 1
_FORMAT = "tinker-lite recording"

# Headers that change from run to run or with the versions of both sides. They are left out: a
# recording of the same program is the same file, and a replay does not ask for them.
_VOLATILE_REQUEST_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "host", "idempotency-key",
        "transfer-encoding", "user-agent", "x-idempotency-key",
        "x-tinker-create-promise-roundtrip-time", "x-tinker-request-iteration",
    }
)  # fmt: skip
_VOLATILE_RESPONSE_HEADERS = frozenset({"connection", "date", "keep-alive", "transfer-encoding"})
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything in the file: what has its default is left out."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line.

    Attributes:
        format: What the file is.
        version: The version of its format.
        secret_names: Names that were secret in this recording besides the usual ones.
    """

    format: str = _FORMAT
    version: int = VERSION
    secret_names: list[str] = []


class Body(_Entry, frozen=True, kw_only=True):
    """A body, in the most readable form that gives it back; none of the three is an empty one.

    Attributes:
        json: A JSON value; its spacing and the order of its keys are not kept.
        text: Text in UTF-8, to the byte.
        base64: Anything else, to the byte.
    """

    json: Any = UNSET
    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET

    @classmethod
    def of(cls, raw: bytes, *, is_api: bool, redactor: Redactor) -> Body:
        """A body without its secrets."""
        raw = redactor.raw(raw)
        if not raw:
            return EMPTY
        value = _json_value(raw)
        kept = value if value is UNSET else redactor.plain(value)
        # Outside the API a body is a file, to be given back to the byte, unless a secret is in it.
        if value is not UNSET and (is_api or kept != value):
            return cls(json=kept)
        text = _readable_text(raw)
        return cls(base64=base64.b64encode(raw).decode()) if text is None else cls(text=text)

    @property
    def is_json(self) -> bool:
        """Whether it is kept as a JSON value."""
        return self.json is not UNSET

    def raw(self) -> bytes:
        """The bytes to send."""
        if self.is_json:
            return msgspec.json.encode(self.json)
        if isinstance(self.text, str):
            return self.text.encode()
        return base64.b64decode(self.base64) if isinstance(self.base64, str) else b""


def _json_value(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return UNSET


def _readable_text(raw: bytes) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if _NOT_TEXT.search(text) else text


# One object, since a field is left out of the file if it is its default, not if it equals it.
EMPTY = Body()


class Failure(_Entry, frozen=True, kw_only=True):
    """A ``TransportError``; ``type`` is the name of its class."""

    type: str
    message: str
    may_have_arrived: bool
    reused_connection: bool = False
    phase: str | None = None

    @classmethod
    def of(cls, error: TransportError, redactor: Redactor) -> Failure:
        """What is kept of an error."""
        known = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in errors.__all__]
        return cls(
            type=known[0],
            message=redactor.text(str(error)),
            may_have_arrived=error.may_have_arrived,
            reused_connection=error.reused_connection,
            phase=getattr(error, "phase", None),
        )

    def error(self) -> TransportError:
        """The error again."""
        kind = getattr(errors, self.type, TransportError)
        arguments: dict[str, Any] = {} if self.phase is None else {"phase": self.phase}
        error = kind(
            self.message,
            may_have_arrived=self.may_have_arrived,
            reused_connection=self.reused_connection,
            **arguments,
        )
        assert isinstance(error, TransportError)
        return error


class RecordedRequest(_Entry, frozen=True, kw_only=True):
    """What was asked.

    Attributes:
        method: HTTP method.
        origin: Scheme and host; for people, a replay does not look at it.
        path: The path of the URL.
        query: The query, its secret values redacted.
        headers: Lower-case names; several values of one name are joined as HTTP allows.
        body: The body.
        is_partial: Whether only a part of the body is here; a replay then does not look at it.
    """

    method: str
    origin: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: Body = EMPTY
    is_partial: bool = False

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    def parameters(self) -> dict[str, list[str]]:
        """The parameters of the query, with all their values."""
        return parse_qs(self.query, keep_blank_values=True)


class RecordedResponse(_Entry, frozen=True, kw_only=True):
    """What came back.

    Attributes:
        status: HTTP status.
        headers: Name and value pairs, in order.
        body: The body, or what came of it.
        failure: How the body broke off, if it did.
    """

    status: int
    headers: list[tuple[str, str]] = []
    body: Body = EMPTY
    failure: Failure | None = None


class Exchange(_Entry, frozen=True, kw_only=True):
    """One request and what came of it: a response, or a failure.

    Attributes:
        number: Its place in the order in which requests were made, from 1.
    """

    number: int
    request: RecordedRequest
    response: RecordedResponse | None = None
    failure: Failure | None = None


def recorded_request(
    request: Request, body: bytes, redactor: Redactor, *, is_partial: bool = False
) -> RecordedRequest:
    """A request as it is kept, and as a replay compares it."""
    redactor.learn(request.headers)
    parts = urlsplit(request.url)
    headers: dict[str, str] = {}
    for name, value in request.headers:
        folded = name.lower()
        if folded not in _VOLATILE_REQUEST_HEADERS:
            shown = redactor.header(name, value)
            headers[folded] = f"{headers[folded]}, {shown}" if folded in headers else shown
    return RecordedRequest(
        method=request.method,
        origin=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        path=parts.path,
        query=redactor.query(parts.query, parts.path),
        headers=headers,
        body=Body.of(body, is_api=is_api(parts.path), redactor=redactor),
        is_partial=is_partial,
    )


def recorded_response(
    status: int,
    headers: Headers,
    body: bytes,
    failure: Failure | None,
    redactor: Redactor,
    *,
    path: str,
) -> RecordedResponse:
    """A response as it is kept; ``path`` is the request's."""
    kept = Body.of(body, is_api=is_api(path), redactor=redactor)
    left_out = _VOLATILE_RESPONSE_HEADERS
    if kept.raw() != body and failure is None:
        left_out |= {"content-length"}  # the body given back has a length of its own
    return RecordedResponse(
        status=status,
        headers=[
            (name, redactor.header(name, value))
            for name, value in headers
            if name.lower() not in left_out
        ],
        body=kept,
        failure=failure,
    )


def is_api(path: str) -> bool:
    """Whether a path is below the API's root."""
    return API_ROOT + "/" in path


def encode_line(entry: Head | Exchange) -> bytes:
    """One line of the file."""
    return msgspec.json.encode(entry, order="sorted") + b"\n"


def read_recording(file: Path) -> tuple[Head, list[Exchange]]:
    """Read a recording; its exchanges come in the order in which they began.

    A last line without its end is what a crash leaves, and is left out.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no recording, or of a later version; the text names the line.
    """
    *lines, _ = file.read_bytes().split(b"\n")
    if not lines:
        raise ValueError(f"{file} is no recording: it has no whole line.")
    head = _decoded(file, 1, lines[0], Head)
    if (head.format, head.version) != (_FORMAT, VERSION):
        raise ValueError(
            f"{file} is {head.format!r} of version {head.version}; this version of the library "
            f"reads {_FORMAT!r} of version {VERSION}. Record it again."
        )
    numbered = enumerate(lines[1:], start=2)
    exchanges = [_decoded(file, number, line, Exchange) for number, line in numbered]
    return head, sorted(exchanges, key=lambda exchange: exchange.number)


def _decoded(file: Path, number: int, line: bytes, type_: type[Any]) -> Any:
    try:
        return msgspec.json.decode(line, type=type_)
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"{file}, line {number}, is not of a recording: {error}") from error
