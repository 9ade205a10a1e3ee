"""Every error of the libraries underneath becomes one of ours."""

from __future__ import annotations

import http.client
import inspect
import pickle
import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import h11
import pytest
import urllib3.exceptions

import tinker_lite_h11.failures as h11_failures
import tinker_lite_urllib3.failures as urllib3_failures
from tinker_lite import errors
from tinker_lite.http import Request

if TYPE_CHECKING:
    from types import ModuleType

REQUEST = Request(method="GET", url="https://example.invalid/path?key=secret")


def library_errors(module: ModuleType, base: type[Exception]) -> list[type[Exception]]:
    """The exception classes that a module defines, warnings left out."""
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, base) and not issubclass(one, Warning)
    ]


def matching_row(table: tuple[h11_failures.Row, ...], error: type[Exception]) -> int | None:
    """The first row of a table that takes an error."""
    return next((i for i, (cls, _) in enumerate(table) if issubclass(error, cls)), None)


@pytest.mark.parametrize(
    "cls",
    [
        *library_errors(urllib3.exceptions, urllib3.exceptions.HTTPError),
        *library_errors(http.client, http.client.HTTPException),
        urllib3.exceptions.ProxySchemeUnsupported,
    ],
    ids=lambda cls: cls.__name__,
)
def test_urllib3_table_is_complete(cls: type[Exception]) -> None:
    """Whatever urllib3 and http.client raise has a row, and becomes a TransportError."""
    attempt = urllib3_failures.Attempt(REQUEST)
    attempt.stage = urllib3_failures.Stage.HEAD
    ours = urllib3_failures.translate(_with_text(cls), attempt)
    assert isinstance(ours, errors.TransportError)
    assert "GET https://example.invalid/path:" in str(ours)
    assert "secret" not in str(ours)


def _with_text(cls: type[Exception]) -> Exception:
    """An error that can be shown; some compute their text from arguments that are not at hand."""

    def nothing(_: Exception) -> None:
        return None

    def text(_: Exception) -> str:
        return "what happened"

    body = {"__init__": nothing, "__str__": text, "__repr__": text}
    error: Exception = type(cls.__name__, (cls,), body)()
    return error


@pytest.mark.parametrize(
    ("error", "stage", "expected", "phase"),
    [
        (urllib3.exceptions.NameResolutionError, "CONNECT", errors.ConnectError, None),
        (urllib3.exceptions.NewConnectionError, "CONNECT", errors.ConnectError, None),
        (urllib3.exceptions.ConnectTimeoutError, "CONNECT", errors.TransportTimeout, "connect"),
        (urllib3.exceptions.ReadTimeoutError, "BODY", errors.TransportTimeout, "read"),
        (urllib3.exceptions.EmptyPoolError, "POOL", errors.TransportTimeout, "pool"),
        (urllib3.exceptions.ClosedPoolError, "POOL", errors.TransportClosed, None),
        (urllib3.exceptions.ProxyError, "CONNECT", errors.ConnectError, None),
        (urllib3.exceptions.SSLError, "TLS", errors.ConnectError, None),
        (urllib3.exceptions.ProtocolError, "HEAD", errors.ConnectionLost, None),
        (urllib3.exceptions.ProtocolError, "BODY", errors.TruncatedBody, None),
        (urllib3.exceptions.IncompleteRead, "BODY", errors.TruncatedBody, None),
        (urllib3.exceptions.LocationParseError, "POOL", errors.InvalidRequest, None),
        (http.client.RemoteDisconnected, "HEAD", errors.ConnectionLost, None),
        (http.client.BadStatusLine, "HEAD", errors.ProtocolError, None),
        (http.client.LineTooLong, "HEAD", errors.LimitExceeded, None),
        (ssl.SSLCertVerificationError, "TLS", errors.ConnectError, None),
        (ssl.SSLError, "TLS", errors.ConnectError, None),
        (ssl.SSLError, "BODY", errors.TruncatedBody, None),
        (socket.gaierror, "CONNECT", errors.ConnectError, None),
        (ConnectionResetError, "WRITE", errors.ConnectionLost, None),
        (TimeoutError, "TLS", errors.TransportTimeout, "tls"),
        (OSError, "CONNECT", errors.ConnectError, None),
    ],
)
def test_urllib3_rows(
    error: type[Exception], stage: str, expected: type[Exception], phase: str | None
) -> None:
    """The same library error means something else at another stage."""
    attempt = urllib3_failures.Attempt(REQUEST)
    attempt.stage = urllib3_failures.Stage[stage]
    ours = urllib3_failures.translate(_with_text(error), attempt)
    assert type(ours) is expected
    assert getattr(ours, "phase", None) == phase


@pytest.mark.parametrize(
    ("error", "stage", "expected"),
    [
        (h11.RemoteProtocolError("odd"), "HEAD", errors.ProtocolError),
        (h11.RemoteProtocolError("long", error_status_hint=431), "HEAD", errors.LimitExceeded),
        (h11.RemoteProtocolError("long", error_status_hint=431), "BODY", errors.ProtocolError),
        (h11.LocalProtocolError("odd"), "WRITE", errors.InvalidRequest),
        (anyio.EndOfStream(), "HEAD", errors.ConnectionLost),
        (anyio.BrokenResourceError(), "BODY", errors.TruncatedBody),
        (anyio.BrokenResourceError(), "TLS", errors.ConnectError),
        (anyio.ClosedResourceError(), "WRITE", errors.ConnectionLost),
        (anyio.BusyResourceError("reading"), "HEAD", errors.ConnectionLost),
        (anyio.ConnectionFailed("no"), "CONNECT", errors.ConnectError),
        (ssl.SSLCertVerificationError("no"), "TLS", errors.ConnectError),
        (ssl.SSLError("no"), "HEAD", errors.ConnectionLost),
        (socket.gaierror("no"), "CONNECT", errors.ConnectError),
        (OSError("no"), "CONNECT", errors.ConnectError),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_h11_rows(error: Exception, stage: str, expected: type[Exception]) -> None:
    """What h11, anyio and the system raise becomes one of ours, by the stage it came at."""
    attempt = h11_failures.Attempt(REQUEST)
    attempt.stage = h11_failures.Stage[stage]
    ours = h11_failures.translate(error, attempt)
    assert type(ours) is expected
    assert "GET https://example.invalid/path:" in str(ours)


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_no_row_is_hidden(failures: ModuleType) -> None:
    """Every row is the first that takes its own class, so that order never hides one."""
    for index, (cls, _) in enumerate(failures.TABLE):
        assert matching_row(failures.TABLE, cls) == index


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_what_is_known_travels_along(failures: ModuleType) -> None:
    """An error says how far the request came, also after pickling."""
    attempt = failures.Attempt(REQUEST)
    attempt.stage, attempt.sent_whole, attempt.reused = failures.Stage.HEAD, True, True
    ours = failures.translate(ConnectionResetError("reset"), attempt)
    copy = pickle.loads(pickle.dumps(ours))
    assert (copy.may_have_arrived, copy.reused_connection) == (True, True)
    assert str(copy) == str(ours)


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_foreign_errors_pass(failures: ModuleType) -> None:
    """What the caller's body raised, and what is already ours, is left alone."""
    attempt = failures.Attempt(REQUEST)
    mine = OSError("of the caller's file")
    attempt.caller_error = mine
    assert failures.translate(mine, attempt) is mine
    ours = errors.ConnectError("already ours")
    assert failures.translate(ours, attempt) is ours
