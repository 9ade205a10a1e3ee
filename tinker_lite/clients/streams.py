"""Iterators over a body as it arrives: one for blocking code, one for async code.

They are the only code written twice; what they iterate over is one ``ItemReader``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from tinker_lite.engine.streaming import END
from tinker_lite.engine.world import drive

if TYPE_CHECKING:
    from tinker_lite.clients.response_head import ResponseHead
    from tinker_lite.engine.streaming import ItemReader

__all__ = ["AsyncItems", "AsyncStream", "Items", "Stream", "item_type"]

T = TypeVar("T")


class Items(Iterator[T]):
    """Items as they arrive; the connection is let go of at the end, after a failure, on ``close``.

    Args:
        items: Where they come from.
    """

    def __init__(self, items: ItemReader[T]) -> None:
        self._items = items

    def __next__(self) -> T:
        """The next item, waited for.

        Raises:
            APIConnectionError: The body broke off.
            APIResponseValidationError: An item does not fit its type.
        """
        item = drive(self._items.next())
        if item is END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        drive(self._items.close())


class Stream(Items[T]):
    """The items of a streamed answer, each decoded as ``T`` when it arrives.

    ``T`` says what they are: ``bytes`` for pieces of the body as they come, ``ServerSentEvent`` for
    the events themselves, any other type for what the data of events, or lines of JSON, holds.
    ``[DONE]`` ends the stream; events without data are skipped. A body that says that it is neither
    events nor lines of JSON is refused.

    Use it in a ``with`` block, which closes the connection however it ends.

    Args:
        items: Where the items come from.
        response: The answer that they are the body of.

    Attributes:
        response: The same.
    """

    def __init__(self, items: ItemReader[T], response: ResponseHead) -> None:
        super().__init__(items)
        self.response = response

    def __enter__(self) -> Stream[T]:
        """Use the stream as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the stream."""
        self.close()


class AsyncItems(AsyncIterator[T]):
    """The async form of ``Items``; same argument and errors."""

    def __init__(self, items: ItemReader[T]) -> None:
        self._items = items

    async def __anext__(self) -> T:
        """Async form of ``Items.__next__``; same result and errors."""
        item = await self._items.next()
        if item is END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Let go of the connection; harmless when repeated."""
        await self._items.close()


class AsyncStream(AsyncItems[T]):
    """The async form of ``Stream``; same arguments and items.

    Use it in an ``async with`` block: a loop that is left early does not close the connection.
    """

    def __init__(self, items: ItemReader[T], response: ResponseHead) -> None:
        super().__init__(items)
        self.response = response

    async def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        await self.aclose()

    async def __aenter__(self) -> AsyncStream[T]:
        """Use the stream as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the stream."""
        await self.aclose()


def item_type(stream_cls: Any, base: type) -> Any:
    """The ``T`` of ``Stream[T]``, or of a subclass of it; ``object`` where it has none.

    Raises:
        TypeError: It is not derived from ``base``, which is ``Stream`` or ``AsyncStream``.
    """
    cls = getattr(stream_cls, "__origin__", stream_cls)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(
            f"stream_cls is {stream_cls!r}; give this client {base.__name__}[T], T being the items."
        )
    bases: tuple[object, ...] = getattr(cast("object", cls), "__orig_bases__", ())
    for form in (stream_cls, *(() if cls is base else bases)):
        if (arguments := get_args(form)) and not isinstance(arguments[0], TypeVar):
            return arguments[0]
    return object
