"""The service behind the blocking transport seam: answered in process, nothing on any wire.

The promises are those of ``tinker_lite.http``. Only the path and query of a URL matter; its host
may be anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from tinker_lite.errors import (
    InvalidRequest,
    LimitExceeded,
    TransportClosed,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.framing import check_headers
from tinker_lite.http import Request, Response, Timeout, parse_target
from tinker_lite.local.exchange import Reply, ServiceClosed
from tinker_lite.local.promises import Promise

if TYPE_CHECKING:
    from tinker_lite.local.service import LocalService

__all__ = ["LocalTransport"]


class LocalTransport:
    """The blocking form: the caller's own thread does the work that is not queued.

    Args:
        service: The service; it stays its owner's to close.
    """

    def __init__(self, service: LocalService) -> None:
        self._service = service
        self._is_closed = False
        self._polls: set[threading.Event] = set()
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            TransportError: As promised in ``tinker_lite.http``.
        """
        if self._is_closed:
            raise closed_error(may_have_arrived=False)
        started_s = time.monotonic()
        body = _collected(request.body)
        check_total(request.timeout, started_s)
        answer = begin(self._service, request, body)
        if isinstance(answer, Promise):
            self._wait(answer, request.timeout)
            answer = self._service.answer(answer, request.headers)
        check_head(answer, request)
        if isinstance(answer.body, bytes):
            return Response(answer.status, answer.headers, answer.body)
        pieces = guarded(answer.body, request.timeout)
        return Response(answer.status, answer.headers, pieces, close=pieces.close)

    def _wait(self, promise: Promise, timeout: Timeout) -> None:
        woken = threading.Event()
        with self._lock:
            self._polls.add(woken)
        promise.add_waiter(woken.set)
        try:
            is_woken = woken.wait(patience_s(self._service, timeout))
        finally:
            promise.remove_waiter(woken.set)
            with self._lock:
                self._polls.discard(woken)
        check_poll(self._service, timeout, is_woken=is_woken, is_closed=self._is_closed)

    def close(self) -> None:
        """End running polls; later, ``send`` raises ``TransportClosed``. The service stays open."""
        self._is_closed = True
        with self._lock:
            polls = list(self._polls)
        for woken in polls:
            woken.set()

    def __enter__(self) -> LocalTransport:
        """Use the transport as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the transport."""
        self.close()


# What both forms share.


def begin(service: LocalService, request: Request, body: bytes) -> Reply | Promise:
    """Hand a request to the service.

    Raises:
        InvalidRequest: The URL or a header is not one of HTTP.
        TransportClosed: The service is closed, or belongs to another process.
    """
    target = parse_target(request.url)
    check_headers(request.headers)
    path, _, query = target.path.partition("?")
    origin = f"{target.origin.scheme}://{target.host_header}"
    try:
        return service.begin(request.method, path, query, request.headers, body, origin=origin)
    except ServiceClosed as error:
        raise TransportClosed(str(error), may_have_arrived=False) from error


def check_total(timeout: Timeout, started_s: float) -> None:
    """See that the caller's own body did not use up the time for the whole exchange.

    Raises:
        TransportTimeout: It did.
    """
    if timeout.total_s is not None and time.monotonic() - started_s > timeout.total_s:
        raise TransportTimeout(
            f"The request's body was not there within {timeout.total_s:g} s.",
            phase="total",
            may_have_arrived=False,
        )


def patience_s(service: LocalService, timeout: Timeout) -> float:
    """How long a poll is waited for: as long as the service holds it, or the caller's limit."""
    return min(service.settings.poll_s, _limit(timeout)[1])


def _limit(timeout: Timeout) -> tuple[str, float]:
    limits = {"read": timeout.read_s, "total": timeout.total_s}
    return min(
        ((phase, float("inf") if limit is None else limit) for phase, limit in limits.items()),
        key=lambda pair: pair[1],
    )


def check_poll(service: LocalService, timeout: Timeout, *, is_woken: bool, is_closed: bool) -> None:
    """Judge how a poll's wait ended.

    Raises:
        TransportClosed: The transport was closed meanwhile.
        TransportTimeout: The caller's limit came before the service's.
    """
    if is_closed:
        raise closed_error(may_have_arrived=True)
    phase, limit_s = _limit(timeout)
    if not is_woken and limit_s < service.settings.poll_s:
        raise TransportTimeout(
            f"The result was not there within {limit_s:g} s.",
            phase="read" if phase == "read" else "total",
            may_have_arrived=True,
        )


def check_head(reply: Reply, request: Request) -> None:
    """Hold the head of an answer against the caller's limit.

    Raises:
        LimitExceeded: It is larger.
    """
    size = sum(len(name) + len(value) + 4 for name, value in reply.headers)
    if size > request.max_head_bytes:
        raise LimitExceeded(
            f"The response head has {size} bytes; {request.max_head_bytes} are allowed.",
            may_have_arrived=True,
        )


def guarded(body: Iterator[bytes], timeout: Timeout) -> Generator[bytes]:
    """A body whose errors are those of a transport, and which ends when the caller's time does."""
    deadline = None if timeout.total_s is None else time.monotonic() + timeout.total_s
    try:
        for chunk in body:
            if deadline is not None and time.monotonic() > deadline:
                raise TransportTimeout(
                    f"The body was not there within {timeout.total_s:g} s.",
                    phase="total",
                    may_have_arrived=True,
                )
            yield chunk
    except OSError as error:
        raise TruncatedBody(f"The body broke off: {error}", may_have_arrived=True) from error


def closed_error(*, may_have_arrived: bool) -> TransportClosed:
    """The error of a transport that was closed before, or during, an exchange."""
    return TransportClosed("The transport is closed.", may_have_arrived=may_have_arrived)


def _collected(body: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        raise InvalidRequest("An async body needs the async transport.", may_have_arrived=False)
    return b"".join(body)
