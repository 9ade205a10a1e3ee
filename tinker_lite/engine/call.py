"""One call: build, send, read, decide, repeat. One coroutine for every colour.

The coroutine takes its I/O as an argument and touches neither threads nor an event loop, so the
blocking client can drive it with a single ``send(None)`` and the async ones can await it. It must
not know who drives it; it must not sleep, read a clock or draw a random number but through
``CallIO``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from tinker_lite._version import __version__
from tinker_lite.errors import APIError, TransportError
from tinker_lite.http import Headers, Request, Timeout, public_url
from tinker_lite.protocol.endpoints import Endpoint
from tinker_lite.protocol.replies import Reply, connection_error, status_error
from tinker_lite.protocol.retry import delay_after_error, delay_after_status
from tinker_lite.wire.json import encode_json
from tinker_lite.wire.urls import QueryValue, join_url, render_path, render_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.config import Config

__all__ = ["Call", "CallIO", "perform", "prepare"]

R = TypeVar("R")

logger = logging.getLogger("tinker_lite")

# The embedded service is reached through its own transport; the URL only has to be well formed, and
# ``.invalid`` can never be a real host (RFC 6761 section 6.4).
LOCAL_BASE_URL = "http://local.invalid"

# A result is bounded by the batch that asked for it; this bound only stops a broken server.
MAX_BODY_BYTES = 4 * 2**30

USER_AGENT = f"tinker-lite/{__version__}"


class CallIO(Protocol[R]):
    """The world as a call sees it; ``R`` is the transport's kind of response."""

    async def send(self, request: Request) -> R:
        """Send and return when the head is in; raises ``TransportError``."""
        ...

    async def read_body(self, response: R, max_bytes: int) -> bytes:
        """Read the whole body and let go of the connection; raises ``TransportError``."""
        ...

    def head(self, response: R) -> tuple[int, Headers]:
        """Status and headers of a response."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def new_id(self) -> str:
        """A text that was never given before."""
        ...


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call, complete but for what changes from attempt to attempt.

    Attributes:
        endpoint: The row of the table.
        url: Where it goes.
        headers: Headers of every attempt.
        body: The encoded body.
        timeout: Limits of one attempt.
    """

    endpoint: Endpoint
    url: str
    headers: Headers
    body: bytes = b""
    timeout: Timeout

    def __repr__(self) -> str:
        """Endpoint and public URL; never headers and body."""
        return f"Call({self.endpoint.name}, {public_url(self.url)}, <{len(self.body)} bytes>)"


def prepare(
    config: Config,
    endpoint: Endpoint,
    body: object = None,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, QueryValue] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> Call:
    """Encode a call.

    Args:
        config: Base URL, credential, default headers and limits.
        endpoint: The row of the table.
        body: A struct or plain values, or None for no body.
        path: Values for the placeholders of the path.
        query: Query parameters; None values are dropped.
        headers: Headers of this call, above the defaults.
        timeout_s: Seconds for one attempt, above configuration and table.

    Raises:
        TypeError: The body has no JSON form.
        ValueError: A path value is empty or malformed.
    """
    base_url = LOCAL_BASE_URL if config.is_local else config.base_url
    url = join_url(base_url, render_path(endpoint.path, **(path or {})), render_query(query or {}))
    timeout = config.timeout or Timeout.of(endpoint.timeout_s)
    return Call(
        endpoint=endpoint,
        url=url,
        headers=_headers(config, endpoint, headers or {}),
        body=b"" if body is None else encode_json(body),
        timeout=timeout if timeout_s is None else Timeout.of(timeout_s),
    )


def _headers(config: Config, endpoint: Endpoint, extra: Mapping[str, str]) -> Headers:
    built_in = [("Accept", "application/json"), ("User-Agent", USER_AGENT)]
    if endpoint.method != "GET":
        built_in.append(("Content-Type", "application/json"))
    if config.api_key is not None:
        built_in.append(("X-API-Key", config.api_key.reveal()))
    return Headers(built_in).merged(config.default_headers).merged(extra.items())


async def perform(call: Call, config: Config, io: CallIO[R]) -> Reply:
    """Make a call, repeating it as the policy says, and return the final answer.

    Any status is an answer; ``status_error`` turns an unwelcome one into an exception.

    Raises:
        APIConnectionError: No answer came, and no further attempt is allowed.
    """
    started = io.now()
    headers = call.headers
    if call.endpoint.method != "GET" and "X-Idempotency-Key" not in headers:
        headers = headers.merged([("X-Idempotency-Key", f"tinker-lite-{io.new_id()}")])
    n_retries = 0
    while True:
        outcome = await _attempt(call, headers, io, n_retries)
        delay_s = _delay(outcome, call, config, io, n_retries, io.now() - started)
        if delay_s is None:
            if isinstance(outcome, Reply):
                return outcome
            raise _gave_up(outcome, call, n_retries) from outcome
        if n_retries == 0 and delay_s:
            _note_retry(outcome, call, delay_s)
        await io.sleep(delay_s)
        n_retries += 1


def _note_retry(outcome: Reply | TransportError, call: Call, delay_s: float) -> None:
    """Say once that a call is being repeated; back-pressure is no news."""
    if isinstance(outcome, Reply):
        if outcome.status in {408, 429}:
            return
        what = f"answered {outcome.status}"
    else:
        what = str(outcome)
    logger.warning("%s: %s; trying again in %.1f s", call.endpoint.name, what, delay_s)


async def _attempt(
    call: Call, headers: Headers, io: CallIO[R], n_retries: int
) -> Reply | TransportError:
    request = Request(
        method=call.endpoint.method,
        url=call.url,
        headers=headers,
        body=call.body,
        timeout=call.timeout,
    )
    try:
        response = await io.send(request)
        status, received = io.head(response)
        body = await io.read_body(response, MAX_BODY_BYTES)
    except TransportError as error:
        return error
    return Reply(
        status=status,
        headers=received,
        body=body,
        method=call.endpoint.method,
        url=_shown_url(call),
        n_retries=n_retries,
    )


def _delay(
    outcome: Reply | TransportError,
    call: Call,
    config: Config,
    io: CallIO[R],
    n_retries: int,
    elapsed_s: float,
) -> float | None:
    if isinstance(outcome, TransportError):
        return delay_after_error(
            outcome,
            policy=config.retry,
            retry_class=call.endpoint.retry,
            n_retries=n_retries,
            elapsed_s=elapsed_s,
            random=io.random(),
        )
    if outcome.ok:
        return None
    return delay_after_status(
        outcome.status,
        outcome.headers,
        policy=config.retry,
        retry_class=call.endpoint.retry,
        n_retries=n_retries,
        elapsed_s=elapsed_s,
        random=io.random(),
    )


def _gave_up(error: TransportError, call: Call, n_retries: int) -> APIError:
    return connection_error(
        error,
        operation=call.endpoint.name,
        method=call.endpoint.method,
        url=_shown_url(call),
        n_retries=n_retries,
    )


def _shown_url(call: Call) -> str:
    """The URL for people: without secrets, and ``local:`` for the embedded service."""
    url = public_url(call.url)
    return url.replace(LOCAL_BASE_URL, "local:") if url.startswith(LOCAL_BASE_URL) else url


def raise_for_status(reply: Reply, operation: str) -> Reply:
    """The reply itself if it is a success.

    Raises:
        APIStatusError: The leaf for its status.
    """
    if not reply.ok:
        raise status_error(reply, operation)
    return reply
