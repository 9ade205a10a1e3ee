"""Handlers: passes over a batch, and optimiser steps (protocol sections 2.6 and 12.1)."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

import tinker_lite.types as t
from tinker_lite.local.adam import AdamHyper
from tinker_lite.local.batches import Example, LossOutput, check_batch
from tinker_lite.local.losses import complete_config
from tinker_lite.local.state import Handlers, Model, State, fingerprint
from tinker_lite.wire.protobuf import encode_forward_backward_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from tinker_lite.local.exchange import Call, Reply
    from tinker_lite.local.transformer import ModelShape

__all__ = ["TRAINING_HANDLERS"]


def forward(state: State, call: Call) -> Reply:
    """Queue a pass that changes nothing."""
    return _queue_pass(state, call.read(t.ForwardRequest))


def forward_backward(state: State, call: Call) -> Reply:
    """Queue a pass that adds to the pending gradient, or one in protobuf that is forward only."""
    return _queue_pass(state, call.read_pass())


def _queue_pass(state: State, request: t.ForwardBackwardRequest | t.ForwardRequest) -> Reply:
    model = state.model(request.model_id)
    if isinstance(request, t.ForwardRequest):
        batch, run = request.forward_input, _forward
    else:
        batch, run = request.forward_backward_input, _forward_backward
    with state.counting_refusals(model, request.seq_id):
        examples = _examples(batch, model.base.shape)
    work = partial(run, model, examples, batch)
    # By what it says, not by its bytes: a repeat may come in the other form.
    said = sha256(bytes(encode_forward_backward_request(request))).digest()
    return state.submit_training(model, request.seq_id, said, work)


def optim_step(state: State, call: Call) -> Reply:
    """Queue a step with the pending gradient."""
    request = call.read(t.OptimStepRequest)
    model = state.model(request.model_id)
    with state.counting_refusals(model, request.seq_id):
        hyper = AdamHyper(**msgspec.structs.asdict(request.adam_params))

    def step() -> t.OptimStepResponse:
        return t.OptimStepResponse(metrics=model.trained().optim_step(hyper))

    return state.submit_training(model, request.seq_id, fingerprint(call), step)


def _examples(batch: t.ForwardBackwardInput, shape: ModelShape) -> list[Example]:
    """Turn a batch into arrays, having checked it whole.

    Raises:
        ValueError: It cannot be used; the text names the example and the field.
    """
    complete_config(batch.loss_fn, batch.loss_fn_config or {})
    examples = [_example(i, datum) for i, datum in enumerate(batch.data)]
    check_batch(shape, examples, batch.loss_fn)
    return examples


def _example(i: int, datum: t.Datum) -> Example:
    if any(not isinstance(c, t.EncodedTextChunk) for c in datum.model_input.chunks):
        raise ValueError(f"data[{i}].model_input: the models here read text only, not pictures")
    try:
        tokens = np.array(datum.model_input.to_ints(), np.int64)
    except OverflowError as error:
        raise ValueError(f"data[{i}].model_input: {error}") from error
    inputs = {
        name: _array(f"data[{i}].loss_fn_inputs[{name!r}]", tensor)
        for name, tensor in datum.loss_fn_inputs.items()
    }
    return Example(tokens, inputs)


def _array(place: str, tensor: t.TensorData) -> npt.NDArray[Any]:
    columns, shape = tensor.sparse_col_indices, tensor.shape
    # A negative one would count from the end of the row.
    if columns and shape and not 0 <= min(columns) <= max(columns) < shape[1]:
        raise ValueError(f"{place}: sparse_col_indices must be 0 to {shape[1] - 1}")
    return tensor.to_numpy()


def _forward(
    model: Model, examples: Sequence[Example], batch: t.ForwardBackwardInput
) -> t.ForwardBackwardOutput:
    return _output(model.trained().forward(examples, batch.loss_fn, batch.loss_fn_config))


def _forward_backward(
    model: Model, examples: Sequence[Example], batch: t.ForwardBackwardInput
) -> t.ForwardBackwardOutput:
    return _output(model.trained().forward_backward(examples, batch.loss_fn, batch.loss_fn_config))


def _output(found: LossOutput) -> t.ForwardBackwardOutput:
    return t.ForwardBackwardOutput(
        loss_fn_output_type="ArrayRecord",
        loss_fn_outputs=[{"logprobs": t.TensorData.from_numpy(lp)} for lp in found.logprobs],
        metrics=dict(found.metrics),
    )


TRAINING_HANDLERS: Handlers = {
    "training.forward": forward,
    "training.forward_backward": forward_backward,
    "training.optim_step": optim_step,
}
