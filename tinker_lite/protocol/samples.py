"""What a sample's result lacks and its request or its submission has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from tinker_lite.types import ModelInput, SampleResponse, UntypedAPIFuture

__all__ = ["with_every_prompt_token", "with_sequence_ids"]


def with_sequence_ids(response: SampleResponse, future: UntypedAPIFuture) -> SampleResponse:
    """The response with each sequence's id, matched by position (protocol section 2.10).

    Departure: a server that gives none, as older ones do, gets ids made up from the request id.
    """
    given = future.sample_sequence_ids or []
    if len(given) != len(response.sequences):
        given = [f"{future.request_id}:{i}" for i in range(len(response.sequences))]
    named = [
        replace(sequence, sequence_id=sequence_id)
        for sequence, sequence_id in zip(response.sequences, given, strict=True)
    ]
    return replace(response, sequences=named)


def with_every_prompt_token(response: SampleResponse, prompt: ModelInput) -> SampleResponse:
    """The response with an entry for each token of the prompt.

    Departure: some servers leave out the first token, which has no logprob, instead of giving None
    for it (protocol section 12.3).
    """
    try:
        n_scored = prompt.length - 1
    except ValueError:  # a picture whose tokens nobody has counted
        return response
    logprobs, topk = response.prompt_logprobs, response.topk_prompt_logprobs
    if logprobs is not None and len(logprobs) == n_scored:
        response = replace(response, prompt_logprobs=[None, *logprobs])
    if topk is not None and len(topk) == n_scored:
        response = replace(response, topk_prompt_logprobs=[None, *topk])
    return response
