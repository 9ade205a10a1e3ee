from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.types.strategies import DATUMS, FORWARD_BACKWARD_REQUESTS, SAMPLE_REQUESTS, TOKENS
from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.wire.json import decode_json, encode_json, to_plain


def sent(value: object) -> Any:
    """What a server reads from an encoded value."""
    return msgspec.json.decode(encode_json(value))


def dense(datum: t.Datum) -> t.Datum:
    """A datum as it is sent in JSON, which only servers read that know no sparse tensors."""
    tensors = {name: tensor.to_dense() for name, tensor in datum.loss_fn_inputs.items()}
    return t.Datum(datum.model_input, tensors)


# Round trips


@given(DATUMS)
def test_a_datum_comes_back_equal(datum: t.Datum) -> None:
    """Whatever chunks and tensors it has, the sparse ones dense."""
    assert decode_json(encode_json(datum), t.Datum) == dense(datum)


@given(SAMPLE_REQUESTS)
def test_a_sample_request_comes_back_equal(request: t.SampleRequest) -> None:
    """Whatever prompt and parameters it has."""
    assert decode_json(encode_json(request), t.SampleRequest) == request


@given(FORWARD_BACKWARD_REQUESTS)
def test_a_training_request_comes_back_equal(request: t.ForwardBackwardRequest) -> None:
    """Whatever batch, loss and settings it has."""
    batch = request.forward_backward_input
    dense_batch = replace(batch, data=[dense(datum) for datum in batch.data])
    read = decode_json(encode_json(request), t.ForwardBackwardRequest)
    assert read == replace(request, forward_backward_input=dense_batch)


@given(st.binary())
def test_no_bytes_make_decoding_fail_otherwise_than_with_its_own_error(raw: bytes) -> None:
    """Whatever a broken server sends, there is one class to catch."""
    for type_ in (t.FutureReply, t.SampleResponse, t.GetServerCapabilitiesResponse, t.Datum):
        try:
            decode_json(raw, type_)
        except DecodeError:
            continue


# What is sent: protocol section 1.7


def test_none_is_left_out_and_defaults_are_sent() -> None:
    """At every depth, in structs and in types with a form of their own."""
    request = t.SampleRequest(
        prompt=t.ModelInput(chunks=[t.ImageChunk(data=b"", format="png")]),
        sampling_params=t.SamplingParams(),
    )
    assert sent(request) == {
        "num_samples": 1,
        "prompt": {"chunks": [{"type": "image", "data": "", "format": "png"}]},
        "sampling_params": {"temperature": 1, "top_k": -1, "top_p": 1},
        "topk_prompt_logprobs": 0,
        "topk_sample_logprobs": 0,
        "prompt_alt_tokens_k": 0,
        "type": "sample",
    }


def test_nulls_inside_free_form_mappings_are_kept() -> None:
    """They are the caller's values, not fields that were not set."""
    metadata: Any = MappingProxyType({"note": None, "deep": {"x": [None, 1]}})
    request = t.CreateSessionRequest(sdk_version="v", user_metadata=metadata)
    assert sent(request)["user_metadata"] == {"note": None, "deep": {"x": [None, 1]}}


def test_bytes_are_sent_as_base64() -> None:
    """Standard alphabet, padded (protocol section 3.1)."""
    assert sent(t.ImageChunk(data=b"\xfb\xff\xbe!", format="png"))["data"] == "+/++IQ=="


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_large_integers_are_exact(number: int) -> None:
    """Seeds have 64 bits; none of them passes through a float."""
    params = t.SamplingParams(seed=number)
    assert encode_json(params).find(str(number).encode()) > 0
    assert decode_json(encode_json(params), t.SamplingParams).seed == number


def test_numbers_of_other_libraries_are_numbers() -> None:
    """Numpy scalars in a token list or in a mapping, and texts beyond ASCII as they are."""
    value = {"a": [np.int64(1), np.int32(2)], "b": np.float32(0.5), "c": np.bool_(True), "d": "ü"}
    assert encode_json(value) == '{"a":[1,2],"b":0.5,"c":true,"d":"ü"}'.encode()
    tokens: list[Any] = [np.int64(7), 8]
    chunk = t.EncodedTextChunk(tokens=tokens)
    assert sent(chunk) == {"type": "encoded_text", "tokens": [7, 8]}


def test_a_wire_form_behind_plain_values_is_sent_too() -> None:
    """Long lists are not looked through, but the encoder asks about what it does not know."""
    assert sent([1, t.SamplingParams()]) == [1, {"temperature": 1, "top_k": -1, "top_p": 1}]


@pytest.mark.parametrize("value", [np.array([1, 2]), object(), 1j, {1, 2j}])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    """The error names the type, says what to give, and where it stands."""
    with pytest.raises(TypeError, match=r"has no JSON form; give numbers.* at `\$\.a\[1\]`\."):
        encode_json({"a": [1, value]})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    """JSON cannot say it, and a null in its place would mean something else."""
    for value, path in (
        (number, r"\$"),
        ({"a": [1.0, number]}, r"\$\.a\[1\]"),
        ({"a": (None, {"b": number})}, r"\$\.a\[1\]\.b"),
    ):
        with pytest.raises(ValueError, match=rf"(nan|inf).* at `{path}` is not finite"):
            encode_json(value)


def test_the_path_leads_into_a_batch() -> None:
    """The value of one weight among many is found."""
    datum = t.Datum(t.ModelInput.from_ints([1, 2]), {"weights": [1.0, math.nan]})
    batch = t.ForwardBackwardInput(data=[datum], loss_fn="cross_entropy")
    request = t.ForwardBackwardRequest(forward_backward_input=batch, model_id="M")
    path = r"`\$\.forward_backward_input\.data\[0\]\.loss_fn_inputs\.weights\.data\[1\]`"
    with pytest.raises(ValueError, match=path):
        encode_json(request)


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_nulls_beside_finite_numbers_are_sent(values: list[float | None]) -> None:
    """Only numbers that are not finite are refused."""
    assert sent({"logprobs": values, "null": "null"}) == {"logprobs": values, "null": "null"}


@given(TOKENS)
def test_long_lists_are_not_copied_to_be_encoded(tokens: list[int]) -> None:
    """A prompt passes by reference from the chunk to the encoder."""
    chunk = t.EncodedTextChunk(tokens=tokens)
    assert to_plain(chunk)["tokens"] is chunk.tokens


class Stubborn:
    """A foreign number that cannot be added to others."""

    ndim = 0

    def __radd__(self, other: object) -> object:
        raise ValueError(f"not to {other}")

    def item(self) -> int:
        """The number."""
        return 7


@pytest.mark.parametrize(
    ("items", "plain"),
    [
        (["a", t.UntypedAPIFuture(request_id="r")], ["a", {"request_id": "r"}]),
        ((1, t.UntypedAPIFuture(request_id="r")), [1, {"request_id": "r"}]),
        ([1.5, [t.UntypedAPIFuture(request_id="r")]], [1.5, [{"request_id": "r"}]]),
        ([1, Stubborn(), "a", None], [1, 7, "a", None]),
        ([1.5, 10**400], [1.5, 10**400]),
    ],
)
def test_a_list_is_not_judged_by_its_first_item(items: Any, plain: object) -> None:
    """A struct behind numbers or texts is sent by its rules."""
    assert sent(items) == plain


# What is read: protocol section 1.8


def test_unknown_fields_are_kept() -> None:
    """A newer server may add any, at any depth; they are read and sent again."""
    raw = (
        b'{"new":[{}],"sequences":[{"stop_reason":"stop","tokens":[1],"newer":null}],'
        b'"topk_prompt_logprobs":[null,[[5,-0.5]]]}'
    )
    response = decode_json(raw, t.SampleResponse)
    assert response.topk_prompt_logprobs == [None, [(5, -0.5)]]
    assert response.extra == {"new": [{}]}
    assert response.sequences[0].extra == {"newer": None}
    assert sent(response) == msgspec.json.decode(raw) | {
        "sequences": [{"stop_reason": "stop", "tokens": [1], "newer": None, "sequence_id": ""}],
        "prompt_cache_hit_tokens": 0,
        "type": "sample",
    }


def test_missing_and_null_are_alike_where_a_field_is_optional() -> None:
    """Older clients send explicit nulls (protocol section 12.1), also for sampling parameters."""
    raw = b'{"max_tokens":null,"temperature":null,"stop":null,"new":1}'
    assert decode_json(raw, t.SamplingParams) == t.SamplingParams()
    raw = b'{"model_input":{"chunks":[]},"loss_fn_inputs":null,"x":1}'
    assert decode_json(raw, t.Datum) == t.Datum(t.ModelInput.empty())


BATCH = '{"model_id":"m","forward_backward_input":{"loss_fn":"x","data":[%s]}}'
DATUM = '{"model_input":{"chunks":[%s]},"loss_fn_inputs":{%s}}'
TEXT = '{"type":"encoded_text","tokens":[1]}'


@pytest.mark.parametrize(
    ("raw", "type_", "path"),
    [
        pytest.param('{"rank":"8"}', t.LoraConfig, "$.rank", id="a field"),
        pytest.param(
            '{"training_runs":[],"cursor":{"offset":0,"limit":"x","total_count":0}}',
            t.TrainingRunsResponse,
            "$.cursor.limit",
            id="a field of a field",
        ),
        pytest.param(BATCH % "7", t.ForwardBackwardRequest, "$.…data[0]", id="no datum"),
        pytest.param(
            BATCH % f"{DATUM % (TEXT, '')},{DATUM % (TEXT.replace('1', '[]'), '')}",
            t.ForwardBackwardRequest,
            "$.…data[1].model_input.chunks[0].tokens[0]",
            id="a token of the second datum",
        ),
        pytest.param(
            BATCH % (DATUM % ("", '"weights":{"data":[1],"dtype":"int8"}')),
            t.ForwardBackwardRequest,
            "$.…data[0].loss_fn_inputs.weights.dtype",
            id="a dtype under its key",
        ),
        pytest.param(
            BATCH % (DATUM % ("", '"weights":{"data":[1,"x"],"dtype":"int64"}')),
            t.ForwardBackwardRequest,
            "$.…data[0].loss_fn_inputs.weights.data[1]",
            id="a value under its key",
        ),
        pytest.param(
            BATCH % (DATUM % ("", '"weights":{"data":[1],"dtype":"int64","shape":[2]}')),
            t.ForwardBackwardRequest,
            "$.…data[0].loss_fn_inputs.weights",
            id="a shape that does not fit",
        ),
        pytest.param(
            '{"prompt":{"chunks":[]},"sampling_params":{"top_k":"x"}}',
            t.SampleRequest,
            "$.sampling_params.top_k",
            id="a sampling parameter",
        ),
        pytest.param(
            '{"prompt":{"chunks":[]},"sampling_params":{"stop":["a",1]}}',
            t.SampleRequest,
            "$.sampling_params",
            id="a mixed stop",
        ),
        pytest.param(
            '{"supported_models":[{"model_name":1}]}',
            t.GetServerCapabilitiesResponse,
            "$.supported_models[0].model_name",
            id="a model's name",
        ),
    ],
)
def test_a_wrong_value_names_its_path(raw: str, type_: type, path: str) -> None:
    """The whole path, from the outermost object inwards, once."""
    with pytest.raises(DecodeError, match=rf"^Not a valid {type_.__name__}: ") as caught:
        decode_json(raw.encode(), type_)
    expected = path.replace("…", "forward_backward_input.")
    assert str(caught.value).endswith(f" - at `{expected}`")
    assert str(caught.value).count("$") == 1


INTS = dict[str, dict[str, list[int]]]


@pytest.mark.parametrize(
    ("raw", "type_", "path"),
    [
        ('{"loss_fn_output_type":"x","loss_fn_outputs":[],"metrics":{"a":1,"b:sum":"x","c":3}}',
         t.ForwardBackwardOutput, "$.metrics.b:sum"),
        ('{"loss_fn_output_type":"x","metrics":{},"loss_fn_outputs":[{},{"a":{"data":[1],'
         '"dtype":"int64"},"b":{"data":[1,"x"],"dtype":"int64"}}]}',
         t.ForwardBackwardOutput, "$.loss_fn_outputs[1].b.data[1]"),
        ('{"a":{"x":[1]},"b":{"y":[2],"z.[0":[3,"x"]},"c":{"y":["x"]}}', INTS, "$.b.z.[0[1]"),
    ],
)  # fmt: skip
def test_a_wrong_value_of_a_mapping_is_named_by_its_key(raw: str, type_: Any, path: str) -> None:
    """At every depth, and the first one where several are wrong."""
    with pytest.raises(DecodeError) as caught:
        decode_json(raw.encode(), type_)
    assert str(caught.value).endswith(f" - at `{path}`")


@pytest.mark.parametrize(
    ("raw", "type_", "text"),
    [
        pytest.param(b"<html>", t.TrainingRun, "malformed", id="no JSON"),
        pytest.param(b"", t.TrainingRun, "truncated", id="nothing"),
        pytest.param(b"{}", t.HealthResponse, "missing required field `status`", id="a field less"),
        pytest.param(b'{"status":"bad"}', t.HealthResponse, "'bad'", id="another literal"),
        pytest.param(b'{"request_id":7}', t.UntypedAPIFuture, "Expected `str`", id="a number"),
        pytest.param(b"{}", t.GetServerCapabilitiesResponse, "supported_models", id="own form"),
        pytest.param(b"[]", t.Datum, "Expected `object`, got `list`", id="no object"),
        pytest.param(b"{}", t.TensorData, "missing required field `data`", id="no data"),
        pytest.param(b'{"rank":0}', t.LoraConfig, "at least 1", id="a check of the type"),
        pytest.param(b'{"error":"\xff"}', t.FutureReply, "utf-8", id="no Unicode"),
        pytest.param(b'{"type":' + b"[" * 10**5, t.FutureReply, "recursion", id="endless nesting"),
    ],
)
def test_an_answer_that_does_not_fit_is_a_decode_error(raw: bytes, type_: type, text: str) -> None:
    """The text names the type and says what is wrong; it is a ValueError too."""
    with pytest.raises(DecodeError, match=f"Not a valid {type_.__name__}: .*{text}") as caught:
        decode_json(raw, type_)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is not None


def test_a_type_without_a_wire_form_is_a_mistake_of_the_program() -> None:
    """Not of the server, so it is no decode error."""
    with pytest.raises(NotImplementedError, match=r"complex.*has no wire form"):
        decode_json(b"1", complex)
