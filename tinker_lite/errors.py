"""Every error the library raises, arranged by what the caller can do about it.

::

    TinkerError
    ├─ ConfigError (ValueError)         fix the settings: key, base URL, environment
    ├─ DecodeError (ValueError)         report it: bytes do not fit the type they should be
    ├─ APIError
    │  ├─ APIStatusError                the service answered with a status that is not success
    │  │  ├─ BadRequestError 400 · AuthenticationError 401 · BillingError 402
    │  │  ├─ PermissionDeniedError 403 · NotFoundError 404 · ConflictError 409
    │  │  └─ UnprocessableEntityError 422 · RateLimitError 429 · InternalServerError 5xx
    │  ├─ APIResponseValidationError    the answer does not fit the endpoint's type
    │  └─ APIConnectionError            nothing usable came back; see ``may_have_arrived``
    │     └─ APITimeoutError
    ├─ RetrievalError (ValueError)      an accepted operation whose result cannot be had
    │  ├─ RequestFailedError            the service ran the operation and it failed
    │  └─ ResultExpiredError            the result was there and is gone; do the work again
    ├─ StreamAlreadyConsumed            a body was read twice
    └─ TransportError                   what a transport may raise, and nothing else
       ├─ ConnectError                  no connection; nothing was sent
       ├─ TransportTimeout              ``phase`` names the limit that ran out
       ├─ ConnectionLost                the peer went away before the answer was whole
       ├─ TruncatedBody                 the body ended before its declared end
       ├─ ProtocolError                 the peer broke HTTP/1.1
       ├─ LimitExceeded                 the head or a buffered body is larger than allowed
       ├─ InvalidRequest                the request cannot be put into HTTP
       └─ TransportClosed               the transport was used after close

This module knows no HTTP library, no clock and no wire format. Secrets never enter a message:
callers pass URLs through ``tinker_lite.http.public_url`` first.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BillingError",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ConnectionLost",
    "DecodeError",
    "InternalServerError",
    "InvalidRequest",
    "LimitExceeded",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimitError",
    "RequestFailedError",
    "ResultExpiredError",
    "RetrievalError",
    "StreamAlreadyConsumed",
    "TimeoutPhase",
    "TinkerError",
    "TransportClosed",
    "TransportError",
    "TransportTimeout",
    "TruncatedBody",
    "UnprocessableEntityError",
    "status_error_class",
]

TimeoutPhase = Literal["pool", "connect", "tls", "write", "read", "total"]


class HasStatusCode(Protocol):
    """What a response in a status error must offer; ours and httpx's both do."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...


def _rebuild(
    cls: type[TinkerError], args: tuple[Any, ...], state: dict[str, object]
) -> TinkerError:
    """Make an error again without calling its constructor, whose arguments are keywords."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class TinkerError(Exception):
    """Base of every error of this library; all of them survive pickling."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by class, message and fields."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class ConfigError(TinkerError, ValueError):
    """A setting is missing or wrong; the text names it and says what to set."""


class DecodeError(TinkerError, ValueError):
    """Bytes do not fit the type they were read as; the text holds the path of the wrong value."""


class StreamAlreadyConsumed(TinkerError):
    """A response body was asked for again after its bytes had been handed out."""


class APIError(TinkerError):
    """A call to the service did not succeed.

    Attributes:
        message: What was attempted and what came back.
        request: The request as sent, without its secrets, or None.
        body: The parsed body of the answer, its text, or None.
    """

    def __init__(self, message: str, request: object = None, *, body: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body


class APIStatusError(APIError):
    """The service answered with a status that is not success.

    Attributes:
        response: The answer's head; at least ``status_code`` is there.
        status_code: The HTTP status.
    """

    def __init__(self, message: str, response: HasStatusCode, body: object = None) -> None:
        super().__init__(message, getattr(response, "request", None), body=body)
        self.response = response
        self.status_code = response.status_code


class BadRequestError(APIStatusError):
    """400: the service refused the request as it stands; the body says why."""


class AuthenticationError(APIStatusError):
    """401: the credential is missing, wrong or expired."""


class BillingError(APIStatusError):
    """402: the account cannot pay for this call now."""


class PermissionDeniedError(APIStatusError):
    """403: the credential is good, but not for this."""


class NotFoundError(APIStatusError):
    """404: there is no such thing, or no such endpoint on this server."""


class ConflictError(APIStatusError):
    """409: the request clashes with the present state, often a name already in use."""


class UnprocessableEntityError(APIStatusError):
    """422: the body was understood as JSON but does not fit the endpoint."""


class RateLimitError(APIStatusError):
    """429: too much at once; the call was repeated as often as allowed."""


class InternalServerError(APIStatusError):
    """500 and above: the service failed; the call was repeated as often as allowed."""


class APIResponseValidationError(APIError):
    """The answer has a success status but does not fit the endpoint's response type.

    Attributes:
        response: The answer's head.
        status_code: The HTTP status.
    """

    def __init__(
        self, response: HasStatusCode, body: object = None, message: str | None = None
    ) -> None:
        super().__init__(
            message or "The answer does not fit the expected type.",
            getattr(response, "request", None),
            body=body,
        )
        self.response = response
        self.status_code = response.status_code


class APIConnectionError(APIError):
    """Nothing usable came back.

    Attributes:
        may_have_arrived: False only if the service certainly did not see the request.
    """

    def __init__(
        self,
        request: object = None,
        message: str = "Connection error.",
        *,
        may_have_arrived: bool = True,
    ) -> None:
        super().__init__(message, request)
        self.may_have_arrived = may_have_arrived


class APITimeoutError(APIConnectionError):
    """The answer did not come within the time allowed."""

    def __init__(
        self,
        request: object = None,
        message: str = "Request timed out.",
        *,
        may_have_arrived: bool = True,
    ) -> None:
        super().__init__(request, message, may_have_arrived=may_have_arrived)


class RetrievalError(TinkerError, ValueError):
    """An operation was accepted, but its result cannot be had.

    It is a ``ValueError`` too, since callers of older clients catch that.

    Attributes:
        message: What was awaited and what came back.
        request_id: The service's name for the operation.
        operation: The endpoint that was called, or "".
    """

    def __init__(self, message: str, request_id: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.operation = operation


class RequestFailedError(RetrievalError):
    """The service ran the operation and it failed; it is never repeated by itself.

    Attributes:
        category: ``"user"`` (change the request), ``"server"`` (report it) or ``"unknown"``.
    """

    def __init__(
        self, message: str, request_id: str = "", category: str = "unknown", operation: str = ""
    ) -> None:
        super().__init__(message, request_id, operation)
        self.category = category


class ResultExpiredError(RetrievalError):
    """The service no longer has the result (410); the operation may have to be done again."""


class TransportError(TinkerError):
    """What a transport raises; the engine turns it into ``APIConnectionError`` or repeats the call.

    Attributes:
        may_have_arrived: False only if the peer certainly did not receive the whole request.
        reused_connection: True if the request went out on a kept-alive connection, which the peer
            may have closed in the same moment.
    """

    def __init__(
        self, message: str, *, may_have_arrived: bool, reused_connection: bool = False
    ) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived
        self.reused_connection = reused_connection


class ConnectError(TransportError):
    """No connection could be made: name look-up, refusal, TLS handshake or proxy."""

    def __init__(
        self, message: str, *, may_have_arrived: bool = False, reused_connection: bool = False
    ) -> None:
        super().__init__(
            message, may_have_arrived=may_have_arrived, reused_connection=reused_connection
        )


class TransportTimeout(TransportError):
    """One of the request's time limits ran out.

    Attributes:
        phase: Which limit: ``pool``, ``connect``, ``tls``, ``write``, ``read`` or ``total``.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: TimeoutPhase,
        may_have_arrived: bool,
        reused_connection: bool = False,
    ) -> None:
        super().__init__(
            message, may_have_arrived=may_have_arrived, reused_connection=reused_connection
        )
        self.phase: TimeoutPhase = phase


class ConnectionLost(TransportError):
    """The peer closed or reset the connection before the answer's head was whole."""


class TruncatedBody(TransportError):
    """The body ended before the length it declared, or a chunked body without its last chunk."""


class ProtocolError(TransportError):
    """The peer sent something that is not HTTP/1.1."""


class LimitExceeded(TransportError):
    """The answer's head, or a body read whole, is larger than the caller allows."""


class InvalidRequest(TransportError):
    """The request cannot be put into HTTP: its URL, method or a header is malformed."""


class TransportClosed(TransportError):
    """The transport was used after it had been closed."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: BillingError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error_class(status: int) -> type[APIStatusError]:
    """The error class for an HTTP status that is not success.

    Source: protocol section 1.8.
    """
    if status >= 500:
        return InternalServerError
    return _BY_STATUS.get(status, APIStatusError)
