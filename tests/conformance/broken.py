"""Transports that break one promise of the seam each, and the cases that must notice.

They are factories for the kit. Each wraps a good transport, so that whatever else fails is a case
that blames the wrong one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec

from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    TransportClosed,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import Headers, Request, Response
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tinker_lite_conformance.transport import Options

__all__ = ["FAILS", "Whole"]


POOL_S = 1.0
ENOUGH_BYTES = 50_000_000  # some cases have bodies without end


class Whole:
    """A good transport, to be broken in one way."""

    lacks: ClassVar[Mapping[str, str]] = {"http2": "it speaks HTTP/1.1 only"}

    def __init__(self, options: Options) -> None:
        self.options = options
        self.inner = Urllib3Transport(
            verify=options.verify or True,
            max_connections_per_host=options.max_connections,
            proxy=options.proxy,
        )

    def send(self, request: Request) -> Response:
        """Send it as it should be sent."""
        return self.inner.send(request)

    def close(self) -> None:
        """Close."""
        self.inner.close()


def with_body(response: Response, body: Iterator[bytes]) -> Response:
    """A response with another body."""
    return Response(
        response.status,
        response.headers,
        body,
        close=response.close,
        http_version=response.http_version,
    )


class WaitsForTheBody(Whole):
    """Promise 1: gives the head only when the first bytes of the body are in."""

    def send(self, request: Request) -> Response:
        """Read ahead; what that raises is raised when the body is read."""
        response = self.inner.send(request)
        chunks = response.iter_bytes()
        ahead: list[bytes | TransportError] = []
        try:
            ahead.append(next(chunks, b""))
        except TransportError as error:
            ahead.append(error)

        def body() -> Iterator[bytes]:
            [first] = ahead
            if isinstance(first, TransportError):
                raise first
            yield first
            yield from chunks

        return with_body(response, body())


class CollectsUploads(Whole):
    """Promise 2: takes the whole of a request body before it sends any."""

    def send(self, request: Request) -> Response:
        """Collect the body, up to what fits into memory."""
        if isinstance(request.body, bytes):
            return self.inner.send(request)
        blocks: list[bytes] = []
        n_bytes = 0
        for block in cast("Iterable[bytes]", request.body):
            blocks.append(block)
            n_bytes += len(block)
            if n_bytes > ENOUGH_BYTES:
                break
        return self.inner.send(msgspec.structs.replace(request, body=blocks))


class Retries(Whole):
    """Promise 3: repeats a request whose connection was lost."""

    def send(self, request: Request) -> Response:
        """Send it again, if its body can be."""
        try:
            return self.inner.send(request)
        except ConnectionLost:
            if not isinstance(request.body, bytes):
                raise
            return self.inner.send(request)


class FollowsRedirects(Whole):
    """Promise 3: goes where an answer points."""

    def send(self, request: Request) -> Response:
        """Send it again to the same place, which is enough to be seen."""
        response = self.inner.send(request)
        if response.headers.get("location") is None:
            return response
        response.read()
        return self.inner.send(request)


class OneAtATime(Whole):
    """Promise 4: holds a lock until the head of an answer is in."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Wait for the one before."""
        with self._lock:
            return self.inner.send(request)


class SwallowsShortBodies(Whole):
    """Promise 5: takes the end of the connection for the end of the body."""

    def send(self, request: Request) -> Response:
        """Leave out the error."""
        response = self.inner.send(request)

        def body() -> Iterator[bytes]:
            try:
                yield from response.iter_bytes()
            except TruncatedBody:
                return

        return with_body(response, body())


class BlamesNobody(Whole):
    """Promise 5: lets an error out that is not one of the seam's."""

    def send(self, request: Request) -> Response:
        """Let an error of connecting through as Python's own."""
        try:
            return self.inner.send(request)
        except ConnectError as error:
            raise ConnectionRefusedError(str(error)) from error


class IgnoresTheTotal(Whole):
    """Promise 6: knows no limit for the whole exchange."""

    def send(self, request: Request) -> Response:
        """Leave out the limit."""
        timeout = msgspec.structs.replace(request.timeout, total_s=None)
        return self.inner.send(msgspec.structs.replace(request, timeout=timeout))


class IgnoresTheHeadLimit(Whole):
    """Promise 6: reads heads of any size."""

    def send(self, request: Request) -> Response:
        """Allow much."""
        return self.inner.send(msgspec.structs.replace(request, max_head_bytes=100_000_000))


class LosesSlots(Whole):
    """Promise 7: a failure costs a connection slot for good."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._slots = threading.Semaphore(options.max_connections or 1_000)

    def send(self, request: Request) -> Response:
        """Give the slot back unless the request fails."""
        if not self._slots.acquire(timeout=POOL_S):
            raise TransportTimeout("No slot.", phase="pool", may_have_arrived=False)
        response = self.inner.send(request)
        self._slots.release()
        return response


class NamesItself(Whole):
    """Promise 8: adds a header that nobody asked for."""

    def send(self, request: Request) -> Response:
        """Say who is calling."""
        headers = Headers([*request.headers, ("User-Agent", "me")])
        return self.inner.send(msgspec.structs.replace(request, headers=headers))


class TellsTheOrigin(Whole):
    """Promise 8: sends the proxy's credentials to whoever listens."""

    def send(self, request: Request) -> Response:
        """Add what only the proxy should see."""
        if "@" not in (self.options.proxy or ""):
            return self.inner.send(request)
        pairs = [("Proxy-Authorization", "Basic dXNlcjpwQHNz")]
        return self.inner.send(
            msgspec.structs.replace(request, headers=request.headers.merged(pairs))
        )


class ClosesOnce(Whole):
    """Promise 1: falls over its own second close."""

    is_closed = False

    def close(self) -> None:
        """Close, once."""
        if self.is_closed:
            raise TransportClosed("It is closed already.", may_have_arrived=False)
        self.is_closed = True
        self.inner.close()


# What each fails, and nothing else. Where errors are the fault, many cases see it.
FAILS: Mapping[type[Whole], set[str]] = {
    Whole: set(),
    WaitsForTheBody: {"T-01", "T-165", "T-169"},
    ClosesOnce: {"T-05", "T-55", "T-56", "T-203", "T-204", "T-205"},
    CollectsUploads: {"T-04", "T-54", "T-181", "T-187", "T-188", "T-198", "T-199", "T-212"},
    Retries: {
        *("T-37", "T-44", "T-45", "T-57", "T-94", "T-121", "T-147", "T-152", "T-154"),
    },
    FollowsRedirects: {"T-36"},
    OneAtATime: {"T-49", "T-64", "T-163"},
    SwallowsShortBodies: {
        *("T-20", "T-37", "T-57", "T-74", "T-131", "T-142", "T-147", "T-152", "T-164"),
    },
    BlamesNobody: {
        *("T-46", "T-47", "T-71", "T-72", "T-82", "T-84", "T-86", "T-88", "T-89", "T-91", "T-93"),
        *("T-96", "T-197"),
    },
    IgnoresTheTotal: {"T-62", "T-167", "T-168", "T-169", "T-170", "T-171", "T-212"},
    IgnoresTheHeadLimit: {"T-27", "T-119", "T-150", "T-152", "T-214"},
    LosesSlots: {"T-57", "T-166", "T-167", "T-168", "T-169", "T-177", "T-178"},
    NamesItself: {"T-13", "T-14"},
    TellsTheOrigin: {"T-83", "T-92"},
}
