from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from tinker_lite.errors import DecodeError
from tinker_lite.types import (
    Datum,
    ModelInput,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
    TensorData,
)
from tinker_lite.wire.json import decode_json, encode_json

PROMPT = PromptProvenanceSpan(sequence_id="9:0", length=1)
SAMPLED = SampledProvenanceSpan(sequence_id="9:0", offset=3, length=2)
DATUM = Datum(ModelInput.from_ints([1, 2, 3]), {"target_tokens": [2, 3, 4]})


def test_a_copy_says_where_its_tokens_came_from() -> None:
    """The datum itself stays as it was; the copy is pickled, copied and sent with its spans."""
    traced = DATUM.with_provenance(model_input=[PROMPT, SAMPLED], loss_fn_inputs=[SAMPLED, PROMPT])
    assert DATUM.model_input_spans is DATUM.loss_fn_input_spans is None
    assert traced.model_input_spans == [PROMPT, SAMPLED]
    assert traced.loss_fn_input_spans == [SAMPLED, PROMPT]
    assert traced != DATUM
    assert traced.loss_fn_inputs == DATUM.loss_fn_inputs
    assert pickle.loads(pickle.dumps(traced)) == copy.deepcopy(traced) == traced
    assert decode_json(encode_json(traced), Datum) == traced
    assert json.loads(encode_json(traced))["model_input_spans"] == [
        {"prompt_tokens": {"sequence_id": "9:0", "offset": 0, "length": 1}},
        {"sampled_tokens": {"sequence_id": "9:0", "offset": 3, "length": 2}},
    ]
    assert "model_input_spans" not in json.loads(encode_json(DATUM))


@pytest.mark.parametrize(
    ("inputs", "targets", "error", "text"),
    [
        pytest.param(
            [PROMPT], [PROMPT, SAMPLED], ValueError, "input_spans covers 1 .* there are 3", id="few"
        ),
        pytest.param(
            [PROMPT, SAMPLED], [SAMPLED] * 2, ValueError, "loss_fn_input_spans covers 4", id="many"
        ),
        pytest.param([PROMPT, "x"], [], TypeError, r"input_spans\[1\] is a str", id="no span"),
        pytest.param([PROMPT, SAMPLED], None, ValueError, "or neither", id="inputs alone"),
        pytest.param(None, [PROMPT, SAMPLED], ValueError, "or neither", id="targets alone"),
    ],
)
def test_spans_that_do_not_cover_the_tokens_are_refused(
    inputs: Any, targets: Any, error: type[Exception], text: str
) -> None:
    """The error names the list, and the element where one is wrong."""
    with pytest.raises(error, match=rf"Datum.*{text}"):
        DATUM.with_provenance(model_input=inputs, loss_fn_inputs=targets)


def test_targets_of_two_dimensions_may_have_any_spans() -> None:
    """How many values they have says nothing about how many positions."""
    tokens = TensorData([[1, 2], [3, 4], [5, 6]], "int64", [3, 2])
    datum = Datum(DATUM.model_input, {"target_tokens": tokens})
    traced = datum.with_provenance(model_input=[PROMPT, SAMPLED], loss_fn_inputs=[PROMPT])
    assert traced.loss_fn_input_spans == [PROMPT]


@pytest.mark.parametrize(
    "fields", [{"sequence_id": "", "length": 1}, {"offset": -1, "length": 1}, {"length": -1}]
)
@pytest.mark.parametrize("cls", [PromptProvenanceSpan, SampledProvenanceSpan])
def test_a_span_that_no_sequence_has_is_refused(cls: Any, fields: dict[str, Any]) -> None:
    """The error names the kind and the field."""
    with pytest.raises(ValueError, match=rf"{cls.__name__}.*(is empty|below 0)"):
        cls(**{"sequence_id": "s", **fields})


def test_a_span_of_no_kind_is_a_decode_error() -> None:
    """A server that reads JSON says so."""
    raw = b'{"model_input":{"chunks":[]},"model_input_spans":[{}],"loss_fn_input_spans":[]}'
    with pytest.raises(DecodeError, match="prompt_tokens or sampled_tokens"):
        decode_json(raw, Datum)
