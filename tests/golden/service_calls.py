"""Calls of ``service``, ``sessions`` and ``models``, by the file that says what they send."""

from __future__ import annotations

import datetime as dt

from tests.golden.arguments import given
from tinker_lite import types as t

CONFIG = t.ClientConfigRequest(sdk_version="0.38.0")
CHECKPOINT = "tinker://S:train:0/weights/ck"

NODES = [
    t.CustomLossNode(op="placeholder", name="logprobs", target="logprobs"),
    t.CustomLossNode(op="placeholder", name="weights", target="weights"),
    t.CustomLossNode(
        op="call_function",
        name="mul",
        target="operator.mul",
        args=[{"ref": "logprobs"}, {"ref": "weights"}],
    ),
    t.CustomLossNode(
        op="call_method",
        name="total",
        target="sum",
        args=[{"ref": "mul"}],
        kwargs={"dim": None, "dtype": {"dtype": "float32"}},
    ),
    t.CustomLossNode(
        op="output",
        name="output",
        target="output",
        args=[{"tuple": [{"ref": "total"}, {"dict": {}}]}],
    ),
]

CALLS = {
    "service.health_check": given(),
    "service.get_server_capabilities": given(),
    "service.client_config": given(CONFIG),
    "service.client_dynamic_config": given(CONFIG),
    "service.auth_token": given(),
    "service.create_session.least": given(t.CreateSessionRequest(sdk_version="0.38.0")),
    "service.create_session.full": given(
        t.CreateSessionRequest(
            sdk_version="0.38.0",
            tags=("nightly", "größe"),
            user_metadata={"team": "speech"},
            project_id="p-1",
            display_name="first try",
        )
    ),
    "service.session_heartbeat": given(t.SessionHeartbeatRequest(session_id="S")),
    "service.finish_session.least": given(
        "S", t.FinishSessionRequest(reason=t.ClientSessionFinishSuccess())
    ),
    "service.finish_session.full": given(
        "S", t.FinishSessionRequest(reason=t.ClientSessionFinishErrored(), detail="bye")
    ),
    "service.create_sampling_session.base_model": given(
        t.CreateSamplingSessionRequest(session_id="S", sampling_session_seq_id=2, base_model="B")
    ),
    "service.create_sampling_session.model_path": given(
        t.CreateSamplingSessionRequest(
            session_id="S",
            sampling_session_seq_id=3,
            model_path="tinker://S:train:0/sampler_weights/s1",
        )
    ),
    "service.join_sampling_session": given(
        t.JoinSamplingSessionRequest(sampling_session_id="S:sample:0")
    ),
    "service.create_custom_loss": given(
        t.CreateCustomLossRequest(
            session_id="S",
            custom_loss_seq_id=0,
            name="mine",
            inputs=[
                t.CustomLossInput(name="logprobs", rank=1),
                t.CustomLossInput(name="weights", rank=1),
            ],
            graph=t.CustomLossGraph(nodes=NODES),
        )
    ),
    "sessions.list.least": given(),
    "sessions.list.full": given(limit=5, offset=40, access_scope="accessible"),
    "sessions.get": given("S"),
    "sessions.search.least": given(t.SessionSearchRequest()),
    "sessions.search.full": given(
        t.SessionSearchRequest(
            session_id="S",
            project_ids=["p-1", "p-2"],
            user_metadata={"team": "speech"},
            display_name="first",
            owner=t.UserSearchOwner(owner_urns=["urn:1"]),
            statuses=[
                t.ActiveSessionStatusQuery(),
                t.CancelledSessionStatusQuery(),
                t.FailedSessionStatusQuery(),
                t.ClientFinishedSessionStatusQuery(reasons=["success", "interrupted"]),
                t.ClientFinishedSessionStatusQuery(),
            ],
            limit=200,
            cursor=t.SessionSearchCursor(
                last_created_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
                last_session_id="R",
            ),
        )
    ),
    "sessions.set_project": given("S", t.SetSessionProjectRequest(project_id="p-1")),
    "sessions.trace_export": given("S"),
    "models.create.least": given(
        t.CreateModelRequest(
            session_id="S", model_seq_id=0, base_model="B", lora_config=t.LoraConfig(rank=8)
        )
    ),
    "models.create.full": given(
        t.CreateModelRequest(
            session_id="S",
            model_seq_id=3,
            base_model="B",
            user_metadata={"team": "speech"},
            lora_config=t.LoraConfig(rank=32, seed=7, train_unembed=False, train_attn=False),
            optimizer_config=t.DimuonOptimizerConfig(),
        )
    ),
    "models.get_info": given(t.GetInfoRequest(model_id="S:train:0")),
    "models.unload": given(t.UnloadModelRequest(model_id="S:train:0")),
    "models.copy_weights.least": given(t.CopyWeightsRequest(source_path=CHECKPOINT)),
    "models.copy_weights.full": given(
        t.CopyWeightsRequest(
            source_path=CHECKPOINT, destination_project_id="p-1", ttl_seconds=3600
        ),
        weights_access_token="secret",
    ),
}
