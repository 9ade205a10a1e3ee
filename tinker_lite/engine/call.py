"""One call: send, read, decide, repeat. One coroutine for every colour.

The coroutine takes its I/O as an argument and touches neither threads nor an event loop, so the
blocking client can drive it with a single ``send(None)`` and the async ones can await it. It must
not know who drives it; it must not sleep, read a clock or draw a random number but through
``CallIO``.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Generic

import msgspec

from tinker_lite._version import USER_AGENT
from tinker_lite.config import RetryConfig
from tinker_lite.engine.bodies import encoded_body
from tinker_lite.engine.call_io import BodySource, CallIO, R
from tinker_lite.errors import APIError, DecodeError, ProtocolError, TransportError
from tinker_lite.http import Headers, Request, Timeout, public_url
from tinker_lite.protocol.endpoint import Endpoint, Form
from tinker_lite.protocol.replies import Reply, connection_error, status_error
from tinker_lite.protocol.retry import delay_after_error, delay_after_status
from tinker_lite.safety import MAX_RESPONSE_BYTES, Discreet, Follow, follow, is_public
from tinker_lite.wire.content import accepted_codings, content_decoder
from tinker_lite.wire.urls import QueryValue, join_url, render_path, render_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.config import Config

__all__ = [
    "Call",
    "Opened",
    "built_in_headers",
    "error_of",
    "perform",
    "perform_open",
    "prepare",
    "raise_for_status",
    "service_url",
]

logger = logging.getLogger("tinker_lite")

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


class Opened(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """A successful answer whose body is still to be read.

    Attributes:
        response: The answer; whoever has it closes it.
        call: What was sent last, after redirects.
        n_retries: Repeats it took.
        started_s: When the attempt that was answered began, by the clock of the ``CallIO``.
    """

    response: R
    call: Call
    n_retries: int
    started_s: float


def service_url(config: Config) -> str:
    """What the paths of calls are put behind."""
    return LOCAL_BASE_URL if config.is_local else config.base_url


def prepare(
    config: Config,
    endpoint: Endpoint,
    body: object = None,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, QueryValue] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    form: Form = "json",
) -> Call:
    """Encode a call of the table whose body is a struct.

    Args:
        config: Base URL, credential, default headers and limits.
        endpoint: The row of the table.
        body: A struct or plain values, or None for no body.
        path: Values for the placeholders of the path.
        query: Query parameters; None values are dropped.
        headers: Headers of this call, above the defaults.
        timeout_s: Seconds for one attempt, above configuration and table.
        form: What the body is encoded as; only training passes have a choice.

    Raises:
        TypeError: The body has no JSON form.
        ValueError: A path value is empty or malformed.
    """
    place = render_path(endpoint.path_for(form), **(path or {}))
    timeout = config.timeout or Timeout.of(endpoint.timeout_s)
    encoded, described = (b"", []) if body is None else encoded_body(body, form)
    defaults = built_in_headers(config, endpoint).merged(described)
    defaults = defaults.merged(config.default_headers)
    return Call(
        endpoint=endpoint,
        method=endpoint.method,
        url=join_url(service_url(config), place, render_query(query or {})),
        headers=defaults.merged((headers or {}).items()),
        body=encoded,
        timeout=timeout if timeout_s is None else Timeout.of(timeout_s),
        retry=config.retry,
        max_response_bytes=config.max_response_bytes,
    )


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


async def perform(call: Call, io: CallIO[R]) -> Reply:
    """Make a call, repeating it as the policy says, and return the final answer, read whole.

    Any status is an answer; ``status_error`` turns an unwelcome one into an exception.

    Raises:
        APIConnectionError: No answer came, and no further attempt is allowed.
    """
    outcome = await _perform(call, io, stays_open=False)
    assert isinstance(outcome, Reply)
    return outcome


async def perform_open(call: Call, io: CallIO[R]) -> Reply | Opened[R]:
    """Like ``perform``, but a success is returned with its body unread."""
    return await _perform(call, io, stays_open=True)


async def _perform(call: Call, io: CallIO[R], *, stays_open: bool) -> Reply | Opened[R]:
    first_started_s = io.now()
    if call.is_keyed and call.method != "GET" and IDEMPOTENCY_KEY not in call.headers:
        key = (IDEMPOTENCY_KEY, f"tinker-lite-{io.new_id()}")
        call = msgspec.structs.replace(call, headers=call.headers.merged([key]))
    n_retries = n_redirects = 0
    while True:
        outcome = await _attempt(call, io, n_retries, stays_open)
        if isinstance(outcome, Opened):
            return await _announced(outcome, io)
        step = _redirect(outcome, call, n_redirects)
        if step is not None:
            call = _followed(call, step)
            n_redirects += 1
            continue
        delay_s = _delay(outcome, call, io, n_retries, io.now() - first_started_s)
        if delay_s is None:
            if isinstance(outcome, Reply):
                _note_deprecation(outcome.headers, call, io)
                return outcome
            raise error_of(outcome, call, n_retries) from outcome
        if n_retries == 0 and delay_s:
            _note_retry(outcome, call, delay_s)
        await io.sleep(delay_s)
        n_retries += 1


async def _announced(opened: Opened[R], io: CallIO[R]) -> Opened[R]:
    try:
        _note_deprecation(opened.response.headers, opened.call, io)
    except BaseException:  # warnings may be errors
        await io.close(opened.response)
        raise
    return opened


def _redirect(outcome: Reply | TransportError, call: Call, n_redirects: int) -> Follow | None:
    if not isinstance(outcome, Reply) or outcome.status < 300 or call.endpoint.answers_by_redirect:
        return None
    step = follow(
        call.method,
        call.url,
        outcome.status,
        outcome.headers.get("location"),
        n_redirects=n_redirects,
        leads_to_storage=call.endpoint.leads_to_storage,
    )
    return None if step is not None and step.with_body and not call.is_repeatable else step


def _followed(call: Call, step: Follow) -> Call:
    headers = call.headers
    if not step.with_secrets:  # callers' own headers may hold some too
        headers = Headers(pair for pair in headers if is_public(pair[0]))
    elif not step.with_body and call.body:  # what described the body goes with it
        headers = Headers(pair for pair in headers if not pair[0].lower().startswith("content-"))
    return msgspec.structs.replace(
        call,
        method=step.method,
        url=step.url,
        headers=headers,
        body=call.body if step.with_body else b"",
    )


def _note_retry(outcome: Reply | TransportError, call: Call, delay_s: float) -> None:
    """Say once that a call is being repeated; back-pressure is no news."""
    if isinstance(outcome, Reply):
        if outcome.status in {408, 429}:
            return
        what = f"answered {outcome.status}"
    else:
        what = str(outcome)
    logger.warning("%s: %s; trying again in %.1f s", call.endpoint.name, what, delay_s)


def _note_deprecation(headers: Headers, call: Call, io: CallIO[R]) -> None:
    """Say once per client and endpoint what the service says of it (protocol section 1.8)."""
    note = headers.get("x-deprecation-note")
    if note is None or not io.is_news(f"{call.endpoint.name} is deprecated"):
        return
    text = f"{call.endpoint.name} is deprecated: {note}"
    if headers.get("x-deprecation-level", "").lower() == "error":
        logger.error("%s", text)
    else:
        warnings.warn(text, DeprecationWarning, stacklevel=2)


async def _attempt(
    call: Call, io: CallIO[R], n_retries: int, stays_open: bool
) -> Reply | Opened[R] | TransportError:
    started_s = io.now()
    request = Request(
        method=call.method,
        url=call.url,
        headers=call.headers,
        body=call.body if isinstance(call.body, bytes) else io.body(call.body),
        timeout=call.timeout,
    )
    try:
        response = await io.send(request)
        if stays_open and 200 <= response.status < 300:
            return Opened(response=response, call=call, n_retries=n_retries, started_s=started_s)
        raw = await io.read_body(response, call.max_response_bytes)
        body = _decoded(raw, response.headers, call.max_response_bytes)
    except TransportError as error:
        return error
    return Reply(
        status=response.status,
        headers=response.headers,
        body=body,
        method=call.method,
        url=call.shown_url,
        n_retries=n_retries,
        elapsed_s=io.now() - started_s,
        http_version=response.http_version,
    )


def _decoded(body: bytes, headers: Headers, max_bytes: int) -> bytes:
    """The body without its content coding.

    Raises:
        LimitExceeded: It unpacks to more than is allowed for a body.
        ProtocolError: It is not what its coding says.
    """
    coding = headers.get("content-encoding")
    if coding is None:
        return body
    try:
        return content_decoder(coding, max_bytes).whole(body)
    except DecodeError as error:
        raise ProtocolError(str(error), may_have_arrived=True) from error


def _delay(
    outcome: Reply | TransportError, call: Call, io: CallIO[R], n_retries: int, elapsed_s: float
) -> float | None:
    if not call.is_repeatable:
        return None
    if isinstance(outcome, TransportError):
        return delay_after_error(
            outcome,
            policy=call.retry,
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
        policy=call.retry,
        retry_class=call.endpoint.retry,
        n_retries=n_retries,
        elapsed_s=elapsed_s,
        random=io.random(),
    )


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
