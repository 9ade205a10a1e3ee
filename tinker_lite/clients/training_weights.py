"""Saving and loading of a training client's weights, and the sampling clients made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinker_lite.clients.sampling_client import SamplingClient, sampling_client
from tinker_lite.clients.training_base import TrainingBase
from tinker_lite.errors import RetrievalError
from tinker_lite.protocol import endpoints as rows
from tinker_lite.protocol.validation import check_name, check_tinker_path, own_metadata
from tinker_lite.types import (
    LoadWeightsRequest,
    LoadWeightsResponse,
    SamplingClientKind,
    SaveWeightsForSamplerRequest,
    SaveWeightsForSamplerResponse,
    SaveWeightsRequest,
    SaveWeightsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.engine.future import APIFuture
    from tinker_lite.engine.training import Turn

__all__ = ["TrainingWeights"]


class TrainingWeights(TrainingBase):
    """Checkpoints of one model."""

    def save_state(
        self,
        name: str,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
    ) -> APIFuture[SaveWeightsResponse]:
        """Queue saving weights and optimiser state, so that training can go on from there.

        Args:
            name: Name of the checkpoint within this model's run.
            ttl_seconds: Seconds until it is deleted; None keeps it.
            overwrite: Whether a checkpoint of that name may be replaced.
            user_metadata: Text by name, stored with it.

        Source: endpoint row ``weights.save``.
        """
        return self._save_state(name, ttl_seconds, overwrite, user_metadata)

    async def save_state_async(
        self,
        name: str,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
    ) -> APIFuture[SaveWeightsResponse]:
        """Async form of ``save_state``; same arguments, result (a future) and errors."""
        return self._save_state(name, ttl_seconds, overwrite, user_metadata)

    def _save_state(
        self,
        name: str,
        ttl_seconds: int | None,
        overwrite: bool,
        user_metadata: Mapping[str, str] | None,
    ) -> APIFuture[SaveWeightsResponse]:
        metadata = own_metadata(user_metadata)
        check_name(name, "save_state")
        return self._simple(
            "save_state",
            rows.WEIGHTS_SAVE,
            lambda model_id, seq_id: SaveWeightsRequest(
                model_id=model_id,
                path=name,
                seq_id=seq_id,
                ttl_seconds=ttl_seconds,
                overwrite=overwrite,
                user_metadata=metadata,
            ),
        )

    def load_state(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[LoadWeightsResponse]:
        """Queue loading weights into this model, with a fresh optimiser.

        Args:
            path: A ``tinker://`` path of training weights.
            weights_access_token: Lets another account's weights be read.

        Source: endpoint row ``weights.load``.
        """
        return self._load("load_state", path, weights_access_token, optimizer=False)

    async def load_state_async(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[LoadWeightsResponse]:
        """Async form of ``load_state``; same arguments, result (a future) and errors."""
        return self._load("load_state", path, weights_access_token, optimizer=False)

    def load_state_with_optimizer(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[LoadWeightsResponse]:
        """Queue loading weights and optimiser state into this model.

        Args:
            path: A ``tinker://`` path of training weights.
            weights_access_token: Lets another account's weights be read.

        Source: endpoint row ``weights.load``.
        """
        return self._load("load_state_with_optimizer", path, weights_access_token, optimizer=True)

    async def load_state_with_optimizer_async(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[LoadWeightsResponse]:
        """Async form of ``load_state_with_optimizer``; same arguments, result and errors."""
        return self._load("load_state_with_optimizer", path, weights_access_token, optimizer=True)

    def _load(
        self, operation: str, path: str, weights_access_token: str | None, *, optimizer: bool
    ) -> APIFuture[LoadWeightsResponse]:
        check_tinker_path(path, operation)
        return self._simple(
            operation,
            rows.WEIGHTS_LOAD,
            lambda model_id, seq_id: LoadWeightsRequest(
                model_id=model_id,
                seq_id=seq_id,
                path=path,
                optimizer=optimizer,
                weights_access_token=weights_access_token,
            ),
        )

    def save_weights_for_sampler(
        self,
        name: str,
        ttl_seconds: int | None = None,
        user_metadata: Mapping[str, str] | None = None,
    ) -> APIFuture[SaveWeightsForSamplerResponse]:
        """Queue saving weights for sampling.

        Args:
            name: Name of the checkpoint within this model's run.
            ttl_seconds: Seconds until it is deleted; None keeps it.
            user_metadata: Text by name, stored with it.

        Source: endpoint row ``weights.save_for_sampler``.
        """
        return self._save_for_sampler(name, ttl_seconds, user_metadata)

    async def save_weights_for_sampler_async(
        self,
        name: str,
        ttl_seconds: int | None = None,
        user_metadata: Mapping[str, str] | None = None,
    ) -> APIFuture[SaveWeightsForSamplerResponse]:
        """Async form of ``save_weights_for_sampler``; same arguments, result (a future), errors."""
        return self._save_for_sampler(name, ttl_seconds, user_metadata)

    def _save_for_sampler(
        self, name: str, ttl_seconds: int | None, user_metadata: Mapping[str, str] | None
    ) -> APIFuture[SaveWeightsForSamplerResponse]:
        operations = self._operations
        metadata = own_metadata(user_metadata)

        def body(model_id: str, seq_id: int) -> SaveWeightsForSamplerRequest:
            return SaveWeightsForSamplerRequest(
                model_id=model_id,
                path=name,
                seq_id=seq_id,
                ttl_seconds=ttl_seconds,
                user_metadata=metadata,
            )

        async def work(turn: Turn) -> SaveWeightsForSamplerResponse:
            answer = await operations.simple(turn, rows.WEIGHTS_SAVE_FOR_SAMPLER, body)
            if answer.path is None:
                raise RetrievalError(
                    "save_weights_for_sampler: the service answered without a path."
                )
            return SaveWeightsForSamplerResponse(path=answer.path)

        return operations.start("save_weights_for_sampler", work)

    def save_weights_and_get_sampling_client(
        self, name: str | None = None, *, kind: SamplingClientKind = "snapshot"
    ) -> SamplingClient:
        """Queue a snapshot of the weights and return a client that samples from it, usable at once.

        Args:
            name: Unused; accepted because older callers pass it.
            kind: ``snapshot`` pins the weights, ``inflight`` follows later saves of this kind.

        Source: endpoint row ``weights.save_for_sampler``, ephemeral form.
        """
        del name
        return self._snapshot(kind)

    async def save_weights_and_get_sampling_client_async(
        self, name: str | None = None, *, kind: SamplingClientKind = "snapshot"
    ) -> SamplingClient:
        """Async form of ``save_weights_and_get_sampling_client``; waits until it can sample."""
        del name
        return await self._snapshot(kind)

    def _snapshot(self, kind: SamplingClientKind) -> SamplingClient:
        operations = self._operations
        sampling_seq_id = operations.session.next_sampling_seq_id()

        def body(model_id: str, seq_id: int) -> SaveWeightsForSamplerRequest:
            return SaveWeightsForSamplerRequest(
                model_id=model_id,
                seq_id=seq_id,
                sampling_session_seq_id=sampling_seq_id,
                kind=kind,
            )

        async def work(turn: Turn) -> str:
            answer = await operations.simple(turn, rows.WEIGHTS_SAVE_FOR_SAMPLER, body)
            if answer.sampling_session_id is None:
                raise RetrievalError("The service answered a snapshot without a sampling session.")
            return answer.sampling_session_id

        saved = operations.start("save_weights_and_get_sampling_client", work)
        return sampling_client(operations.session, saved.shared, "sampling from a snapshot")

    def create_sampling_client(self, model_path: str) -> SamplingClient:
        """A client that samples from saved weights, usable at once.

        Args:
            model_path: A ``tinker://`` path of sampler weights.

        Raises:
            ValueError: It is no such path.
        """
        return SamplingClient.open(self._operations.session, model_path=model_path)

    async def create_sampling_client_async(self, model_path: str) -> SamplingClient:
        """Async form of ``create_sampling_client``; waits until it can sample."""
        return await SamplingClient.open(self._operations.session, model_path=model_path)
