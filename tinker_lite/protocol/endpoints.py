"""The endpoints as data: everything that knows a path, a type or a retry class reads it here.

Adding an endpoint is adding a row and its structs. A row is a constant named after its ``name``,
and ``ENDPOINTS`` collects them all. ``PROTOCOL_VERSION`` says which generation of the protocol the
rows speak; it travels as ``sdk_version``.

Training passes have two forms: protobuf, and the JSON of 0.6.3 (protocol section 12.1), in which a
pass without gradients has a path of its own.
"""

from __future__ import annotations

from typing import TypeVar

import tinker_lite.types as t
from tinker_lite._version import PROTOCOL_VERSION
from tinker_lite.protocol.endpoint import Endpoint, Method, RetryClass, Row, Submission

__all__ = [
    "BY_NAME",
    "ENDPOINTS",
    "PROTOCOL_VERSION",
    "SUBMISSIONS",
    "Endpoint",
    "Method",
    "RetryClass",
    "Row",
    "Submission",
]

A = TypeVar("A")
R = TypeVar("R")

# Which generations of the official client call a row; those that every one calls say nothing.
_SINCE_025 = "0.25 and later"
_AFTER_025 = "after 0.25"
_UNTIL_025 = "0.25 and earlier"


def _get(
    name: str,
    path: str,
    response: type[A],
    *,
    versions: str = "all",
    retry: RetryClass = "standard",
    timeout_s: float = 60.0,
    leads_to_storage: bool = False,
) -> Row[A]:
    return Row(
        name=name,
        method="GET",
        path=path,
        response=response,
        versions=versions,
        retry=retry,
        timeout_s=timeout_s,
        leads_to_storage=leads_to_storage,
    )


def _post(
    name: str,
    path: str,
    request: type,
    response: type[A],
    *,
    versions: str = "all",
    retry: RetryClass = "standard",
    timeout_s: float = 60.0,
) -> Row[A]:
    return Row(
        name=name,
        method="POST",
        path=path,
        request=request,
        response=response,
        versions=versions,
        retry=retry,
        timeout_s=timeout_s,
    )


def _order(
    name: str,
    method: Method,
    path: str,
    request: type | None = None,
    *,
    versions: str = "all",
    retry: RetryClass = "standard",
    timeout_s: float = 60.0,
) -> Row[None]:
    """A row whose answer says nothing but that it was done."""
    return Row(
        name=name,
        method=method,
        path=path,
        request=request,
        versions=versions,
        retry=retry,
        timeout_s=timeout_s,
    )


def _submission(
    name: str,
    path: str,
    request: type,
    result: type[R],
    request_type: str,
    *,
    versions: str = "all",
    retry: RetryClass = "standard",
    protobuf_path: str = "",
) -> Submission[R]:
    return Submission(
        name=name,
        method="POST",
        path=path,
        request=request,
        response=t.UntypedAPIFuture,
        result=result,
        request_type=request_type,
        versions=versions,
        retry=retry,
        protobuf_path=protobuf_path,
    )


# Service: protocol sections 2.1 to 2.4 and 1.4.3.
SERVICE_HEALTH_CHECK = _get("service.health_check", "/healthz", t.HealthResponse)
SERVICE_GET_SERVER_CAPABILITIES = _get(
    "service.get_server_capabilities", "/get_server_capabilities", t.GetServerCapabilitiesResponse
)
SERVICE_CLIENT_CONFIG = _post(
    "service.client_config",
    "/client/config",
    t.ClientConfigRequest,
    t.ClientConfigResponse,
    versions=_SINCE_025,
)
SERVICE_CLIENT_DYNAMIC_CONFIG = _post(
    "service.client_dynamic_config",
    "/client/dynamic_config",
    t.ClientConfigRequest,
    t.ClientDynamicConfigResponse,
    versions=_SINCE_025,
    timeout_s=10.0,
)
SERVICE_AUTH_TOKEN = _post(
    "service.auth_token",
    "/auth/token",
    t.AuthTokenRequest,
    t.AuthTokenResponse,
    versions=_SINCE_025,
)
SERVICE_CREATE_SESSION = _post(
    "service.create_session", "/create_session", t.CreateSessionRequest, t.CreateSessionResponse
)
SERVICE_SESSION_HEARTBEAT = _post(
    "service.session_heartbeat",
    "/session_heartbeat",
    t.SessionHeartbeatRequest,
    t.SessionHeartbeatResponse,
    retry="once",
    timeout_s=10.0,
)
SERVICE_FINISH_SESSION = _order(
    "service.finish_session",
    "POST",
    "/sessions/{session}/finish",
    t.FinishSessionRequest,
    versions=_AFTER_025,
)
SERVICE_CREATE_SAMPLING_SESSION = _post(
    "service.create_sampling_session",
    "/create_sampling_session",
    t.CreateSamplingSessionRequest,
    t.CreateSamplingSessionResponse,
)
SERVICE_JOIN_SAMPLING_SESSION = _post(
    "service.join_sampling_session",
    "/join_sampling_session",
    t.JoinSamplingSessionRequest,
    t.JoinSamplingSessionResponse,
    versions=_AFTER_025,
)
SERVICE_CREATE_CUSTOM_LOSS = _submission(
    "service.create_custom_loss",
    "/create_custom_loss",
    t.CreateCustomLossRequest,
    t.CreateCustomLossResponse,
    "CreateCustomLoss",
    versions=_AFTER_025,
)

# Sessions as the service keeps them: section 2.4.
SESSIONS_LIST = _get("sessions.list", "/sessions", t.ListSessionsResponse)
SESSIONS_GET = _get("sessions.get", "/sessions/{session}", t.GetSessionResponse)
SESSIONS_SEARCH = _post(
    "sessions.search",
    "/sessions/search",
    t.SessionSearchRequest,
    t.SessionSearchResponse,
    versions=_AFTER_025,
)
SESSIONS_SET_PROJECT = _order(
    "sessions.set_project",
    "PUT",
    "/sessions/{session}/project",
    t.SetSessionProjectRequest,
    versions=_SINCE_025,
)
SESSIONS_TRACE_EXPORT = _get(
    "sessions.trace_export",
    "/sessions/{session}/trace_export",
    t.TraceExportResponse,
    versions=_SINCE_025,
)

# Models: sections 2.5 and 2.9.
MODELS_CREATE = _submission(
    "models.create", "/create_model", t.CreateModelRequest, t.CreateModelResponse, "CreateModel"
)
MODELS_GET_INFO = _post("models.get_info", "/get_info", t.GetInfoRequest, t.GetInfoResponse)
# Section 4.1 lists no request type for it; this one is named as the others are.
MODELS_UNLOAD = _submission(
    "models.unload",
    "/unload_model",
    t.UnloadModelRequest,
    t.UnloadModelResponse,
    "UnloadModel",
    versions=_UNTIL_025,
)
MODELS_COPY_WEIGHTS = _post(
    "models.copy_weights",
    "/copy_weights",
    t.CopyWeightsRequest,
    t.CopyWeightsResponse,
    versions=_AFTER_025,
)

# Training: sections 2.6 and 12.1.
TRAINING_FORWARD = _submission(
    "training.forward",
    "/forward",
    t.ForwardRequest,
    t.ForwardBackwardOutput,
    "Forward",
    versions="0.6.3 in JSON, all later ones in protobuf",
    protobuf_path="/forward_backward",
)
TRAINING_FORWARD_BACKWARD = _submission(
    "training.forward_backward",
    "/forward_backward",
    t.ForwardBackwardRequest,
    t.ForwardBackwardOutput,
    "ForwardBackward",
    protobuf_path="/forward_backward",
)
TRAINING_OPTIM_STEP = _submission(
    "training.optim_step", "/optim_step", t.OptimStepRequest, t.OptimStepResponse, "OptimStep"
)

# Weights: sections 2.7 to 2.9.
WEIGHTS_SAVE = _submission(
    "weights.save", "/save_weights", t.SaveWeightsRequest, t.SaveWeightsResponse, "SaveWeights"
)
WEIGHTS_SAVE_FOR_SAMPLER = _submission(
    "weights.save_for_sampler",
    "/save_weights_for_sampler",
    t.SaveWeightsForSamplerRequest,
    t.SaveWeightsForSamplerResponseInternal,
    "SaveWeightsForSampler",
)
WEIGHTS_SAVE_EXTERNAL = _submission(
    "weights.save_external",
    "/save_weights_external",
    t.SaveWeightsExternalRequest,
    t.SaveWeightsExternalResponseInternal,
    "SaveWeightsExternal",
    versions=_AFTER_025,
)
WEIGHTS_LOAD = _submission(
    "weights.load", "/load_weights", t.LoadWeightsRequest, t.LoadWeightsResponse, "LoadWeights"
)
WEIGHTS_INFO = _post("weights.info", "/weights_info", t.WeightsInfoRequest, t.WeightsInfoResponse)

# Sampling: section 2.10.
SAMPLING_GET_SAMPLER = _get("sampling.get_sampler", "/samplers/{sampler}", t.GetSamplerResponse)
SAMPLING_ASAMPLE = _submission(
    "sampling.asample",
    "/asample",
    t.SampleRequest,
    t.SampleResponse,
    "Sample",
    retry="paced",
)

# Futures: section 4. What a poll answers depends on the awaited operation.
FUTURES_RETRIEVE: Row[object] = Row(
    name="futures.retrieve",
    method="POST",
    path="/retrieve_future",
    request=t.FutureRetrieveRequest,
    retry="poll",
    timeout_s=45.0,
)
FUTURES_RETRIEVE_MULTI = _post(
    "futures.retrieve_multi",
    "/retrieve_futures",
    t.FuturesRetrieveRequest,
    t.FuturesRetrieveResponse,
    versions=_AFTER_025,
    retry="poll",
    timeout_s=45.0,
)
FUTURES_CANCEL = _order(
    "futures.cancel",
    "POST",
    "/cancel_future",
    t.CancelFutureRequest,
    versions=_AFTER_025,
    timeout_s=30.0,
)

# Training runs and checkpoints: sections 2.9 and 2.12.
_RUN = "/training_runs/{run}"
_CHECKPOINT = _RUN + "/checkpoints/{checkpoint}"

TRAINING_RUNS_LIST = _get("training_runs.list", "/training_runs", t.TrainingRunsResponse)
TRAINING_RUNS_GET = _get("training_runs.get", _RUN, t.TrainingRun)
CHECKPOINTS_LIST = _get("checkpoints.list", "/checkpoints", t.CheckpointsListResponse)
CHECKPOINTS_LIST_FOR_RUN = _get(
    "checkpoints.list_for_run", _RUN + "/checkpoints", t.CheckpointsListResponse
)
CHECKPOINTS_DELETE = _order("checkpoints.delete", "DELETE", _CHECKPOINT)
CHECKPOINTS_PUBLISH = _order("checkpoints.publish", "POST", _CHECKPOINT + "/publish")
CHECKPOINTS_UNPUBLISH = _order("checkpoints.unpublish", "DELETE", _CHECKPOINT + "/publish")
CHECKPOINTS_SET_TTL = _order(
    "checkpoints.set_ttl",
    "PUT",
    _CHECKPOINT + "/ttl",
    t.SetCheckpointTtlRequest,
    versions=_SINCE_025,
)
# The place is in a redirect, not in the body, so that there is no type to read the body as.
CHECKPOINTS_ARCHIVE: Row[t.CheckpointArchiveUrlResponse] = Row(
    name="checkpoints.archive",
    method="GET",
    path=_CHECKPOINT + "/archive",
    accept="application/gzip",
    versions=_UNTIL_025,
    answers_by_redirect=True,
)
CHECKPOINTS_EXTERNAL_WEIGHTS_URLS = _get(
    "checkpoints.external_weights_urls",
    _CHECKPOINT + "/external_weights_urls",
    t.ExternalWeightsUrlsResponse,
    versions=_AFTER_025,
)

# Administration: sections 2.13 and 2.14.
AUDIT_LOG = _get(
    "audit.log", "/audit", t.AuditLogResponse, versions=_SINCE_025, leads_to_storage=True
)
BILLING_USAGE_EVENTS = _get(
    "billing.usage_events",
    "/billing/usage/events",
    t.BillingUsageResponse,
    versions=_SINCE_025,
)
BILLING_CHECKPOINT_STORAGE = _get(
    "billing.checkpoint_storage",
    "/billing/usage/checkpoints/current",
    t.CurrentCheckpointStorageUsageResponse,
    versions=_AFTER_025,
)
API_KEYS_GET = _get(
    "api_keys.get",
    "/auth/apikey/me",
    t.ApiKeyResponse,
    versions=_AFTER_025,
    retry="once",
    timeout_s=30.0,
)
API_KEYS_REVOKE = _order(
    "api_keys.revoke",
    "DELETE",
    "/auth/apikey/me",
    versions=_AFTER_025,
    retry="once",
    timeout_s=30.0,
)

# Telemetry: section 7.
TELEMETRY_SEND = _post(
    "telemetry.send", "/telemetry", t.TelemetrySendRequest, t.TelemetryResponse, timeout_s=5.0
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    row for row in tuple(globals().values()) if isinstance(row, Endpoint)
)

SUBMISSIONS: dict[str, Submission[object]] = {
    row.request_type: row for row in ENDPOINTS if isinstance(row, Submission)
}

BY_NAME: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
