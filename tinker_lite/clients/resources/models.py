"""Models: made, described, copied."""

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

__all__ = ["Models"]


class Models(Resource[F]):
    """Models that are trained."""

    with_raw_response: Views[Models[BlockingRaw], Models[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Models[BlockingStreamed], Models[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def create(
        self, request: t.CreateModelRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Make a model; its future comes to a ``CreateModelResponse``."""
        return Args(row=rows.MODELS_CREATE, body=request, options=options)

    @Operation
    def get_info(
        self, request: t.GetInfoRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.GetInfoResponse]:
        """What a model is made of."""
        return Args(row=rows.MODELS_GET_INFO, body=request, options=options)

    @Operation
    def unload(
        self, request: t.UnloadModelRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Drop a model; its future comes to an ``UnloadModelResponse``. Newer services lack it."""
        return Args(row=rows.MODELS_UNLOAD, body=request, options=options)

    @Operation
    def copy_weights(
        self,
        request: t.CopyWeightsRequest | Fields,
        weights_access_token: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Args[t.CopyWeightsResponse]:
        """Copy saved weights to a project of one's own.

        Args:
            request: What to copy, and where to.
            weights_access_token: A token of the account that has them; a secret.
            **options: As for every method.
        """
        token = weights_access_token
        return Args(
            row=rows.MODELS_COPY_WEIGHTS,
            body=request,
            headers={} if token is None else {"X-Tinker-Weights-Access-Token": token},
            options=options,
        )
