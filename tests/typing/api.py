"""What type checkers see of the public names: checked by mypy and pyright, never run."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import tinker_lite
from tinker_lite import (
    AdamParams,
    APIFuture,
    APIStatusError,
    AsyncTinker,
    AsyncTransport,
    Datum,
    EncodedTextChunk,
    ForwardBackwardOutput,
    ModelInput,
    ModelInputChunk,
    OptimStepResponse,
    RequestFailedError,
    RestClient,
    SampleResponse,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    StopReason,
    TensorData,
    TensorDtype,
    Timeout,
    Tinker,
    TrainingClient,
    TrainingRun,
    Transport,
    TransportError,
    types,
)
from tinker_lite.http import AsyncResponse, Headers, Request, Response
from tinker_lite.protocol import endpoints
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

if TYPE_CHECKING:
    import numpy as np
    import torch

assert_type(tinker_lite.__version__, str)


# Types


def inputs(array: np.ndarray[tuple[int], np.dtype[np.int64]], tensor: torch.Tensor) -> Datum:
    """Every form of an input that a datum takes is accepted."""
    prompt = ModelInput.from_ints([1, 2])
    assert_type(prompt, ModelInput)
    assert_type(prompt.to_ints(), list[int])
    assert_type(prompt.length, int)
    assert_type(prompt.chunks, list[ModelInputChunk])
    assert_type(prompt.append_int(3).append(EncodedTextChunk(tokens=(4,))), ModelInput)
    weights = TensorData([[0.0, 1]], "float32", (1, 2))
    assert_type(weights.dtype, TensorDtype)
    assert_type(weights.shape, list[int] | None)
    assert_type(TensorData.from_numpy(array), TensorData)
    assert_type(TensorData.from_torch(tensor).to_torch(), torch.Tensor)
    datum = Datum(prompt, {"target_tokens": [2, 3], "weights": weights, "a": array, "b": tensor})
    assert_type(datum.loss_fn_inputs, dict[str, TensorData])
    return Datum(model_input=prompt, loss_fn_inputs={"weights": [0.0, 1.0]})


def parameters() -> SamplingParams:
    """Each form of ``stop``, and settings of other services, are accepted."""
    SamplingParams(stop=None)
    SamplingParams(stop="\n", min_p=0.1)
    SamplingParams(stop=[1, 2], temperature=0)
    AdamParams(learning_rate=1e-3, beta1=0.9)
    assert_type(Timeout.of(3), Timeout)
    return SamplingParams(max_tokens=5, seed=1, stop=["a", "b"])


# Blocking


def train(service: ServiceClient, data: Sequence[Datum]) -> TrainingClient:
    """Operations give futures, futures give results."""
    training = service.create_lora_training_client("base", rank=8)
    assert_type(training, TrainingClient)
    assert_type(training.result(), TrainingClient)
    assert_type(training.model_id, str)
    queued = training.forward_backward(data, "cross_entropy")
    assert_type(queued, APIFuture[ForwardBackwardOutput])
    output = queued.result(timeout=5)
    assert_type(output, ForwardBackwardOutput)
    assert_type(output.metrics, dict[str, float])
    assert_type(output.loss_fn_outputs[0]["logprobs"], TensorData)
    assert_type(queued.exception(), BaseException | None)
    assert_type(queued.future(), concurrent.futures.Future[ForwardBackwardOutput])
    assert_type(training.optim_step(AdamParams()).result(), OptimStepResponse)
    assert_type(training.optim_step(AdamParams()).result().metrics, dict[str, float] | None)
    scored = training.forward(data, "ppo", {"clip_low_threshold": 0.8}).result()
    assert_type(scored.loss_fn_outputs, list[dict[str, TensorData]])
    assert_type(training.save_state("ck").result().path, str)
    assert_type(training.load_state("tinker://r/weights/ck").result().path, str | None)
    assert_type(training.get_info().model_data.model_name, str | None)
    return training


def sample(training: TrainingClient, prompt: ModelInput) -> SamplingClient:
    """A sampling client is usable at once."""
    sampling = training.save_weights_and_get_sampling_client()
    assert_type(sampling, SamplingClient)
    response = sampling.sample(prompt, num_samples=2, sampling_params=parameters()).result()
    assert_type(response, SampleResponse)
    assert_type(response.sequences[0].tokens, list[int])
    assert_type(response.sequences[0].logprobs, list[float] | None)
    assert_type(response.sequences[0].stop_reason, StopReason)
    assert_type(response.topk_prompt_logprobs, list[list[tuple[int, float]] | None] | None)
    assert_type(sampling.compute_logprobs(prompt).result(), list[float | None])
    assert_type(sampling.get_base_model(), str)
    return sampling


def manage(service: ServiceClient) -> RestClient:
    """Listings give the types of the protocol."""
    rest = service.create_rest_client()
    assert_type(rest, RestClient)
    assert_type(rest.list_training_runs().result().training_runs, list[TrainingRun])
    assert_type(rest.get_training_run("r").result().last_request_time, datetime)
    assert_type(rest.list_checkpoints("r").result().cursor, types.Cursor | None)
    assert_type(rest.delete_checkpoint("r", "weights/ck").result(), None)
    assert_type(service.get_server_capabilities().model_names, list[str])
    assert_type(service.close().result(), None)
    return rest


def block(path: Path) -> None:
    """A service is a context manager, and so is the raw client."""
    with ServiceClient(base_url="local:", user_metadata={"a": "b"}) as service:
        assert_type(service, ServiceClient)
    with Tinker(base_url=f"local:{path}") as raw:
        assert_type(raw, Tinker)
        assert_type(raw.service.health_check(), types.HealthResponse)
        submitted = types.UntypedAPIFuture(request_id="1")
        assert_type(raw.result(endpoints.SAMPLING_ASAMPLE, submitted), SampleResponse)


# Async


async def wait(training: TrainingClient, sampling: SamplingClient, prompt: ModelInput) -> None:
    """A training operation is awaited twice in its async form, and once as a future."""
    datum = Datum(prompt)
    assert_type(await training, TrainingClient)
    assert_type(await training.forward_backward([datum], "custom"), ForwardBackwardOutput)
    submitted = await training.forward_backward_async([datum], "cross_entropy")
    assert_type(submitted, APIFuture[ForwardBackwardOutput])
    assert_type(await submitted, ForwardBackwardOutput)
    assert_type(await submitted.result_async(timeout=3), ForwardBackwardOutput)
    step = await training.optim_step_async(AdamParams())
    assert_type(await step, OptimStepResponse)
    answered = await sampling.sample_async(prompt, num_samples=1, sampling_params=parameters())
    assert_type(answered, SampleResponse)
    assert_type(await sampling.compute_logprobs_async(prompt), list[float | None])


async def open_service() -> None:
    """Both ways to have a service on the running loop."""
    async with ServiceClient.open(base_url="local:") as service:
        assert_type(service, ServiceClient)
        created = await service.create_lora_training_client_async("base")
        assert_type(created, TrainingClient)
    async with AsyncTinker(base_url="local:") as raw:
        assert_type(raw, AsyncTinker)
        assert_type(await raw.service.health_check(), types.HealthResponse)


# Errors and transports


def describe(error: TransportError | RequestFailedError | APIStatusError) -> object:
    """Fields have types of their own."""
    if isinstance(error, RequestFailedError):
        assert_type(error.category, str)
        return error.request_id
    if isinstance(error, APIStatusError):
        assert_type(error.status_code, int)
        return error.body
    assert_type(error.may_have_arrived, bool)
    return error.reused_connection


class MyTransport:
    """A transport needs two methods and no base class."""

    def send(self, request: Request) -> Response:
        """Answer nothing."""
        assert_type(request.headers.get("a"), str | None)
        assert_type(request.headers.get("a", ""), str)
        return Response(200, Headers([("a", "b")]), [b""])

    def close(self) -> None:
        """Do nothing."""


class MyAsyncTransport:
    """Likewise, as coroutine functions."""

    async def send(self, request: Request) -> AsyncResponse:
        """Answer nothing."""
        response = AsyncResponse(200, [("a", "b")], b"")
        assert_type(await response.read(), bytes)
        async for chunk in response.iter_bytes():
            assert_type(chunk, bytes)
        return response

    async def aclose(self) -> None:
        """Do nothing."""


def answer(request: Request) -> FakeReply:
    """Answer a fake's request."""
    assert_type(request.timeout.read_s, float | None)
    return FakeReply({"status": "ok"})


BLOCKING: list[Transport] = [MyTransport(), FakeTransport(answer)]
NON_BLOCKING: list[AsyncTransport] = [MyAsyncTransport(), AsyncFakeTransport(answer)]
ServiceClient(transport=BLOCKING[0])
ServiceClient(transport=NON_BLOCKING[0])
