"""Handlers: samplers, and sampling from them (protocol section 2.10)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import tinker_lite.types as t
from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.exchange import Call, Refusal, Reply, json_reply
from tinker_lite.local.generation import DecodingParams, GeneratedSequence, check_prompt
from tinker_lite.local.jobs import perform
from tinker_lite.local.model_calls import find_checkpoint, known_base
from tinker_lite.local.prompt_scores import check_scores, with_prompt_scores
from tinker_lite.local.snapshots import Weights
from tinker_lite.local.state import Handlers, Sampler, State, fingerprint

if TYPE_CHECKING:
    from tinker_lite.local.promises import Key
    from tinker_lite.local.transformer import IntArray

__all__ = ["SAMPLING_HANDLERS"]

# A batch of sequences shares one key-value cache; this many fill about 400 MB at full length.
MAX_SAMPLES = 128


def create_sampling_session(state: State, call: Call) -> Reply:
    """Give a name to a checkpoint, or to a bare base model."""
    request = call.read(t.CreateSamplingSessionRequest)
    weights = _weights(state, request.base_model, request.model_path)
    sampler = Sampler(
        sampler_id=f"{request.session_id}:sample:{request.sampling_session_seq_id}",
        session_id=request.session_id,
        weights=weights,
        model_path=request.model_path,
    )
    with state.lock:
        state.session(request.session_id)
        known = state.samplers.setdefault(sampler.sampler_id, sampler)
    if known != sampler:
        raise Refusal(
            400, f"sampling_session_seq_id: {sampler.sampler_id} was made for other weights already"
        )
    return json_reply(
        t.CreateSamplingSessionResponse(
            sampling_session_id=sampler.sampler_id, type="create_sampling_session"
        )
    )


def get_sampler(state: State, call: Call) -> Reply:
    """Say what a sampler holds."""
    with state.lock:
        sampler = _sampler(state, call.values["sampler"])
    return json_reply(
        t.GetSamplerResponse(
            sampler_id=sampler.sampler_id,
            base_model=sampler.weights.base_model,
            model_path=sampler.model_path,
        )
    )


def asample(state: State, call: Call) -> Reply:
    """Queue sampling; several sequences of one prompt are decoded together."""
    request = call.read(t.SampleRequest)
    with state.lock:
        weights = _sampled_weights(state, request)
    try:
        prompt, params = _checked(request, weights)
    except (ValueError, OverflowError) as error:
        raise Refusal(400, str(error)) from error
    key: Key | None = None
    if request.sampling_session_id is not None and request.seq_id is not None:
        key = ("seq_id", f"sampler {request.sampling_session_id}", request.seq_id)
    identity = fingerprint(call)
    with state.lock:
        promise = state.ledger.repeated(key, identity)
        if promise is None:
            promise = state.ledger.promise(key, identity)
            ids = [f"{promise.request_id}:{i}" for i in range(request.num_samples)]
            promise.submission = t.UntypedAPIFuture(
                request_id=promise.request_id, sample_sequence_ids=ids
            )
            work = partial(_sample, state, weights, request, prompt, params, ids)
            state.sampling.submit(partial(perform, promise, work))
    return json_reply(promise.submission)


def _weights(state: State, base_model: str | None, model_path: str | None) -> Weights:
    if model_path is None:
        if base_model is None:
            raise Refusal(400, "base_model or model_path: give one of them")
        return Weights(known_base(base_model).name)
    record = find_checkpoint(state, model_path)
    if base_model not in {None, record.base_model}:
        raise Refusal(400, f"base_model: {model_path} fits {record.base_model}, not {base_model}")
    return Weights(record.base_model, record.lora, state.store.files(record))


def _sampler(state: State, sampler_id: str) -> Sampler:
    sampler = state.samplers.get(sampler_id)
    if sampler is None:
        raise Refusal(404, f"There is no sampling session {sampler_id!r} here.")
    state.session(sampler.session_id)
    return sampler


def _sampled_weights(state: State, request: t.SampleRequest) -> Weights:
    if request.sampling_session_id is not None:
        return _sampler(state, request.sampling_session_id).weights
    return _weights(state, request.base_model, request.model_path)


def _checked(request: t.SampleRequest, weights: Weights) -> tuple[IntArray, DecodingParams]:
    """Read prompt and parameters.

    Raises:
        ValueError: They cannot be used; the text names the field.
    """
    if not 1 <= request.num_samples <= MAX_SAMPLES:
        raise ValueError(f"num_samples: must be 1 to {MAX_SAMPLES}, got {request.num_samples}")
    if any(not isinstance(chunk, t.EncodedTextChunk) for chunk in request.prompt.chunks):
        raise ValueError("prompt: the models here read text only, not pictures")
    shape = load_base_model(weights.base_model).shape
    prompt = np.array(request.prompt.to_ints(), np.int64)
    check_prompt(shape, prompt, n_more=1)
    check_scores(request, len(prompt), shape.n_vocab)
    asked = request.sampling_params
    params = DecodingParams(**{name: getattr(asked, name) for name in asked.__slots__})
    return prompt, params


def _sample(
    state: State,
    weights: Weights,
    request: t.SampleRequest,
    prompt: IntArray,
    params: DecodingParams,
    sequence_ids: list[str],
) -> t.SampleResponse:
    try:
        snapshot = state.snapshots.get(weights)
    except FileNotFoundError as error:
        raise ValueError("The weights of this sampling session were deleted.") from error
    n_top = request.topk_sample_logprobs
    sequences = snapshot.generate(prompt, params, request.num_samples, n_top)
    if not all(np.isfinite(sequence.logprobs).all() for sequence in sequences):
        raise ValueError("The weights of this sampler have diverged; train with a lower rate.")
    response = t.SampleResponse(
        sequences=[_sequence(*pair) for pair in zip(sequences, sequence_ids, strict=True)]
    )
    return with_prompt_scores(response, snapshot, prompt, request)


def _sequence(sequence: GeneratedSequence, sequence_id: str) -> t.SampledSequence:
    return t.SampledSequence(
        stop_reason="stop" if sequence.stop_reason == "stop" else "length",
        tokens=sequence.tokens.tolist(),
        logprobs=sequence.logprobs.tolist(),
        # An empty row: none were asked for.
        topk_logprobs=[*sequence.tops] if sequence.tops[0] else None,
        sequence_id=sequence_id,
    )


SAMPLING_HANDLERS: Handlers = {
    "service.create_sampling_session": create_sampling_session,
    "sampling.get_sampler": get_sampler,
    "sampling.asample": asample,
}
