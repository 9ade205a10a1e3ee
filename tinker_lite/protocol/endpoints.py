"""The endpoints as data: everything that knows a path, a type or a retry class reads it here.

Adding an endpoint is adding a row and its structs. ``PROTOCOL_VERSION`` says which generation of
the protocol the rows speak; it travels as ``sdk_version``.

Deviation from the protocol document: ``/forward`` and the JSON form of ``/forward_backward`` are
the 0.6.3 shapes (section 12.1); the protobuf form is not spoken yet.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

import tinker_lite.types as t

__all__ = [
    "BY_NAME",
    "ENDPOINTS",
    "PROTOCOL_VERSION",
    "Endpoint",
    "Method",
    "RetryClass",
]

PROTOCOL_VERSION = "0.38.0"

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]

# standard: repeated as the retry policy says. once: one attempt, since the caller repeats by itself
# (heartbeats). poll: one attempt, since the poll machine decides what comes next.
RetryClass: TypeAlias = Literal["standard", "once", "poll"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    Attributes:
        name: ``resource.method``, unique.
        method: HTTP method.
        path: Path below ``/api/v1``, with ``{placeholders}``.
        request: Type of the body, or None.
        response: Type of the immediate answer, or None when there is nothing to read.
        result: For a submission, the type its future resolves to.
        request_type: For a submission, the value of ``X-Tinker-Request-Type``.
        retry: How failures are repeated.
        timeout_s: Seconds for one attempt.
    """

    name: str
    method: Method
    path: str
    request: type | None = None
    response: type | None = None
    result: type | None = None
    request_type: str = ""
    retry: RetryClass = "standard"
    timeout_s: float = 60.0


def _submission(name: str, path: str, request: type, result: type, request_type: str) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        path=path,
        request=request,
        response=t.UntypedAPIFuture,
        result=result,
        request_type=request_type,
    )


_RUN = "/training_runs/{run}"
_CHECKPOINT = _RUN + "/checkpoints/{checkpoint}"

ENDPOINTS: tuple[Endpoint, ...] = (
    # Service: protocol sections 2.1 to 2.4.
    Endpoint(name="service.health_check", method="GET", path="/healthz", response=t.HealthResponse),
    Endpoint(
        name="service.get_server_capabilities",
        method="GET",
        path="/get_server_capabilities",
        response=t.GetServerCapabilitiesResponse,
    ),
    Endpoint(
        name="service.client_config",
        method="POST",
        path="/client/config",
        request=t.ClientConfigRequest,
        response=t.ClientConfigResponse,
    ),
    Endpoint(
        name="service.client_dynamic_config",
        method="POST",
        path="/client/dynamic_config",
        request=t.ClientConfigRequest,
        response=t.ClientDynamicConfigResponse,
        timeout_s=10.0,
    ),
    Endpoint(
        name="service.create_session",
        method="POST",
        path="/create_session",
        request=t.CreateSessionRequest,
        response=t.CreateSessionResponse,
    ),
    Endpoint(
        name="service.session_heartbeat",
        method="POST",
        path="/session_heartbeat",
        request=t.SessionHeartbeatRequest,
        response=t.SessionHeartbeatResponse,
        retry="once",
        timeout_s=10.0,
    ),
    Endpoint(
        name="service.finish_session",
        method="POST",
        path="/sessions/{session}/finish",
        request=t.FinishSessionRequest,
    ),
    # Models: protocol section 2.5.
    _submission(
        "models.create", "/create_model", t.CreateModelRequest, t.CreateModelResponse, "CreateModel"
    ),
    Endpoint(
        name="models.get_info",
        method="POST",
        path="/get_info",
        request=t.GetInfoRequest,
        response=t.GetInfoResponse,
    ),
    # Training: sections 2.6 and 12.1.
    _submission(
        "training.forward", "/forward", t.ForwardRequest, t.ForwardBackwardOutput, "Forward"
    ),
    _submission(
        "training.forward_backward",
        "/forward_backward",
        t.ForwardBackwardRequest,
        t.ForwardBackwardOutput,
        "ForwardBackward",
    ),
    _submission(
        "training.optim_step", "/optim_step", t.OptimStepRequest, t.OptimStepResponse, "OptimStep"
    ),
    # Weights: sections 2.7 to 2.9.
    _submission(
        "weights.save", "/save_weights", t.SaveWeightsRequest, t.SaveWeightsResponse, "SaveWeights"
    ),
    _submission(
        "weights.save_for_sampler",
        "/save_weights_for_sampler",
        t.SaveWeightsForSamplerRequest,
        t.SaveWeightsForSamplerResponseInternal,
        "SaveWeightsForSampler",
    ),
    _submission(
        "weights.load", "/load_weights", t.LoadWeightsRequest, t.LoadWeightsResponse, "LoadWeights"
    ),
    Endpoint(
        name="weights.info",
        method="POST",
        path="/weights_info",
        request=t.WeightsInfoRequest,
        response=t.WeightsInfoResponse,
    ),
    # Sampling: section 2.10.
    Endpoint(
        name="service.create_sampling_session",
        method="POST",
        path="/create_sampling_session",
        request=t.CreateSamplingSessionRequest,
        response=t.CreateSamplingSessionResponse,
    ),
    Endpoint(
        name="sampling.get_sampler",
        method="GET",
        path="/samplers/{sampler}",
        response=t.GetSamplerResponse,
    ),
    _submission("sampling.asample", "/asample", t.SampleRequest, t.SampleResponse, "Sample"),
    # Futures (4): the answer's type depends on the awaited operation, so there is none here.
    Endpoint(
        name="futures.retrieve",
        method="POST",
        path="/retrieve_future",
        request=t.FutureRetrieveRequest,
        retry="poll",
        timeout_s=45.0,
    ),
    # Training runs and checkpoints: section 2.12.
    Endpoint(
        name="training_runs.list",
        method="GET",
        path="/training_runs",
        response=t.TrainingRunsResponse,
    ),
    Endpoint(name="training_runs.get", method="GET", path=_RUN, response=t.TrainingRun),
    Endpoint(
        name="checkpoints.list",
        method="GET",
        path="/checkpoints",
        response=t.CheckpointsListResponse,
    ),
    Endpoint(
        name="checkpoints.list_for_run",
        method="GET",
        path=_RUN + "/checkpoints",
        response=t.CheckpointsListResponse,
    ),
    Endpoint(name="checkpoints.delete", method="DELETE", path=_CHECKPOINT),
    Endpoint(name="checkpoints.archive", method="GET", path=_CHECKPOINT + "/archive"),
)

BY_NAME: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
