"""``get``, ``post``, ``put``, ``patch`` and ``delete``: calls that the table does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Unpack, overload

from tinker_lite.clients.response_head import check_hashable
from tinker_lite.clients.streams import AsyncStream, Stream, item_type
from tinker_lite.engine.preparation import Args
from tinker_lite.http import public_url
from tinker_lite.protocol.endpoints import Method, Row

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tinker_lite.clients.faces import (
        Async,
        AsyncRaw,
        AsyncStreamed,
        Blocking,
        BlockingRaw,
        BlockingStreamed,
    )
    from tinker_lite.clients.responses import (
        APIResponse,
        AsyncAPIResponse,
        AsyncResponseContext,
        ResponseContext,
    )
    from tinker_lite.engine.options import CallOptions
    from tinker_lite.wire.files import RequestFiles

__all__ = ["Verb"]

F = TypeVar("F")
T = TypeVar("T")
S = TypeVar("S", bound=Stream[Any])
AS = TypeVar("AS", bound=AsyncStream[Any])


class Verb(Generic[F]):
    """One HTTP method of a client, to be called with a path; see ``__call__``.

    Args:
        method: The method.
        face: Makes the calls.
    """

    def __init__(self, method: Method, face: F) -> None:
        self._method: Method = method
        self._face = face

    @overload
    def __call__(
        self: Verb[Blocking],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        stream: Literal[False] = False,
        **options: Unpack[CallOptions],
    ) -> T: ...
    @overload
    def __call__(
        self: Verb[Blocking],
        path: str,
        *,
        stream: Literal[True],
        stream_cls: type[S],
        cast_to: Any = object,
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> S: ...
    @overload
    def __call__(
        self: Verb[Async],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        stream: Literal[False] = False,
        **options: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def __call__(
        self: Verb[Async],
        path: str,
        *,
        stream: Literal[True],
        stream_cls: type[AS],
        cast_to: Any = object,
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, AS]: ...
    @overload
    def __call__(
        self: Verb[BlockingRaw],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> APIResponse[T]: ...
    @overload
    def __call__(
        self: Verb[AsyncRaw],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, AsyncAPIResponse[T]]: ...
    @overload
    def __call__(
        self: Verb[BlockingStreamed],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> ResponseContext[T]: ...
    @overload
    def __call__(
        self: Verb[AsyncStreamed],
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResponseContext[T]: ...
    @overload
    def __call__(
        self: Verb[Any],
        path: str,
        *,
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...
    def __call__(
        self,
        path: str,
        *,
        cast_to: Any = object,
        body: object = None,
        files: RequestFiles | None = None,
        stream: bool = False,
        stream_cls: Any = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Make a call.

        Args:
            path: Where to: a path below the base URL, which begins with ``/`` and holds
                ``/api/v1`` where that is meant; or a whole URL, which gets no credential and none
                of the client's own headers unless it is of the same origin.
            cast_to: What the answer is read as: a struct, TypedDict, dataclass or another type that
                JSON can hold; ``object``, or nothing, for plain values, ``str``, ``bytes``;
                ``type(None)`` for answers that say nothing.
            body: The body: a struct, dataclass, mapping or other plain values, sent as JSON; or
                bytes, a path or an open file, as they are. With ``files`` its fields are those of
                the form.
            files: Files by field name; they make the body ``multipart/form-data``, read from disk
                while it is sent.
            stream: Return the items of the answer as they arrive.
            stream_cls: For a stream: ``Stream[T]`` or ``AsyncStream[T]``, ``T`` being the items.
            **options: As for every method; see ``CallOptions``.

        Raises:
            APIStatusError: The status is no success; the leaf says which.
            APIConnectionError: No answer came.
            APIResponseValidationError: The answer does not fit ``cast_to``.
            TypeError: ``stream`` and ``stream_cls`` do not go together, or not with the client.
            ValueError: The path is neither a path nor a URL.
        """
        schemes = ("/", "http://", "https://", "http+unix://")
        if not (path.startswith(schemes) and path.isprintable()):
            shown = public_url(path)
            raise ValueError(
                f"The path {shown!r} must begin with '/', or be a whole URL, without line breaks."
            )
        check_hashable(cast_to)
        # The name stands in logs and errors; user info and queries may hold secrets.
        name = f"{self._method.lower()} {public_url(path)}"
        row: Row[Any] = Row(name=name, method=self._method, path="", response=cast_to)
        args = Args(row=row, target=path, body=body, files=files, options=options)
        face: Any = self._face
        if not stream and stream_cls is None:
            return face.make(args)
        if not stream or stream_cls is None:
            raise TypeError(
                "A stream needs stream=True and stream_cls, such as Stream[MyItem] or "
                "AsyncStream[MyItem]."
            )
        if not hasattr(face, "stream"):
            raise TypeError(
                "stream=True goes with the client's own methods; a response out of "
                "with_streaming_response has the same in response.stream(MyItem)."
            )
        return face.stream(args, stream_cls, item_type(stream_cls, face.streams))
