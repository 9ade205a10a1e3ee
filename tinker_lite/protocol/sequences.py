"""Names of sampled sequences: they come with the submission, not with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from tinker_lite.types import SampleResponse, UntypedAPIFuture

__all__ = ["with_sequence_ids"]


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
