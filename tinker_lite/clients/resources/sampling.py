"""Sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

from tinker_lite.clients.faces import (
    AsyncRaw,
    AsyncStreamed,
    BlockingRaw,
    BlockingStreamed,
    Operation,
    Resource,
    Views,
)
from tinker_lite.engine.preparation import Args
from tinker_lite.protocol import endpoints as rows

if TYPE_CHECKING:
    import tinker_lite.types as t
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["Sampling"]


class Sampling(Resource[F]):
    """Samples, and what they are drawn from."""

    with_raw_response: Views[Sampling[BlockingRaw], Sampling[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Sampling[BlockingStreamed], Sampling[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def asample(
        self, request: t.SampleRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Ask for samples; the future comes to a ``SampleResponse``.

        A service that is busy refuses with ``RateLimitError``.
        """
        headers = {"X-Tinker-Sampling-Backpressure": "1"}
        return Args(row=rows.SAMPLING_ASAMPLE, body=request, headers=headers, options=options)

    @Operation
    def get_sampler(
        self, sampler_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.GetSamplerResponse]:
        """Which model a sampling session samples from."""
        return Args(row=rows.SAMPLING_GET_SAMPLER, path={"sampler": sampler_id}, options=options)
