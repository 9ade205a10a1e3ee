"""Running the work behind a promise, and telling whose fault a failure is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tinker_lite.local.exchange import Refusal
from tinker_lite.local.workers import ProcessEnding
from tinker_lite.types import (
    ForwardBackwardOutput,
    RequestErrorCategory,
    RequestFailedResponse,
    SampleResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.local.promises import Promise

__all__ = ["perform"]

logger = logging.getLogger("tinker_lite.local")

_TOKEN_BYTES = 64  # a Python int and a float, and the two places that hold them


def perform(promise: Promise, work: Callable[[], object]) -> None:
    """Run the work and keep the promise with its result, or with what went wrong.

    Work that was cancelled meanwhile is not begun.

    A ``ValueError`` or a ``Refusal`` is about what the caller sent; anything else is ours.

    Raises:
        ProcessEnding: Python has begun to end and gives no more threads. The promise stays open
            until the service is closed, moments later.
    """
    if promise.is_done:
        return
    try:
        outcome = work()
    except (ValueError, Refusal) as error:
        promise.finish(_failed(str(error), RequestErrorCategory.USER))
    except Exception as error:
        if isinstance(error, RuntimeError) and "shutdown" in str(error):
            raise ProcessEnding from error
        logger.exception("Request %s failed", promise.request_id)
        text = f"{type(error).__name__}: {error}"
        promise.finish(_failed(text, RequestErrorCategory.SERVER))
    else:
        promise.finish(outcome, _size_bytes(outcome))


def _failed(text: str, category: RequestErrorCategory) -> RequestFailedResponse:
    return RequestFailedResponse(error=text, category=category.value)


def _size_bytes(outcome: object) -> int:
    """Roughly how much memory a result takes."""
    match outcome:
        case ForwardBackwardOutput():
            tensors = (tensor for output in outcome.loss_fn_outputs for tensor in output.values())
            return sum(tensor.size_bytes for tensor in tensors)
        case SampleResponse():
            return _sample_bytes(outcome)
        case _:
            return 0


def _sample_bytes(response: SampleResponse) -> int:
    tables = [response.topk_prompt_logprobs, *(s.topk_logprobs for s in response.sequences)]
    n_scored = sum(len(row or ()) for table in tables for row in table or ())
    n_tokens = sum(len(sequence.tokens) for sequence in response.sequences)
    tensors = [response.target_prompt_logprobs]
    if response.prompt_alt_tokens is not None:
        tensors += [response.prompt_alt_tokens.tokens, response.prompt_alt_tokens.logprobs]
    return _TOKEN_BYTES * (n_scored + n_tokens + len(response.prompt_logprobs or ())) + sum(
        tensor.size_bytes for tensor in tensors if tensor is not None
    )
