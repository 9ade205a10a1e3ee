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
from tinker_lite.attempt import Attempt, HeadTooLarge, Stage, translate
from tinker_lite.http import Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from tinker_lite.attempt import Row

REQUEST = Request(method="GET", url="https://example.invalid/path?key=secret")


def library_errors(module: ModuleType, base: type[Exception]) -> list[type[Exception]]:
    """The exception classes that a module defines, warnings left out."""
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, base) and not issubclass(one, Warning)
    ]


def matching_row(table: Sequence[Row], error: type[Exception]) -> int | None:
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
    attempt = Attempt(REQUEST)
    attempt.stage = Stage.HEAD
    ours = translate(_with_text(cls), attempt, urllib3_failures.TABLE)
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
        (TimeoutError, "TUNNEL", errors.TransportTimeout, "connect"),
        (ConnectionResetError, "TUNNEL", errors.ConnectError, None),
        (OSError, "CONNECT", errors.ConnectError, None),
    ],
)
def test_urllib3_rows(
    error: type[Exception], stage: str, expected: type[Exception], phase: str | None
) -> None:
    """The same library error means something else at another stage."""
    attempt = Attempt(REQUEST)
    attempt.stage = Stage[stage]
    ours = translate(_with_text(error), attempt, urllib3_failures.TABLE)
    assert type(ours) is expected
    assert getattr(ours, "phase", None) == phase


@pytest.mark.parametrize(
    ("error", "stage", "expected"),
    [
        (h11.RemoteProtocolError("odd"), "BODY", errors.ProtocolError),
        (HeadTooLarge(), "HEAD", errors.LimitExceeded),
        (h11.LocalProtocolError("odd"), "WRITE", errors.InvalidRequest),
        (anyio.EndOfStream(), "HEAD", errors.ConnectionLost),
        (anyio.BrokenResourceError(), "BODY", errors.TruncatedBody),
        (anyio.BrokenResourceError(), "TLS", errors.ConnectError),
        (anyio.BrokenResourceError(), "TUNNEL", errors.ConnectError),
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
    attempt = Attempt(REQUEST)
    attempt.stage = Stage[stage]
    ours = translate(error, attempt, h11_failures.TABLE)
    assert type(ours) is expected
    assert "GET https://example.invalid/path:" in str(ours)


@pytest.mark.parametrize(
    ("causes", "named"),
    [
        ([ConnectionRefusedError(111, "Connect call failed")], "(Connection refused)"),
        (
            [ConnectionRefusedError(111, "a"), ConnectionRefusedError(111, "b")],
            "(Connection refused)",
        ),
        ([OSError("no route"), ConnectionResetError()], "(no route; ConnectionResetError)"),
    ],
)
def test_h11_names_the_reasons(causes: list[OSError], named: str) -> None:
    """Where all addresses of a host fail, the text gives the reason of each, once."""
    error = OSError("All connection attempts failed")
    error.__cause__ = causes[0] if len(causes) == 1 else ExceptionGroup("several", causes)
    attempt = Attempt(REQUEST)
    attempt.stage = Stage.CONNECT
    assert f"connecting failed {named}" in str(translate(error, attempt, h11_failures.TABLE))


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_no_row_is_hidden(failures: ModuleType) -> None:
    """Every row is the first that takes its own class, so that order never hides one."""
    for index, (cls, _) in enumerate(failures.TABLE):
        assert matching_row(failures.TABLE, cls) == index


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_what_is_known_travels_along(failures: ModuleType) -> None:
    """An error says how far the request came, also after pickling."""
    attempt = Attempt(REQUEST)
    attempt.stage, attempt.sent_whole, attempt.reused = Stage.HEAD, True, True
    ours = translate(ConnectionResetError("reset"), attempt, failures.TABLE)
    copy = pickle.loads(pickle.dumps(ours))
    assert (copy.may_have_arrived, copy.reused_connection) == (True, True)
    assert str(copy) == str(ours)


@pytest.mark.parametrize("failures", [h11_failures, urllib3_failures], ids=["h11", "urllib3"])
def test_foreign_errors_pass(failures: ModuleType) -> None:
    """What the caller's body raised, and what is already ours, is left alone."""
    attempt = Attempt(REQUEST)
    mine = OSError("of the caller's file")
    attempt.caller_error = mine
    assert translate(mine, attempt, failures.TABLE) is mine
    ours = errors.ConnectError("already ours")
    assert translate(ours, attempt, failures.TABLE) is ours
