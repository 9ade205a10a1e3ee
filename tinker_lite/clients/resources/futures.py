"""Futures: asked for, listed, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

from msgspec.structs import replace

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

__all__ = ["Futures"]

# What a poll answers depends on the operation: plain values say it as it is.
_RETRIEVE: rows.Row[object] = replace(rows.FUTURES_RETRIEVE, response=object)


class Futures(Resource[F]):
    """Results of submissions, one poll at a time; ``client.result`` waits for one."""

    with_raw_response: Views[Futures[BlockingRaw], Futures[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Futures[BlockingStreamed], Futures[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def retrieve(
        self,
        request: t.FutureRetrieveRequest | Fields,
        request_type: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Args[object]:
        """Ask for a result once; a pending one is a 408, and so an ``APIStatusError``.

        Args:
            request: Which result.
            request_type: The kind of the operation, such as ``OptimStep``.
            **options: As for every method.
        """
        kind = {} if request_type is None else {"X-Tinker-Request-Type": request_type}
        return Args(row=_RETRIEVE, body=request, headers=kind, options=options)

    @Operation
    def retrieve_multi(
        self, request: t.FuturesRetrieveRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.FuturesRetrieveResponse]:
        """Which results of a sampling session are there."""
        return Args(row=rows.FUTURES_RETRIEVE_MULTI, body=request, options=options)

    @Operation
    def cancel(
        self, request: t.CancelFutureRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[None]:
        """Say that a result is no longer wanted."""
        return Args(row=rows.FUTURES_CANCEL, body=request, options=options)
