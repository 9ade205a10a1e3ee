"""What type checkers see of the raw clients: checked by mypy and pyright, never run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, TypedDict, assert_type

from tinker_lite import AsyncTinker, Tinker
from tinker_lite import types as t
from tinker_lite.clients.responses import (
    APIResponse,
    AsyncAPIResponse,
    AsyncResponseContext,
    ResponseContext,
)
from tinker_lite.clients.streams import AsyncItems, AsyncStream, Items, Stream
from tinker_lite.engine.options import Omit
from tinker_lite.http import Headers, Timeout
from tinker_lite.protocol import endpoints

Future = t.UntypedAPIFuture


class Row(TypedDict):
    """A type of the caller's own."""

    n: int


def service(client: Tinker, request: dict[str, object]) -> None:
    """The service itself, and sessions."""
    each = client.service
    assert_type(each.health_check(), t.HealthResponse)
    assert_type(each.get_server_capabilities(), t.GetServerCapabilitiesResponse)
    assert_type(each.client_config(request), t.ClientConfigResponse)
    assert_type(each.client_dynamic_config(request), t.ClientDynamicConfigResponse)
    assert_type(each.auth_token(), t.AuthTokenResponse)
    assert_type(each.create_session(request), t.CreateSessionResponse)
    assert_type(each.session_heartbeat(request), t.SessionHeartbeatResponse)
    each.finish_session("s", request)
    assert_type(each.create_sampling_session(request), t.CreateSamplingSessionResponse)
    assert_type(each.join_sampling_session(request), t.JoinSamplingSessionResponse)
    assert_type(each.create_custom_loss(request), Future)
    assert_type(client.sessions.list(limit=3), t.ListSessionsResponse)
    assert_type(client.sessions.get("s", "accessible"), t.GetSessionResponse)
    assert_type(client.sessions.search(request), t.SessionSearchResponse)
    client.sessions.set_project("s", request)
    assert_type(client.sessions.trace_export("s"), t.TraceExportResponse)


def work(client: Tinker, request: dict[str, object]) -> None:
    """Models, training, weights, sampling, futures."""
    assert_type(client.models.create(request), Future)
    assert_type(client.models.get_info(t.GetInfoRequest(model_id="m")), t.GetInfoResponse)
    assert_type(client.models.unload(request), Future)
    assert_type(
        client.models.copy_weights(request, weights_access_token="x"), t.CopyWeightsResponse
    )
    assert_type(client.training.forward(request), Future)
    assert_type(client.training.forward_backward(request), Future)
    assert_type(client.training.optim_step(request), Future)
    assert_type(client.weights.save(request), Future)
    assert_type(client.weights.save_for_sampler(request), Future)
    assert_type(client.weights.save_external(request), Future)
    assert_type(client.weights.load(request), Future)
    assert_type(client.weights.info(request), t.WeightsInfoResponse)
    assert_type(client.weights.list("r"), t.CheckpointsListResponse)
    client.weights.delete_checkpoint("r", "weights/a")
    url = client.weights.get_checkpoint_archive_url("r", "weights/a")
    assert_type(url, t.CheckpointArchiveUrlResponse)
    urls = client.weights.get_external_weights_urls("r", "external_weights/a")
    assert_type(urls, t.ExternalWeightsUrlsResponse)
    assert_type(client.sampling.asample(request), Future)
    assert_type(client.sampling.get_sampler("s"), t.GetSamplerResponse)
    assert_type(client.futures.retrieve(request), object)
    assert_type(client.futures.retrieve_multi(request), t.FuturesRetrieveResponse)
    client.futures.cancel(request)
    future = client.sampling.asample(request)
    assert_type(client.result(endpoints.SAMPLING_ASAMPLE, future), t.SampleResponse)
    assert_type(client.result(endpoints.WEIGHTS_SAVE, future), t.SaveWeightsResponse)


def records(client: Tinker, request: dict[str, object]) -> None:
    """Runs, checkpoints, administration, telemetry."""
    assert_type(client.training_runs.list(project_id="p"), t.TrainingRunsResponse)
    assert_type(client.training_runs.get("r"), t.TrainingRun)
    assert_type(client.checkpoints.list(), t.CheckpointsListResponse)
    assert_type(client.checkpoints.list_for_run("r"), t.CheckpointsListResponse)
    client.checkpoints.delete("r", "weights/a")
    client.checkpoints.publish("r", "weights/a")
    client.checkpoints.unpublish("r", "weights/a")
    client.checkpoints.set_ttl("r", "weights/a", request)
    assert_type(client.checkpoints.archive("r", "weights/a"), t.CheckpointArchiveUrlResponse)
    urls = client.checkpoints.external_weights_urls("r", "external_weights/a")
    assert_type(urls, t.ExternalWeightsUrlsResponse)
    assert_type(client.audit.log("all", dt.date(2026, 1, 2)), t.AuditLogResponse)
    now = dt.datetime.now(dt.UTC)
    assert_type(client.billing.usage_events(now, now), t.BillingUsageResponse)
    storage = client.billing.checkpoint_storage("p")
    assert_type(storage, t.CurrentCheckpointStorageUsageResponse)
    assert_type(client.api_keys.get(), t.ApiKeyResponse)
    client.api_keys.revoke()
    assert_type(client.telemetry.send(request), t.TelemetryResponse)


def options(client: Tinker) -> None:
    """Every method takes the options, each of its type."""
    client.service.health_check(
        extra_headers={"a": "b", "c": Omit()},
        extra_query={"a": 1, "b": {"c": [True, None, "x"]}},
        extra_body={"a": object()},
        idempotency_key="k",
        timeout=Timeout(read_s=3),
        max_retries=2,
    )
    client.service.health_check(timeout=None)
    assert_type(client.with_options(timeout=3, default_headers={"a": "b"}), Tinker)
    assert_type(client.copy(max_retries=0), Tinker)


def views(client: Tinker, path: Path) -> None:
    """Whole answers, unread ones, and what they give."""
    response = client.with_raw_response.training_runs.get("r")
    assert_type(response, APIResponse[t.TrainingRun])
    assert_type(response.parse(), t.TrainingRun)
    assert_type(response.parse(to=Row), Row)
    assert_type(response.headers, Headers)
    assert_type(response.elapsed, dt.timedelta)
    assert_type(client.training_runs.with_raw_response.get("r"), APIResponse[t.TrainingRun])
    context = client.checkpoints.with_streaming_response.list()
    assert_type(context, ResponseContext[t.CheckpointsListResponse])
    with context as unread:
        assert_type(unread, APIResponse[t.CheckpointsListResponse])
        assert_type(unread.iter_bytes(5), Items[bytes])
        assert_type(unread.iter_lines(), Items[str])
        assert_type(unread.stream(Row), Stream[Row])
        unread.stream_to_file(path, chunk_size=5)


def verbs(client: Tinker) -> None:
    """Calls that the table does not have."""
    assert_type(client.get("/a", cast_to=Row), Row)
    assert_type(client.post("/a", cast_to=t.TrainingRun, body={"a": 1}), t.TrainingRun)
    assert_type(client.put("/a", cast_to=str, files={"f": b"x"}), str)
    assert_type(client.patch("/a", cast_to=bytes, body=b"x"), bytes)
    assert_type(client.delete("/a", cast_to=object), object)
    assert_type(client.get("/a"), Any)
    assert_type(client.request("HEAD", "/a"), Any)
    assert_type(client.request("OPTIONS", "/a", cast_to=Row, files={"f": b"x"}, timeout=3), Row)
    assert_type(client.with_raw_response.request("HEAD", "/a"), APIResponse[Any])
    assert_type(client.get("/a", stream=True, stream_cls=Stream[Row]), Stream[Row])
    assert_type(client.with_raw_response.get("/a", cast_to=Row), APIResponse[Row])
    unread = client.with_streaming_response.get("/a", cast_to=Row)
    assert_type(unread, ResponseContext[Row])


async def nonblocking(client: AsyncTinker, request: dict[str, Any]) -> None:
    """The same, awaited."""
    assert_type(await client.service.health_check(), t.HealthResponse)
    assert_type(await client.models.create(request, timeout=3), Future)
    future = await client.training.optim_step(request)
    assert_type(await client.result(endpoints.TRAINING_OPTIM_STEP, future), t.OptimStepResponse)
    response = await client.with_raw_response.training_runs.get("r")
    assert_type(response, AsyncAPIResponse[t.TrainingRun])
    assert_type(await response.parse(), t.TrainingRun)
    assert_type(await response.parse(to=Row), Row)
    unread = client.checkpoints.with_streaming_response.list()
    assert_type(unread, AsyncResponseContext[t.CheckpointsListResponse])
    async with unread as opened:
        assert_type(opened, AsyncAPIResponse[t.CheckpointsListResponse])
        assert_type(opened.iter_text(), AsyncItems[str])
    assert_type(await client.get("/a", cast_to=Row), Row)
    assert_type(await client.get("/a"), Any)
    assert_type(await client.request("OPTIONS", "/a", cast_to=Row), Row)
    head = await client.with_raw_response.request("HEAD", "/a")
    assert_type(head, AsyncAPIResponse[Any])
    assert_type(head.headers["content-type"], str)
    assert_type(head.status, int)
    stream = await client.get("/a", stream=True, stream_cls=AsyncStream[Row])
    assert_type(stream, AsyncStream[Row])
    async for item in stream:
        assert_type(item, Row)
    raw = await client.with_raw_response.post("/a", cast_to=Row, body=request)
    assert_type(raw, AsyncAPIResponse[Row])
    assert_type(client.with_options(api_key="tml-x"), AsyncTinker)
