"""Handlers: training runs and checkpoints, and a checkpoint's archive (protocol 2.9 and 2.12)."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

import tinker_lite.types as t
from tinker_lite.local.archives import Archive, archive_reply
from tinker_lite.local.exchange import MAX_PAGE, Call, Refusal, Reply, json_reply
from tinker_lite.local.model_calls import find_checkpoint

if TYPE_CHECKING:
    from tinker_lite.local.records import CheckpointRecord, RunRecord
    from tinker_lite.local.state import Handlers, State

__all__ = ["CHECKPOINT_HANDLERS"]

OWNER = "local"


def weights_info(state: State, call: Call) -> Reply:
    """Say what a checkpoint holds."""
    record = find_checkpoint(state, call.read(t.WeightsInfoRequest).tinker_path)
    return json_reply(
        t.WeightsInfoResponse(
            base_model=record.base_model,
            is_lora=True,
            lora_rank=record.lora.rank,
            train_unembed=record.lora.train_unembed,
            train_mlp=record.lora.train_mlp,
            train_attn=record.lora.train_attn,
        )
    )


def list_runs(state: State, call: Call) -> Reply:
    """List training runs, newest first."""
    limit = call.count("limit", 20, least=0, most=MAX_PAGE)
    offset = call.count("offset", 0, least=0, most=2**63)
    runs = state.store.runs()
    page = [_public_run(state, run) for run in runs[offset : offset + limit]]
    cursor = t.Cursor(offset=offset, limit=limit, total_count=len(runs))
    return json_reply(t.TrainingRunsResponse(training_runs=page, cursor=cursor))


def get_run(state: State, call: Call) -> Reply:
    """Say what a training run is."""
    return json_reply(_public_run(state, _run(state, call)))


def list_checkpoints(state: State, call: Call) -> Reply:
    """List the checkpoints of all runs, newest first."""
    limit = call.count("limit", 100, least=0, most=MAX_PAGE)
    offset = call.count("offset", 0, least=0, most=2**63)
    records = state.store.checkpoints()
    page = [record.public() for record in records[offset : offset + limit]]
    cursor = t.Cursor(offset=offset, limit=limit, total_count=len(records))
    return json_reply(t.CheckpointsListResponse(checkpoints=page, cursor=cursor))


def list_run_checkpoints(state: State, call: Call) -> Reply:
    """List the checkpoints of one run, newest first."""
    records = state.store.checkpoints(_run(state, call).training_run_id)
    return json_reply(t.CheckpointsListResponse(checkpoints=[r.public() for r in records]))


def delete_checkpoint(state: State, call: Call) -> Reply:
    """Delete a checkpoint. Samplers of it that are in memory go on; others fail."""
    state.store.delete(_named_checkpoint(state, call))
    return json_reply({})


def archive_link(state: State, call: Call) -> Reply:
    """Redirect to where the checkpoint's archive can be had for a while."""
    token, ends = state.links.make(_named_checkpoint(state, call))
    url = f"{call.base_url}/api/v1/archives/{token}"
    return json_reply(
        t.CheckpointArchiveUrlResponse(url=url, expires=ends),
        302,
        [("location", url), ("expires", format_datetime(ends, usegmt=True))],
    )


def download_archive(state: State, call: Call) -> Reply:
    """Stream a checkpoint's files as a tar."""
    record = state.links.find(call.values["token"])
    try:
        archive = Archive(state.store.files(record), record.created_at)
    except FileNotFoundError as error:
        raise Refusal(404, f"{record.tinker_path} was deleted.") from error
    return archive_reply(archive, f'"{record.files}"', call.headers)


def _run(state: State, call: Call) -> RunRecord:
    run = state.store.run(call.values["run"])
    if run is None:
        raise Refusal(404, f"There is no training run {call.values['run']!r} here.")
    return run


def _named_checkpoint(state: State, call: Call) -> CheckpointRecord:
    """The checkpoint of a path: ``kind/name``, or a bare name if only one kind has it."""
    run_id, asked = _run(state, call).training_run_id, call.values["checkpoint"]
    found = [
        record
        for record in state.store.checkpoints(run_id)
        if asked in {f"{record.kind}/{record.name}", record.name}
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refusal(404, f"There is no checkpoint {asked!r} in training run {run_id}.")
    raise Refusal(400, f"{asked!r} is ambiguous; say weights/{asked} or sampler_weights/{asked}.")


def _public_run(state: State, run: RunRecord) -> t.TrainingRun:
    records = state.store.checkpoints(run.training_run_id)
    latest = {record.kind: record.public() for record in reversed(records)}
    model = state.models.get(run.training_run_id)
    return t.TrainingRun(
        training_run_id=run.training_run_id,
        base_model=run.base_model,
        model_owner=OWNER,
        is_lora=True,
        lora_rank=run.lora.rank,
        last_request_time=run.last_request_time if model is None else model.last_request_time,
        last_checkpoint=latest.get("weights"),
        last_sampler_checkpoint=latest.get("sampler_weights"),
        user_metadata=run.user_metadata,
    )


CHECKPOINT_HANDLERS: Handlers = {
    "weights.info": weights_info,
    "training_runs.list": list_runs,
    "training_runs.get": get_run,
    "checkpoints.list": list_checkpoints,
    "checkpoints.list_for_run": list_run_checkpoints,
    "checkpoints.delete": delete_checkpoint,
    "checkpoints.archive": archive_link,
    "local.archive": download_archive,
}
