"""Structs against the protobuf package: it reads what we write, and we read what it writes."""

from __future__ import annotations

import math
import struct
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.types.strategies import FLOATS, TOKENS, tensors
from tests.wire.protobuf_foreign import foreign
from tinker_lite import types as t
from tinker_lite.wire.protobuf import (
    decode_forward_backward_request,
    decode_sample_response,
    encode_forward_backward_request,
    encode_sample_response,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

FILLER = (0, -99999.0)


def packed(code: str, numbers: Sequence[float]) -> bytes:
    """Numbers as they lie on the wire."""
    return struct.pack(f"<{len(numbers)}{code}", *numbers)


def parsed(name: str, raw: bytes) -> Message:
    """What the protobuf package reads."""
    message = foreign(name)
    message.ParseFromString(raw)
    return message


def tensor_form(tensor: t.TensorData) -> dict[str, Any]:
    """The ``Tensor`` message of protocol section 3.9."""
    code, dtype = ("f", 1) if tensor.dtype == "float32" else ("q", 2)
    values = packed(code, tensor.data)
    form: dict[str, Any] = {"dense": values}
    if tensor.sparse_crow_indices is not None:
        crow, col = tensor.sparse_crow_indices, tensor.sparse_col_indices or []
        indices = {"crow_indices": packed("q", crow), "col_indices": packed("q", col)}
        form = {"sparse_csr": {"values": values, **indices}}
    return {**form, "dtype": dtype, "shape": tensor.shape or []}


# Results of sampling


def topk_form(rows: t.TopkRows | None) -> dict[str, Any] | None:
    """The ``TopkLogprobs`` message: a table with fillers at the end of its rows."""
    if rows is None:
        return None
    k = max([1, *(len(row) for row in rows if row)])
    cells = list(chain.from_iterable((list(row or ()) + [FILLER] * k)[:k] for row in rows))
    return {
        "token_ids": packed("i", [token for token, _ in cells]),
        "logprobs": packed("f", [logprob for _, logprob in cells]),
        "k": k,
        "length": len(rows),
    }


def sequence_form(sequence: t.SampledSequence) -> dict[str, Any]:
    """The ``SampledSequence`` message."""
    return without_none(
        stop_reason=int(sequence.stop_reason == "length"),
        tokens=packed("i", sequence.tokens),
        logprobs=None if sequence.logprobs is None else packed("f", sequence.logprobs),
        topk_sampled_logprobs=topk_form(sequence.topk_logprobs),
    )


def response_form(response: t.SampleResponse) -> dict[str, Any]:
    """The ``SampleResponse`` message."""
    prompt, targets = response.prompt_logprobs, response.target_prompt_logprobs
    alternatives: dict[str, Any] | None = None
    if (given_ones := response.prompt_alt_tokens) is not None:
        tokens = {"dense": packed("i", given_ones.tokens.data), "dtype": 3}
        alternatives = {
            "tokens": {**tokens, "shape": given_ones.tokens.shape},
            "logprobs": tensor_form(given_ones.logprobs),
        }
    numbers = [math.nan if value is None else value for value in prompt or ()]
    return without_none(
        sequences=[*map(sequence_form, response.sequences)],
        prompt_logprobs=None if prompt is None else packed("f", numbers),
        topk_prompt_logprobs=topk_form(response.topk_prompt_logprobs),
        prompt_cache_hit_tokens=response.prompt_cache_hit_tokens,
        target_prompt_logprobs=None if targets is None else tensor_form(targets),
        prompt_alt_tokens=alternatives,
    )


def without_none(**fields: Any) -> dict[str, Any]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


ROWS = st.lists(st.tuples(st.integers(1, 2**31 - 1), FLOATS), min_size=1, max_size=3)
TABLES = st.none() | st.lists(st.none() | ROWS, min_size=1, max_size=4)


@st.composite
def alternatives(draw: st.DrawFn) -> t.PromptAltTokens:
    """Tokens and logprobs of one shape."""
    n, k = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    tokens = [draw(st.integers(-(2**31), 2**31 - 1)) for _ in range(n * k)]
    logprobs = [draw(FLOATS) for _ in range(n * k)]
    return t.PromptAltTokens(
        tokens=t.TensorData(tokens, "int64", [n, k]),
        logprobs=t.TensorData(logprobs, "float32", [n, k]),
    )


SEQUENCES = st.builds(
    t.SampledSequence,
    stop_reason=st.sampled_from(("stop", "length")),
    tokens=TOKENS,
    logprobs=st.none() | st.lists(FLOATS, min_size=1, max_size=4),
    topk_logprobs=TABLES,
)
RESPONSES = st.builds(
    t.SampleResponse,
    sequences=st.lists(SEQUENCES, max_size=2),
    prompt_logprobs=st.none() | st.lists(st.none() | FLOATS, min_size=1, max_size=4),
    topk_prompt_logprobs=TABLES,
    target_prompt_logprobs=st.none() | tensors(),
    prompt_alt_tokens=st.none() | alternatives(),
    prompt_cache_hit_tokens=st.integers(0, 2**31 - 1),
)


def check_response(response: t.SampleResponse) -> None:
    """Both ways, and round."""
    ours = bytes(encode_sample_response(response))
    theirs = foreign("SampleResponse", response_form(response))
    assert parsed("SampleResponse", ours) == theirs
    assert decode_sample_response(theirs.SerializeToString()) == response
    assert decode_sample_response(ours) == response


@settings(max_examples=200)
@given(RESPONSES)
def test_a_result_of_sampling_is_the_same_to_both(response: t.SampleResponse) -> None:
    """Whatever it holds, its sequences without their names."""
    check_response(response)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(RESPONSES)
def test_ten_thousand_results_are_the_same_to_both(response: t.SampleResponse) -> None:
    """The same over more cases."""
    check_response(response)


# Provenance

FIELDS = {"sequence_id": st.text(min_size=1, max_size=3), "offset": st.integers(0, 2**63 - 1)}
LENGTHS = st.integers(0, 3)
SPANS = st.lists(
    st.builds(t.PromptProvenanceSpan, length=LENGTHS, **FIELDS)
    | st.builds(t.SampledProvenanceSpan, length=LENGTHS, **FIELDS),
    max_size=3,
)


def plain_datum(n_tokens: int, n_targets: int) -> t.Datum:
    """An example without provenance."""
    targets = t.TensorData(range(n_targets), "int64", [n_targets])
    return t.Datum(t.ModelInput.from_ints(range(n_tokens)), {"target_tokens": targets})


@st.composite
def datums(draw: st.DrawFn) -> t.Datum:
    """An example of which each token has a source, or none has."""
    inputs, targets = draw(SPANS), draw(SPANS)
    datum = plain_datum(sum(s.length for s in inputs), sum(s.length for s in targets))
    # Two empty lists are no lists on the wire.
    if draw(st.booleans()) or not (inputs or targets):
        return datum
    return datum.with_provenance(model_input=inputs, loss_fn_inputs=targets)


def datum_form(datum: t.Datum) -> dict[str, Any]:
    """The ``Datum`` message."""
    return {
        "model_input": [
            {"encoded_text": {"tokens": packed("i", datum.model_input.to_ints())}}
            for _ in datum.model_input.chunks
        ],
        "loss_fn_inputs": {name: tensor_form(one) for name, one in datum.loss_fn_inputs.items()},
        "model_input_spans": span_forms(datum.model_input_spans),
        "loss_fn_input_spans": span_forms(datum.loss_fn_input_spans),
    }


def span_forms(spans: t.ProvenanceSpans | None) -> list[dict[str, Any]]:
    """The ``ProvenanceSpan`` messages."""
    return [
        {
            "prompt_tokens" if isinstance(span, t.PromptProvenanceSpan) else "sampled_tokens": {
                "sequence_id": span.sequence_id,
                "offset": span.offset,
                "length": span.length,
            }
        }
        for span in spans or ()
    ]


def check_datum(datum: t.Datum) -> None:
    """Both ways, and round."""
    passed = t.ForwardBackwardInput(data=[datum], loss_fn="ppo")
    request = t.ForwardBackwardRequest(forward_backward_input=passed, model_id="M", seq_id=1)
    form = {"data": [datum_form(datum)], "loss_fn": "ppo", "model_id": "M", "seq_id": 1}
    ours = bytes(encode_forward_backward_request(request))
    theirs = foreign("ForwardBackwardRequest", form)
    assert parsed("ForwardBackwardRequest", ours) == theirs
    assert decode_forward_backward_request(theirs.SerializeToString()) == request
    assert decode_forward_backward_request(ours) == request


@settings(max_examples=200)
@given(datums())
def test_provenance_is_the_same_to_both(datum: t.Datum) -> None:
    """Spans of both kinds, of any number, or none at all."""
    check_datum(datum)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(datums())
def test_provenance_is_the_same_to_both_in_ten_thousand_cases(datum: t.Datum) -> None:
    """The same over more cases."""
    check_datum(datum)
