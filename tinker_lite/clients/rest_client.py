"""``RestClient``: look at training runs and checkpoints; needs no session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from tinker_lite.config import resolve
from tinker_lite.engine.download import DownloadProgress, archive_url, download_archive
from tinker_lite.engine.runtime import shared_runtime
from tinker_lite.engine.session import Session
from tinker_lite.engine.transports import as_async, default_async
from tinker_lite.protocol import endpoints as rows
from tinker_lite.types import (
    CheckpointArchiveUrlResponse,
    CheckpointsListResponse,
    GetSamplerResponse,
    GetServerCapabilitiesResponse,
    ParsedCheckpointTinkerPath,
    TrainingRun,
    TrainingRunsResponse,
    WeightsInfoRequest,
    WeightsInfoResponse,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable

    from tinker_lite.engine.future import APIFuture
    from tinker_lite.http import AnyTransport

__all__ = ["AccessScope", "RestClient"]

T = TypeVar("T")
AccessScope: TypeAlias = Literal["owned", "accessible"]


class RestClient:
    """Training runs, checkpoints and what the service offers.

    Every method returns a future; its ``x_async`` form is awaited for the value itself.

    Args:
        base_url: Where the service is; see ``ServiceClient``.
        api_key: The credential.
        transport: Sends every request; the default one fits ``base_url``. It stays yours to close.
        session: Shares the connection of a ``ServiceClient``; made by ``create_rest_client``.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        transport: AnyTransport | None = None,
        session: Session | None = None,
    ) -> None:
        if session is not None and (base_url or api_key or transport):
            raise ValueError("RestClient: give session, or base_url, api_key and transport.")
        if session is None:
            config = resolve(base_url=base_url, api_key=api_key)
            session = Session(
                config,
                default_async(config) if transport is None else as_async(transport),
                shared_runtime(),
                owns_transport=transport is None,
            )
        self._session = session

    def _start(self, operation: str, work: Callable[[], Awaitable[T]]) -> APIFuture[T]:
        self._session.check_open(operation)

        async def run() -> T:
            return await work()

        return self._session.runtime.start(run, operation)

    # Training runs.

    def list_training_runs(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: AccessScope = "owned",
        project_id: str | None = None,
    ) -> APIFuture[TrainingRunsResponse]:
        """A page of training runs, newest first.

        Args:
            limit: Most runs on the page.
            offset: Runs to skip.
            access_scope: Own runs, or all that may be read.
            project_id: Only runs of this project.

        Source: endpoint row ``training_runs.list``.
        """
        return self._list_training_runs(limit, offset, access_scope, project_id)

    async def list_training_runs_async(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: AccessScope = "owned",
        project_id: str | None = None,
    ) -> TrainingRunsResponse:
        """Async form of ``list_training_runs``; same arguments, result and errors."""
        return await self._list_training_runs(limit, offset, access_scope, project_id)

    def _list_training_runs(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: AccessScope = "owned",
        project_id: str | None = None,
    ) -> APIFuture[TrainingRunsResponse]:
        query = {
            "limit": limit,
            "offset": offset,
            "access_scope": access_scope,
            "project_id": project_id,
        }
        return self._start(
            "list_training_runs",
            lambda: self._session.call(rows.TRAINING_RUNS_LIST, query=query),
        )

    def get_training_run(
        self, training_run_id: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[TrainingRun]:
        """One training run.

        Source: endpoint row ``training_runs.get``.
        """
        return self._get_training_run(training_run_id, access_scope)

    async def get_training_run_async(
        self, training_run_id: str, access_scope: AccessScope = "owned"
    ) -> TrainingRun:
        """Async form of ``get_training_run``; same arguments, result and errors."""
        return await self._get_training_run(training_run_id, access_scope)

    def _get_training_run(
        self, training_run_id: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[TrainingRun]:
        return self._start(
            "get_training_run",
            lambda: self._session.call(
                rows.TRAINING_RUNS_GET,
                path={"run": training_run_id},
                query={"access_scope": access_scope},
            ),
        )

    def get_training_run_by_tinker_path(
        self, tinker_path: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[TrainingRun]:
        """The training run that a checkpoint belongs to.

        Raises:
            ValueError: The path is malformed.
        """
        return self._get_training_run_by_tinker_path(tinker_path, access_scope)

    async def get_training_run_by_tinker_path_async(
        self, tinker_path: str, access_scope: AccessScope = "owned"
    ) -> TrainingRun:
        """Async form of ``get_training_run_by_tinker_path``; same arguments, result and errors."""
        return await self._get_training_run_by_tinker_path(tinker_path, access_scope)

    def _get_training_run_by_tinker_path(
        self, tinker_path: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[TrainingRun]:
        parsed = ParsedCheckpointTinkerPath.from_tinker_path(tinker_path)
        return self._get_training_run(parsed.training_run_id, access_scope)

    # Checkpoints.

    def list_checkpoints(self, training_run_id: str) -> APIFuture[CheckpointsListResponse]:
        """All checkpoints of a training run.

        Source: endpoint row ``checkpoints.list_for_run``.
        """
        return self._list_checkpoints(training_run_id)

    async def list_checkpoints_async(self, training_run_id: str) -> CheckpointsListResponse:
        """Async form of ``list_checkpoints``; same argument, result and errors."""
        return await self._list_checkpoints(training_run_id)

    def _list_checkpoints(self, training_run_id: str) -> APIFuture[CheckpointsListResponse]:
        return self._start(
            "list_checkpoints",
            lambda: self._session.call(
                rows.CHECKPOINTS_LIST_FOR_RUN, path={"run": training_run_id}
            ),
        )

    def list_user_checkpoints(
        self, limit: int = 100, offset: int = 0
    ) -> APIFuture[CheckpointsListResponse]:
        """A page of checkpoints over all runs, newest first.

        Source: endpoint row ``checkpoints.list``.
        """
        return self._list_user_checkpoints(limit, offset)

    async def list_user_checkpoints_async(
        self, limit: int = 100, offset: int = 0
    ) -> CheckpointsListResponse:
        """Async form of ``list_user_checkpoints``; same arguments, result and errors."""
        return await self._list_user_checkpoints(limit, offset)

    def _list_user_checkpoints(
        self, limit: int = 100, offset: int = 0
    ) -> APIFuture[CheckpointsListResponse]:
        query = {"limit": limit, "offset": offset}
        return self._start(
            "list_user_checkpoints",
            lambda: self._session.call(rows.CHECKPOINTS_LIST, query=query),
        )

    def delete_checkpoint(self, training_run_id: str, checkpoint_id: str) -> APIFuture[None]:
        """Delete a checkpoint for good.

        Source: endpoint row ``checkpoints.delete``.
        """
        return self._delete_checkpoint(training_run_id, checkpoint_id)

    async def delete_checkpoint_async(self, training_run_id: str, checkpoint_id: str) -> None:
        """Async form of ``delete_checkpoint``; same arguments and errors."""
        await self._delete_checkpoint(training_run_id, checkpoint_id)

    def _delete_checkpoint(self, training_run_id: str, checkpoint_id: str) -> APIFuture[None]:
        async def work() -> None:
            path = {"run": training_run_id, "checkpoint": checkpoint_id}
            await self._session.call(rows.CHECKPOINTS_DELETE, path=path)

        return self._start("delete_checkpoint", work)

    def delete_checkpoint_from_tinker_path(self, tinker_path: str) -> APIFuture[None]:
        """Delete a checkpoint for good.

        Raises:
            ValueError: The path is malformed.
        """
        return self._delete_checkpoint_from_tinker_path(tinker_path)

    async def delete_checkpoint_from_tinker_path_async(self, tinker_path: str) -> None:
        """Async form of ``delete_checkpoint_from_tinker_path``; same argument and errors."""
        await self._delete_checkpoint_from_tinker_path(tinker_path)

    def _delete_checkpoint_from_tinker_path(self, tinker_path: str) -> APIFuture[None]:
        parsed = ParsedCheckpointTinkerPath.from_tinker_path(tinker_path)
        return self._delete_checkpoint(parsed.training_run_id, parsed.checkpoint_id)

    def get_weights_info_by_tinker_path(self, tinker_path: str) -> APIFuture[WeightsInfoResponse]:
        """Base model and adapter of a checkpoint.

        Source: endpoint row ``weights.info``.
        """
        request = WeightsInfoRequest(tinker_path=tinker_path)
        return self._start(
            "get_weights_info",
            lambda: self._session.call(rows.WEIGHTS_INFO, request),
        )

    def get_checkpoint_archive_url_from_tinker_path(
        self, tinker_path: str
    ) -> APIFuture[CheckpointArchiveUrlResponse]:
        """A URL from which the checkpoint's archive can be fetched for a while.

        Raises:
            ValueError: The path is malformed.

        Source: endpoint row ``checkpoints.archive``.
        """
        return self._get_checkpoint_archive_url_from_tinker_path(tinker_path)

    async def get_checkpoint_archive_url_from_tinker_path_async(
        self, tinker_path: str
    ) -> CheckpointArchiveUrlResponse:
        """Async form of ``get_checkpoint_archive_url_from_tinker_path``; same result and errors."""
        return await self._get_checkpoint_archive_url_from_tinker_path(tinker_path)

    def _get_checkpoint_archive_url_from_tinker_path(
        self, tinker_path: str
    ) -> APIFuture[CheckpointArchiveUrlResponse]:
        ParsedCheckpointTinkerPath.from_tinker_path(tinker_path)
        return self._start(
            "get_checkpoint_archive_url", lambda: archive_url(self._session, tinker_path)
        )

    def download_checkpoint_archive(
        self,
        tinker_path: str,
        destination: str | os.PathLike[str],
        on_progress: DownloadProgress | None = None,
    ) -> APIFuture[Path]:
        """Stream a checkpoint's archive to a file, which appears only when it is whole.

        Args:
            tinker_path: The checkpoint.
            destination: The file to write; its folder must exist.
            on_progress: Told the bytes received and the size (None if unknown), on the runtime's
                thread.

        Returns:
            A future of the file's path.

        Raises:
            ValueError: The path is malformed.
        """
        ParsedCheckpointTinkerPath.from_tinker_path(tinker_path)
        return self._start(
            "download_checkpoint_archive",
            lambda: download_archive(self._session, tinker_path, Path(destination), on_progress),
        )

    # The service.

    def get_sampler(self, sampler_id: str) -> APIFuture[GetSamplerResponse]:
        """What a sampling session samples from.

        Source: endpoint row ``sampling.get_sampler``.
        """
        return self._get_sampler(sampler_id)

    async def get_sampler_async(self, sampler_id: str) -> GetSamplerResponse:
        """Async form of ``get_sampler``; same argument, result and errors."""
        return await self._get_sampler(sampler_id)

    def _get_sampler(self, sampler_id: str) -> APIFuture[GetSamplerResponse]:
        return self._start(
            "get_sampler",
            lambda: self._session.call(rows.SAMPLING_GET_SAMPLER, path={"sampler": sampler_id}),
        )

    def get_server_capabilities(self) -> APIFuture[GetServerCapabilitiesResponse]:
        """The base models on offer; needs no session, so it also tells whether the service answers.

        Source: endpoint row ``service.get_server_capabilities``.
        """
        return self._get_server_capabilities()

    async def get_server_capabilities_async(self) -> GetServerCapabilitiesResponse:
        """Async form of ``get_server_capabilities``; same result and errors."""
        return await self._get_server_capabilities()

    def _get_server_capabilities(self) -> APIFuture[GetServerCapabilitiesResponse]:
        return self._start(
            "get_server_capabilities",
            lambda: self._session.call(rows.SERVICE_GET_SERVER_CAPABILITIES),
        )
