"""A complete answer as a value, and the errors that an answer can mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from tinker_lite.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ConnectError,
    DecodeError,
    LimitExceeded,
    ProtocolError,
    RetrievalError,
    TransportError,
    TransportTimeout,
    TruncatedBody,
    status_error_class,
)
from tinker_lite.http import Headers, public_url
from tinker_lite.safety import Discreet, without_credentials
from tinker_lite.types import ForwardBackwardOutput, SampleResponse
from tinker_lite.wire.json import decode_json
from tinker_lite.wire.protobuf import decode_forward_backward_output, decode_sample_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.protocol.endpoint import Form, Submission

__all__ = [
    "JSON",
    "PROTOBUF",
    "Reply",
    "body_text",
    "connection_error",
    "has_protobuf",
    "read_reply",
    "read_result",
    "status_error",
]

T = TypeVar("T")

JSON = "application/json"
PROTOBUF = "application/x-protobuf"

_DECODERS: dict[object, Callable[[bytes], object]] = {
    ForwardBackwardOutput: decode_forward_backward_output,
    SampleResponse: decode_sample_response,
}

# Bodies can hold whole prompts; an error text needs enough of one to be understood.
MAX_SHOWN = 200
MAX_SEARCHED_BYTES = 16_384  # a token that is cut off in the middle looks like none


class Reply(Discreet, frozen=True, kw_only=True):
    """An answer whose body has been read.

    Attributes:
        status: HTTP status.
        headers: Response headers.
        body: The whole body.
        method: Method of the request it answers.
        url: URL of that request, without query and secrets.
        n_retries: Repeats it took to get this answer.
        elapsed_s: Seconds from sending the attempt that was answered to the end of its body.
        http_version: ``"1.1"`` or ``"1.0"``.
    """

    status: int
    headers: Headers
    body: bytes
    method: str = ""
    url: str = ""
    n_retries: int = 0
    elapsed_s: float = 0.0
    http_version: str = "1.1"

    @property
    def status_code(self) -> int:
        """The HTTP status, under the name that status errors use."""
        return self.status

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @property
    def form(self) -> Form:
        """What the body is encoded as, by its content type."""
        return "protobuf" if PROTOBUF in self.headers.get("content-type", "") else "json"

    def head(self) -> Reply:
        """The answer without its body and its secrets, for an error to hold."""
        return msgspec.structs.replace(self, headers=self.headers.without_secrets(), body=b"")

    def __repr__(self) -> str:
        """What was asked and what came back, without the body."""
        return f"Reply({self.method} {self.url} -> {self.status}, <{len(self.body)} bytes>)"


def body_text(body: bytes) -> str:
    """The body for an error text: decoded, cut, never empty."""
    if not body:
        return "(empty body)"
    text = without_credentials(body[:MAX_SEARCHED_BYTES].decode("utf-8", "replace"))
    return text[:MAX_SHOWN] + ("..." if len(text) > MAX_SHOWN else "")


def status_error(reply: Reply, operation: str) -> APIStatusError:
    """The error for an answer that is not a success."""
    detail = _moved(reply) or _detail(reply.body)
    body = _parsed(reply.body)
    after = f" after {reply.n_retries} retries" if reply.n_retries else ""
    message = (
        f"Error code: {reply.status} - {detail} ({operation}: {reply.method} {reply.url}{after})"
    )
    return status_error_class(reply.status)(message, reply.head(), body)


def _moved(reply: Reply) -> str | None:
    """What to do about a redirect, which is not followed: the key must not go elsewhere."""
    location = reply.headers.get("location")
    if location is None or not 300 <= reply.status < 400:
        return None
    return f"the server sends elsewhere, to {public_url(location)}; set base_url accordingly"


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(without_credentials(body.decode()))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return without_credentials(body.decode("utf-8", "replace"))


def _detail(body: bytes) -> str:
    parsed = _parsed(body)
    if isinstance(parsed, dict):
        detail = cast("dict[str, object]", parsed).get("detail")
        if isinstance(detail, str):
            return detail
    return body_text(body)


def connection_error(
    error: TransportError, *, operation: str, method: str, url: str, n_retries: int
) -> APIConnectionError:
    """The error for a call that got no answer; its cause is the transport's own."""
    attempts = "1 attempt" if n_retries == 0 else f"{n_retries + 1} attempts"
    target = f"{method} {public_url(url)}"
    # Transports name the request themselves; one that does not gets it named here.
    asked = "" if target in str(error) else f" to {target}"
    # An answer that broke off, was too large or made no sense is not none.
    is_bad = isinstance(error, TruncatedBody | ProtocolError | LimitExceeded)
    what = "no answer that can be used" if is_bad else "no answer"
    message = f"{operation}: {what}{asked} in {attempts}. {error}"
    if isinstance(error, ConnectError):
        message += " Is base_url (or TINKER_BASE_URL) right, and does the server run?"
    cls = APITimeoutError if isinstance(error, TransportTimeout) else APIConnectionError
    return cls(None, message, may_have_arrived=error.may_have_arrived)


def has_protobuf(type_: object) -> bool:
    """Whether values of a type may come as protobuf (protocol section 3.9)."""
    return type_ in _DECODERS


def _decoded(reply: Reply, type_: type[T]) -> T:
    if reply.form == "json":
        return decode_json(reply.body, type_)
    if type_ not in _DECODERS:
        raise DecodeError(f"Not a valid {type_.__name__}: it came as protobuf.")
    return cast("T", _DECODERS[type_](reply.body))


def read_reply(reply: Reply, type_: type[T], operation: str) -> T:
    """A successful answer as its type.

    Raises:
        APIResponseValidationError: The body does not fit.
    """
    try:
        return _decoded(reply, type_)
    except DecodeError as error:
        raise APIResponseValidationError(
            reply.head(),
            body_text(reply.body),
            f"{operation}: {reply.method} {reply.url} answered {reply.status}, but the body does "
            f"not fit. {error}{_advice(reply.body)}",
        ) from error


def read_result(reply: Reply, row: Submission[T], request_id: str) -> T:
    """The result of a submission as its type.

    Raises:
        RetrievalError: The body does not fit.
    """
    try:
        return _decoded(reply, cast("type[T]", row.result))
    except DecodeError as error:
        raise RetrievalError(
            f"{row.name}: the result of request {request_id} does not fit. {error} "
            f"It begins: {body_text(reply.body)}",
            request_id,
            row.name,
        ) from error


def _advice(body: bytes) -> str:
    if not body.lstrip().startswith(b"<"):
        return ""
    return " It is a web page: does base_url (or TINKER_BASE_URL) point at a Tinker server?"
