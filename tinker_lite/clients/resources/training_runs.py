"""Training runs."""

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

__all__ = ["TrainingRuns"]


class TrainingRuns(Resource[F]):
    """Training runs."""

    with_raw_response: Views[TrainingRuns[BlockingRaw], TrainingRuns[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[TrainingRuns[BlockingStreamed], TrainingRuns[AsyncStreamed]] = (
        Views("streamed")
    )

    @Operation
    def list(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: t.AccessScope = "owned",
        project_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Args[t.TrainingRunsResponse]:
        """A page of training runs, newest first."""
        query = {
            "limit": limit,
            "offset": offset,
            "access_scope": access_scope,
            "project_id": project_id,
        }
        return Args(row=rows.TRAINING_RUNS_LIST, query=query, options=options)

    @Operation
    def get(
        self,
        training_run_id: str,
        access_scope: t.AccessScope = "owned",
        **options: Unpack[CallOptions],
    ) -> Args[t.TrainingRun]:
        """One training run."""
        return Args(
            row=rows.TRAINING_RUNS_GET,
            path={"run": training_run_id},
            query={"access_scope": access_scope},
            options=options,
        )
