"""The faces of a raw client: what a call gives, by colour and by view.

A resource method is written once, as a function that returns ``Args``. A face makes the call, and
what it gives is the answer itself, the answer with all that HTTP says of it, or a context manager
over an answer whose body is unread; now, or to be awaited.
"""

from __future__ import annotations

import inspect
from functools import cached_property, partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from tinker_lite.clients.responses import (
    APIResponse,
    AsyncAPIResponse,
    AsyncResponseContext,
    ResponseContext,
)
from tinker_lite.clients.streams import AsyncStream, Stream
from tinker_lite.engine.options import CallOptions
from tinker_lite.engine.world import drive
from tinker_lite.wire.not_given import NOT_GIVEN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tinker_lite.engine.answer import Caller
    from tinker_lite.engine.preparation import Args
    from tinker_lite.http import AsyncResponse, Response

__all__ = [
    "Async",
    "AsyncRaw",
    "AsyncStreamed",
    "Blocking",
    "BlockingRaw",
    "BlockingStreamed",
    "Operation",
    "Resource",
    "Views",
    "with_options_listed",
]

A = TypeVar("A")
F = TypeVar("F")
B = TypeVar("B")
C = TypeVar("C")
S = TypeVar("S", bound=Stream[Any])
AS = TypeVar("AS", bound=AsyncStream[Any])
P = ParamSpec("P")


class BlockingRaw:
    """Gives the answer with all that HTTP says of it."""

    def __init__(self, caller: Caller[Response]) -> None:
        self._caller = caller

    def make(self, args: Args[A]) -> APIResponse[A]:
        """Make the call and read the answer."""
        return APIResponse(drive(self._caller.read(args)), args.row.response)


class BlockingStreamed:
    """Gives a context manager over an answer whose body is unread."""

    def __init__(self, caller: Caller[Response]) -> None:
        self._caller = caller

    def make(self, args: Args[A]) -> ResponseContext[A]:
        """Make the call when the block is entered."""
        return ResponseContext(partial(self.open, args))

    def open(self, args: Args[A]) -> APIResponse[A]:
        """Make the call now."""
        return APIResponse(drive(self._caller.open(args)), args.row.response)


class Blocking:
    """Gives the answer itself, decoded.

    Attributes:
        streams: The base of its stream classes.
    """

    streams = Stream

    def __init__(self, caller: Caller[Response]) -> None:
        self._caller = caller

    def make(self, args: Args[A]) -> A:
        """Make the call and decode the answer."""
        return drive(self._caller.value(args))

    def stream(self, args: Args[Any], stream_cls: type[S], item_type: type) -> S:
        """Make the call and return the items of the answer, as they arrive."""
        answer = drive(self._caller.open(args))
        return stream_cls(answer.items(item_type), APIResponse[Any](answer, args.row.response))

    @cached_property
    def raw(self) -> BlockingRaw:
        """The face behind ``with_raw_response``."""
        return BlockingRaw(self._caller)

    @cached_property
    def streamed(self) -> BlockingStreamed:
        """The face behind ``with_streaming_response``."""
        return BlockingStreamed(self._caller)


class AsyncRaw:
    """The async form of ``BlockingRaw``."""

    def __init__(self, caller: Caller[AsyncResponse]) -> None:
        self._caller = caller

    async def make(self, args: Args[A]) -> AsyncAPIResponse[A]:
        """Make the call and read the answer."""
        return AsyncAPIResponse(await self._caller.read(args), args.row.response)


class AsyncStreamed:
    """The async form of ``BlockingStreamed``."""

    def __init__(self, caller: Caller[AsyncResponse]) -> None:
        self._caller = caller

    def make(self, args: Args[A]) -> AsyncResponseContext[A]:
        """Make the call when the block is entered."""
        return AsyncResponseContext(partial(self.open, args))

    async def open(self, args: Args[A]) -> AsyncAPIResponse[A]:
        """Make the call now."""
        return AsyncAPIResponse(await self._caller.open(args), args.row.response)


class Async:
    """The async form of ``Blocking``."""

    streams = AsyncStream

    def __init__(self, caller: Caller[AsyncResponse]) -> None:
        self._caller = caller

    def make(self, args: Args[A]) -> Coroutine[Any, Any, A]:
        """Make the call and decode the answer."""
        coroutine = self._caller.value(args)
        # The name under which Python warns of a coroutine that nobody awaited.
        cast("Any", coroutine).__qualname__ = args.row.name
        return coroutine

    async def stream(self, args: Args[Any], stream_cls: type[AS], item_type: type) -> AS:
        """Make the call and return the items of the answer, as they arrive."""
        answer = await self._caller.open(args)
        return stream_cls(answer.items(item_type), AsyncAPIResponse[Any](answer, args.row.response))

    @cached_property
    def raw(self) -> AsyncRaw:
        """The face behind ``with_raw_response``."""
        return AsyncRaw(self._caller)

    @cached_property
    def streamed(self) -> AsyncStreamed:
        """The face behind ``with_streaming_response``."""
        return AsyncStreamed(self._caller)


class Resource(Generic[F]):
    """Methods that share a face.

    Args:
        face: Makes the calls.

    Attributes:
        face: The same.
    """

    def __init__(self, face: F) -> None:
        self.face = face

    def seen_by(self, face: Any) -> Any:
        """The same methods with another face."""
        return type(self)(face)


class Operation(Generic[P, A]):
    """A method of a resource, written as a function from its arguments to ``Args``.

    Read from a resource it is a callable that makes the call, as the resource's face does.

    Args:
        function: The function.

    Attributes:
        function: The same.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Args[A]]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__signature__ = with_options_listed(inspect.signature(function))
        own = list(self.__signature__.parameters.values())[1:]
        self._bound_signature = self.__signature__.replace(parameters=own)

    def __call__(self, resource: Resource[Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the method of a resource, as with any method of a class."""
        return self._bound_to(resource)(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Operation[P, A]: ...
    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, A]: ...
    @overload
    def __get__(
        self, instance: Resource[Async], owner: type
    ) -> Callable[P, Coroutine[Any, Any, A]]: ...
    @overload
    def __get__(
        self, instance: Resource[BlockingRaw], owner: type
    ) -> Callable[P, APIResponse[A]]: ...
    @overload
    def __get__(
        self, instance: Resource[AsyncRaw], owner: type
    ) -> Callable[P, Coroutine[Any, Any, AsyncAPIResponse[A]]]: ...
    @overload
    def __get__(
        self, instance: Resource[BlockingStreamed], owner: type
    ) -> Callable[P, ResponseContext[A]]: ...
    @overload
    def __get__(
        self, instance: Resource[AsyncStreamed], owner: type
    ) -> Callable[P, AsyncResponseContext[A]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        """The bound method, or this object where there is nothing to bind to."""
        return self if instance is None else self._bound_to(instance)

    def _bound_to(self, resource: Resource[Any]) -> Callable[..., Any]:
        function = self.function

        def bound(*args: Any, **kwargs: Any) -> Any:
            return resource.face.make(function(resource, *args, **kwargs))

        update_wrapper(bound, function)
        vars(bound)["__signature__"] = self._bound_signature
        return bound


def with_options_listed(signature: inspect.Signature) -> inspect.Signature:
    """A signature in which ``**options`` stand one by one, for people and for ``inspect``."""
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=NOT_GIVEN if name == "timeout" else None,
            annotation=annotation.__forward_arg__,
        )
        for name, annotation in CallOptions.__annotations__.items()
    ]
    return signature.replace(parameters=[*own, *options])


class Views(Generic[B, C]):
    """A view of a resource, such as ``with_raw_response``; ``B`` blocking, ``C`` async.

    Args:
        name: The attribute of the face that has the view's face.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> B: ...
    @overload
    def __get__(self, instance: Resource[Async], owner: type) -> C: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        """The same methods with the view's face."""
        if instance is None:
            return self
        return instance.seen_by(getattr(instance.face, self._name))
