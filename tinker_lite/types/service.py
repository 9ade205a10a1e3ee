"""What the service says of itself: health, capabilities and client configuration."""

from __future__ import annotations

from typing import Any, Literal, cast

from tinker_lite.types._base import Wire
from tinker_lite.types.answers import Answer

__all__ = [
    "ClientConfigRequest",
    "ClientConfigResponse",
    "ClientDynamicConfigResponse",
    "GetServerCapabilitiesResponse",
    "HealthResponse",
    "SupportedModel",
]


class HealthResponse(Answer, frozen=True, kw_only=True):
    """The answer of ``/healthz``."""

    status: Literal["ok"]


class SupportedModel(Answer, frozen=True, kw_only=True):
    """A base model on offer.

    Attributes:
        model_name: Its name, or None if the server does not tell.
        max_context_length: Longest input, in tokens.
        trainable: Whether it can be trained.
        sampleable: Whether it can be sampled from as it is.
    """

    model_name: str | None = None
    max_context_length: int | None = None
    trainable: bool | None = None
    sampleable: bool | None = None


class GetServerCapabilitiesResponse(Answer, frozen=True, kw_only=True):
    """The base models on offer.

    Attributes:
        supported_models: One entry per model.

    Source: protocol section 2.1; older servers name models by bare strings.
    """

    supported_models: list[SupportedModel]

    @property
    def model_names(self) -> list[str]:
        """The names of the models that have one."""
        return [m.model_name for m in self.supported_models if m.model_name is not None]

    @classmethod
    def mended(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields with bare strings taken for names, and without entries that are null."""
        entries = fields.get("supported_models")
        if isinstance(entries, list):
            fields["supported_models"] = [
                {"model_name": entry} if isinstance(entry, str) else entry
                for entry in cast("list[object]", entries)
                if entry is not None
            ]
        return fields


class ClientConfigRequest(Wire, frozen=True, kw_only=True):
    """Body of ``/client/config`` and ``/client/dynamic_config``."""

    sdk_version: str


class ClientConfigResponse(Answer, frozen=True, kw_only=True):
    """Settings that the server chooses for its clients (protocol section 2.2).

    Attributes:
        pjwt_auth_enabled: Exchange the key for short-lived tokens.
        credential_default_source: ``"credential_cmd"`` forces the command credential.
        sample_dispatch_bytes_semaphore_size: Prompt bytes being submitted at once.
        inflight_response_bytes_semaphore_size: Result bytes being fetched at once.
        parallel_fwdbwd_chunks: Submit the chunks of one call concurrently.
        proto_compress_fwdbwd: Compress request bodies with zstd.
        fwdbwd_max_chunk_len: Most examples in a chunk.
        fwdbwd_max_chunk_bytes_count: Most estimated bytes in a chunk.
        fwdbwd_dispatch_bytes_semaphore_size: Training bytes being submitted at once.
        billing_exception_max_pause_duration_sec: Seconds for which a 402 is waited out.
        sample_no_retries: Do not repeat failed samples.
        sample_enable_stuck_detection: Fail samples when nothing completes for two hours.
        sample_max_concurrent_requests: Samples in flight per sampling client.
        use_pyqwest_transport: Which transport the official client takes; without effect here.
        sample_use_retrieve_futures: Await samples through the session poller.
        custom_loss_server_side: Upload custom losses.
        sample_join_sampling_session: Ask the server for clone ids.
        create_model_via_load_weights: Load a checkpoint as a model's creation (0.25 only).
    """

    pjwt_auth_enabled: bool = False
    credential_default_source: str = "api_key"
    sample_dispatch_bytes_semaphore_size: int = 10_485_760
    inflight_response_bytes_semaphore_size: int = 52_428_800
    parallel_fwdbwd_chunks: bool = True
    proto_compress_fwdbwd: bool = False
    fwdbwd_max_chunk_len: int = 1024
    fwdbwd_max_chunk_bytes_count: int = 5_000_000
    fwdbwd_dispatch_bytes_semaphore_size: int = 50_000_000
    billing_exception_max_pause_duration_sec: int = 3600
    sample_no_retries: bool = False
    sample_enable_stuck_detection: bool = True
    sample_max_concurrent_requests: int = 2000
    use_pyqwest_transport: bool = True
    sample_use_retrieve_futures: bool = False
    custom_loss_server_side: bool = False
    sample_join_sampling_session: bool = False
    create_model_via_load_weights: bool = False


class ClientDynamicConfigResponse(Answer, frozen=True, kw_only=True):
    """Settings that may change while a session lives (protocol section 2.3).

    Attributes:
        refresh_interval_sec: Seconds until the next fetch.
        sample_cancel_enabled: Tell the server about abandoned samples.
        sample_cancel_max_batch_size: Cancellations in flight at once.
    """

    refresh_interval_sec: int = 300
    sample_cancel_enabled: bool = False
    sample_cancel_max_batch_size: int = 64
