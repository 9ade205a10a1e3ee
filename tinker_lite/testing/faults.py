"""What networks do to an exchange, one struct each.

Each keeps the promises of the seam: the class of its error, ``may_have_arrived``, and a closed
response. All are written once, as coroutines over a ``Form``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    ProtocolError,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import Request, Timeout, public_url
from tinker_lite.testing.forms import Form, R, Tap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "Answered",
    "ConnectionRefused",
    "Delayed",
    "Duplicated",
    "Fault",
    "GarbledBody",
    "GarbledHead",
    "ResetAfterArrival",
    "ResetBeforeArrival",
    "Stalled",
    "Truncated",
]

# Every byte becomes one outside ASCII: neither JSON nor text, and of the same length.
_GARBLED = bytes(128 + i % 64 for i in range(256))


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all faults; ``inject`` is one exchange with the fault in it."""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Make the exchange, and spoil it."""
        return await form.send(request)


class ConnectionRefused(Fault, frozen=True, kw_only=True):
    """No connection: nothing was sent, and the error says so."""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Raise ``ConnectError``."""
        raise ConnectError(_text(request, "the connection was refused"))


class ResetBeforeArrival(Fault, frozen=True, kw_only=True):
    """The connection broke before the request was through; the error cannot know that.

    Attributes:
        reused_connection: Whether it was a kept-alive connection.
    """

    reused_connection: bool = False

    async def inject(self, form: Form[R], request: Request) -> R:
        """Raise ``ConnectionLost``; the inner transport gets nothing."""
        raise ConnectionLost(
            _text(request, "the connection was reset"),
            may_have_arrived=True,
            reused_connection=self.reused_connection,
        )


class ResetAfterArrival(Fault, frozen=True, kw_only=True):
    """The service has done its work, and the connection broke before the answer came.

    Attributes:
        reused_connection: Whether it was a kept-alive connection.
    """

    reused_connection: bool = False

    async def inject(self, form: Form[R], request: Request) -> R:
        """Raise ``ConnectionLost``, the request having been sent."""
        await form.close(await form.send(request))
        raise ConnectionLost(
            _text(request, "the connection was reset"),
            may_have_arrived=True,
            reused_connection=self.reused_connection,
        )


class Stalled(Fault, frozen=True, kw_only=True):
    """Silence, until the request's own read (or total) limit runs out.

    Attributes:
        after_bytes: How much of the body comes before it; None: not even the head.
    """

    after_bytes: int | None = None

    async def inject(self, form: Form[R], request: Request) -> R:
        """Raise ``TransportTimeout``, from ``send`` or while the body is read."""
        response = await form.send(request)
        if self.after_bytes is not None:
            return form.tapped(response, _Cut(self.after_bytes, lambda: _timeout(form, request)))
        await form.close(response)
        raise await _timeout(form, request)


class Truncated(Fault, frozen=True, kw_only=True):
    """The body ends too early.

    Attributes:
        after_bytes: How much of it comes.
    """

    after_bytes: int = 0

    async def inject(self, form: Form[R], request: Request) -> R:
        """Give a response whose body raises ``TruncatedBody``."""

        async def end() -> TruncatedBody:
            return TruncatedBody(
                _text(request, f"the body ended after {self.after_bytes} bytes"),
                may_have_arrived=True,
            )

        return form.tapped(await form.send(request), _Cut(self.after_bytes, end))


class Delayed(Fault, frozen=True, kw_only=True):
    """The request takes its time; past its own read (or total) limit it is a ``Stalled`` one.

    Attributes:
        delay_s: Seconds.
    """

    delay_s: float

    async def inject(self, form: Form[R], request: Request) -> R:
        """Answer late, or raise ``TransportTimeout``."""
        if self.delay_s >= _limit(request.timeout)[1]:
            return await Stalled().inject(form, request)
        await form.sleep(self.delay_s)
        return await form.send(request)


class Duplicated(Fault, frozen=True, kw_only=True):
    """The request arrives twice, and the second answer is the one that comes back."""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Send twice."""
        twice = await form.whole(request)
        await form.close(await form.send(twice))
        return await form.send(twice)


class GarbledHead(Fault, frozen=True, kw_only=True):
    """What comes back is not HTTP."""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Raise ``ProtocolError``, the request having been sent."""
        await form.close(await form.send(request))
        raise ProtocolError(_text(request, "the answer is not HTTP"), may_have_arrived=True)


class GarbledBody(Fault, frozen=True, kw_only=True):
    """The body is as long as it should be and makes no sense; no transport can tell."""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Give a response whose bytes are wrong."""
        return form.tapped(await form.send(request), _Garbling())


class Answered(Fault, frozen=True, kw_only=True):
    """Somebody on the way, such as a proxy, answers in place of the service.

    Attributes:
        status: HTTP status.
        headers: Response headers.
        body: The body.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    async def inject(self, form: Form[R], request: Request) -> R:
        """Answer; the inner transport gets nothing."""
        return form.answer(self.status, self.headers, self.body)


class _Cut(Tap):
    """Lets so many bytes through and ends the body in its own way."""

    def __init__(self, n_bytes: int, end: Callable[[], Awaitable[TransportError]]) -> None:
        self._n_left = n_bytes
        self._end = end

    async def chunk(self, chunk: bytes) -> bytes:
        """What is let through of a chunk."""
        if not self._n_left:
            raise await self._end()
        kept = chunk[: self._n_left]
        self._n_left -= len(kept)
        return kept

    async def ended(self) -> None:
        """A body shorter than that ends badly all the same."""
        raise await self._end()


class _Garbling(Tap):
    async def chunk(self, chunk: bytes) -> bytes:
        """As many wrong bytes."""
        return chunk.translate(_GARBLED)


def _text(request: Request, what: str) -> str:
    return f"{request.method} {public_url(request.url)}: {what} (injected)."


def _limit(timeout: Timeout) -> tuple[Literal["read", "total"], float]:
    """The limit on silence that runs out first, and its seconds."""
    read_s = float("inf") if timeout.read_s is None else timeout.read_s
    total_s = float("inf") if timeout.total_s is None else timeout.total_s
    return ("read", read_s) if read_s <= total_s else ("total", total_s)


async def _timeout(form: Form[R], request: Request) -> TransportTimeout:
    """Wait for the limit on silence; what is then to be raised."""
    phase, limit_s = _limit(request.timeout)
    if limit_s == float("inf"):
        raise AssertionError(
            _text(request, "a stall would never end, since the request has no read or total limit")
        )
    await form.sleep(limit_s)
    return TransportTimeout(
        _text(request, f"nothing came for {limit_s:g} s"), phase=phase, may_have_arrived=True
    )
