"""Handlers: models, made afresh or from a checkpoint, and loading (protocol 2.5, 2.8)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import tinker_lite.types as t
from tinker_lite.local.adapted import AdaptedModel
from tinker_lite.local.base_models import BaseModel, load_base_model
from tinker_lite.local.exchange import Call, Refusal, Reply, json_reply
from tinker_lite.local.jobs import perform
from tinker_lite.local.records import CheckpointRecord, RunRecord, lora_spec
from tinker_lite.local.state import Handlers, Model, State, fingerprint, now
from tinker_lite.local.store import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.local.promises import Key

__all__ = ["MODEL_HANDLERS", "find_checkpoint", "known_base"]

TOKENIZER_ID = "tinker-lite/bytes"


def known_base(name: str) -> BaseModel:
    """Return a base model.

    Raises:
        Refusal: 400, there is none of this name; the text lists those there are.
    """
    try:
        return load_base_model(name)
    except LookupError as error:
        raise Refusal(400, str(error.args[0])) from error


def find_checkpoint(state: State, path: str) -> CheckpointRecord:
    """Return the checkpoint that a ``tinker://`` path names.

    Raises:
        Refusal: 400 for something else than such a path, 404 if nothing is there.
    """
    try:
        parsed = t.ParsedCheckpointTinkerPath.from_tinker_path(path)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    kind, _, name = parsed.checkpoint_id.partition("/")
    record = state.store.find(parsed.training_run_id, kind, name)
    if record is None:
        raise Refusal(404, f"There is no checkpoint {path} here.")
    return record


@dataclass(frozen=True)
class _Plan:
    """A model to be made, from a checkpoint if there is a source."""

    session_id: str
    model_seq_id: int
    base: BaseModel
    lora: t.LoraConfig
    user_metadata: Mapping[str, str] | None
    source: CheckpointRecord | None = None
    with_optimizer: bool = False


def create_model(state: State, call: Call) -> Reply:
    """Make a model with a fresh adapter."""
    request = call.read(t.CreateModelRequest)
    if request.lora_config is None:
        raise Refusal(400, "lora_config: missing; this service trains LoRA adapters only")
    _check_optimizer(request.optimizer_config)
    plan = _Plan(
        session_id=request.session_id,
        model_seq_id=request.model_seq_id,
        base=known_base(request.base_model),
        lora=request.lora_config,
        user_metadata=request.user_metadata,
    )
    return _add(state, call, plan)


def load_weights(state: State, call: Call) -> Reply:
    """Load a checkpoint, into a model there is or as the creation of a new one.

    Deviation: loading into a model is allowed at any time, not only as its first request.
    """
    request = call.read(t.LoadWeightsRequest)
    if request.model_id is not None:
        return _load_into(state, call, request, state.model(request.model_id))
    if request.session_id is None or request.model_seq_id is None:
        raise Refusal(400, "load_weights needs model_id, or session_id and model_seq_id")
    source = _source(state, request)
    if request.base_model not in {None, source.base_model}:
        raise Refusal(
            400, f"base_model: {request.path} fits {source.base_model}, not {request.base_model}"
        )
    _check_optimizer(request.optimizer_config)
    plan = _Plan(
        session_id=request.session_id,
        model_seq_id=request.model_seq_id,
        base=known_base(source.base_model),
        lora=source.lora,
        user_metadata=request.user_metadata,
        source=source,
        with_optimizer=request.optimizer,
    )
    return _add(state, call, plan)


def get_info(state: State, call: Call) -> Reply:
    """Say what a model is."""
    request = call.read(t.GetInfoRequest)
    with state.lock:
        model = state.model(request.model_id)
    data = t.ModelData(
        arch="byte-transformer", model_name=model.base.name, tokenizer_id=TOKENIZER_ID
    )
    return json_reply(
        t.GetInfoResponse(
            model_data=data,
            model_id=model.model_id,
            is_lora=True,
            lora_rank=model.lora.rank,
            model_name=model.base.name,
            optimizer_config={"type": "adamw"},
            type="get_info",
        )
    )


def unload_model(state: State, call: Call) -> Reply:
    """Let go of a model's weights once the work already accepted is done."""
    model = state.model(call.read(t.UnloadModelRequest).model_id)

    def unload() -> t.UnloadModelResponse:
        model.adapted, model.failure = None, model.failure or "it was unloaded"
        return t.UnloadModelResponse(model_id=model.model_id, type="unload_model")

    return state.submit_training(model, None, fingerprint(call), unload)


def _check_optimizer(config: Mapping[str, Any] | None) -> None:
    kind = "adamw" if config is None else config.get("type")
    if kind != "adamw":
        raise Refusal(400, f"optimizer_config.type: this service has adamw only, not {kind!r}")


def _source(state: State, request: t.LoadWeightsRequest) -> CheckpointRecord:
    source = find_checkpoint(state, request.path)
    if request.optimizer and not source.has_optimizer:
        raise Refusal(
            400, f"optimizer: {request.path} holds no optimizer state; load it with optimizer false"
        )
    return source


def _add(state: State, call: Call, plan: _Plan) -> Reply:
    model_id = f"{plan.session_id}:train:{plan.model_seq_id}"
    try:
        lora_spec(plan.lora)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    key: Key = ("model_seq_id", f"session {plan.session_id}", plan.model_seq_id)
    identity = fingerprint(call)
    with state.lock:
        promise = state.ledger.repeated(key, identity)
        if promise is None:
            state.session(plan.session_id)
            if model_id in state.models:
                raise Refusal(410, f"model_seq_id: {model_id} was made long ago.")
            model = Model(model_id, plan.session_id, plan.base, plan.lora, plan.user_metadata)
            state.models[model_id] = model
            promise = state.ledger.promise(key, identity)
            promise.submission = t.UntypedAPIFuture(
                request_id=promise.request_id, model_id=model_id
            )
            make = partial(_make, state, model, plan)
            state.trainer.submit(partial(perform, promise, make))
    return json_reply(promise.submission)


def _make(state: State, model: Model, plan: _Plan) -> t.CreateModelResponse | t.LoadWeightsResponse:
    try:
        adapted = AdaptedModel(plan.base, lora_spec(plan.lora))
        if plan.source is not None:
            _restore(state, adapted, plan.source, with_optimizer=plan.with_optimizer)
    except Exception as error:
        model.failure = str(error)
        raise
    state.store.put_run(
        RunRecord(
            training_run_id=model.model_id,
            base_model=plan.base.name,
            lora=plan.lora,
            created_at=now(),
            last_request_time=model.last_request_time,
            user_metadata=None if plan.user_metadata is None else dict(plan.user_metadata),
        )
    )
    model.adapted = adapted
    if plan.source is None:
        return t.CreateModelResponse(model_id=model.model_id, type="create_model")
    return t.LoadWeightsResponse(
        path=plan.source.tinker_path, model_id=model.model_id, type="load_weights"
    )


def _load_into(state: State, call: Call, request: t.LoadWeightsRequest, model: Model) -> Reply:
    with state.counting_refusals(model, request.seq_id):
        source = _source(state, request)
        if (source.base_model, source.lora.rank) != (model.base.name, model.lora.rank):
            raise Refusal(
                400,
                f"path: {request.path} holds rank {source.lora.rank} of {source.base_model}; model "
                f"{model.model_id} is rank {model.lora.rank} of {model.base.name}",
            )

    def load() -> t.LoadWeightsResponse:
        _restore(state, model.trained(), source, with_optimizer=request.optimizer)
        return t.LoadWeightsResponse(
            path=request.path, model_id=model.model_id, type="load_weights"
        )

    return state.submit_training(model, request.seq_id, fingerprint(call), load)


def _restore(
    state: State, adapted: AdaptedModel, source: CheckpointRecord, *, with_optimizer: bool
) -> None:
    try:
        arrays = read_state(state.store.files(source), include_optimizer=with_optimizer)
    except FileNotFoundError as error:
        raise ValueError(f"path: {source.tinker_path} was deleted meanwhile") from error
    adapted.load_state_dict(arrays, include_optimizer=with_optimizer)


MODEL_HANDLERS: Handlers = {
    "models.create": create_model,
    "models.get_info": get_info,
    "models.unload": unload_model,
    "weights.load": load_weights,
}
