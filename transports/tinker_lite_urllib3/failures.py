"""What went wrong, in the terms of the seam: the one place where library errors become ours.

``Attempt`` follows one request; ``translate`` reads it. Rows of the table are tried from the top,
so a subclass stands above its base. What no row names and the caller did not raise is a defect of
this package, and passes through unchanged.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from enum import Enum
from typing import TYPE_CHECKING

from urllib3 import exceptions as urllib3_errors
from urllib3.util.ssl_match_hostname import CertificateError

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

    from tinker_lite.errors import TimeoutPhase
    from tinker_lite.http import Request

__all__ = ["TABLE", "Attempt", "BadAnswer", "HeadTooLarge", "PeerClosed", "Stage", "translate"]


class Stage(Enum):
    """How far an exchange has come."""

    POOL = "waiting for a free connection"
    CONNECT = "connecting"
    TLS = "the TLS handshake"
    WRITE = "sending the request"
    HEAD = "waiting for the answer"
    BODY = "reading the body"


PHASE_OF: dict[Stage, TimeoutPhase] = {
    Stage.POOL: "pool",
    Stage.CONNECT: "connect",
    Stage.TLS: "tls",
    Stage.WRITE: "write",
    Stage.HEAD: "read",
    Stage.BODY: "read",
}


class PeerClosed(Exception):  # noqa: N818  # internal: becomes one of ours at the edge
    """The peer ended its side of the connection while bytes were awaited."""


class BadAnswer(Exception):  # noqa: N818  # internal, likewise
    """The peer's bytes are not HTTP/1.1."""


class HeadTooLarge(Exception):  # noqa: N818  # internal, likewise
    """The head of the answer is larger than the request allows."""


class Attempt:
    """What is known of one request under way.

    Attributes:
        stage: How far it has come.
        sent_whole: The last byte of the request has been handed to the socket.
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

    def timeout(self, phase: TimeoutPhase, text: str) -> TransportTimeout:
        """A timeout that carries what is known."""
        return TransportTimeout(
            f"{self}: {text} while {self.stage.value}.",
            phase=phase,
            may_have_arrived=self.sent_whole,
            reused_connection=self.reused,
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
    return attempt.timeout(error.phase, str(error))


def _timed_out(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.timeout(PHASE_OF[attempt.stage], f"the time ran out ({error})")


def _no_slot(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.timeout("pool", f"no connection came free ({error})")


def _bad_answer(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


def _too_large(_: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(LimitExceeded, "the answer's head is larger than max_head_bytes")


def _refused(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(InvalidRequest, f"this cannot be put into HTTP/1.1 ({error})")


def _certificate(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(
        ConnectError,
        f"the server's certificate was not accepted ({error}); if a proxy or a private authority "
        "signs it, pass an ssl_context that trusts it",
    )


def _unknown_host(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ConnectError, f"the host name could not be resolved ({error})")


def _not_connected(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ConnectError, f"no connection ({error})")


def _closed(_: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(TransportClosed, "the transport was closed meanwhile")


def _lost(error: Exception, attempt: Attempt) -> TransportError:
    reason = str(error) or type(error).__name__
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
    (BadAnswer, _bad_answer),
    (HeadTooLarge, _too_large),
    # urllib3
    (urllib3_errors.NameResolutionError, _unknown_host),
    (urllib3_errors.NewConnectionError, _not_connected),
    (urllib3_errors.TimeoutError, _timed_out),
    (urllib3_errors.ProxyError, _not_connected),
    (urllib3_errors.SSLError, _certificate),
    (CertificateError, _certificate),
    (urllib3_errors.EmptyPoolError, _no_slot),
    (urllib3_errors.ClosedPoolError, _closed),
    (urllib3_errors.IncompleteRead, _lost),
    (urllib3_errors.ResponseNotChunked, _bad_answer),
    (urllib3_errors.ProtocolError, _lost),
    (urllib3_errors.LocationValueError, _refused),
    (urllib3_errors.ProxySchemeUnsupported, _refused),
    (urllib3_errors.HostChangedError, _refused),
    (urllib3_errors.UnrewindableBodyError, _refused),
    (urllib3_errors.TimeoutStateError, _refused),
    (urllib3_errors.HTTPError, _bad_answer),
    # The standard library underneath it
    (http.client.InvalidURL, _refused),
    (http.client.ImproperConnectionState, _refused),
    (http.client.IncompleteRead, _lost),
    (http.client.RemoteDisconnected, _lost),
    (http.client.LineTooLong, _too_large),
    (http.client.HTTPException, _bad_answer),
    (ssl.SSLCertVerificationError, _certificate),
    (socket.gaierror, _unknown_host),
    (TimeoutError, _timed_out),
    (OSError, _lost),
)
