"""One reply of each kind as a server sends it, with every field that the protocol names for it."""

from __future__ import annotations

from typing import Any, cast

from tinker_lite import types as t

TIME, LATER = "2026-11-23T12:48:47.934777Z", "2027-01-01T00:00:00Z"
RUN = "S:train:0"

CHECKPOINT: dict[str, Any] = {
    "checkpoint_id": "weights/ck",
    "checkpoint_type": "training",
    "time": TIME,
    "tinker_path": f"tinker://{RUN}/weights/ck",
    "size_bytes": 2**53 + 1,
    "public": True,
    "user_metadata": {"note": "ü"},
    "expires_at": LATER,
}
CURSOR = {"offset": 0, "limit": 20, "total_count": 1}
TRAINING_RUN = {
    "training_run_id": RUN,
    "base_model": "B",
    "model_owner": "o",
    "is_lora": True,
    "corrupted": False,
    "lora_rank": 32,
    "last_request_time": TIME,
    "last_checkpoint": CHECKPOINT,
    "last_sampler_checkpoint": {**CHECKPOINT, "checkpoint_type": "sampler"},
    "user_metadata": {"a": "b"},
}
CONFIG = {
    "pjwt_auth_enabled": True,
    "credential_default_source": "credential_cmd",
    "sample_dispatch_bytes_semaphore_size": 1,
    "inflight_response_bytes_semaphore_size": 2,
    "parallel_fwdbwd_chunks": False,
    "proto_compress_fwdbwd": True,
    "fwdbwd_max_chunk_len": 3,
    "fwdbwd_max_chunk_bytes_count": 4,
    "fwdbwd_dispatch_bytes_semaphore_size": 5,
    "billing_exception_max_pause_duration_sec": 6,
    "sample_no_retries": True,
    "sample_enable_stuck_detection": False,
    "sample_max_concurrent_requests": 7,
    "use_pyqwest_transport": False,
    "sample_use_retrieve_futures": True,
    "custom_loss_server_side": True,
    "sample_join_sampling_session": True,
    "create_model_via_load_weights": True,
}
STATUSES: list[dict[str, Any]] = [
    {"type": "active"},
    {"type": "cancelled", "detail": "by hand"},
    {"type": "client_finished", "reason": {"type": "errored"}, "detail": "x"},
    *(
        {"type": "failed", "category": "user", "message": "m", "reason": reason}
        for reason in (
            {"type": "request", "request_id": "1", "request_type": "Sample"},
            {"type": "training_run", "training_run_id": RUN},
            {"type": "sampling_session", "sampling_session_id": "S:sample:0"},
        )
    ),
]
SUMMARIES = [
    {
        "session_id": "S",
        "created_at": TIME,
        "owner": "u",
        "project_id": "p",
        "status": status,
        "checkpoints_count": 3,
        "display_name": "d",
        "user_metadata": {"a": "b"},
        "checkpoint_storage_bytes": 9,
    }
    for status in STATUSES
]
USES: list[dict[str, Any]] = [
    {"type": "training", "token_count": 1},
    {"type": "sampling_prefill", "cached": True, "token_count": 2},
    {"type": "sampling_sample", "token_count": 3},
    {"type": "checkpoint", "count": 4},
    {"type": "storage", "free": False, "gigabyte_hours": 0.5},
]
USAGE = {
    "data": [
        {
            "bucket_start": TIME,
            "bucket_end": LATER,
            "base_model": "B",
            "user_id": "u",
            "user_name": "n",
            "session_id": "S",
            "project_id": "p",
            "estimated_cost_usd": 0.25,
            "effective_rate_usd_per_million_tokens": 1.5,
            "effective_rate_usd_per_gigabyte_month": 0.1,
            "event_info": use,
        }
        for use in USES
    ],
    "sessions": {"S": {"user_metadata": {"a": "b"}}},
    "cost_data_through": TIME,
}
STORAGE = {
    "effective_rate_usd_per_gigabyte_month": 0.1,
    "data": [
        {
            "project_id": "p",
            "org_user_urn": "u",
            "user_email": "e",
            "user_name": "n",
            "checkpoint_count": 1,
            "size_bytes": 2,
            "size_gigabytes": 0.5,
            "estimated_monthly_cost_usd": 0.05,
        }
    ],
}
TENSOR = {"data": [0.5, -1.5], "dtype": "float32", "shape": [2]}
SPARSE = {
    "data": [-0.5],
    "dtype": "float32",
    "shape": [2, 3],
    "sparse_crow_indices": [0, 0, 1],
    "sparse_col_indices": [2],
}
SAMPLE = {
    "sequences": [
        {
            "stop_reason": "length",
            "tokens": [5, 6],
            "logprobs": [-0.5, -0.25],
            "topk_logprobs": [[[5, -0.5], [7, -1.5]], None],
            "sequence_id": "9:0",
        }
    ],
    "prompt_logprobs": [None, -0.5],
    "topk_prompt_logprobs": [None, [[3, -0.5]]],
    "target_prompt_logprobs": SPARSE,
    "prompt_alt_tokens": {
        "tokens": {"data": [1, 2], "dtype": "int64", "shape": [1, 2]},
        "logprobs": {**TENSOR, "shape": [1, 2]},
    },
    "prompt_cache_hit_tokens": 1,
    "type": "sample",
}
INFO = {
    "model_data": {"arch": "a", "model_name": "B", "tokenizer_id": "t"},
    "model_id": RUN,
    "is_lora": True,
    "lora_rank": 32,
    "model_name": "B",
    "optimizer_config": {"type": "dimuon", "version": 1},
    "type": "get_info",
}
AUDIT = {
    "timestamp": TIME,
    "event": "checkpoint_published",
    "event_details": {"a": None, "b": [1]},
    "model_id": RUN,
    "tinker_path": "p",
    "purpose": "x",
}

REPLIES: list[tuple[type[Any], dict[str, Any]]] = [
    (t.HealthResponse, {"status": "ok"}),
    (
        t.GetServerCapabilitiesResponse,
        {
            "supported_models": [
                {
                    "model_name": "B",
                    "max_context_length": 32768,
                    "trainable": True,
                    "sampleable": False,
                }
            ]
        },
    ),
    (t.ClientConfigResponse, CONFIG),
    (
        t.ClientDynamicConfigResponse,
        {
            "refresh_interval_sec": 10,
            "sample_cancel_enabled": True,
            "sample_cancel_max_batch_size": 1,
        },
    ),
    (t.AuthTokenResponse, {"jwt": "eyJ.a.b"}),
    (
        t.CreateSessionResponse,
        {
            "session_id": "S",
            "info_message": "i",
            "warning_message": "w",
            "error_message": "e",
            "type": "create_session",
        },
    ),
    (t.SessionHeartbeatResponse, {"type": "session_heartbeat"}),
    (t.ListSessionsResponse, {"sessions": ["S", "T"]}),
    (
        t.GetSessionResponse,
        {
            "training_run_ids": [RUN],
            "sampler_ids": ["S:sample:0"],
            "user_metadata": {"a": "b"},
            "display_name": "d",
        },
    ),
    (t.TraceExportResponse, {"status": "ready", "url": "https://x/?sig=1", "error": "e"}),
    (
        t.SessionSearchResponse,
        {
            "sessions": SUMMARIES,
            "next_cursor": {"last_created_at": TIME, "last_session_id": "S"},
        },
    ),
    (t.UntypedAPIFuture, {"request_id": "9", "model_id": RUN, "sample_sequence_ids": ["9:0"]}),
    (t.CreateModelResponse, {"model_id": RUN, "type": "create_model"}),
    (t.UnloadModelResponse, {"model_id": RUN, "type": "unload_model"}),
    (t.GetInfoResponse, INFO),
    (
        t.ForwardBackwardOutput,
        {
            "loss_fn_output_type": "ArrayRecord",
            "loss_fn_outputs": [{"logprobs": TENSOR}, {"logprobs": SPARSE}],
            "metrics": {"loss:sum": 1.5},
        },
    ),
    (t.OptimStepResponse, {"metrics": {"grad_norm": 0.5}}),
    (t.CreateCustomLossResponse, {"loss_id": "L", "type": "create_custom_loss"}),
    (t.SaveWeightsResponse, {"path": f"tinker://{RUN}/weights/ck", "type": "save_weights"}),
    (
        t.SaveWeightsForSamplerResponseInternal,
        {"path": "p", "sampling_session_id": "S:sample:0", "type": "save_weights_for_sampler"},
    ),
    (
        t.SaveWeightsExternalResponseInternal,
        {"path": "p", "size_bytes": 1, "type": "save_weights_external"},
    ),
    (t.LoadWeightsResponse, {"path": "p", "model_id": RUN, "type": "load_weights"}),
    (t.CopyWeightsResponse, {"tinker_path": "p"}),
    (
        t.WeightsInfoResponse,
        {
            "base_model": "B",
            "is_lora": True,
            "optimizer_config": {"type": "adamw"},
            "lora_rank": 8,
            "train_unembed": True,
            "train_mlp": False,
            "train_attn": True,
        },
    ),
    (
        t.ExternalWeightsUrlsResponse,
        {"urls": {"a.safetensors": "https://x/?sig=1"}, "expires": LATER},
    ),
    (t.CheckpointArchiveUrlResponse, {"url": "https://x/?sig=1", "expires": LATER}),
    (
        t.CreateSamplingSessionResponse,
        {"sampling_session_id": "S:sample:0", "type": "create_sampling_session"},
    ),
    (t.JoinSamplingSessionResponse, {"client_counter": 1, "type": "join_sampling_session"}),
    (t.GetSamplerResponse, {"sampler_id": "S:sample:0", "base_model": "B", "model_path": "p"}),
    (t.SampleResponse, SAMPLE),
    (
        t.TryAgainResponse,
        {
            "type": "try_again",
            "request_id": "2",
            "queue_state": "paused_capacity",
            "queue_state_reason": "r",
        },
    ),
    (t.RequestFailedResponse, {"error": "no", "category": "user"}),
    (
        t.FuturesRetrieveResponse,
        {
            "completions": [
                {
                    "state": "finished",
                    "request_id": "1",
                    "response_payload_uncompressed_size": 77,
                },
                {"state": "failed", "request_id": "2"},
            ],
            "cursor": 2,
        },
    ),
    (t.TrainingRun, TRAINING_RUN),
    (t.TrainingRunsResponse, {"training_runs": [TRAINING_RUN], "cursor": CURSOR}),
    (t.CheckpointsListResponse, {"checkpoints": [CHECKPOINT], "cursor": CURSOR}),
    (t.AuditLogResponse, {"entries": [AUDIT]}),
    (t.BillingUsageResponse, USAGE),
    (t.CurrentCheckpointStorageUsageResponse, STORAGE),
    (t.TelemetryResponse, {"status": "accepted"}),
    (
        t.ApiKeyResponse,
        {
            "key_id": 7,
            "name": "n",
            "note": "",
            "details": {"org_details": {"name": "o"}, "user_details": {"email": "e"}},
        },
    ),
    (t.WhoamiResponse, {"user_urn": "u", "org_urn": "tml:organization:o", "email": "e"}),
]

NEW: dict[str, Any] = {"a": 1}
# Mappings by names that are data, not fields: a new name in them is nothing new.
FREE = {"user_metadata", "metrics", "event_details", "urls", "sessions", "loss_fn_outputs"}


def with_new(plain: Any, *, is_free: bool = False) -> Any:
    """A reply as a newer server sends it: with a field more in every object."""
    if isinstance(plain, list):
        return [with_new(item, is_free=is_free) for item in cast("list[object]", plain)]
    if not isinstance(plain, dict):
        return plain
    fields = cast("dict[str, Any]", plain)
    newer = {key: with_new(item, is_free=_is_free(key, item)) for key, item in fields.items()}
    return newer if is_free else {**newer, "new": NEW}


def _is_free(key: str, value: Any) -> bool:
    return key in FREE and (isinstance(value, dict) or key == "loss_fn_outputs")
