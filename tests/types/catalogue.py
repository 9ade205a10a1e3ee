"""The official types and their fields, by hand from protocol sections 2 to 7 and the public API.

Each has the fields of 0.6.3 and of 0.38 together. A field that only tells members of a union apart
is one too.
"""

from __future__ import annotations


def names(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


# Names that stand for no class of their own: unions, literals and mappings.
ALIASES = names("""
BillingEventInfo CheckpointType ClientSessionFinishReasonType CustomLossInputRank EventType
FutureCompletion FutureRetrieveResponse LossFnInputs LossFnOutput LossFnType ModelID
ModelInputChunk OptimParams OptimizerConfig ProvenanceSpans RequestID SamplingClientKind
SearchOwner SessionStatus SessionStatusQuery Severity StopReason TelemetryEvent TensorDtype
""")

_EVENT = "event event_id event_session_index severity timestamp"
_BATCH = "events platform sdk_version session_id process_uuid"
_SPAN = "sequence_id offset length"

FIELDS: dict[str, set[str]] = {
    name: set(fields.split())
    for name, fields in {
        # Inputs: protocol section 3.
        "AdamParams": "learning_rate beta1 beta2 eps weight_decay grad_clip_norm",
        "AdamOptimizerConfig": "type",
        "Datum": "model_input loss_fn_inputs model_input_spans loss_fn_input_spans",
        "DimuonOptimizerConfig": "type version",
        "DimuonParams": "type learning_rate grad_clip_norm beta1",
        "DmelChunk": "type dmel",
        "EncodedTextChunk": "type tokens",
        "ImageAssetPointerChunk": "type location format expected_tokens",
        "ImageChunk": "type data format expected_tokens",
        "LoraConfig": "rank seed train_unembed train_mlp train_attn",
        "ModelInput": "chunks",
        "PromptProvenanceSpan": _SPAN,
        "SampledProvenanceSpan": _SPAN,
        "SamplingParams": "max_tokens seed stop temperature top_k top_p",
        "TensorData": "data dtype shape sparse_crow_indices sparse_col_indices",
        # Service and sessions: 2.1 to 2.4.
        "ClientConfigRequest": "sdk_version",
        "ClientConfigResponse": """pjwt_auth_enabled credential_default_source
            sample_dispatch_bytes_semaphore_size inflight_response_bytes_semaphore_size
            parallel_fwdbwd_chunks proto_compress_fwdbwd fwdbwd_max_chunk_len
            fwdbwd_max_chunk_bytes_count fwdbwd_dispatch_bytes_semaphore_size
            billing_exception_max_pause_duration_sec sample_no_retries sample_enable_stuck_detection
            sample_max_concurrent_requests use_pyqwest_transport sample_use_retrieve_futures
            custom_loss_server_side sample_join_sampling_session create_model_via_load_weights""",
        "ClientDynamicConfigResponse": """refresh_interval_sec sample_cancel_enabled
            sample_cancel_max_batch_size""",
        "GetServerCapabilitiesResponse": "supported_models",
        "HealthResponse": "status",
        "SupportedModel": "model_name max_context_length trainable sampleable",
        "CreateSessionRequest": "tags user_metadata sdk_version project_id display_name type",
        "CreateSessionResponse": "session_id info_message warning_message error_message type",
        "GetSessionResponse": "training_run_ids sampler_ids user_metadata display_name",
        "ListSessionsResponse": "sessions",
        "SessionHeartbeatRequest": "session_id type",
        "SessionHeartbeatResponse": "type",
        "ClientSessionFinishReason": "type",
        "ClientSessionFinishSuccess": "type",
        "ClientSessionFinishErrored": "type",
        "ClientSessionFinishInterrupted": "type",
        "AccessibleSearchOwner": "type",
        "OwnSearchOwner": "type",
        "UserSearchOwner": "type owner_urns",
        "ActiveSessionStatusQuery": "type",
        "CancelledSessionStatusQuery": "type",
        "FailedSessionStatusQuery": "type",
        "ClientFinishedSessionStatusQuery": "type reasons",
        "SessionSearchCursor": "last_created_at last_session_id",
        "SessionSearchRequest": """session_id project_ids user_metadata display_name owner statuses
            limit cursor""",
        "SessionSearchResponse": "sessions next_cursor",
        "SessionSummary": """session_id created_at owner project_id status checkpoints_count
            display_name user_metadata checkpoint_storage_bytes""",
        "SessionActive": "type",
        "SessionCancelled": "type detail",
        "ClientSessionFinished": "type reason detail",
        "SessionFailed": "type category message reason",
        "SessionFailedRequestReason": "type request_id request_type",
        "SessionFailedTrainingRunReason": "type training_run_id",
        "SessionFailedSamplingSessionReason": "type sampling_session_id",
        # Models, as in section 2.5.
        "CreateModelRequest": """session_id model_seq_id base_model user_metadata lora_config
            optimizer_config type""",
        "CreateModelResponse": "model_id type",
        "GetInfoRequest": "model_id type",
        "GetInfoResponse": "model_data model_id is_lora lora_rank model_name optimizer_config type",
        "ModelData": "arch model_name tokenizer_id",
        "UnloadModelRequest": "model_id type",
        "UnloadModelResponse": "model_id type",
        # Training: 2.6, 6.3 and 12.1.
        "CreateCustomLossRequest": "session_id custom_loss_seq_id name inputs graph type",
        "CreateCustomLossResponse": "loss_id type",
        "CustomLossGraph": "format nodes",
        "CustomLossInput": "name rank",
        "CustomLossNode": "op name target args kwargs",
        "ForwardBackwardInput": "data loss_fn loss_fn_config",
        "ForwardBackwardOutput": "loss_fn_output_type loss_fn_outputs metrics",
        "ForwardBackwardRequest": "forward_backward_input model_id seq_id",
        "ForwardRequest": "forward_input model_id seq_id",
        "OptimStepRequest": "adam_params optim_params model_id seq_id type",
        "OptimStepResponse": "metrics",
        # Weights: 2.7 to 2.9.
        "CopyWeightsRequest": """source_path destination_project_id session_id model_seq_id
            ttl_seconds weights_access_token""",
        "CopyWeightsResponse": "tinker_path",
        "ExternalWeightsUrlsResponse": "urls expires",
        "LoadWeightsRequest": """model_id seq_id session_id model_seq_id base_model user_metadata
            path optimizer optimizer_config weights_access_token type""",
        "LoadWeightsResponse": "path model_id type",
        "SaveWeightsExternalRequest": """model_id path seq_id ttl_seconds
            age_encryption_recipients type""",
        "SaveWeightsExternalResponse": "path size_bytes type",
        "SaveWeightsExternalResponseInternal": "path size_bytes type",
        "SaveWeightsForSamplerRequest": """model_id path sampling_session_seq_id seq_id kind
            ttl_seconds user_metadata type""",
        "SaveWeightsForSamplerResponse": "path type",
        "SaveWeightsForSamplerResponseInternal": "path sampling_session_id type",
        "SaveWeightsRequest": "model_id path seq_id ttl_seconds overwrite user_metadata type",
        "SaveWeightsResponse": "path type",
        "WeightsInfoResponse": """base_model is_lora optimizer_config lora_rank train_unembed
            train_mlp train_attn""",
        # Sampling: 2.10.
        "CreateSamplingSessionRequest": """session_id sampling_session_seq_id base_model model_path
            type""",
        "CreateSamplingSessionResponse": "sampling_session_id type",
        "GetSamplerResponse": "sampler_id base_model model_path",
        "JoinSamplingSessionRequest": "sampling_session_id type",
        "JoinSamplingSessionResponse": "client_counter type",
        "PromptAltTokens": "tokens logprobs",
        "SampleRequest": """num_samples prompt sampling_params sampling_session_id seq_id base_model
            model_path prompt_logprobs topk_prompt_logprobs topk_sample_logprobs
            target_prompt_logprobs prompt_alt_tokens_k prompt_logprobs_last_n record_stability_info
            type""",
        "SampleResponse": """sequences type prompt_logprobs topk_prompt_logprobs prompt_logprobs_np
            topk_prompt_logprobs_np target_prompt_logprobs prompt_cache_hit_tokens
            prompt_alt_tokens""",
        "SampledSequence": """stop_reason tokens logprobs sequence_id tokens_np logprobs_np
            topk_logprobs_np topk_logprobs""",
        "TopkLogprobs": "token_ids logprobs",
        # Futures, as in section 4.
        "FutureFailed": "state request_id",
        "FutureFinished": "state request_id response_payload_uncompressed_size",
        "FutureRetrieveRequest": "request_id allow_metadata_only",
        "FuturesRetrieveRequest": "target prev_cursor timeout retrieved_request_ids",
        "FuturesRetrieveResponse": "completions cursor",
        "RequestFailedResponse": "error category",
        "SamplingSessionFuturesTarget": "type sampling_session_id cloned_sampler_id",
        "TryAgainResponse": "type request_id queue_state queue_state_reason",
        "UntypedAPIFuture": "request_id model_id sample_sequence_ids",
        # Runs and checkpoints: 2.12 and 3.8.
        "Checkpoint": """checkpoint_id checkpoint_type time tinker_path size_bytes public
            user_metadata expires_at""",
        "CheckpointArchiveUrlResponse": "url expires",
        "CheckpointsListResponse": "checkpoints cursor",
        "Cursor": "offset limit total_count",
        "ParsedCheckpointTinkerPath": "tinker_path training_run_id checkpoint_type checkpoint_id",
        "TrainingRun": """training_run_id base_model model_owner is_lora corrupted lora_rank
            last_request_time last_checkpoint last_sampler_checkpoint user_metadata""",
        "TrainingRunsResponse": "training_runs cursor",
        # Audit, billing, identity: 2.13 and 2.14.
        "AuditLogEntry": "timestamp event event_details model_id tinker_path purpose",
        "AuditLogResponse": "entries",
        "AuthTokenResponse": "jwt",
        "BillingUsageEvent": """bucket_start bucket_end base_model user_id user_name session_id
            project_id estimated_cost_usd effective_rate_usd_per_million_tokens
            effective_rate_usd_per_gigabyte_month event_info""",
        "BillingUsageResponse": "data sessions cost_data_through",
        "BillingUsageSession": "user_metadata",
        "CheckpointBillingEvent": "type count",
        "CurrentCheckpointStorageUsageItem": """project_id org_user_urn user_email user_name
            checkpoint_count size_bytes size_gigabytes estimated_monthly_cost_usd""",
        "CurrentCheckpointStorageUsageResponse": "effective_rate_usd_per_gigabyte_month data",
        "GetBillingUsageRequest": "starting_on ending_before",
        "GetCurrentCheckpointStorageUsageRequest": "project_id",
        "SamplingPrefillBillingEvent": "type cached token_count",
        "SamplingSampleBillingEvent": "type token_count",
        "StorageBillingEvent": "type free gigabyte_hours",
        "TrainingBillingEvent": "type token_count",
        "WhoamiResponse": "user_urn org_urn email",
        # Telemetry, as in section 7.
        "GenericEvent": f"{_EVENT} event_name event_data",
        "SessionEndEvent": f"{_EVENT} duration",
        "SessionStartEvent": _EVENT,
        "TelemetryBatch": _BATCH,
        "TelemetryResponse": "status",
        "TelemetrySendRequest": _BATCH,
        "UnhandledExceptionEvent": f"{_EVENT} error_type error_message traceback",
    }.items()
}

# Official classes without fields of their own.
OTHERS = ["RequestErrorCategory"]

# What is not official: bodies that the official client builds by hand, and names for what it drops.
OURS = names("""
AccessScope ApiKeyDetails ApiKeyOrgDetails ApiKeyResponse ApiKeyUserDetails AuditEventType
AuthTokenRequest CancelFutureRequest CustomLossOp Extra FinishSessionRequest FutureReply
OptimizerStepRequest QueueState SessionFailedReason SetCheckpointTtlRequest
SetSessionProjectRequest TensorLike TopkRows TraceExportResponse UnknownBillingEvent
UnknownFutureCompletion UnknownSessionFailedReason UnknownSessionStatus UnknownValue
WeightsInfoRequest
""")
