"""Checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

from msgspec.structs import replace

import tinker_lite.types as t
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
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["ARCHIVE", "Checkpoints"]

# The answer is read from a redirect, which the table has no type for.
ARCHIVE = replace(rows.CHECKPOINTS_ARCHIVE, response=t.CheckpointArchiveUrlResponse)


class Checkpoints(Resource[F]):
    """Saved weights. A checkpoint's id is ``weights/NAME``, ``sampler_weights/NAME`` and so on."""

    with_raw_response: Views[Checkpoints[BlockingRaw], Checkpoints[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Checkpoints[BlockingStreamed], Checkpoints[AsyncStreamed]] = (
        Views("streamed")
    )

    @Operation
    def list(
        self, limit: int = 100, offset: int = 0, **options: Unpack[CallOptions]
    ) -> Args[t.CheckpointsListResponse]:
        """A page of all checkpoints, newest first."""
        query = {"limit": limit, "offset": offset}
        return Args(row=rows.CHECKPOINTS_LIST, query=query, options=options)

    @Operation
    def list_for_run(
        self, training_run_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.CheckpointsListResponse]:
        """The checkpoints of a run."""
        path = {"run": training_run_id}
        return Args(row=rows.CHECKPOINTS_LIST_FOR_RUN, path=path, options=options)

    @Operation
    def delete(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[None]:
        """Delete a checkpoint."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_DELETE, path=path, options=options)

    @Operation
    def publish(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[None]:
        """Let everybody read a checkpoint."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_PUBLISH, path=path, options=options)

    @Operation
    def unpublish(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[None]:
        """Keep a checkpoint to oneself again."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_UNPUBLISH, path=path, options=options)

    @Operation
    def set_ttl(
        self,
        training_run_id: str,
        checkpoint_id: str,
        request: t.SetCheckpointTtlRequest | Fields,
        **options: Unpack[CallOptions],
    ) -> Args[None]:
        """Say how long a checkpoint is to last."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_SET_TTL, path=path, body=request, options=options)

    @Operation
    def archive(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.CheckpointArchiveUrlResponse]:
        """Where a checkpoint's archive can be had for a while. Newer services lack it."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=ARCHIVE, path=path, options=options)

    @Operation
    def external_weights_urls(
        self, training_run_id: str, checkpoint_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.ExternalWeightsUrlsResponse]:
        """Where the files of weights that were saved to be downloaded can be had for a while."""
        path = {"run": training_run_id, "checkpoint": checkpoint_id}
        return Args(row=rows.CHECKPOINTS_EXTERNAL_WEIGHTS_URLS, path=path, options=options)
