"""The transports for tests in both forms, so that one test holds for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from tinker_lite.engine.transports import is_async
from tinker_lite.http import AnyTransport, AsyncTransport, Headers, Request, Transport
from tinker_lite.testing import (
    AsyncFakeTransport,
    AsyncFaultyTransport,
    AsyncRecordingTransport,
    AsyncReplayTransport,
    AsyncScriptedTransport,
    FakeTransport,
    FaultyTransport,
    RecordingTransport,
    ReplayTransport,
    ScriptedTransport,
)
from tinker_lite.testing.fake import Handler

API = "http://127.0.0.1:9/api/v1"


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class Kit(NamedTuple):
    """The transports of one form; ``sleep`` makes a way of waiting that only keeps the seconds."""

    fake: Callable[[Handler], FakeTransport | AsyncFakeTransport]
    scripted: Callable[..., ScriptedTransport | AsyncScriptedTransport]
    recording: Callable[..., AnyTransport]
    replay: Callable[..., ReplayTransport | AsyncReplayTransport]
    faulty: Callable[..., FaultyTransport | AsyncFaultyTransport]
    sleep: Callable[[list[float]], Callable[[float], Any]]


def _noting(slept: list[float]) -> Callable[[float], Any]:
    return slept.append


def _noting_async(slept: list[float]) -> Callable[[float], Any]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return sleep


BLOCKING = Kit(
    FakeTransport,
    ScriptedTransport,
    RecordingTransport,
    ReplayTransport,
    FaultyTransport,
    _noting,
)
ASYNC = Kit(
    AsyncFakeTransport,
    AsyncScriptedTransport,
    AsyncRecordingTransport,
    AsyncReplayTransport,
    AsyncFaultyTransport,
    _noting_async,
)


def get(path: str, **parts: Any) -> Request:
    """A request for something below the API's root."""
    return Request(method="GET", url=API + path, **parts)


def post(path: str, body: Any = b"{}", **parts: Any) -> Request:
    """A request with a body."""
    return Request(method="POST", url=API + path, body=body, **parts)


async def ask(transport: AnyTransport, request: Request) -> Answer:
    """Send a request through a transport of either form, and read the answer."""
    if is_async(transport):
        response = await cast("AsyncTransport", transport).send(request)
        return Answer(response.status, response.headers, await response.read())
    plain = cast("Transport", transport).send(request)
    return Answer(plain.status, plain.headers, plain.read())


async def shut(transport: AnyTransport) -> None:
    """Close a transport of either form."""
    if is_async(transport):
        await cast("AsyncTransport", transport).aclose()
    else:
        cast("Transport", transport).close()
