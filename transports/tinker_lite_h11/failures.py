"""What went wrong, in the terms of the seam: the one place where library errors become ours.

``Attempt`` follows one request; ``translate`` reads it. Rows of the table are tried from the top,
so a subclass stands above its base. What no row names and the caller did not raise is a defect of
this package, and passes through unchanged.
"""

from __future__ import annotations

import socket
import ssl
from enum import Enum
from typing import TYPE_CHECKING

import anyio
import h11

from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    LimitExceeded,
    ProtocolError,
    TransportClosed,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import public_url

from .limits import PhaseExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.http import Request

__all__ = ["TABLE", "Attempt", "PeerClosed", "Stage", "translate"]

HEADERS_TOO_LARGE = 431  # what h11 says with "Receive buffer too long"


class Stage(Enum):
    """How far an exchange has come."""

    POOL = "waiting for a free connection"
    CONNECT = "connecting"
    TLS = "the TLS handshake"
    WRITE = "sending the request"
    HEAD = "waiting for the answer"
    BODY = "reading the body"


class PeerClosed(Exception):  # noqa: N818  # internal: becomes one of ours at the edge
    """The peer ended its side of the connection while bytes were awaited."""


class Attempt:
    """What is known of one request under way.

    Attributes:
        stage: How far it has come.
        sent_whole: The last byte of the request has been handed to the socket, or may have been.
        reused: It went out on a connection that had served before.
        caller_error: What the caller's own body iterable raised.
        closed: The transport was closed meanwhile.
    """

    __slots__ = ("_request", "caller_error", "closed", "reused", "sent_whole", "stage")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.stage = Stage.POOL
        self.sent_whole = False
        self.reused = False
        self.caller_error: BaseException | None = None
        self.closed = False

    def __str__(self) -> str:
        return f"{self._request.method} {public_url(self._request.url)}"

    def error(self, cls: type[TransportError], text: str) -> TransportError:
        """An error of the class that carries what is known."""
        return cls(
            f"{self}: {text}.", may_have_arrived=self.sent_whole, reused_connection=self.reused
        )


def translate(error: Exception, attempt: Attempt) -> Exception:
    """The error to raise for ``error``; unchanged when it is the caller's or ours already."""
    if error is attempt.caller_error or isinstance(error, TransportError):
        return error
    if attempt.closed:
        return attempt.error(TransportClosed, "the transport was closed meanwhile")
    for cls, make in TABLE:
        if isinstance(error, cls):
            return make(error, attempt)
    return error


def _expired(error: Exception, attempt: Attempt) -> TransportError:
    assert isinstance(error, PhaseExpired)
    return TransportTimeout(
        f"{attempt}: {error} while {attempt.stage.value}.",
        phase=error.phase,
        may_have_arrived=attempt.sent_whole,
        reused_connection=attempt.reused,
    )


def _remote(error: Exception, attempt: Attempt) -> TransportError:
    assert isinstance(error, h11.RemoteProtocolError)
    if error.error_status_hint == HEADERS_TOO_LARGE and attempt.stage is not Stage.BODY:
        return attempt.error(LimitExceeded, "the answer's head is larger than max_head_bytes")
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


def _local(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(InvalidRequest, f"this cannot be put into HTTP/1.1 ({error})")


def _certificate(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(
        ConnectError,
        f"the server's certificate was not accepted ({error}); if a proxy or a private authority "
        "signs it, pass an ssl_context that trusts it",
    )


def _unknown_host(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ConnectError, f"the host name could not be resolved ({error})")


def _lost(error: Exception, attempt: Attempt) -> TransportError:
    reason = str(error.__cause__ or error) or type(error).__name__
    if attempt.stage in {Stage.POOL, Stage.CONNECT, Stage.TLS}:
        return attempt.error(ConnectError, f"{attempt.stage.value} failed ({reason})")
    if attempt.stage is Stage.BODY:
        return attempt.error(TruncatedBody, f"the body ended before its end ({reason})")
    text = f"the connection was lost while {attempt.stage.value} ({reason})"
    return attempt.error(ConnectionLost, text)


Row = tuple[type[Exception], "Callable[[Exception, Attempt], TransportError]"]

TABLE: tuple[Row, ...] = (
    (PhaseExpired, _expired),
    (PeerClosed, _lost),
    (h11.RemoteProtocolError, _remote),
    (h11.LocalProtocolError, _local),
    (UnicodeEncodeError, _local),
    (ssl.SSLCertVerificationError, _certificate),
    (socket.gaierror, _unknown_host),
    (anyio.ClosedResourceError, _lost),
    (anyio.BrokenResourceError, _lost),
    (anyio.BusyResourceError, _lost),
    (anyio.EndOfStream, _lost),
    (OSError, _lost),  # ssl.SSLError and anyio's ConnectionFailed too
)
