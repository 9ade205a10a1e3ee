"""Telemetry."""

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

__all__ = ["Telemetry"]


class Telemetry(Resource[F]):
    """What a client tells of itself."""

    with_raw_response: Views[Telemetry[BlockingRaw], Telemetry[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Telemetry[BlockingStreamed], Telemetry[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def send(
        self, request: t.TelemetrySendRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.TelemetryResponse]:
        """Send a batch of events."""
        return Args(row=rows.TELEMETRY_SEND, body=request, options=options)
