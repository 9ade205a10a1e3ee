"""The bodies of protocol sections 2 to 7 and of the worked exchange (14), by their fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tinker_lite import types as t
from tinker_lite.protocol.endpoints import ENDPOINTS
from tinker_lite.wire.json import decode_json, encode_json

PROMPT = t.ModelInput.from_ints([5, 6])
DATUM = t.Datum(PROMPT, {"target_tokens": [6, 7], "weights": [0.0, 1.0]})
BATCH = t.ForwardBackwardInput(data=[DATUM], loss_fn="cross_entropy", loss_fn_config={"a": 1.5})
BATCH_SENT = {
    "data": [
        {
            "model_input": {"chunks": [{"tokens": [5, 6], "type": "encoded_text"}]},
            "loss_fn_inputs": {
                "target_tokens": {"data": [6, 7], "dtype": "int64", "shape": [2]},
                "weights": {"data": [0.0, 1.0], "dtype": "float32", "shape": [2]},
            },
        }
    ],
    "loss_fn": "cross_entropy",
    "loss_fn_config": {"a": 1.5},
}

BODIES: list[tuple[msgspec.Struct, dict[str, Any]]] = [
    (t.ClientConfigRequest(sdk_version="0.38.0"), {"sdk_version": "0.38.0"}),
    (
        t.CreateSessionRequest(sdk_version="0.38.0"),
        {"tags": [], "user_metadata": {}, "sdk_version": "0.38.0", "type": "create_session"},
    ),
    (
        t.SessionHeartbeatRequest(session_id="S"),
        {"session_id": "S", "type": "session_heartbeat"},
    ),
    (
        t.CreateModelRequest(
            session_id="S", model_seq_id=0, base_model="B", lora_config=t.LoraConfig(rank=8)
        ),
        {
            "session_id": "S",
            "model_seq_id": 0,
            "base_model": "B",
            "lora_config": {
                "rank": 8,
                "train_unembed": True,
                "train_mlp": True,
                "train_attn": True,
            },
            "optimizer_config": {"type": "adamw"},
            "type": "create_model",
        },
    ),
    (
        t.FutureRetrieveRequest(request_id="1", allow_metadata_only=True),
        {"request_id": "1", "allow_metadata_only": True},
    ),
    (t.GetInfoRequest(model_id="S:train:0"), {"model_id": "S:train:0", "type": "get_info"}),
    (
        t.ForwardBackwardRequest(forward_backward_input=BATCH, model_id="S:train:0", seq_id=1),
        {"forward_backward_input": BATCH_SENT, "model_id": "S:train:0", "seq_id": 1},
    ),
    (
        t.ForwardRequest(forward_input=BATCH, model_id="S:train:0"),
        {"forward_input": BATCH_SENT, "model_id": "S:train:0"},
    ),
    (
        t.OptimStepRequest(
            model_id="S:train:0", seq_id=3, adam_params=t.AdamParams(learning_rate=0.001)
        ),
        {
            "model_id": "S:train:0",
            "seq_id": 3,
            "type": "optim_step",
            "adam_params": {
                "learning_rate": 0.001,
                "beta1": 0.9,
                "beta2": 0.95,
                "eps": 1e-12,
                "weight_decay": 0.0,
                "grad_clip_norm": 0.0,
            },
        },
    ),
    (
        t.SaveWeightsRequest(model_id="S:train:0", path="ck", seq_id=5),
        {
            "model_id": "S:train:0",
            "path": "ck",
            "seq_id": 5,
            "overwrite": False,
            "type": "save_weights",
        },
    ),
    (
        t.SaveWeightsForSamplerRequest(model_id="S:train:0", sampling_session_seq_id=0, seq_id=7),
        {
            "model_id": "S:train:0",
            "sampling_session_seq_id": 0,
            "kind": "snapshot",
            "seq_id": 7,
            "type": "save_weights_for_sampler",
        },
    ),
    (
        t.LoadWeightsRequest(path="tinker://r/weights/ck", optimizer=True, model_id="M", seq_id=1),
        {
            "path": "tinker://r/weights/ck",
            "optimizer": True,
            "model_id": "M",
            "seq_id": 1,
            "type": "load_weights",
        },
    ),
    (
        t.LoadWeightsRequest(
            path="tinker://r/weights/ck",
            optimizer=False,
            session_id="S",
            model_seq_id=0,
            optimizer_config={"type": "adamw"},
            weights_access_token="hush",
        ),
        {
            "path": "tinker://r/weights/ck",
            "optimizer": False,
            "session_id": "S",
            "model_seq_id": 0,
            "optimizer_config": {"type": "adamw"},
            "weights_access_token": "hush",
            "type": "load_weights",
        },
    ),
    (t.WeightsInfoRequest(tinker_path="p"), {"tinker_path": "p"}),
    (t.AuthTokenRequest(), {}),
    (t.UnloadModelRequest(model_id="M"), {"model_id": "M", "type": "unload_model"}),
    (
        t.OptimizerStepRequest(
            model_id="M", seq_id=3, optimizer_params=t.DimuonParams(learning_rate=0.5)
        ),
        {
            "model_id": "M",
            "seq_id": 3,
            "type": "optim_step",
            "optimizer_params": {
                "type": "dimuon",
                "learning_rate": 0.5,
                "grad_clip_norm": 0.0,
                "beta1": 0.9,
            },
        },
    ),
    (
        t.CreateCustomLossRequest(
            session_id="S",
            custom_loss_seq_id=0,
            name="mine",
            inputs=[t.CustomLossInput(name="logprobs", rank=1)],
            graph=t.CustomLossGraph(
                nodes=[
                    t.CustomLossNode(op="placeholder", name="lp", target="logprobs"),
                    t.CustomLossNode(
                        op="call_function",
                        name="e",
                        target="torch.exp",
                        args=[{"ref": "lp"}, None, {"slice": [None, 1, None]}],
                    ),
                ]
            ),
        ),
        {
            "session_id": "S",
            "custom_loss_seq_id": 0,
            "name": "mine",
            "inputs": [{"name": "logprobs", "rank": 1}],
            "graph": {
                "format": 1,
                "nodes": [
                    {
                        "op": "placeholder",
                        "name": "lp",
                        "target": "logprobs",
                        "args": [],
                        "kwargs": {},
                    },
                    {
                        "op": "call_function",
                        "name": "e",
                        "target": "torch.exp",
                        "args": [{"ref": "lp"}, None, {"slice": [None, 1, None]}],
                        "kwargs": {},
                    },
                ],
            },
            "type": "create_custom_loss",
        },
    ),
    (
        t.SaveWeightsExternalRequest(model_id="M", path="ck", seq_id=5, ttl_seconds=3600),
        {
            "model_id": "M",
            "path": "ck",
            "seq_id": 5,
            "ttl_seconds": 3600,
            "type": "save_weights_external",
        },
    ),
    (
        t.CopyWeightsRequest(source_path="tinker://r/weights/ck", destination_project_id="p"),
        {"source_path": "tinker://r/weights/ck", "destination_project_id": "p"},
    ),
    (
        t.JoinSamplingSessionRequest(sampling_session_id="S:sample:0"),
        {"sampling_session_id": "S:sample:0", "type": "join_sampling_session"},
    ),
    (
        t.FuturesRetrieveRequest(
            target=t.SamplingSessionFuturesTarget(
                sampling_session_id="S:sample:1", cloned_sampler_id=0
            ),
            prev_cursor=1,
            timeout=0.0,
            retrieved_request_ids=["1"],
        ),
        {
            "target": {
                "type": "sampling_session",
                "sampling_session_id": "S:sample:1",
                "cloned_sampler_id": 0,
            },
            "prev_cursor": 1,
            "timeout": 0.0,
            "retrieved_request_ids": ["1"],
        },
    ),
    (t.CancelFutureRequest(request_id="1"), {"request_id": "1"}),
    (t.SetSessionProjectRequest(project_id="p"), {"project_id": "p"}),
    (t.SetCheckpointTtlRequest(ttl_seconds=3600), {"ttl_seconds": 3600}),
    (t.SetCheckpointTtlRequest(ttl_seconds=None), {"ttl_seconds": None}),
    (
        t.SessionSearchRequest(),
        {"user_metadata": {}, "owner": {"type": "own"}, "limit": 50},
    ),
    (
        t.SessionSearchRequest(
            display_name="two words",
            owner=t.UserSearchOwner(owner_urns=["u"]),
            statuses=[
                t.ActiveSessionStatusQuery(),
                t.ClientFinishedSessionStatusQuery(reasons=["errored"]),
                t.ClientFinishedSessionStatusQuery(),
            ],
            cursor=t.SessionSearchCursor(
                last_created_at=datetime(2026, 11, 23, 12, 48, 47, 934777, UTC),
                last_session_id="S",
            ),
        ),
        {
            "user_metadata": {},
            "display_name": "two words",
            "owner": {"type": "user", "owner_urns": ["u"]},
            "statuses": [
                {"type": "active"},
                {"type": "client_finished", "reasons": ["errored"]},
                {"type": "client_finished"},
            ],
            "limit": 50,
            "cursor": {
                "last_created_at": "2026-11-23T12:48:47.934777Z",
                "last_session_id": "S",
            },
        },
    ),
    (
        t.TelemetrySendRequest(
            events=[
                t.GenericEvent(
                    event_id="e",
                    event_session_index=0,
                    severity="WARNING",
                    timestamp=datetime(2026, 11, 23, tzinfo=UTC),
                    event_name="user_error",
                    event_data={"message": None},
                )
            ],
            platform="Linux",
            sdk_version="0.38.0",
            session_id="S",
            process_uuid="u",
        ),
        {
            "events": [
                {
                    "event": "GENERIC_EVENT",
                    "event_id": "e",
                    "event_session_index": 0,
                    "severity": "WARNING",
                    "timestamp": "2026-11-23T00:00:00Z",
                    "event_name": "user_error",
                    "event_data": {"message": None},
                }
            ],
            "platform": "Linux",
            "sdk_version": "0.38.0",
            "session_id": "S",
            "process_uuid": "u",
        },
    ),
    (
        t.CreateSamplingSessionRequest(
            session_id="S", sampling_session_seq_id=1, model_path="tinker://p"
        ),
        {
            "session_id": "S",
            "sampling_session_seq_id": 1,
            "model_path": "tinker://p",
            "type": "create_sampling_session",
        },
    ),
    (
        t.SampleRequest(
            num_samples=2,
            prompt=PROMPT,
            sampling_params=t.SamplingParams(max_tokens=4),
            sampling_session_id="S:sample:0",
            seq_id=0,
            prompt_logprobs=False,
            record_stability_info=False,
        ),
        {
            "num_samples": 2,
            "prompt": {"chunks": [{"tokens": [5, 6], "type": "encoded_text"}]},
            "sampling_params": {"max_tokens": 4, "temperature": 1.0, "top_k": -1, "top_p": 1.0},
            "sampling_session_id": "S:sample:0",
            "seq_id": 0,
            "prompt_logprobs": False,
            "topk_prompt_logprobs": 0,
            "topk_sample_logprobs": 0,
            "prompt_alt_tokens_k": 0,
            "record_stability_info": False,
            "type": "sample",
        },
    ),
]


@pytest.mark.parametrize(
    ("request_", "body"), [pytest.param(*row, id=type(row[0]).__name__) for row in BODIES]
)
def test_a_request_is_sent_as_the_official_client_sends_it(
    request_: msgspec.Struct, body: dict[str, Any]
) -> None:
    """Neither a field more nor one less, and it is read back equal."""
    raw = encode_json(request_)
    assert msgspec.json.decode(raw) == body
    assert decode_json(raw, type(request_)) == request_


def test_every_body_has_an_example() -> None:
    """Every request that an endpoint takes stands in the table above or in the tests below."""
    seen = {type(request) for request, _ in BODIES} | {t.FinishSessionRequest}
    assert {row.request for row in ENDPOINTS if row.request is not None} - seen == set()


ANSWERS: list[tuple[bytes, msgspec.Struct]] = [
    (b"{}", t.ClientConfigResponse()),
    (b"{}", t.ClientDynamicConfigResponse()),
    (b'{"session_id":"S"}', t.CreateSessionResponse(session_id="S")),
    (b'{"request_id":"1"}', t.UntypedAPIFuture(request_id="1")),
    (b'{"model_id":"S:train:0"}', t.CreateModelResponse(model_id="S:train:0")),
    (
        b'{"model_id":"S:train:0","model_data":{"model_name":"B"}}',
        t.GetInfoResponse(model_id="S:train:0", model_data=t.ModelData(model_name="B")),
    ),
    (
        b'{"path":null,"sampling_session_id":"S:sample:0"}',
        t.SaveWeightsForSamplerResponseInternal(sampling_session_id="S:sample:0"),
    ),
    (
        b'{"request_id":"9","sample_sequence_ids":["9:0","9:1"]}',
        t.UntypedAPIFuture(request_id="9", sample_sequence_ids=["9:0", "9:1"]),
    ),
    (
        b'{"type":"try_again","request_id":"2","queue_state":"active"}',
        t.TryAgainResponse(request_id="2", queue_state="active"),
    ),
    (
        b'{"error":"no","category":"user"}',
        t.RequestFailedResponse(error="no", category="user"),
    ),
    (b'{"type":"session_heartbeat"}', t.SessionHeartbeatResponse(type="session_heartbeat")),
    (
        b'{"base_model":"B","is_lora":true,"optimizer_config":{"type":"adamw"},"lora_rank":8}',
        t.WeightsInfoResponse(base_model="B", is_lora=True, lora_rank=8),
    ),
    (
        b'{"sampler_id":"S:sample:0","base_model":"B"}',
        t.GetSamplerResponse(sampler_id="S:sample:0", base_model="B"),
    ),
]


@pytest.mark.parametrize(
    ("raw", "answer"), [pytest.param(*row, id=type(row[1]).__name__) for row in ANSWERS]
)
def test_an_answer_is_read_as_the_official_server_sends_it(
    raw: bytes, answer: msgspec.Struct
) -> None:
    """Optional fields may be missing or null."""
    assert decode_json(raw, type(answer)) == answer


def test_a_finish_says_why() -> None:
    """``detail`` is for people, and null where there is none (protocol section 1.7)."""
    reason = t.ClientSessionFinishReason(type="success")
    body = t.FinishSessionRequest(reason=reason, detail="bye")
    assert encode_json(body) == b'{"reason":{"type":"success"},"detail":"bye"}'
    silent = t.FinishSessionRequest(reason=reason)
    assert encode_json(silent) == b'{"reason":{"type":"success"},"detail":null}'
