"""A call as a value: what is sent, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinker_lite._version import USER_AGENT
from tinker_lite.config import RetryConfig
from tinker_lite.engine.call_io import BodySource
from tinker_lite.http import Headers, Timeout, public_url
from tinker_lite.protocol.endpoint import Endpoint
from tinker_lite.protocol.replies import Reply, connection_error, status_error
from tinker_lite.safety import MAX_RESPONSE_BYTES, Discreet
from tinker_lite.wire.content import accepted_codings

if TYPE_CHECKING:
    from tinker_lite.config import Config
    from tinker_lite.errors import APIError, TransportError

__all__ = [
    "IDEMPOTENCY_KEY",
    "LOCAL_BASE_URL",
    "Call",
    "built_in_headers",
    "error_of",
    "raise_for_status",
    "service_url",
]

# The embedded service is reached through its own transport; the URL only has to be well formed, and
# ``.invalid`` can never be a real host (RFC 6761 section 6.4).
LOCAL_BASE_URL = "http://local.invalid"

IDEMPOTENCY_KEY = "X-Idempotency-Key"


class Call(Discreet, frozen=True, kw_only=True):
    """A call, complete but for what changes from attempt to attempt.

    Attributes:
        endpoint: The row of the table.
        method: The HTTP method.
        url: Where it goes.
        headers: Headers of every attempt.
        body: The encoded body, or what makes it anew for each attempt.
        timeout: Limits of one attempt.
        retry: How failures are repeated.
        is_keyed: It gets an idempotency key, unless it has one or only reads.
        max_response_bytes: Largest body of an answer that is read whole.
    """

    endpoint: Endpoint
    method: str
    url: str
    headers: Headers
    body: bytes | BodySource = b""
    timeout: Timeout
    retry: RetryConfig
    is_keyed: bool = True
    max_response_bytes: int = MAX_RESPONSE_BYTES

    @property
    def is_repeatable(self) -> bool:
        """Whether there can be a second attempt."""
        return isinstance(self.body, bytes) or self.body.is_repeatable

    @property
    def shown_url(self) -> str:
        """The URL for people: without secrets, and ``local:`` for the embedded service."""
        url = public_url(self.url)
        return url.replace(LOCAL_BASE_URL, "local:") if url.startswith(LOCAL_BASE_URL) else url

    def __repr__(self) -> str:
        """Endpoint and public URL; never headers and body."""
        return f"Call({self.endpoint.name}, {public_url(self.url)})"


def service_url(config: Config) -> str:
    """What the paths of calls are put behind."""
    return LOCAL_BASE_URL if config.is_local else config.base_url


def built_in_headers(config: Config, row: Endpoint) -> Headers:
    """The headers that every call has, below all others."""
    headers = [
        ("Accept", row.accept),
        ("Accept-Encoding", accepted_codings()),
        ("User-Agent", USER_AGENT),
    ]
    if row.method != "GET":
        headers.append(("Content-Type", "application/json"))
    if config.api_key is not None:
        headers.append(("X-API-Key", config.api_key.reveal()))
    return Headers(headers)


def error_of(error: TransportError, call: Call, n_retries: int) -> APIError:
    """What a failure of the transport is to the caller; raise it from its cause."""
    return connection_error(
        error,
        operation=call.endpoint.name,
        method=call.method,
        url=call.shown_url,
        n_retries=n_retries,
    )


def raise_for_status(reply: Reply, operation: str) -> Reply:
    """The reply itself if it is a success.

    Raises:
        APIStatusError: The leaf for its status.
    """
    if not reply.ok:
        raise status_error(reply, operation)
    return reply
