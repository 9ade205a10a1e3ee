"""The errors of urllib3 and the standard library in the terms of the seam, as one table.

Rows are tried from the top, so a subclass stands above its base.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING

from urllib3 import exceptions as urllib3_errors
from urllib3.util.ssl_match_hostname import CertificateError

from tinker_lite.attempt import (
    COMMON_ROWS,
    Attempt,
    Row,
    Stage,
    lost,
    refused,
    unknown_host,
    untrusted,
)
from tinker_lite.errors import (
    ConnectError,
    LimitExceeded,
    ProtocolError,
    TransportClosed,
    TransportError,
)

if TYPE_CHECKING:
    from tinker_lite.errors import TimeoutPhase

__all__ = ["TABLE"]

PHASE_OF: dict[Stage, TimeoutPhase] = {
    Stage.POOL: "pool",
    Stage.CONNECT: "connect",
    Stage.TUNNEL: "connect",
    Stage.TLS: "tls",
    Stage.WRITE: "write",
    Stage.HEAD: "read",
    Stage.BODY: "read",
}


def _timed_out(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.timeout(PHASE_OF[attempt.stage], f"the time ran out ({error})")


def _no_slot(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.timeout("pool", f"no connection came free ({error})")


def _bad_answer(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


def _too_large(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(LimitExceeded, f"the answer's head is too large ({error})")


def _not_connected(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ConnectError, f"no connection ({error})")


def _closed(_: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(TransportClosed, "the transport was closed meanwhile")


TABLE: tuple[Row, ...] = (
    *COMMON_ROWS,
    # urllib3
    (urllib3_errors.NameResolutionError, unknown_host),
    (urllib3_errors.NewConnectionError, _not_connected),
    (urllib3_errors.TimeoutError, _timed_out),
    (urllib3_errors.ProxyError, _not_connected),
    (urllib3_errors.SSLError, untrusted),
    (CertificateError, untrusted),
    (urllib3_errors.EmptyPoolError, _no_slot),
    (urllib3_errors.ClosedPoolError, _closed),
    (urllib3_errors.IncompleteRead, lost),
    (urllib3_errors.ResponseNotChunked, _bad_answer),
    (urllib3_errors.ProtocolError, lost),
    (urllib3_errors.LocationValueError, refused),
    (urllib3_errors.ProxySchemeUnsupported, refused),
    (urllib3_errors.HostChangedError, refused),
    (urllib3_errors.UnrewindableBodyError, refused),
    (urllib3_errors.TimeoutStateError, refused),
    (urllib3_errors.HTTPError, _bad_answer),
    # The standard library underneath it
    (http.client.InvalidURL, refused),
    (http.client.ImproperConnectionState, refused),
    (http.client.IncompleteRead, lost),
    (http.client.RemoteDisconnected, lost),
    (http.client.LineTooLong, _too_large),
    (http.client.HTTPException, _bad_answer),
    (ssl.SSLCertVerificationError, untrusted),
    (socket.gaierror, unknown_host),
    (TimeoutError, _timed_out),
    (OSError, lost),
)
