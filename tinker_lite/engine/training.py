"""The operations of one training client: creation first, then everything in call order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from tinker_lite.engine.future import HELD_QUEUE, without_traceback
from tinker_lite.engine.gathering import gather, settle
from tinker_lite.engine.ordering import TurnQueue
from tinker_lite.engine.session import Session, Submitted
from tinker_lite.protocol import endpoints as rows
from tinker_lite.protocol.batching import chunked, combine_outputs
from tinker_lite.types import (
    Datum,
    ForwardBackwardInput,
    ForwardBackwardOutput,
    ForwardBackwardRequest,
    ForwardRequest,
    GetInfoRequest,
    GetInfoResponse,
    QueueState,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tinker_lite.engine.future import APIFuture

__all__ = ["CreatedModel", "Loss", "Pass", "TrainingOperations", "Turn"]

T = TypeVar("T")

# Makes a request body from model id and sequence number.
Body: TypeAlias = Callable[[str, int], object]


class Turn(msgspec.Struct, frozen=True):
    """One operation's place: in the client's queue, and in the runtime's backlog."""

    ticket: int
    backlog_key: int


class CreatedModel(msgspec.Struct, frozen=True):
    """A model that exists, and how many sequence numbers making it took."""

    model_id: str
    n_seq_ids: int = 0


class Loss(msgspec.Struct, frozen=True):
    """A loss by name, with its settings."""

    name: str
    config: Mapping[str, float | str] | None = None


class Pass(msgspec.Struct, frozen=True):
    """The accepted chunks of one forward or forward-backward call."""

    submitted: list[Submitted[ForwardBackwardOutput]]


class TrainingOperations:
    """What a training client does on the loop.

    Args:
        session: The connection.
        create: Makes the model with its number in the session and returns it; it
            becomes the first operation of the queue.
        operation: What is being created, for messages.
    """

    def __init__(
        self, session: Session, create: Callable[[int], Awaitable[CreatedModel]], operation: str
    ) -> None:
        self.session = session
        self.last_error: BaseException | None = None
        self.queue_state: tuple[QueueState, str | None] | None = None
        self._turns = TurnQueue()
        self._info: GetInfoResponse | None = None
        model_seq_id = session.next_model_seq_id()

        async def first(turn: Turn) -> str:
            async with self._holding(turn):
                created = await create(model_seq_id)
                self._turns.draw(created.n_seq_ids)
                return created.model_id

        self.creation = self.start(operation, first)

    def start(self, operation: str, work: Callable[[Turn], Awaitable[T]]) -> APIFuture[T]:
        """Queue work; thread-safe. Turns come in the order of the calls, across threads."""
        self.session.check_open(operation)
        turn = Turn(self._turns.take(), self.session.backlog.queued(operation))

        async def run() -> T:
            try:
                return await work(turn)
            except Exception as error:
                self.last_error = without_traceback(error)
                raise
            finally:
                self._turns.give_up(turn.ticket)
                self.session.backlog.settled(turn.backlog_key)

        try:
            future = self.session.runtime.start(run, operation)
        except BaseException:
            self._never_started(turn)
            raise
        future.queue = self._turns
        return future

    def _never_started(self, turn: Turn) -> None:
        """Pass on the turn of an operation that no loop will run."""
        self.session.backlog.settled(turn.backlog_key)
        try:
            self.session.runtime.post(lambda: self._turns.give_up(turn.ticket))
        except RuntimeError:  # no loop, so nobody waits; whoever comes later finds the turn passed
            self._turns.give_up(turn.ticket)

    def holding_queue(self) -> None:
        """Mark the running task as one that holds this client's turn."""
        HELD_QUEUE.set(self._turns)

    def _holding(self, turn: Turn) -> AbstractAsyncContextManager[None]:
        return self._turns.turn(turn.ticket)

    def _sent(self, turn: Turn) -> None:
        self.session.backlog.sent(turn.backlog_key)

    async def model_id(self) -> str:
        """The model's id; raises what creation raised."""
        return await self.creation.shared()

    async def simple(self, turn: Turn, row: rows.Submission[T], body: Body) -> T:
        """An operation of one submission and one result."""
        async with self._holding(turn):
            model_id = await self.model_id()
            (seq_id,) = self._turns.draw()
            submitted = await self.session.submit(row, body(model_id, seq_id))
        self._sent(turn)
        return await self.session.result(submitted, self._report)

    async def forward_backward(
        self, turn: Turn, data: list[Datum], loss: Loss, *, forward_only: bool
    ) -> ForwardBackwardOutput:
        """A pass over a batch, in as many chunks as the server's limits ask for."""
        async with self._holding(turn):
            sent = await self._send_pass(data, loss, forward_only=forward_only)
        self._sent(turn)
        return await self._pass_result(sent)

    async def two_passes(
        self,
        turn: Turn,
        data: list[Datum],
        second: Callable[[ForwardBackwardOutput], Awaitable[list[Datum]]],
    ) -> ForwardBackwardOutput:
        """A forward pass, and a backward pass over what ``second`` makes of its result.

        The turn is held in between, so that later operations apply after both.
        """
        loss = Loss("cross_entropy")
        async with self._holding(turn):
            forward = await self._send_pass(data, loss, forward_only=True)
            backward_data = await second(await self._pass_result(forward))
            backward = await self._send_pass(backward_data, loss, forward_only=False)
        self._sent(turn)
        return await self._pass_result(backward)

    async def _send_pass(self, data: list[Datum], loss: Loss, *, forward_only: bool) -> Pass:
        model_id = await self.model_id()
        limits = await self.session.client_config()
        chunks = chunked(
            data,
            max_len=limits.fwdbwd_max_chunk_len,
            max_bytes=limits.fwdbwd_max_chunk_bytes_count,
        )
        works = [
            partial(
                self._send_chunk,
                ForwardBackwardInput(data=chunk, loss_fn=loss.name, loss_fn_config=loss.config),
                (model_id, seq_id),
                forward_only=forward_only,
            )
            for chunk, seq_id in zip(chunks, self._turns.draw(len(chunks)), strict=True)
        ]
        if not limits.parallel_fwdbwd_chunks:
            return Pass([await work() for work in works])
        # All but the first go out at once and the first one last, so that a server may take the gap
        # as a sign that the batch is not whole yet (protocol section 4.8).
        later = await settle(works[1:])
        return Pass(_all_accepted([*await settle(works[:1]), *later]))

    async def _send_chunk(
        self, chunk: ForwardBackwardInput, ids: tuple[str, int], *, forward_only: bool
    ) -> Submitted[ForwardBackwardOutput]:
        model_id, seq_id = ids
        if forward_only:
            forward = ForwardRequest(forward_input=chunk, model_id=model_id, seq_id=seq_id)
            return await self.session.submit_pass(rows.TRAINING_FORWARD, forward)
        body = ForwardBackwardRequest(
            forward_backward_input=chunk, model_id=model_id, seq_id=seq_id
        )
        return await self.session.submit_pass(rows.TRAINING_FORWARD_BACKWARD, body)

    async def _pass_result(self, sent: Pass) -> ForwardBackwardOutput:
        outputs = await gather(
            [partial(self.session.result, submitted, self._report) for submitted in sent.submitted]
        )
        return combine_outputs(outputs)

    async def info(self) -> GetInfoResponse:
        """What the service knows of the model; asked once."""
        if self._info is None:
            request = GetInfoRequest(model_id=await self.model_id())
            self._info = await self.session.call(rows.MODELS_GET_INFO, request)
        return self._info

    def _report(self, state: QueueState, reason: str | None) -> None:
        self.queue_state = (state, reason)


def _all_accepted(
    outcomes: list[Submitted[ForwardBackwardOutput] | Exception],
) -> list[Submitted[ForwardBackwardOutput]]:
    """The accepted chunks of a call; if one was refused, its error says what became of the rest."""
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Submitted)]
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            if accepted:
                outcome.add_note(
                    f"{len(accepted)} of the {len(outcomes)} chunks of this batch were accepted: "
                    "their gradients are on the server and count in the next optim_step."
                )
            raise outcome
    return accepted
