"""``SamplingClient``: sample from a model, and score texts with it."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

from tinker_lite.clients.status import ClientStatus, status_of
from tinker_lite.clients.tokenizers import tokenizer_of_base_model
from tinker_lite.config import resolve
from tinker_lite.engine.future import APIFuture
from tinker_lite.engine.runtime import shared_runtime
from tinker_lite.engine.sampling import SamplingOperations
from tinker_lite.engine.session import Session
from tinker_lite.engine.transports import default_async
from tinker_lite.errors import RetrievalError
from tinker_lite.protocol import endpoints as rows
from tinker_lite.types import (
    CreateSamplingSessionRequest,
    ModelInput,
    SampleRequest,
    SampleResponse,
    SamplingParams,
    TensorData,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["SamplingClient"]

# Copies in other processes number their samples in ranges of this size, so that no two use the
# same number of one sampling session (protocol section 5.4).
CLONE_SEQ_ID_STEP = 10**9


class SamplingClient:
    """Samples from one set of weights; made by a service or training client, usable at once.

    Args:
        operations: The engine's side.
    """

    def __init__(self, operations: SamplingOperations) -> None:
        self._operations = operations

    @classmethod
    def open(
        cls, session: Session, *, model_path: str | None = None, base_model: str | None = None
    ) -> SamplingClient:
        """A client whose sampling session is made now, in the background.

        Raises:
            ValueError: Neither a path nor a model is given, or the path is no ``tinker://`` path.
        """
        if not model_path and not base_model:
            raise ValueError("create_sampling_client needs model_path or base_model.")
        if model_path and not model_path.startswith("tinker://"):
            raise ValueError(
                f"model_path {model_path!r} does not begin with 'tinker://'; "
                "give base_model= to sample from a base model."
            )
        seq_id = session.next_sampling_seq_id()

        async def open_() -> str:
            request = CreateSamplingSessionRequest(
                session_id=await session.session_id(),
                sampling_session_seq_id=seq_id,
                base_model=base_model,
                model_path=model_path,
            )
            made = await session.call(rows.SERVICE_CREATE_SAMPLING_SESSION, request)
            return made.sampling_session_id

        return sampling_client(session, open_, f"sampling from {model_path or base_model}")

    # Creation.

    def result(self, timeout: float | None = None) -> SamplingClient:
        """Wait until it can sample.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Returns:
            This client.

        Raises:
            TimeoutError: The time ran out.
            TinkerError: The sampling session could not be made.
        """
        self._operations.opening.result(timeout)
        return self

    async def result_async(self, timeout: float | None = None) -> SamplingClient:
        """Async form of ``result``; same argument, result and errors."""
        opening = self._operations.opening
        # Samples may wait for the session: who stops waiting here must not cancel it.
        await (opening.watched() if timeout is None else opening.result_async(timeout))
        return self

    def __await__(self) -> Generator[Any, Any, SamplingClient]:
        """Wait until it can sample; gives this client."""
        return self.result_async().__await__()

    def done(self) -> bool:
        """Whether opening has succeeded or failed."""
        return self._operations.opening.done()

    def status(self) -> ClientStatus:
        """How this client is doing: whether it can sample, and its last error."""
        operations = self._operations
        opening = operations.opening
        return status_of(
            ready=opening.done() and opening.exception() is None,
            last_error=operations.last_error,
            queue_state=operations.queue_state,
        )

    @property
    def _sampling_session_id(self) -> str:
        """The session's id, under the name that callers look for."""
        return self._operations.opening.result()

    # Sampling.

    def sample(
        self,
        prompt: ModelInput,
        num_samples: int,
        sampling_params: SamplingParams,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
        topk_sample_logprobs: int = 0,
        target_prompt_logprobs: TensorData | None = None,
        prompt_alt_tokens_k: int = 0,
        prompt_logprobs_last_n: int | None = None,
    ) -> APIFuture[SampleResponse]:
        """Sample continuations of a prompt.

        Args:
            prompt: What to continue, P tokens.
            num_samples: How many continuations.
            sampling_params: How to sample.
            include_prompt_logprobs: Also score the prompt: (P,) nats, None for the first token.
            topk_prompt_logprobs: Also give the k likeliest tokens at each prompt position.
            topk_sample_logprobs: Also give the k likeliest tokens at each sampled position.
            target_prompt_logprobs: int64 (P - 1, K) tokens to score at each prompt position.
            prompt_alt_tokens_k: Also give k alternatives at each prompt position.
            prompt_logprobs_last_n: Score only the last n prompt tokens.

        Returns:
            A future of ``num_samples`` sequences.

        Raises:
            TypeError: The prompt is no ``ModelInput``.
            ValueError: A number is out of range; nothing was sent.

        Source: endpoint row ``sampling.asample``.
        """
        return self._sample(
            _request(
                prompt,
                num_samples,
                sampling_params,
                include_prompt_logprobs,
                topk_prompt_logprobs,
                topk_sample_logprobs,
                target_prompt_logprobs,
                prompt_alt_tokens_k,
                prompt_logprobs_last_n,
            )
        )

    async def sample_async(
        self,
        prompt: ModelInput,
        num_samples: int,
        sampling_params: SamplingParams,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
        topk_sample_logprobs: int = 0,
        target_prompt_logprobs: TensorData | None = None,
        prompt_alt_tokens_k: int = 0,
        prompt_logprobs_last_n: int | None = None,
    ) -> SampleResponse:
        """Async form of ``sample``; same arguments and errors, and it waits for the result."""
        return await self._sample(
            _request(
                prompt,
                num_samples,
                sampling_params,
                include_prompt_logprobs,
                topk_prompt_logprobs,
                topk_sample_logprobs,
                target_prompt_logprobs,
                prompt_alt_tokens_k,
                prompt_logprobs_last_n,
            )
        )

    def _sample(self, request: SampleRequest) -> APIFuture[SampleResponse]:
        return self._operations.start("sample", partial(self._operations.sample, request))

    def compute_logprobs(
        self, prompt: ModelInput, prompt_logprobs_last_n: int | None = None
    ) -> APIFuture[list[float | None]]:
        """Score a text under the model.

        Args:
            prompt: The text, P tokens.
            prompt_logprobs_last_n: Score only the last n tokens.

        Returns: A future of (P,) log-probabilities in nats; None where there is none, the first
            above all.

        Source: protocol section 2.10.
        """
        return self._compute_logprobs(prompt, prompt_logprobs_last_n)

    async def compute_logprobs_async(
        self, prompt: ModelInput, prompt_logprobs_last_n: int | None = None
    ) -> list[float | None]:
        """Async form of ``compute_logprobs``; same arguments and errors, and it waits."""
        return await self._compute_logprobs(prompt, prompt_logprobs_last_n)

    def _compute_logprobs(
        self, prompt: ModelInput, last_n: int | None
    ) -> APIFuture[list[float | None]]:
        request = _request(
            prompt,
            1,
            SamplingParams(max_tokens=1),
            True,
            0,
            0,
            None,
            0,
            last_n,
        )

        async def work() -> list[float | None]:
            response = await self._operations.sample(request)
            if response.prompt_logprobs is None:
                raise RetrievalError(
                    "compute_logprobs: the server gave no prompt logprobs, though it was asked for."
                )
            return list(response.prompt_logprobs)

        return self._operations.start("compute_logprobs", work)

    # What it samples from.

    def get_base_model(self) -> str:
        """Name of the base model; asks once, blocking."""
        return self._base_model().result()

    async def get_base_model_async(self) -> str:
        """Async form of ``get_base_model``; same result and errors."""
        return await self._base_model()

    def _base_model(self) -> APIFuture[str]:
        async def work() -> str:
            return (await self._operations.sampler()).base_model

        return self._operations.start("get_base_model", work)

    def get_tokenizer(self) -> Any:
        """The base model's tokenizer; see ``TrainingClient.get_tokenizer``."""
        return tokenizer_of_base_model(self._base_model().result())

    async def get_tokenizer_async(self) -> Any:
        """Async form of ``get_tokenizer``; same result and errors."""
        return tokenizer_of_base_model(await self._base_model())

    def __copy__(self) -> SamplingClient:
        """A client on the same session and transport, with sample numbers of its own."""
        operations = self._operations
        return sampling_client(
            operations.session,
            operations.opening.shared,
            "sampling through a copy",
            first_seq_id=_clone_seq_id(),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> SamplingClient:
        """The same as ``copy.copy``: a connection has no depth."""
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as settings and session, without the key; the copy numbers its samples apart."""
        config = self._operations.session.config
        settings = {"base_url": config.base_url, "wire": config.wire,
                    "sdk_version": config.sdk_version,
                    "max_response_bytes": config.max_response_bytes}  # fmt: skip
        return _revive, (settings, self._sampling_session_id, _clone_seq_id())


def _clone_seq_id() -> int:
    return random.randrange(1, CLONE_SEQ_ID_STEP) * CLONE_SEQ_ID_STEP


def _revive(
    settings: dict[str, Any], sampling_session_id: str, first_seq_id: int
) -> SamplingClient:
    """A sampling client on an existing session, with the key of this process's environment."""
    config = resolve(**settings)
    session = Session(config, default_async(config), shared_runtime(), owns_transport=True)

    async def known() -> str:
        return sampling_session_id

    return sampling_client(
        session, known, f"sampling in {sampling_session_id}", first_seq_id=first_seq_id
    )


def sampling_client(
    session: Session,
    open_: Callable[[], Awaitable[str]],
    operation: str,
    *,
    first_seq_id: int = 0,
) -> SamplingClient:
    """A client on a sampling session that ``open_`` makes."""
    return SamplingClient(SamplingOperations(session, open_, operation, first_seq_id=first_seq_id))


def _request(
    prompt: ModelInput,
    num_samples: int,
    sampling_params: SamplingParams,
    include_prompt_logprobs: bool,
    topk_prompt_logprobs: int,
    topk_sample_logprobs: int,
    target_prompt_logprobs: TensorData | None,
    prompt_alt_tokens_k: int,
    prompt_logprobs_last_n: int | None,
) -> SampleRequest:
    """The request, after the checks that need no server."""
    if not isinstance(prompt, ModelInput):
        raise TypeError(f"sample: prompt must be a ModelInput, not {type(prompt).__name__}.")
    if not isinstance(sampling_params, SamplingParams):
        raise TypeError(
            f"sample: sampling_params must be SamplingParams, not {type(sampling_params).__name__}."
        )
    _check_at_least(1, "num_samples", num_samples)
    _check_at_least(0, "topk_prompt_logprobs", topk_prompt_logprobs)
    _check_at_least(0, "topk_sample_logprobs", topk_sample_logprobs)
    _check_at_least(0, "prompt_alt_tokens_k", prompt_alt_tokens_k)
    if prompt_logprobs_last_n is not None:
        _check_at_least(1, "prompt_logprobs_last_n", prompt_logprobs_last_n)
        if not include_prompt_logprobs:
            raise ValueError("sample: prompt_logprobs_last_n needs include_prompt_logprobs=True.")
    _check_targets(target_prompt_logprobs)
    return SampleRequest(
        prompt=prompt,
        num_samples=num_samples,
        sampling_params=sampling_params,
        prompt_logprobs=bool(include_prompt_logprobs),
        topk_prompt_logprobs=topk_prompt_logprobs,
        topk_sample_logprobs=topk_sample_logprobs,
        target_prompt_logprobs=target_prompt_logprobs,
        prompt_alt_tokens_k=prompt_alt_tokens_k,
        prompt_logprobs_last_n=prompt_logprobs_last_n,
        record_stability_info=False,
    )


def _check_at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"sample: {name} is {value}; it must be at least {least}.")


def _check_targets(targets: TensorData | None) -> None:
    if targets is None:
        return
    if targets.dtype != "int64" or len(targets.shape or ()) != 2:
        raise ValueError(
            f"sample: target_prompt_logprobs is {targets.dtype} of shape {targets.shape}; it must "
            "be int64 of shape (P - 1, K)."
        )


APIFuture.register(SamplingClient)
