"""What went wrong, in the terms of the seam: the table of what h11, anyio and sockets raise."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, cast

import anyio
import h11

from tinker_lite.attempt import COMMON_ROWS, lost, refused, unknown_host, untrusted
from tinker_lite.errors import ProtocolError

if TYPE_CHECKING:
    from tinker_lite.attempt import Attempt, Row
    from tinker_lite.errors import TransportError

__all__ = ["TABLE"]


def _remote(error: Exception, attempt: Attempt) -> TransportError:
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


def _lost(error: Exception, attempt: Attempt) -> TransportError:
    # anyio says that all attempts failed; what was wrong with each is in the cause.
    cause = error.__cause__ or error
    causes: tuple[BaseException, ...] = (cause,)
    if isinstance(cause, BaseExceptionGroup):
        causes = cast("BaseExceptionGroup[BaseException]", cause).exceptions
    return lost(OSError("; ".join(dict.fromkeys(map(_reason, causes)))), attempt)


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionError) and error.errno is not None:
        return os.strerror(error.errno)  # asyncio has a text of its own, which names no reason
    return str(error) or type(error).__name__


TABLE: tuple[Row, ...] = (
    *COMMON_ROWS,
    (h11.RemoteProtocolError, _remote),
    (h11.LocalProtocolError, refused),
    (UnicodeEncodeError, refused),
    (ssl.SSLCertVerificationError, untrusted),
    (socket.gaierror, unknown_host),
    (anyio.ClosedResourceError, _lost),
    (anyio.BrokenResourceError, _lost),
    (anyio.BusyResourceError, _lost),
    (anyio.EndOfStream, _lost),
    (OSError, _lost),  # ssl.SSLError and anyio's ConnectionFailed too
)
