"""The seam: what a transport is given, what it gives back, and what it promises.

A transport is any object with ``send`` and ``close`` (blocking), or ``send`` and ``aclose`` as
coroutine functions (async). It promises:

1. ``send(request)`` returns when the response head is in; the body is an iterator of bytes that
   yields as bytes arrive. Closing a response, or the transport, twice is harmless.
2. A request body is ``bytes``, or an iterable of bytes (an async iterable in the async form): a
   large upload never sits in memory. A generator is closed when its request ends, however it ends.
3. Bytes in, bytes out. No retries (not even on a stale connection: the error says
   ``reused_connection``, and the engine repeats where that is safe), no redirects, cookies,
   decompression, JSON or body logging.
4. Safe for many threads (blocking) or many tasks (async) at once.
5. Only ``TransportError`` subclasses leave it, each with ``may_have_arrived``; a short body is an
   error, never an end.
6. Limits come with the request: pool, connect, TLS, write, read (idle) and total seconds, and the
   bytes of the head. Reading a body whole takes a byte limit too.
7. After any failure or cancellation the transport is still usable, and no connection slot is lost.
8. Headers are ordered pairs, looked up without regard to case. Nothing is added beyond what HTTP
   needs: Host, the framing (Content-Length or Transfer-Encoding) and Connection.

Retries, redirects, content decoding, idempotency keys, redaction and deadlines live above the seam.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias, cast
from typing import Protocol as _Protocol

import msgspec

from tinker_lite.errors import StreamAlreadyConsumed
from tinker_lite.headers import HeaderPairs, Headers
from tinker_lite.safety import MAX_HEAD_BYTES, Discreet, check_size
from tinker_lite.target import UNIX_SCHEME, Origin, Target, parse_target, public_url

__all__ = [
    "UNIX_SCHEME",
    "AnyTransport",
    "AsyncResponse",
    "AsyncTransport",
    "AsyncWholeBody",
    "HeaderPairs",
    "Headers",
    "Origin",
    "Request",
    "Response",
    "Target",
    "Timeout",
    "Transport",
    "WholeBody",
    "parse_target",
    "public_url",
]


class Timeout(msgspec.Struct, frozen=True, kw_only=True):
    """The time limits of one request, in seconds; None means no limit.

    Attributes:
        pool_s: Waiting for a free connection slot.
        connect_s: Name look-up and TCP connect, for all addresses together.
        tls_s: The TLS handshake.
        write_s: Longest time without progress while sending.
        read_s: Longest time without a byte while receiving.
        total_s: The whole exchange, from the call to the last byte of the body.

    Raises:
        ValueError: A limit is not a positive number.
    """

    pool_s: float | None = 60.0
    connect_s: float | None = 5.0
    tls_s: float | None = 10.0
    write_s: float | None = 60.0
    read_s: float | None = 60.0
    total_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that no exchange could keep."""
        for name in self.__struct_fields__:
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
                raise ValueError(f"Timeout.{name} is {seconds!r}; it must be above 0 s, or None.")

    @classmethod
    def of(cls, value: float | Timeout | None) -> Timeout:
        """A number of seconds bounds the silence and the whole; None lifts every limit.

        Raises:
            TypeError: It is no number.
            ValueError: It is not above 0.
        """
        if isinstance(value, Timeout):
            return value
        if value is None:
            return cls(
                pool_s=None, connect_s=None, tls_s=None, write_s=None, read_s=None, total_s=None
            )
        if not isinstance(cast("object", value), int | float):
            raise TypeError(f"timeout is {value!r}; give seconds as a number, a Timeout, or None.")
        if not value > 0:
            raise ValueError(f"timeout is {value!r}; it must be above 0 s, or None.")
        return cls(
            pool_s=value,
            connect_s=min(value, 5.0),
            tls_s=min(value, 10.0),
            write_s=value,
            read_s=value,
            total_s=value,
        )


class Request(Discreet, frozen=True, kw_only=True):
    """One HTTP request, complete: a transport needs nothing else.

    Attributes:
        method: The HTTP method, upper case.
        url: Absolute URL, without user info.
        headers: What to send, in order. Without a Content-Length an iterable body goes out chunked.
        body: ``bytes``, or an iterable of bytes matching the transport's form.
        timeout: Limits in seconds.
        max_head_bytes: Largest response head, in bytes.
    """

    method: str
    url: str
    headers: Headers = Headers()
    body: bytes | Iterable[bytes] | AsyncIterable[bytes] = b""
    timeout: Timeout = Timeout()
    max_head_bytes: int = MAX_HEAD_BYTES

    def __repr__(self) -> str:
        """Method, public URL and headers; never the body."""
        return f"Request({self.method} {public_url(self.url)}, {self.headers!r})"


class _Head:
    """What both forms of a response share: the head, and the rule that a body is read once."""

    def __init__(self, status: int, headers: Headers, http_version: str) -> None:
        self.status = status
        self.headers = headers
        self.http_version = http_version
        self._handed_out = False

    @property
    def status_code(self) -> int:
        """The HTTP status, under the name that status errors use."""
        return self.status

    def _hand_out(self) -> None:
        if self._handed_out:
            raise StreamAlreadyConsumed(
                "The body of this response has been handed out already; keep what read() gave, "
                "or make the request again."
            )
        self._handed_out = True

    def __repr__(self) -> str:
        """Status and headers, secrets left out."""
        return f"{type(self).__name__}({self.status}, {self.headers!r})"


class WholeBody(NamedTuple):
    """A shortcut that a transport may offer for bodies of known, moderate size.

    Attributes:
        size_bytes: The size of the body.
        read: Reads all of it at once, into one piece of memory.
    """

    size_bytes: int
    read: Callable[[], bytes]


class Response(_Head):
    """A response whose head is in and whose body is still to be read.

    Args:
        status: The final HTTP status.
        headers: The response headers.
        body: The body, as bytes or as an iterator that yields as bytes arrive.
        close: Called once by ``close``; gives the connection back or drops it.
        http_version: ``"1.1"`` or ``"1.0"``.
        whole: A quicker way for ``read`` to have all of the body.
    """

    def __init__(
        self,
        status: int,
        headers: Headers | HeaderPairs = (),
        body: bytes | Iterable[bytes] = b"",
        *,
        close: Callable[[], None] | None = None,
        http_version: str = "1.1",
        whole: WholeBody | None = None,
    ) -> None:
        super().__init__(status, Headers(headers), http_version)
        self._body = (body,) if isinstance(body, bytes) else body
        self._close = close
        self._whole = whole

    def iter_bytes(self) -> Iterator[bytes]:
        """The body's bytes as they arrive, once; the response closes itself at the end.

        Raises:
            TransportError: The body could not be read to its declared end.
            StreamAlreadyConsumed: The body was asked for before.
        """
        self._hand_out()
        return self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        try:
            for chunk in self._body:
                if chunk:
                    yield chunk
        finally:
            self.close()

    def read(self, max_bytes: int | None = None) -> bytes:
        """The whole body.

        Args:
            max_bytes: Largest body to accept, in bytes.

        Raises:
            LimitExceeded: The body is larger than ``max_bytes``.
            TransportError: The body could not be read to its declared end.
        """
        if self._whole is not None:
            self._hand_out()
            with self:
                check_size(self._whole.size_bytes, max_bytes)
                return self._whole.read()
        collected: list[bytes] = []
        n_bytes = 0
        chunks = self.iter_bytes()
        with self:
            for chunk in chunks:
                n_bytes += len(chunk)
                check_size(n_bytes, max_bytes)
                collected.append(chunk)
        return b"".join(collected)

    def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> Response:
        """Use the response as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the response."""
        self.close()


class AsyncWholeBody(NamedTuple):
    """The async form of ``WholeBody``."""

    size_bytes: int
    read: Callable[[], Awaitable[bytes]]


class AsyncResponse(_Head):
    """The async form of ``Response``: same arguments, with an async iterable body and close."""

    def __init__(
        self,
        status: int,
        headers: Headers | HeaderPairs = (),
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        close: Callable[[], Awaitable[None]] | None = None,
        http_version: str = "1.1",
        whole: AsyncWholeBody | None = None,
    ) -> None:
        super().__init__(status, Headers(headers), http_version)
        self._body = _Whole(body) if isinstance(body, bytes) else body
        self._close = close
        self._whole = whole

    def iter_bytes(self) -> AsyncChunks:
        """Async form of ``Response.iter_bytes``; same result and errors.

        Whoever stops early closes the response, or the iterator (``contextlib.aclosing``).
        """
        self._hand_out()
        return AsyncChunks(self._body, self.aclose)

    async def read(self, max_bytes: int | None = None) -> bytes:
        """Async form of ``Response.read``; same argument, result and errors."""
        if self._whole is not None:
            self._hand_out()
            async with self:
                check_size(self._whole.size_bytes, max_bytes)
                return await self._whole.read()
        collected: list[bytes] = []
        n_bytes = 0
        chunks = self.iter_bytes()
        async with self:
            async for chunk in chunks:
                n_bytes += len(chunk)
                check_size(n_bytes, max_bytes)
                collected.append(chunk)
        return b"".join(collected)

    async def aclose(self) -> None:
        """Let go of the connection; harmless when repeated."""
        close, self._close = self._close, None
        if close is not None:
            await close()

    async def __aenter__(self) -> AsyncResponse:
        """Use the response as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the response."""
        await self.aclose()


# Iterators rather than async generators: trio warns about a generator that a caller leaves early,
# even when its response has been closed.
class AsyncChunks(AsyncIterator[bytes]):
    """The chunks of an async body; ``aclose``, the response's, is called when there are no more."""

    def __init__(self, body: AsyncIterable[bytes], aclose: Callable[[], Awaitable[None]]) -> None:
        self._body = aiter(body)
        self._close = aclose

    async def aclose(self) -> None:
        """Close the response; harmless when repeated."""
        await self._close()

    async def __anext__(self) -> bytes:
        try:
            while not (chunk := await anext(self._body)):
                pass
        except BaseException:
            await self._close()
            raise
        return chunk


class _Whole(AsyncIterator[bytes]):
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._chunks = iter((body,))

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


class Transport(_Protocol):
    """A blocking transport; see the promises at the top of this module."""

    def send(self, request: Request) -> Response:
        """Send one request and return when the response head is in.

        Raises:
            TransportError: Nothing usable came back; see ``may_have_arrived``.
        """
        ...

    def close(self) -> None:
        """Close every connection; a later ``send`` raises ``TransportClosed``."""
        ...


class AsyncTransport(_Protocol):
    """An async transport; see the promises at the top of this module."""

    async def send(self, request: Request) -> AsyncResponse:
        """Async form of ``Transport.send``; same argument, result and errors."""
        ...

    async def aclose(self) -> None:
        """Close every connection; a later ``send`` raises ``TransportClosed``."""
        ...


AnyTransport: TypeAlias = Transport | AsyncTransport
