"""Answers with everything HTTP says of them: status, headers, body in any form.

``client.with_raw_response.<method>(...)`` gives one whose body has been read;
``client.with_streaming_response.<method>(...)`` is a context manager that gives one whose body is
still on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from tinker_lite.clients.response_head import ResponseHead, check_hashable
from tinker_lite.clients.streams import AsyncItems, AsyncStream, Items, Stream
from tinker_lite.engine.streaming import Chunked, ItemReader, Lines, Text
from tinker_lite.engine.world import drive

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable


__all__ = ["APIResponse", "AsyncAPIResponse", "AsyncResponseContext", "ResponseContext"]

A = TypeVar("A")
T = TypeVar("T")


class APIResponse(ResponseHead, Generic[A]):
    """An answer to a blocking call.

    What reads the body raises ``StreamAlreadyConsumed`` when pieces of it have been handed out
    before; after ``read``, which keeps it, it may be had again in every form.
    """

    @overload
    def parse(self) -> A: ...
    @overload
    def parse(self, *, to: type[T]) -> T: ...
    def parse(self, *, to: Any = None) -> Any:
        """The body as the type of the call, or as another one; decoded once for each.

        Args:
            to: A struct, a TypedDict, a dataclass or another type that JSON can hold; ``bytes``,
                ``str``, or ``object`` for plain values.

        Raises:
            APIResponseValidationError: The body does not fit.
            TypeError: The type holds a mark that cannot be hashed.
        """
        check_hashable(to)
        return drive(self.answer.parse(self.type_ if to is None else to))

    def read(self) -> bytes:
        """The whole body, kept."""
        return drive(self.answer.body.read())

    def text(self) -> str:
        """The whole body as text, by the character set that its headers name."""
        return drive(self.answer.text())

    def json(self) -> Any:
        """The whole body as plain values."""
        return drive(self.answer.json())

    def iter_bytes(self, chunk_size: int | None = None) -> Items[bytes]:
        """The body in pieces of ``chunk_size`` bytes, or as they come, without content coding."""
        return Items(ItemReader(self.answer.body, Chunked(chunk_size), self.answer.head))

    def iter_text(self, chunk_size: int | None = None) -> Items[str]:
        """The body as text, in pieces of ``chunk_size`` characters or as they come."""
        return Items(
            ItemReader(self.answer.body, Text(self.encoding, chunk_size), self.answer.head)
        )

    def iter_lines(self) -> Items[str]:
        """The lines of the body, without their ends."""
        return Items(ItemReader(self.answer.body, Lines(self.encoding), self.answer.head))

    def stream(self, item_type: type[T]) -> Stream[T]:
        """The items that the body is made of; see ``Stream``."""
        return Stream(self.answer.items(item_type), self)

    def write_to_file(self, path: str | os.PathLike[str]) -> None:
        """Read the whole body, keep it, and write it to a file; see ``stream_to_file``."""
        self.read()
        self.stream_to_file(path)

    def stream_to_file(
        self, path: str | os.PathLike[str], *, chunk_size: int | None = None
    ) -> None:
        """Write the body to a file while it arrives; the file appears when it is whole.

        Args:
            path: The file; what was there is replaced in one step.
            chunk_size: Bytes of one write; 1 MiB if not given.

        Raises:
            OSError: The file cannot be written.
            APIConnectionError: The body broke off; nothing is left behind.
        """
        drive(self.answer.save(path, chunk_size))

    def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        drive(self.answer.body.close())


class AsyncAPIResponse(ResponseHead, Generic[A]):
    """The async form of ``APIResponse``: what reads the body is awaited."""

    @overload
    async def parse(self) -> A: ...
    @overload
    async def parse(self, *, to: type[T]) -> T: ...
    async def parse(self, *, to: Any = None) -> Any:
        """Async form of ``APIResponse.parse``; same argument, result and errors."""
        check_hashable(to)
        return await self.answer.parse(self.type_ if to is None else to)

    async def read(self) -> bytes:
        """Async form of ``APIResponse.read``; same result and errors."""
        return await self.answer.body.read()

    async def text(self) -> str:
        """Async form of ``APIResponse.text``; same result and errors."""
        return await self.answer.text()

    async def json(self) -> Any:
        """Async form of ``APIResponse.json``; same result and errors."""
        return await self.answer.json()

    def iter_bytes(self, chunk_size: int | None = None) -> AsyncItems[bytes]:
        """Async form of ``APIResponse.iter_bytes``; same argument, items and errors."""
        return AsyncItems(ItemReader(self.answer.body, Chunked(chunk_size), self.answer.head))

    def iter_text(self, chunk_size: int | None = None) -> AsyncItems[str]:
        """Async form of ``APIResponse.iter_text``; same argument, items and errors."""
        return AsyncItems(
            ItemReader(self.answer.body, Text(self.encoding, chunk_size), self.answer.head)
        )

    def iter_lines(self) -> AsyncItems[str]:
        """Async form of ``APIResponse.iter_lines``; same items and errors."""
        return AsyncItems(ItemReader(self.answer.body, Lines(self.encoding), self.answer.head))

    def stream(self, item_type: type[T]) -> AsyncStream[T]:
        """Async form of ``APIResponse.stream``; same argument and items."""
        return AsyncStream(self.answer.items(item_type), self)

    async def write_to_file(self, path: str | os.PathLike[str]) -> None:
        """Async form of ``APIResponse.write_to_file``; same argument and errors."""
        await self.read()
        await self.stream_to_file(path)

    async def stream_to_file(
        self, path: str | os.PathLike[str], *, chunk_size: int | None = None
    ) -> None:
        """Async form of ``APIResponse.stream_to_file``; writing does not hold up the loop."""
        await self.answer.save(path, chunk_size)

    async def close(self) -> None:
        """Let go of the connection; harmless when repeated."""
        await self.answer.body.close()


class ResponseContext(Generic[A]):
    """A call that is made when the ``with`` block is entered, and closed when it is left.

    Args:
        make: Makes the call.
    """

    def __init__(self, make: Callable[[], APIResponse[A]]) -> None:
        self._make = make
        self._response: APIResponse[A] | None = None

    def __enter__(self) -> APIResponse[A]:
        """Make the call and return the answer, its body unread.

        Raises:
            APIStatusError: The status is no success.
        """
        self._response = self._make()
        return self._response

    def __exit__(self, *exc: object) -> None:
        """Close the answer."""
        if self._response is not None:
            self._response.close()


class AsyncResponseContext(Generic[A]):
    """The async form of ``ResponseContext``."""

    def __init__(self, make: Callable[[], Awaitable[AsyncAPIResponse[A]]]) -> None:
        self._make = make
        self._response: AsyncAPIResponse[A] | None = None

    async def __aenter__(self) -> AsyncAPIResponse[A]:
        """Async form of ``ResponseContext.__enter__``; same result and errors."""
        self._response = await self._make()
        return self._response

    async def __aexit__(self, *exc: object) -> None:
        """Close the answer."""
        if self._response is not None:
            await self._response.close()
