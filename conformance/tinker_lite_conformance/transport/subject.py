"""The transport under test, in one form for all cases.

A case is an ``async def`` that speaks to a ``Subject``. Over a blocking transport nothing in it
ever suspends, so ``drive`` runs it on the calling thread; over an async one it runs on a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterable, Iterable, Sequence

    from tinker_lite.http import Headers, Request

__all__ = ["Call", "Reply", "Subject", "drive"]

T = TypeVar("T")
Call: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Reply(Protocol):
    """A response in either form."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Headers:
        """The headers."""
        ...

    async def read(self, max_bytes: int | None = None) -> bytes:
        """The whole body."""
        ...

    async def next(self) -> bytes:
        """The next bytes of the body as they come; b"" at its end."""
        ...

    async def close(self) -> None:
        """Close the response."""
        ...


class Subject(Protocol):
    """A transport in either form."""

    async def send(self, request: Request) -> Reply:
        """Send a request."""
        ...

    def body(self, blocks: Iterable[bytes]) -> Iterable[bytes] | AsyncIterable[bytes]:
        """A request body in the transport's form, made of blocks taken one at a time."""
        ...

    async def together(self, calls: Sequence[Call]) -> None:
        """Make calls at once: one thread or one task each."""
        ...

    async def wait(self, event: threading.Event, seconds: float | None = None) -> bool:
        """Wait for something the server's thread does; whether it happened in that time.

        Args:
            event: What to wait for.
            seconds: For how long, if not as long as the kit's patience.
        """
        ...

    async def close(self) -> None:
        """Close the transport."""
        ...


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends.

    Raises:
        RuntimeError: It does suspend.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    message = "a case waits for an event loop, but the transport is a blocking one"
    raise RuntimeError(message)
