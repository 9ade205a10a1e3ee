"""What a training client is before it trains: something to await, and to ask how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tinker_lite.clients.status import ClientStatus, status_of
from tinker_lite.clients.tokenizers import load_tokenizer, tokenizer_name
from tinker_lite.engine.future import in_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tinker_lite.engine.future import APIFuture
    from tinker_lite.engine.training import TrainingOperations, Turn
    from tinker_lite.protocol.endpoints import Submission
    from tinker_lite.types import GetInfoResponse

__all__ = ["TrainingBase"]

T = TypeVar("T")
Self = TypeVar("Self", bound="TrainingBase")


class TrainingBase:
    """Creation, identity and state of a training client.

    Args:
        operations: The engine's side; made by ``ServiceClient``.
    """

    def __init__(self, operations: TrainingOperations) -> None:
        self._operations = operations

    def result(self: Self, timeout: float | None = None) -> Self:
        """Wait until the model exists.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Returns:
            This client.

        Raises:
            TimeoutError: The time ran out; creation goes on.
            TinkerError: The model could not be made.
        """
        self._operations.creation.result(timeout)
        return self

    async def result_async(self: Self, timeout: float | None = None) -> Self:
        """Async form of ``result``; same argument, result and errors."""
        creation = self._operations.creation
        # Operations may wait for the model: who stops waiting here must not cancel it.
        await (creation.watched() if timeout is None else creation.result_async(timeout))
        return self

    def __await__(self: Self) -> Generator[Any, Any, Self]:
        """Wait until the model exists; gives this client."""
        return self.result_async().__await__()

    def done(self) -> bool:
        """Whether creation has succeeded or failed."""
        return self._operations.creation.done()

    @property
    def model_id(self) -> str:
        """The model's id; waits for creation, so in an event loop ``await`` the client first."""
        creation = self._operations.creation
        if not creation.done() and in_event_loop():
            raise RuntimeError(
                "model_id is not known yet and waiting for it would block the running event loop; "
                "`await` the client first."
            )
        return creation.result()

    def status(self) -> ClientStatus:
        """How this client is doing: whether its model exists, and its last error."""
        operations = self._operations
        creation = operations.creation
        return status_of(
            ready=creation.done() and creation.exception() is None,
            last_error=operations.last_error,
            queue_state=operations.queue_state,
        )

    def get_info(self) -> GetInfoResponse:
        """What the service knows of the model; asks once, blocking.

        Source: endpoint row ``models.get_info``.
        """
        return self._info().result()

    async def get_info_async(self) -> GetInfoResponse:
        """Async form of ``get_info``; same result and errors."""
        return await self._info()

    def _info(self) -> APIFuture[GetInfoResponse]:
        session = self._operations.session
        session.check_open("get_info")
        return session.runtime.start(self._operations.info, "get_info")

    def get_tokenizer(self) -> Any:
        """The model's tokenizer; asks the service once, blocking.

        Returns:
            A ``ByteTokenizer`` for the embedded service's models, else what transformers gives.

        Raises:
            ImportError: transformers is needed and not installed.
        """
        return load_tokenizer(tokenizer_name(self._info().result()))

    async def get_tokenizer_async(self) -> Any:
        """Async form of ``get_tokenizer``; same result and errors."""
        return load_tokenizer(tokenizer_name(await self._info()))

    def _simple(
        self,
        operation: str,
        row: Submission[T],
        body: Callable[[str, int], object],
    ) -> APIFuture[T]:
        operations = self._operations

        async def work(turn: Turn) -> T:
            return await operations.simple(turn, row, body)

        return operations.start(operation, work)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse pickling and copying: the order of operations belongs to one object."""
        raise TypeError(
            "A TrainingClient cannot be pickled or copied; pass its model's saved weights instead."
        )
