"""Handlers: saving weights, under a name or for one sampling session (protocol section 2.7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import msgspec

import tinker_lite.types as t
from tinker_lite.local.exchange import Call, Refusal, Reply
from tinker_lite.local.records import CheckpointKind, CheckpointRecord, check_name
from tinker_lite.local.snapshots import Weights
from tinker_lite.local.state import Handlers, Model, Sampler, State, fingerprint, now
from tinker_lite.wire.json import encode_json

__all__ = ["SAVING_HANDLERS"]

# Protocol section 2.7: an hour to ten years.
MIN_TTL_S, MAX_TTL_S = 3600, 10 * 365 * 24 * 3600


def save_weights(state: State, call: Call) -> Reply:
    """Queue saving a model with its optimiser state."""
    request = call.read(t.SaveWeightsRequest)
    model = state.model(request.model_id)
    with state.counting_refusals(model, request.seq_id):
        name = check_name(request.path or f"checkpoint-{request.seq_id or 0}")
        record = _record(model, "weights", name, request)

    def save() -> t.SaveWeightsResponse:
        saved = _save(state, model, record, overwrite=request.overwrite)
        return t.SaveWeightsResponse(path=saved.tinker_path, type="save_weights")

    return state.submit_training(model, request.seq_id, fingerprint(call), save)


def save_weights_for_sampler(state: State, call: Call) -> Reply:
    """Queue saving a model for sampling, under a name or as a new sampling session."""
    request = call.read(t.SaveWeightsForSamplerRequest)
    model = state.model(request.model_id)
    with state.counting_refusals(model, request.seq_id):
        if request.path is not None:
            record = _record(model, "sampler_weights", check_name(request.path), request)
            work = partial(_save_named, state, model, record)
        elif request.sampling_session_seq_id is None:
            raise Refusal(400, "path or sampling_session_seq_id: give one of them")
        else:
            work = partial(_save_ephemeral, state, model, request)
    # A repeat may bring another session number (protocol 2.7); the first one counts.
    alike = msgspec.structs.replace(request, sampling_session_seq_id=None)
    identity = fingerprint(call, encode_json(alike))
    return state.submit_training(model, request.seq_id, identity, work)


def _record(
    model: Model,
    kind: CheckpointKind,
    name: str,
    request: t.SaveWeightsRequest | t.SaveWeightsForSamplerRequest,
) -> CheckpointRecord:
    metadata = request.user_metadata
    return CheckpointRecord(
        training_run_id=model.model_id,
        kind=kind,
        name=name,
        base_model=model.base.name,
        lora=model.lora,
        created_at=now(),
        user_metadata=None if metadata is None else dict(metadata),
        expires_at=_expiry(request.ttl_seconds),
    )


def _expiry(ttl_seconds: int | None) -> datetime | None:
    if ttl_seconds is None:
        return None
    if not MIN_TTL_S <= ttl_seconds <= MAX_TTL_S:
        raise ValueError(f"ttl_seconds: must be {MIN_TTL_S} to {MAX_TTL_S}, got {ttl_seconds}")
    return now() + timedelta(seconds=ttl_seconds)


def _save(
    state: State, model: Model, record: CheckpointRecord, *, overwrite: bool = False
) -> CheckpointRecord:
    adapted = model.trained()
    arrays = adapted.state_dict(include_optimizer=record.kind == "weights")
    record = msgspec.structs.replace(record, n_steps=adapted.n_steps)
    saved = state.store.save(record, arrays, overwrite=overwrite)
    run = state.store.run(model.model_id)
    if run is not None:
        state.store.put_run(msgspec.structs.replace(run, last_request_time=model.last_request_time))
    return saved


def _save_named(
    state: State, model: Model, record: CheckpointRecord
) -> t.SaveWeightsForSamplerResponseInternal:
    saved = _save(state, model, record)
    weights = Weights(saved.base_model, saved.lora, state.store.files(saved))
    state.snapshots.put(weights, model.trained().snapshot())
    return t.SaveWeightsForSamplerResponseInternal(
        path=saved.tinker_path, type="save_weights_for_sampler"
    )


def _save_ephemeral(
    state: State, model: Model, request: t.SaveWeightsForSamplerRequest
) -> t.SaveWeightsForSamplerResponseInternal:
    adapted = model.trained()
    sampler_id = f"{model.session_id}:sample:{request.sampling_session_seq_id}"
    files = state.store.save_ephemeral(adapted.state_dict(include_optimizer=False))
    weights = Weights(model.base.name, model.lora, files)
    sampler = Sampler(sampler_id, model.session_id, weights, is_ephemeral=True)
    with state.lock:
        if state.samplers.setdefault(sampler_id, sampler) is not sampler:
            state.store.delete_ephemeral(files)
            raise ValueError(f"sampling_session_seq_id: {sampler_id} exists already")
        state.snapshots.put(weights, adapted.snapshot())
        if request.kind == "inflight":
            _follow(state, model, sampler)
    return t.SaveWeightsForSamplerResponseInternal(
        sampling_session_id=sampler_id, type="save_weights_for_sampler"
    )


def _follow(state: State, model: Model, latest: Sampler) -> None:
    """Have every inflight sampler of a model use its latest weights; the older ones go."""
    old = {sampler.weights for sampler in model.inflight}
    model.inflight.append(latest)
    for sampler in model.inflight:
        sampler.weights = latest.weights
    for weights in old:
        state.sampling.submit(partial(state.delete_weights, weights))


SAVING_HANDLERS: Handlers = {
    "weights.save": save_weights,
    "weights.save_for_sampler": save_weights_for_sampler,
}
