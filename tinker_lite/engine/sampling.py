"""The operations of one sampling client: its session first, then samples, all at once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from tinker_lite.engine.future import without_traceback
from tinker_lite.errors import RateLimitError, ResultExpiredError
from tinker_lite.protocol import endpoints as rows
from tinker_lite.protocol.retry import delay_after_expiry
from tinker_lite.protocol.samples import with_every_prompt_token, with_sequence_ids
from tinker_lite.types import GetSamplerResponse, QueueState, SampleRequest, SampleResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tinker_lite.engine.future import APIFuture
    from tinker_lite.engine.session import Session, Submitted

__all__ = ["SamplingOperations"]

T = TypeVar("T")

# Protocol section 5.4: what a refused sample waits for before it is offered again.
BACKPRESSURE_S = 1.0


class SamplingOperations:
    """What a sampling client does on the loop.

    Args:
        session: The connection.
        open_: Makes the sampling session and returns its id.
        operation: What is being opened, for messages.
        first_seq_id: Where this client's sample numbers start; copies in other processes start
            elsewhere.
    """

    def __init__(
        self,
        session: Session,
        open_: Callable[[], Awaitable[str]],
        operation: str,
        *,
        first_seq_id: int = 0,
    ) -> None:
        self.session = session
        self.last_error: BaseException | None = None
        self.queue_state: tuple[QueueState, str | None] | None = None
        self._next_seq_id = itertools.count(first_seq_id).__next__
        self._sampler: GetSamplerResponse | None = None
        self.opening = self.start(operation, open_)

    def start(self, operation: str, work: Callable[[], Awaitable[T]]) -> APIFuture[T]:
        """Start work; thread-safe."""
        self.session.check_open(operation)
        backlog = self.session.backlog
        key = backlog.running(operation)

        async def run() -> T:
            try:
                return await work()
            except Exception as error:
                self.last_error = without_traceback(error)
                raise
            finally:
                backlog.settled(key)

        try:
            return self.session.runtime.start(run, operation)
        except BaseException:
            backlog.settled(key)
            raise

    async def session_id(self) -> str:
        """The sampling session's id; raises what opening it raised."""
        return await self.opening.shared()

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Sample, and do it again under a new number if the service has lost the result."""
        n_retries = 0
        while True:
            try:
                return await self._sample_once(request)
            except ResultExpiredError:
                delay_s = delay_after_expiry(self.session.config.retry, n_retries)
                if delay_s is None:
                    raise
            await self.session.io.sleep(delay_s)
            n_retries += 1

    async def _sample_once(self, request: SampleRequest) -> SampleResponse:
        numbered = replace(
            request, sampling_session_id=await self.session_id(), seq_id=self._next_seq_id()
        )
        sent = await self._offered(numbered)
        response = await self.session.result(sent, self._report)
        response = with_every_prompt_token(response, request.prompt)
        return with_sequence_ids(response, sent.future)

    async def _offered(self, request: SampleRequest) -> Submitted[SampleResponse]:
        """Submit, offering the same request for as long as the service asks to hold back."""
        headers = {"X-Tinker-Sampling-Backpressure": "1"}
        while True:
            try:
                return await self.session.submit(rows.SAMPLING_ASAMPLE, request, headers)
            except RateLimitError as error:
                self.queue_state = (QueueState.PAUSED_RATE_LIMIT, error.message)
                await self.session.io.sleep(BACKPRESSURE_S)

    async def sampler(self) -> GetSamplerResponse:
        """What is sampled from; asked once."""
        if self._sampler is None:
            self._sampler = await self.session.call(
                rows.SAMPLING_GET_SAMPLER, path={"sampler": await self.session_id()}
            )
        return self._sampler

    def _report(self, state: QueueState, reason: str | None) -> None:
        self.queue_state = (state, reason)
