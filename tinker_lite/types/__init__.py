"""The types of the protocol, one concept per module.

Request types are checked when they are made; response types when they are decoded. Fields that a
newer server adds are ignored.
"""

from __future__ import annotations

from tinker_lite.types.checkpoints import (
    Checkpoint,
    CheckpointArchiveUrlResponse,
    CheckpointsListResponse,
    CheckpointType,
    Cursor,
    ParsedCheckpointTinkerPath,
    TrainingRun,
    TrainingRunsResponse,
)
from tinker_lite.types.datum import (
    Datum,
    LossFnInputs,
    LossFnOutput,
)
from tinker_lite.types.encoded_text_chunk import (
    EncodedTextChunk,
)
from tinker_lite.types.futures import (
    FutureReply,
    FutureRetrieveRequest,
    QueueState,
    RequestErrorCategory,
    RequestFailedResponse,
    RequestID,
    TryAgainResponse,
    UntypedAPIFuture,
)
from tinker_lite.types.image_chunk import (
    ImageAssetPointerChunk,
    ImageChunk,
)
from tinker_lite.types.model_input import (
    ModelInput,
    ModelInputChunk,
)
from tinker_lite.types.models import (
    CreateModelRequest,
    CreateModelResponse,
    GetInfoRequest,
    GetInfoResponse,
    LoraConfig,
    ModelData,
    ModelID,
    OptimizerConfig,
)
from tinker_lite.types.sampling import (
    SampledSequence,
    SampleRequest,
    SampleResponse,
    SamplingParams,
    StopReason,
)
from tinker_lite.types.service import (
    ClientConfigRequest,
    ClientConfigResponse,
    ClientDynamicConfigResponse,
    GetServerCapabilitiesResponse,
    HealthResponse,
    SupportedModel,
)
from tinker_lite.types.sessions import (
    ClientSessionFinishReason,
    CreateSamplingSessionRequest,
    CreateSamplingSessionResponse,
    CreateSessionRequest,
    CreateSessionResponse,
    FinishSessionRequest,
    GetSamplerResponse,
    SessionHeartbeatRequest,
    SessionHeartbeatResponse,
)
from tinker_lite.types.tensor_data import (
    TensorData,
    TensorDtype,
    TensorLike,
)
from tinker_lite.types.training import (
    AdamParams,
    ForwardBackwardInput,
    ForwardBackwardOutput,
    ForwardBackwardRequest,
    ForwardRequest,
    LossFnType,
    OptimStepRequest,
    OptimStepResponse,
)
from tinker_lite.types.weights import (
    LoadWeightsRequest,
    LoadWeightsResponse,
    SamplingClientKind,
    SaveWeightsForSamplerRequest,
    SaveWeightsForSamplerResponse,
    SaveWeightsForSamplerResponseInternal,
    SaveWeightsRequest,
    SaveWeightsResponse,
    WeightsInfoRequest,
    WeightsInfoResponse,
)

__all__ = [
    "AdamParams",
    "Checkpoint",
    "CheckpointArchiveUrlResponse",
    "CheckpointType",
    "CheckpointsListResponse",
    "ClientConfigRequest",
    "ClientConfigResponse",
    "ClientDynamicConfigResponse",
    "ClientSessionFinishReason",
    "CreateModelRequest",
    "CreateModelResponse",
    "CreateSamplingSessionRequest",
    "CreateSamplingSessionResponse",
    "CreateSessionRequest",
    "CreateSessionResponse",
    "Cursor",
    "Datum",
    "EncodedTextChunk",
    "FinishSessionRequest",
    "ForwardBackwardInput",
    "ForwardBackwardOutput",
    "ForwardBackwardRequest",
    "ForwardRequest",
    "FutureReply",
    "FutureRetrieveRequest",
    "GetInfoRequest",
    "GetInfoResponse",
    "GetSamplerResponse",
    "GetServerCapabilitiesResponse",
    "HealthResponse",
    "ImageAssetPointerChunk",
    "ImageChunk",
    "LoadWeightsRequest",
    "LoadWeightsResponse",
    "LoraConfig",
    "LossFnInputs",
    "LossFnOutput",
    "LossFnType",
    "ModelData",
    "ModelID",
    "ModelInput",
    "ModelInputChunk",
    "OptimStepRequest",
    "OptimStepResponse",
    "OptimizerConfig",
    "ParsedCheckpointTinkerPath",
    "QueueState",
    "RequestErrorCategory",
    "RequestFailedResponse",
    "RequestID",
    "SampleRequest",
    "SampleResponse",
    "SampledSequence",
    "SamplingClientKind",
    "SamplingParams",
    "SaveWeightsForSamplerRequest",
    "SaveWeightsForSamplerResponse",
    "SaveWeightsForSamplerResponseInternal",
    "SaveWeightsRequest",
    "SaveWeightsResponse",
    "SessionHeartbeatRequest",
    "SessionHeartbeatResponse",
    "StopReason",
    "SupportedModel",
    "TensorData",
    "TensorDtype",
    "TensorLike",
    "TrainingRun",
    "TrainingRunsResponse",
    "TryAgainResponse",
    "UntypedAPIFuture",
    "WeightsInfoRequest",
    "WeightsInfoResponse",
]
