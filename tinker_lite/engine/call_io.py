"""The world as a call sees it: an interface, so that one coroutine serves every colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from tinker_lite.http import AsyncResponse, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator

    from tinker_lite.http import Request
    from tinker_lite.wire.files import RunBlocking

__all__ = ["BodySource", "CallIO", "Chunks", "R"]

T = TypeVar("T")
R = TypeVar("R", bound=Response | AsyncResponse)


class BodySource(Protocol):
    """A body that is made anew for each attempt, such as a form with files."""

    @property
    def is_repeatable(self) -> bool:
        """Whether there can be a second attempt."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """The bytes of one attempt."""
        ...

    def read_by(self, run: RunBlocking) -> AsyncIterable[bytes]:
        """The same bytes, asynchronously."""
        ...


class Chunks(Protocol):
    """The chunks of a response's body, one after the other."""

    async def next(self) -> bytes | None:
        """The next chunk, or None at the end; raises ``TransportError``."""
        ...


class CallIO(Protocol[R]):
    """The world as a call sees it; ``R`` is the transport's kind of response."""

    async def send(self, request: Request) -> R:
        """Send and return when the head is in; raises ``TransportError``."""
        ...

    def body(self, source: BodySource) -> Iterable[bytes] | AsyncIterable[bytes]:
        """A body in the form that the transport takes."""
        ...

    async def read_body(self, response: R, max_bytes: int) -> bytes:
        """Read the whole body and let go of the connection; raises ``TransportError``."""
        ...

    def chunks(self, response: R) -> Chunks:
        """The body in chunks as they arrive; at its end the connection is let go of."""
        ...

    async def close(self, response: R) -> None:
        """Let go of the connection, whatever has been read; harmless when repeated."""
        ...

    async def run(self, function: Callable[[], T], /) -> T:
        """Run a function that blocks, without holding up an event loop."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def new_id(self) -> str:
        """A text that was never given before."""
        ...

    def is_news(self, text: str) -> bool:
        """Whether this text is asked about for the first time."""
        ...
