"""What is known of one request under way, and what its failures become.

Part of the seam, for transports to share: ``Attempt`` follows one request, ``translate`` reads it
and a table of the transport's own. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

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
from tinker_lite.target import public_url

if TYPE_CHECKING:
    from tinker_lite.errors import TimeoutPhase
    from tinker_lite.http import Request

__all__ = [
    "COMMON_ROWS",
    "Attempt",
    "BadAnswer",
    "HeadTooLarge",
    "PeerClosed",
    "PhaseExpired",
    "Row",
    "Stage",
    "TunnelRefused",
    "lost",
    "refused",
    "translate",
    "unknown_host",
    "untrusted",
]


class Stage(Enum):
    """How far an exchange has come, and the limit that its waits are under."""

    POOL = "waiting for a free connection"
    CONNECT = "connecting"
    TUNNEL = "asking the proxy for a tunnel"
    TLS = "the TLS handshake"
    WRITE = "sending the request"
    HEAD = "waiting for the answer"
    BODY = "reading the body"


_CONNECTING = frozenset({Stage.POOL, Stage.CONNECT, Stage.TUNNEL, Stage.TLS})


class PhaseExpired(Exception):  # noqa: N818  # internal: becomes TransportTimeout at the edge
    """A limit ran out; the edge adds what it knows of the exchange."""

    def __init__(self, phase: TimeoutPhase, limit_s: float) -> None:
        super().__init__(f"the {phase} limit of {limit_s:g} s ran out")
        self.phase: TimeoutPhase = phase


class PeerClosed(Exception):  # noqa: N818  # internal, likewise
    """The peer ended its side of the connection while bytes were awaited."""


class BadAnswer(Exception):  # noqa: N818  # internal, likewise
    """The peer's bytes are not HTTP/1.1."""


class HeadTooLarge(Exception):  # noqa: N818  # internal, likewise
    """The head of the answer is larger than the request allows."""


class TunnelRefused(Exception):  # noqa: N818  # internal, likewise
    """A proxy does not lead where it was asked to."""


class Attempt:
    """What is known of one request under way.

    Attributes:
        stage: How far it has come.
        via: The proxy it goes through, as texts name it; empty when it goes directly.
        sent_whole: The last byte of the request has been handed to the socket, or may have been.
        reused: It went out on a connection that had served before.
        caller_error: What the caller's own body iterable raised.
        closed: The transport was closed meanwhile.
    """

    __slots__ = ("_request", "caller_error", "closed", "reused", "sent_whole", "stage", "via")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.stage = Stage.POOL
        self.via = ""
        self.sent_whole = False
        self.reused = False
        self.caller_error: BaseException | None = None
        self.closed = False

    def __str__(self) -> str:
        through = f" through the proxy {self.via}" if self.via else ""
        return f"{self._request.method} {public_url(self._request.url)}{through}"

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


Row: TypeAlias = tuple[type[Exception], Callable[[Exception, Attempt], TransportError]]


def translate(error: Exception, attempt: Attempt, table: Sequence[Row]) -> Exception:
    """The error to raise for ``error``; unchanged when it is the caller's or ours already.

    Rows are tried from the top, so a subclass stands above its base. What no row names is a defect
    of the transport, and passes through unchanged.
    """
    if error is attempt.caller_error or isinstance(error, TransportError):
        return error
    if attempt.closed:
        return attempt.error(TransportClosed, "the transport was closed meanwhile")
    for cls, make in table:
        if isinstance(error, cls):
            return make(error, attempt)
    return error


def lost(error: Exception, attempt: Attempt) -> TransportError:
    """The connection failed; the class says how far the exchange had come."""
    reason = str(error) or str(error.__cause__ or "") or type(error).__name__
    if attempt.stage in _CONNECTING:
        return attempt.error(ConnectError, f"{attempt.stage.value} failed ({reason})")
    if attempt.stage is Stage.BODY:
        return attempt.error(TruncatedBody, f"the body ended before its end ({reason})")
    text = f"the connection was lost while {attempt.stage.value} ({reason})"
    return attempt.error(ConnectionLost, text)


def refused(error: Exception, attempt: Attempt) -> TransportError:
    """The request cannot be sent as it is."""
    return attempt.error(InvalidRequest, f"this cannot be put into HTTP/1.1 ({error})")


def untrusted(error: Exception, attempt: Attempt) -> TransportError:
    """The server's certificate was refused."""
    return attempt.error(
        ConnectError,
        f"the server's certificate was not accepted ({error}); if a private authority signs it, "
        "name its file in verify= or SSL_CERT_FILE",
    )


def unknown_host(error: Exception, attempt: Attempt) -> TransportError:
    """The name look-up failed."""
    return attempt.error(ConnectError, f"the host name could not be resolved ({error})")


def _expired(error: Exception, attempt: Attempt) -> TransportError:
    assert isinstance(error, PhaseExpired)
    return attempt.timeout(error.phase, str(error))


def _bad_answer(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


def _too_large(_: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(LimitExceeded, "the answer's head is larger than max_head_bytes")


def _no_tunnel(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ConnectError, f"no tunnel ({error})")


COMMON_ROWS: tuple[Row, ...] = (
    (PhaseExpired, _expired),
    (PeerClosed, lost),
    (BadAnswer, _bad_answer),
    (HeadTooLarge, _too_large),
    (TunnelRefused, _no_tunnel),
)
