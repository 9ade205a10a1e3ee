"""One attempt of a call: send it, and read what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

import msgspec

from tinker_lite.engine.call import Call
from tinker_lite.engine.call_io import CallIO, R
from tinker_lite.errors import (
    APIResponseValidationError,
    DecodeError,
    ProtocolError,
    TransportError,
)
from tinker_lite.http import Headers, Request
from tinker_lite.protocol.replies import Reply
from tinker_lite.wire.content import content_decoder

if TYPE_CHECKING:
    from tinker_lite.http import AsyncResponse, Response

__all__ = ["Opened", "attempt"]

# A refusal of an open call is read for its text only.
MAX_REFUSAL_BYTES = 2**20


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


async def attempt(
    call: Call, io: CallIO[R], n_retries: int, stays_open: bool
) -> Reply | Opened[R] | TransportError:
    """Send a call once.

    Args:
        call: The call.
        io: The world.
        n_retries: How often it was sent before.
        stays_open: A success is returned with its body unread.

    Raises:
        APIResponseValidationError: The body is in a coding that is not known here.
    """
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
    except TransportError as error:
        return error
    if stays_open and 200 <= response.status < 300:
        return Opened(response=response, call=call, n_retries=n_retries, started_s=started_s)
    try:
        if stays_open:
            body = await _read_briefly(response, call, io)
        else:
            raw = await io.read_body(response, call.max_response_bytes)
            body = _decoded(raw, response.headers, call.max_response_bytes)
    except TransportError as error:
        return error
    except DecodeError as error:  # which no repeat would mend
        head = _reply(response, b"", call, n_retries, io.now() - started_s).head()
        raise APIResponseValidationError(head, "", f"{call.endpoint.name}: {error}") from error
    return _reply(response, body, call, n_retries, io.now() - started_s)


def _reply(
    response: Response | AsyncResponse, body: bytes, call: Call, n_retries: int, elapsed_s: float
) -> Reply:
    return Reply(
        status=response.status,
        headers=response.headers,
        body=body,
        method=call.method,
        url=call.shown_url,
        n_retries=n_retries,
        elapsed_s=elapsed_s,
        http_version=response.http_version,
    )


async def _read_briefly(response: R, call: Call, io: CallIO[R]) -> bytes:
    """What a refusal says, within a bound: the limits of an open call let a body go on for ever."""
    limit_s = call.timeout.read_s or call.endpoint.timeout_s
    until_s, chunks, body = io.now() + limit_s, io.chunks(response), bytearray()
    try:
        while (chunk := await chunks.next()) is not None:
            body += chunk
            if len(body) > MAX_REFUSAL_BYTES or io.now() >= until_s:
                return b"" if "content-encoding" in response.headers else bytes(body)
    finally:
        await io.close(response)
    return _decoded(bytes(body), response.headers, call.max_response_bytes)


def _decoded(body: bytes, headers: Headers, max_bytes: int) -> bytes:
    """The body without its content coding.

    Raises:
        DecodeError: Its coding is not known here.
        LimitExceeded: It unpacks to more than is allowed for a body.
        ProtocolError: It is not what its coding says.
    """
    coding = headers.get("content-encoding")
    if coding is None:
        return body
    decoder = content_decoder(coding, max_bytes)
    try:
        return decoder.whole(body)
    except DecodeError as error:
        raise ProtocolError(str(error), may_have_arrived=True) from error
