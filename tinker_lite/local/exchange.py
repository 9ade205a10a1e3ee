"""What a handler is given, what it gives back, and how it says no.

This is also the one place that knows media types: ``Call.read`` turns a body into a value and
``json_reply`` a value into a body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tinker_lite.errors import DecodeError
from tinker_lite.http import HeaderPairs, Headers
from tinker_lite.wire.json import decode_json, encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tinker_lite.protocol.endpoints import Endpoint

__all__ = ["Call", "Refusal", "Reply", "ServiceClosed", "json_reply"]

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """An answer; a body that is an iterator comes with its Content-Length in the headers."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes | Iterator[bytes] = b""


def json_reply(value: object, status: int = 200, headers: HeaderPairs = ()) -> Reply:
    """Make an answer whose body is the JSON of a struct or of plain values."""
    body = encode_json(value)
    pairs = (("content-type", "application/json"), ("content-length", str(len(body))))
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
        body: The whole body.
        base_url: What stood before ``/api/v1``.
    """

    endpoint: Endpoint
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    base_url: str

    def read(self, type_: type[T]) -> T:
        """Decode the body.

        Raises:
            Refusal: 415 if it is not JSON as it is; 422 if it does not fit.
        """
        media_type = self.headers.get("content-type", "application/json")
        coding = self.headers.get("content-encoding", "identity")
        if "json" not in media_type or coding != "identity":
            raise Refusal(
                415,
                f"{self.endpoint.name}: this service reads application/json without a content "
                f"coding, not {media_type} with {coding}.",
            )
        try:
            return decode_json(self.body, type_)
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
