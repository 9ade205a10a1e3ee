"""Waiting for many futures at once, and giving one up (protocol sections 4.6 and 4.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tinker_lite.types._base import Variant, Wire
from tinker_lite.types.answers import Answer, UnknownVariant

__all__ = [
    "CancelFutureRequest",
    "FutureCompletion",
    "FutureFailed",
    "FutureFinished",
    "FuturesRetrieveRequest",
    "FuturesRetrieveResponse",
    "SamplingSessionFuturesTarget",
    "UnknownFutureCompletion",
]


class CancelFutureRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/cancel_future``: nobody waits for this result any more."""

    request_id: str


class SamplingSessionFuturesTarget(Variant, frozen=True, kw_only=True, tag="sampling_session"):
    """The futures of one client of a sampling session; the original client is number 0."""

    sampling_session_id: str
    cloned_sampler_id: int


class FuturesRetrieveRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/retrieve_futures``.

    Attributes:
        target: Whose futures.
        prev_cursor: The ``cursor`` of the last answer, 0 at first; what came before is seen.
        timeout: Most seconds to wait; None is the server's choice, 0 asks without waiting.
        retrieved_request_ids: Results that were fetched whole and may be deleted.
    """

    target: SamplingSessionFuturesTarget
    prev_cursor: int = 0
    timeout: float | None = None
    retrieved_request_ids: Sequence[str] = ()


class FutureFinished(Answer, frozen=True, kw_only=True, tag_field="state", tag="finished"):
    """A result is there, of this many bytes if the server tells."""

    request_id: str
    response_payload_uncompressed_size: int | None = None

    @property
    def state(self) -> str:
        """What happened, as on the wire."""
        return "finished"


class FutureFailed(Answer, frozen=True, kw_only=True, tag_field="state", tag="failed"):
    """An operation failed; asking for its result says why."""

    request_id: str

    @property
    def state(self) -> str:
        """What happened, as on the wire."""
        return "failed"


class UnknownFutureCompletion(UnknownVariant, frozen=True, kw_only=True, tag_field="state"):
    """Something else happened to a future; all its fields are in ``extra``."""

    @property
    def state(self) -> str:
        """What happened, as on the wire."""
        return str(self.extra.get("state", "?"))


FutureCompletion: TypeAlias = FutureFinished | FutureFailed | UnknownFutureCompletion


class FuturesRetrieveResponse(Answer, frozen=True, kw_only=True):
    """What happened since, and the cursor to give back."""

    completions: list[FutureCompletion]
    cursor: int
