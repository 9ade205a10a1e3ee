"""Weights: saved, loaded, looked up."""

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
from tinker_lite.clients.resources.checkpoints import ARCHIVE
from tinker_lite.engine.preparation import Args
from tinker_lite.protocol import endpoints as rows

if TYPE_CHECKING:
    import tinker_lite.types as t
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["Weights"]


class Weights(Resource[F]):
    """Saving and loading; what the official client finds here is here too."""

    with_raw_response: Views[Weights[BlockingRaw], Weights[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Weights[BlockingStreamed], Weights[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def save(
        self, request: t.SaveWeightsRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Save a model's state; its future comes to a ``SaveWeightsResponse``."""
        return Args(row=rows.WEIGHTS_SAVE, body=request, options=options)

    @Operation
    def save_for_sampler(
        self, request: t.SaveWeightsForSamplerRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Save weights to sample from.

        Its future comes to a ``SaveWeightsForSamplerResponseInternal``.
        """
        return Args(row=rows.WEIGHTS_SAVE_FOR_SAMPLER, body=request, options=options)

    @Operation
    def save_external(
        self, request: t.SaveWeightsExternalRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Save weights to download; its future comes to ``SaveWeightsExternalResponseInternal``."""
        return Args(row=rows.WEIGHTS_SAVE_EXTERNAL, body=request, options=options)

    @Operation
    def load(
        self, request: t.LoadWeightsRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Load weights into a model; its future comes to a ``LoadWeightsResponse``."""
        return Args(row=rows.WEIGHTS_LOAD, body=request, options=options)

    @Operation
    def info(
        self, request: t.WeightsInfoRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.WeightsInfoResponse]:
        """What a model must be made with to take these weights."""
        return Args(row=rows.WEIGHTS_INFO, body=request, options=options)

    @Operation
    def list(
        self, training_run_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.CheckpointsListResponse]:
        """The checkpoints of a run; ``checkpoints.list_for_run`` under its official name."""
        path = {"run": training_run_id}
        return Args(row=rows.CHECKPOINTS_LIST_FOR_RUN, path=path, options=options)

    @Operation
    def delete_checkpoint(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[None]:
        """Delete a checkpoint; ``checkpoints.delete`` under its official name."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_DELETE, path=path, options=options)

    @Operation
    def get_checkpoint_archive_url(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.CheckpointArchiveUrlResponse]:
        """Where a checkpoint's archive is; ``checkpoints.archive`` under its official name."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=ARCHIVE, path=path, options=options)

    @Operation
    def get_external_weights_urls(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.ExternalWeightsUrlsResponse]:
        """Where the files of weights are; ``checkpoints.external_weights_urls``, officially."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_EXTERNAL_WEIGHTS_URLS, path=path, options=options)
