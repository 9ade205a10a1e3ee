"""A light client for the Tinker fine-tuning API.

Public names are resolved when first used (PEP 562): importing this package loads the version and
nothing else, starts no thread and configures no logging.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tinker_lite._version import __version__

if TYPE_CHECKING:
    from tinker_lite import types
    from tinker_lite.clients.raw import (
        AsyncTinker,
        Tinker,
    )
    from tinker_lite.clients.responses import (
        APIResponse,
        AsyncAPIResponse,
    )
    from tinker_lite.clients.rest_client import (
        RestClient,
    )
    from tinker_lite.clients.sampling_client import (
        SamplingClient,
    )
    from tinker_lite.clients.service_client import (
        ServiceClient,
    )
    from tinker_lite.clients.status import (
        ClientStatus,
    )
    from tinker_lite.clients.streams import (
        AsyncStream,
        Stream,
    )
    from tinker_lite.clients.training_client import (
        TrainingClient,
    )
    from tinker_lite.config import (
        RetryConfig,
    )
    from tinker_lite.engine.future import (
        APIFuture,
    )
    from tinker_lite.engine.options import (
        CallOptions,
        Omit,
    )
    from tinker_lite.engine.transformation import (
        atransform,
    )
    from tinker_lite.errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        BillingError,
        ConfigError,
        ConflictError,
        InternalServerError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestFailedError,
        ResultExpiredError,
        RetrievalError,
        TinkerError,
        TransportError,
        UnprocessableEntityError,
    )
    from tinker_lite.http import (
        AsyncTransport,
        Timeout,
        Transport,
    )
    from tinker_lite.proxies import (
        ProxiesTypes,
        Proxy,
    )
    from tinker_lite.types import (
        AdamOptimizerConfig,
        AdamParams,
        Checkpoint,
        CheckpointType,
        Datum,
        DimuonOptimizerConfig,
        DimuonParams,
        DmelChunk,
        EncodedTextChunk,
        ForwardBackwardOutput,
        GetServerCapabilitiesResponse,
        LoraConfig,
        ModelID,
        ModelInput,
        ModelInputChunk,
        OptimStepRequest,
        OptimStepResponse,
        ParsedCheckpointTinkerPath,
        PromptProvenanceSpan,
        QueueState,
        SampledProvenanceSpan,
        SampledSequence,
        SampleRequest,
        SampleResponse,
        SamplingParams,
        StopReason,
        SupportedModel,
        TensorData,
        TensorDtype,
        TrainingRun,
    )
    from tinker_lite.types.property_info import (
        PropertyInfo,
    )
    from tinker_lite.wire.file_fields import (
        extract_files,
    )
    from tinker_lite.wire.files import (
        FileTypes,
        file_from_path,
    )
    from tinker_lite.wire.not_given import (
        NOT_GIVEN,
        NotGiven,
    )
    from tinker_lite.wire.sse import (
        ServerSentEvent,
    )
    from tinker_lite.wire.transform import (
        transform,
    )

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIFuture",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AdamOptimizerConfig",
    "AdamParams",
    "AsyncAPIResponse",
    "AsyncStream",
    "AsyncTinker",
    "AsyncTransport",
    "AuthenticationError",
    "BadRequestError",
    "BillingError",
    "CallOptions",
    "Checkpoint",
    "CheckpointType",
    "ClientStatus",
    "ConfigError",
    "ConflictError",
    "Datum",
    "DimuonOptimizerConfig",
    "DimuonParams",
    "DmelChunk",
    "EncodedTextChunk",
    "FileTypes",
    "ForwardBackwardOutput",
    "GetServerCapabilitiesResponse",
    "InternalServerError",
    "LoraConfig",
    "ModelID",
    "ModelInput",
    "ModelInputChunk",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OptimStepRequest",
    "OptimStepResponse",
    "ParsedCheckpointTinkerPath",
    "PermissionDeniedError",
    "PromptProvenanceSpan",
    "PropertyInfo",
    "ProxiesTypes",
    "Proxy",
    "QueueState",
    "RateLimitError",
    "RequestFailedError",
    "RestClient",
    "ResultExpiredError",
    "RetrievalError",
    "RetryConfig",
    "SampleRequest",
    "SampleResponse",
    "SampledProvenanceSpan",
    "SampledSequence",
    "SamplingClient",
    "SamplingParams",
    "ServerSentEvent",
    "ServiceClient",
    "StopReason",
    "Stream",
    "SupportedModel",
    "TensorData",
    "TensorDtype",
    "Timeout",
    "Tinker",
    "TinkerError",
    "TrainingClient",
    "TrainingRun",
    "Transport",
    "TransportError",
    "UnprocessableEntityError",
    "__version__",
    "atransform",
    "extract_files",
    "file_from_path",
    "transform",
    "types",
]

_HOMES: dict[str, tuple[str, ...]] = {
    "tinker_lite.clients.raw": (
        "AsyncTinker",
        "Tinker",
    ),
    "tinker_lite.clients.responses": (
        "APIResponse",
        "AsyncAPIResponse",
    ),
    "tinker_lite.clients.rest_client": ("RestClient",),
    "tinker_lite.clients.sampling_client": ("SamplingClient",),
    "tinker_lite.clients.service_client": ("ServiceClient",),
    "tinker_lite.clients.status": ("ClientStatus",),
    "tinker_lite.clients.streams": (
        "AsyncStream",
        "Stream",
    ),
    "tinker_lite.clients.training_client": ("TrainingClient",),
    "tinker_lite.config": ("RetryConfig",),
    "tinker_lite.engine.future": ("APIFuture",),
    "tinker_lite.engine.options": (
        "CallOptions",
        "Omit",
    ),
    "tinker_lite.engine.transformation": ("atransform",),
    "tinker_lite.errors": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "BillingError",
        "ConfigError",
        "ConflictError",
        "InternalServerError",
        "NotFoundError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestFailedError",
        "ResultExpiredError",
        "RetrievalError",
        "TinkerError",
        "TransportError",
        "UnprocessableEntityError",
    ),
    "tinker_lite.http": (
        "AsyncTransport",
        "Timeout",
        "Transport",
    ),
    "tinker_lite.proxies": (
        "ProxiesTypes",
        "Proxy",
    ),
    "tinker_lite.types": (
        "AdamOptimizerConfig",
        "AdamParams",
        "Checkpoint",
        "CheckpointType",
        "Datum",
        "DimuonOptimizerConfig",
        "DimuonParams",
        "DmelChunk",
        "EncodedTextChunk",
        "ForwardBackwardOutput",
        "GetServerCapabilitiesResponse",
        "LoraConfig",
        "ModelID",
        "ModelInput",
        "ModelInputChunk",
        "OptimStepRequest",
        "OptimStepResponse",
        "ParsedCheckpointTinkerPath",
        "PromptProvenanceSpan",
        "QueueState",
        "SampleRequest",
        "SampleResponse",
        "SampledProvenanceSpan",
        "SampledSequence",
        "SamplingParams",
        "StopReason",
        "SupportedModel",
        "TensorData",
        "TensorDtype",
        "TrainingRun",
    ),
    "tinker_lite.wire.file_fields": ("extract_files",),
    "tinker_lite.wire.files": (
        "FileTypes",
        "file_from_path",
    ),
    "tinker_lite.wire.not_given": (
        "NOT_GIVEN",
        "NotGiven",
    ),
    "tinker_lite.types.property_info": ("PropertyInfo",),
    "tinker_lite.wire.sse": ("ServerSentEvent",),
    "tinker_lite.wire.transform": ("transform",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from where it lives, once."""
    if name == "types":
        return importlib.import_module("tinker_lite.types")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tinker_lite' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, whether they have been used or not."""
    return sorted(__all__)
