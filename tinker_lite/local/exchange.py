"""What a handler is given, what it gives back, and how it says no.

This is also the one place that knows media types: ``Call.read`` and ``Call.read_pass`` turn a body
into a value, ``json_reply`` and ``result_reply`` a value into a body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from tinker_lite.errors import DecodeError, LimitExceeded
from tinker_lite.http import HeaderPairs, Headers
from tinker_lite.types import (
    ForwardBackwardOutput,
    ForwardBackwardRequest,
    ForwardRequest,
    SampleResponse,
)
from tinker_lite.wire.content import content_decoder
from tinker_lite.wire.json import decode_json, encode_json
from tinker_lite.wire.protobuf import (
    decode_forward_backward_request,
    encode_forward_backward_output,
    encode_sample_response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinker_lite.protocol.endpoints import Endpoint

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_PAGE",
    "Call",
    "Refusal",
    "Reply",
    "ServiceClosed",
    "json_reply",
    "result_reply",
    "too_large",
]

T = TypeVar("T")

# Entries that a listing gives at once.
MAX_PAGE = 1000
PROTOBUF = "application/x-protobuf"
# Of a request's body, packed and unpacked.
MAX_BODY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Reply:
    """An answer; a body that is an iterator comes with its Content-Length in the headers."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes | Iterator[bytes] = b""


def json_reply(value: object, status: int = 200, headers: HeaderPairs = ()) -> Reply:
    """Make an answer whose body is the JSON of a struct or of plain values."""
    return _reply(status, "application/json", encode_json(value), headers)


def result_reply(result: object, accept: str) -> Reply:
    """Make an answer of a result: in protobuf if the caller takes it and there is a message."""
    if PROTOBUF in accept and isinstance(result, ForwardBackwardOutput):
        return _reply(200, PROTOBUF, bytes(encode_forward_backward_output(result)))
    if PROTOBUF in accept and isinstance(result, SampleResponse):
        return _reply(200, PROTOBUF, bytes(encode_sample_response(result)))
    return json_reply(result)


def _reply(status: int, media_type: str, body: bytes, headers: HeaderPairs = ()) -> Reply:
    pairs = (("content-type", media_type), ("content-length", str(len(body))))
    return Reply(status, Headers([*pairs, *headers]), body)


class Refusal(Exception):  # noqa: N818  it says what happened
    """A request that is not served, with the status and the text that the caller gets.

    Args:
        status: The HTTP status.
        detail: For people: what is wrong, where, and what to do.
        headers: Extra headers of the answer.
    """

    def __init__(self, status: int, detail: str, headers: HeaderPairs = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, tuple(headers)

    def reply(self) -> Reply:
        """The answer; its body is never empty, since clients repeat an empty 400 (protocol 1.8)."""
        return json_reply({"detail": self.detail}, self.status, self.headers)


def too_large() -> Refusal:
    """The refusal of a body larger than ``MAX_BODY_BYTES``."""
    return Refusal(413, f"The body is larger than the {MAX_BODY_BYTES} bytes allowed here.")


class ServiceClosed(Exception):  # noqa: N818  it says what happened
    """The service no longer answers: it was closed, or belongs to another process."""


@dataclass(frozen=True)
class Call:
    """One request to one endpoint.

    Attributes:
        endpoint: The row of the table it matched.
        values: The path's placeholders, decoded.
        query: The query's parameters; the last of equal names counts.
        headers: The request headers.
        body: The whole body, as it came.
        base_url: What stood before ``/api/v1``.
    """

    endpoint: Endpoint
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    base_url: str

    @cached_property
    def content(self) -> bytes:
        """The body without its content coding.

        Raises:
            Refusal: 415, the coding is not known here; 413, the content is too large.
            DecodeError: The body is not in that coding.
        """
        try:
            decoder = content_decoder(self.headers.get("content-encoding", ""), MAX_BODY_BYTES)
        except DecodeError as error:
            raise Refusal(415, f"{self.endpoint.name}: {error}") from error
        try:
            return decoder.whole(self.body)
        except LimitExceeded as error:
            raise too_large() from error

    def read(self, type_: type[T]) -> T:
        """Decode the body from JSON.

        Raises:
            Refusal: 415, it is something else, or in a coding that is not known; 413, it is too
                large; 422, it does not fit.
        """
        if "json" not in self._media_type:
            raise Refusal(
                415, f"{self.endpoint.name} takes application/json, not {self._media_type}."
            )
        return self._decoded(partial(decode_json, type_=type_))

    def read_pass(self) -> ForwardBackwardRequest | ForwardRequest:
        """Decode a training pass, from protobuf or from JSON.

        Raises:
            Refusal: As ``read``.
        """
        if PROTOBUF not in self._media_type:
            return self.read(ForwardBackwardRequest)
        return self._decoded(decode_forward_backward_request)

    @property
    def _media_type(self) -> str:
        return self.headers.get("content-type", "application/json")

    def _decoded(self, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(self.content)
        except DecodeError as error:
            raise Refusal(422, f"{self.endpoint.name}: {error}") from error

    def count(self, name: str, default: int, *, least: int, most: int) -> int:
        """Read a whole number from the query.

        Raises:
            Refusal: 400 if it is none, or out of range.
        """
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise Refusal(400, f"query parameter {name}: must be {least} to {most}, got {text!r}")
        return int(text)
