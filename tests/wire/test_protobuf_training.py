"""Requests and results of training: what is sent, what is read, what is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.types.strategies import FLOATS, tensors
from tests.types.strategies import FORWARD_BACKWARD_REQUESTS as REQUESTS
from tests.wire.protobuf_foreign import foreign
from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.wire.protobuf import (
    decode_forward_backward_output,
    decode_forward_backward_request,
    decode_message,
    encode_forward_backward_output,
    encode_forward_backward_request,
    encode_message,
)

PROMPT = t.ModelInput.from_ints([5, 6])
DATUM = t.Datum(PROMPT, {"target_tokens": [6, -1], "weights": [0.0, 1.0]})


def request(*data: t.Datum, **settings: float | str) -> t.ForwardBackwardRequest:
    """A request of the model M, number 1."""
    passed = t.ForwardBackwardInput(data=list(data), loss_fn="ppo", loss_fn_config=settings or None)
    return t.ForwardBackwardRequest(forward_backward_input=passed, model_id="M", seq_id=1)


def packed(code: str, *numbers: float) -> bytes:
    """Numbers as they lie on the wire."""
    return struct.pack(f"<{len(numbers)}{code}", *numbers)


# Requests


def test_a_request_is_these_bytes() -> None:
    """Field by field, from the table of protocol section 3.9."""
    expected = """
        0a 01 4d
        10 01
        1a 54
          0a 0c  0a 0a  0a 08  05000000 06000000
          12 28  0a 0d 7461726765745f746f6b656e73
                 12 17  0a 10 0600000000000000 ffffffffffffffff  18 02  22 01 02
          12 1a  0a 07 77656967687473
                 12 0f  0a 08 00000000 0000803f  18 01  22 01 02
        22 03 70706f
        2a 0c  0a 01 61  11 000000000000f83f
        3a 0e  0a 01 61  12 09  09 000000000000f83f
        3a 08  0a 01 62  12 03  12 01 78
    """
    assert bytes(encode_forward_backward_request(request(DATUM, a=1.5, b="x"))) == bytes.fromhex(
        expected
    )


def test_a_forward_request_is_the_same_with_a_flag() -> None:
    """Field 6; read back as the other struct."""
    passed = t.ForwardBackwardInput(data=[DATUM], loss_fn="ppo")
    forward = t.ForwardRequest(forward_input=passed, model_id="M", seq_id=1)
    raw = bytes(encode_forward_backward_request(forward))
    backward = bytes(encode_forward_backward_request(request(DATUM)))
    assert raw == backward + b"\x30\x01"
    assert decode_forward_backward_request(raw) == forward


@given(REQUESTS)
def test_a_request_comes_back(given_request: t.ForwardBackwardRequest) -> None:
    """Whatever batch, loss and settings it has, as far as the wire can tell them apart."""
    passed = given_request.forward_backward_input
    if any(has_pointer(datum) for datum in passed.data):
        with pytest.raises(ValueError, match="give the picture itself"):
            encode_forward_backward_request(given_request)
        return
    back = decode_forward_backward_request(bytes(encode_forward_backward_request(given_request)))
    assert isinstance(back, t.ForwardBackwardRequest)
    assert (back.model_id, back.seq_id) == (given_request.model_id, given_request.seq_id or None)
    assert back.forward_backward_input.data == passed.data
    assert back.forward_backward_input.loss_fn == passed.loss_fn
    assert back.forward_backward_input.loss_fn_config == (passed.loss_fn_config or None)


def has_pointer(datum: t.Datum) -> bool:
    """Whether a datum has a chunk that protobuf cannot say."""
    return any(isinstance(chunk, t.ImageAssetPointerChunk) for chunk in datum.model_input.chunks)


def test_tensors_of_a_request_are_referenced() -> None:
    """The body holds the very memory of the tensors."""
    tensor = DATUM.loss_fn_inputs["weights"]
    ours = np.frombuffer(tensor.buffer, dtype=np.uint8)
    parts = [
        np.frombuffer(p, np.uint8) for p in encode_forward_backward_request(request(DATUM)).parts
    ]
    assert any(np.shares_memory(ours, part) for part in parts)


def test_legacy_settings_are_read_where_there_are_no_others() -> None:
    """Servers prefer field 7, and older clients send only field 5."""
    legacy = {"loss_fn_config": {"a": 1.0, "b": 2.0}}
    both = {**legacy, "loss_fn_config_v2": {"a": {"text": "x"}}}
    for fields, expected in ((legacy, {"a": 1.0, "b": 2.0}), (both, {"a": "x", "b": 2.0})):
        raw = foreign("ForwardBackwardRequest", fields).SerializeToString()
        back = decode_forward_backward_request(raw)
        assert isinstance(back, t.ForwardBackwardRequest)
        assert back.forward_backward_input.loss_fn_config == expected


def test_dimensions_of_a_newer_client_are_passed_over() -> None:
    """They are not kept, and are no error."""
    image = {"data": b"x", "format": "png", "override_dimensions": {"width": 1, "height": 2}}
    raw = foreign("ForwardBackwardRequest", {"data": [{"model_input": [{"image": image}]}]})
    back = decode_forward_backward_request(raw.SerializeToString())
    assert isinstance(back, t.ForwardBackwardRequest)
    [read] = back.forward_backward_input.data
    assert read == t.Datum(t.ModelInput(chunks=[t.ImageChunk(data=b"x", format="png")]))


def test_sound_goes_both_ways() -> None:
    """A dmel chunk is its tensor's bytes, as they are."""
    datum = t.Datum(t.ModelInput(chunks=[t.DmelChunk(dmel=b"\x00\x01\x07")]))
    request = t.ForwardBackwardRequest(
        model_id="m",
        seq_id=1,
        forward_backward_input=t.ForwardBackwardInput(data=[datum], loss_fn="cross_entropy"),
    )
    raw = bytes(encode_forward_backward_request(request))
    message: Any = foreign("ForwardBackwardRequest")
    message.ParseFromString(raw)
    assert message.data[0].model_input[0].dmel.dmel == b"\x00\x01\x07"
    assert decode_forward_backward_request(raw) == request


@pytest.mark.parametrize(
    ("token", "said"),
    [(2**31, "2147483648 does not fit int32"), (-(2**31) - 1, "-2147483649 does not fit int32")],
)
def test_a_token_that_is_too_large_is_found(token: int, said: str) -> None:
    """In a batch of many, by its path."""
    other = t.Datum(t.ModelInput(chunks=[*PROMPT.chunks, t.EncodedTextChunk(tokens=[1, token])]))
    path = r"`\$\.data\[1\]\.model_input\[1\]\.encoded_text\.tokens\[1\]`"
    with pytest.raises(ValueError, match=f"{said} - at {path}"):
        encode_forward_backward_request(request(DATUM, other))


NOTHING: dict[str, Any] = {}
TEXT: dict[str, Any] = {"encoded_text": {"tokens": b"1234"}}
SPAN: dict[str, Any] = {"prompt_tokens": {"sequence_id": "s", "length": 2}}


@pytest.mark.parametrize(
    ("datum", "text"),
    [
        pytest.param({"model_input": [TEXT, {"encoded_text": {"tokens": b"12345"}}]},
                     "5 bytes are not a whole number of int32 - at "
                     "`$.data[0].model_input[1].encoded_text.tokens`", id="tokens"),
        pytest.param({"model_input": [NOTHING]}, "no kind that is known here: empty - at "
                     "`$.data[0].model_input[0]`", id="no chunk"),
        pytest.param({"model_input": [{"image": {"format": "bmp"}}]},
                     "must be 'png' or 'jpeg' - at `$.data[0].model_input[0].image.format`",
                     id="a picture"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"1234"}}},
                     'is 0, which is no element type known here - at '
                     '`$.data[0].loss_fn_inputs["w"].dtype`', id="no dtype"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"12345", "dtype": 2}}},
                     "5 bytes are not a whole number of int64", id="a size"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"123", "dtype": 4}}},
                     "3 bytes are not a whole number of bfloat16", id="a small size"),
        pytest.param({"loss_fn_inputs": {"w": {"dtype": 1}}}, "neither dense nor", id="no values"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"1234", "dtype": 1, "shape": [2]}}},
                     'holds 2 values, but data has 1 - at `$.data[0].loss_fn_inputs["w"]`',
                     id="a shape"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"", "dtype": 1, "shape": [-1]}}},
                     'is no shape: [-1] - at `$.data[0].loss_fn_inputs["w"].shape`',
                     id="a negative dimension"),
        pytest.param({"loss_fn_inputs": {"w": {"dense": b"", "dtype": 1, "shape": [2**62] * 65}}},
                     "is no shape: [4611686018427387904, ", id="too many dimensions"),
        pytest.param({"loss_fn_inputs": {"w": {"sparse_csr": {}, "dtype": 1, "shape": [1, 1]}}},
                     "sparse_crow_indices must be 2 numbers", id="no rows"),
        pytest.param({"model_input_spans": [SPAN, NOTHING]},
                     "has neither prompt_tokens nor sampled_tokens - at "
                     "`$.data[0].model_input_spans[1]`", id="no span"),
        pytest.param({"loss_fn_input_spans": [{"sampled_tokens": {"length": 1}}]},
                     "sequence_id is empty; name the sequence - at "
                     "`$.data[0].loss_fn_input_spans[0].sampled_tokens`", id="no sequence"),
        pytest.param({"model_input_spans": [SPAN], "model_input": [TEXT]},
                     "model_input_spans covers 2 tokens, but there are 1 - at `$.data[0]`",
                     id="a token too many"),
    ],
)  # fmt: skip
def test_a_request_that_does_not_fit_names_its_path(datum: dict[str, Any], text: str) -> None:
    """The text says what is wrong with which value of which datum."""
    raw = foreign("ForwardBackwardRequest", {"data": [datum]}).SerializeToString()
    with pytest.raises(DecodeError, match=r"^Not a valid ForwardBackwardRequest: ") as caught:
        decode_forward_backward_request(raw)
    assert text in str(caught.value)


def test_a_setting_without_a_value_is_refused() -> None:
    """It is neither a number nor a text."""
    raw = foreign("ForwardBackwardRequest", {"loss_fn_config_v2": {"a": {}}}).SerializeToString()
    with pytest.raises(DecodeError, match=r"neither number nor text - .*config_v2\[\"a\"\]`"):
        decode_forward_backward_request(raw)


# Results


def batched(data: bytes, offsets: list[int], dtype: int = 1, *trailing: int) -> dict[str, Any]:
    """The fields of a BatchedTensor."""
    return {
        "data": data,
        "offsets": packed("q", *offsets),
        "dtype": dtype,
        "trailing_shape": trailing,
    }


def read(*records: dict[str, Any], **fields: Any) -> t.ForwardBackwardOutput:
    """What is read from a result that the protobuf package wrote."""
    message = foreign("ForwardBackwardOutput", {"loss_fn_outputs": records, **fields})
    return decode_forward_backward_output(message.SerializeToString())


@pytest.mark.parametrize(
    ("dtype", "raw", "values", "kind"),
    [
        (1, packed("f", 0.5, -2.0), [0.5, -2.0], "float32"),
        (2, packed("q", 2**62, -1), [2**62, -1], "int64"),
        (3, packed("i", 2**31 - 1, -(2**31)), [2**31 - 1, -(2**31)], "int64"),
        (4, bytes.fromhex("003f 00c0"), [0.5, -2.0], "float32"),
    ],
)
def test_every_element_type_is_read(
    dtype: int, raw: bytes, values: list[float], kind: t.TensorDtype
) -> None:
    """As the wider of the two that tensors have."""
    size = len(raw) // 2
    record = {"fields": {"x": batched(raw, [0, size, 2 * size], dtype)}, "num_datums": 2}
    assert read(record).loss_fn_outputs == [{"x": t.TensorData([v], kind, [1])} for v in values]


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_int32_is_widened_exactly(values: list[int]) -> None:
    """Also below zero."""
    record = {"fields": {"x": batched(packed("i", *values), [0, 4 * len(values)], 3)}}
    assert read(record).loss_fn_outputs[0]["x"].data == values


def test_records_are_joined_and_may_differ_in_shape() -> None:
    """Datums are cut at byte offsets; trailing dimensions are those of the record."""
    first = {"fields": {"x": batched(packed("f", 1, 2, 3), [0, 8, 12])}, "num_datums": 2}
    second = {"fields": {"x": batched(packed("f", 4, 5), [0, 8], 1, 2)}, "num_datums": 1}
    empty = {"fields": {"x": batched(b"", [0, 0], 1, 0)}, "num_datums": 1}
    tensors = [one["x"] for one in read(first, second, empty).loss_fn_outputs]
    assert [one.shape for one in tensors] == [[2], [1], [1, 2], [0, 0]]
    assert [one.data for one in tensors] == [[1, 2], [3], [4, 5], []]


@pytest.mark.parametrize(
    ("sent", "records", "expected"),
    [
        ("", [], "ArrayRecord"),
        ("a:b", [], "a:b"),
        ("a:b:C", [{"num_datums": 1}], "C"),
        ("C", [{"num_datums": 1}], "C"),
    ],
)
def test_the_kind_of_output_ends_the_name(
    sent: str, records: list[dict[str, Any]], expected: str
) -> None:
    """After the last colon, where there are records."""
    assert read(*records, loss_fn_output_type=sent).loss_fn_output_type == expected


def test_datums_are_counted_by_the_first_name_where_the_server_does_not() -> None:
    """Old servers leave num_datums out; datums without tensors are counted too."""
    record = {"fields": {"x": batched(packed("f", 1, 2), [0, 4, 8])}}
    assert len(read(record).loss_fn_outputs) == 2
    assert read({"num_datums": 2}).loss_fn_outputs == [{}, {}]


X = {"x": batched(packed("f", 1, 2), [0, 4, 8])}


@pytest.mark.parametrize(
    ("records", "text"),
    [
        pytest.param([{}, {"fields": {"x": batched(b"1234", [0, 5])}}],
                     'do not rise within the 4 bytes of data - at '
                     '`$.loss_fn_outputs[1].fields["x"].offsets`', id="past the end"),
        pytest.param([{"fields": {"x": batched(b"12345678", [4, 0])}}], "do not rise", id="fall"),
        pytest.param([{"fields": {"x": batched(b"1234", [-4, 4])}}], "do not rise", id="below 0"),
        pytest.param([{"fields": {"x": batched(b"1234", [0, 2, 4])}}],
                     "do not fall between elements of 4 bytes", id="between elements"),
        pytest.param([{"fields": {"x": {"dtype": 1, "offsets": b"1"}}}],
                     "1 bytes are not a whole number of int64", id="half an offset"),
        pytest.param([{"fields": {"x": batched(b"1234", [0, 4], 9)}}],
                     'is 9, which is no element type known here - at '
                     '`$.loss_fn_outputs[0].fields["x"].dtype`', id="a dtype"),
        pytest.param([{"fields": {"x": batched(b"1234", [0, 4], 1, 2)}}],
                     "1 values do not fill rows of shape [2]", id="half a row"),
        pytest.param([{"fields": {"x": batched(b"1234", [0, 4], 1, 0)}}],
                     "1 values do not fill rows of shape [0]", id="rows of nothing"),
        pytest.param([{"fields": {"x": batched(b"", [0], 1, -1)}}],
                     'is no shape: [-1] - at `$.loss_fn_outputs[0].fields["x"].trailing_shape`',
                     id="a negative dimension"),
        pytest.param([{"fields": X, "num_datums": 3}],
                     "2 tensors for 3 datums: 'x' - at `$.loss_fn_outputs`", id="too few"),
        pytest.param([{"fields": {**X, "y": batched(b"", [0])}}], "datums: ", id="two names"),
        pytest.param([{"num_datums": 2**62}], "datums are more than 1000000", id="no end"),
        pytest.param([{"num_datums": -1}], "is -1 - at `$.loss_fn_outputs[0].num_datums`",
                     id="fewer than none"),
    ],
)  # fmt: skip
def test_a_result_that_does_not_fit_names_its_path(
    records: list[dict[str, Any]], text: str
) -> None:
    """Whatever the numbers of a broken server say, nothing but DecodeError comes of them."""
    with pytest.raises(DecodeError, match=r"^Not a valid ForwardBackwardOutput: ") as caught:
        read(*records)
    assert text in str(caught.value)


def test_a_result_is_these_bytes() -> None:
    """One record for datums that agree, values end to end, offsets in bytes."""
    outputs = [{"x": t.TensorData([v], "float32", [1])} for v in (1.0, 2.0)]
    output = t.ForwardBackwardOutput(
        loss_fn_output_type="T", loss_fn_outputs=outputs, metrics={"loss:sum": 1.5}
    )
    expected = """
        0a 01 54
        12 2f
          12 2b  0a 01 78
                 12 26  0a 08 0000803f 00000040
                        12 18 0000000000000000 0400000000000000 0800000000000000  18 01
          18 02
        1a 13  0a 08 6c6f73733a73756d  11 000000000000f83f
    """
    assert bytes(encode_forward_backward_output(output)) == bytes.fromhex(expected)
    assert decode_forward_backward_output(bytes.fromhex(expected)) == output


def shaped(values: list[int], dtype: t.TensorDtype, width: int) -> t.TensorData:
    """A tensor of one or two dimensions."""
    shape = [len(values), width] if width > 1 else [len(values)]
    return t.TensorData(values * width, dtype, shape)


@st.composite
def outputs(draw: st.DrawFn) -> t.ForwardBackwardOutput:
    """A result whose tensors share names, but not dtypes and shapes."""
    names = draw(st.lists(st.text(max_size=3), max_size=2, unique=True))
    tensor = st.builds(
        shaped,
        st.lists(st.integers(0, 2**24), max_size=3),
        st.sampled_from(("int64", "float32")),
        st.integers(1, 2),
    )
    return t.ForwardBackwardOutput(
        loss_fn_output_type=draw(st.sampled_from(("", "ArrayRecord", "scalar"))),
        loss_fn_outputs=draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, tensor)))),
        metrics=draw(st.dictionaries(st.text(max_size=3), FLOATS, max_size=2)),
    )


@given(outputs())
def test_a_result_comes_back(output: t.ForwardBackwardOutput) -> None:
    """Datum by datum, whatever dtypes and shapes follow one another."""
    back = decode_forward_backward_output(bytes(encode_forward_backward_output(output)))
    assert back.loss_fn_outputs == output.loss_fn_outputs
    assert back.metrics == output.metrics
    assert back.loss_fn_output_type in {output.loss_fn_output_type, "ArrayRecord"}


@given(tensors())
def test_a_result_takes_dense_tensors_of_equal_names(tensor: t.TensorData) -> None:
    """A sparse one, or a datum with other names, is refused by its position."""
    sparse = t.TensorData([1.0], "float32", [1, 1], [0, 1], [0])
    for wrong, text in (({"y": tensor}, "names of its tensors"), ({"x": sparse}, "sparse")):
        result = t.ForwardBackwardOutput(loss_fn_outputs=[{"x": t.TensorData([], "int64")}, wrong])
        with pytest.raises(ValueError, match=rf"{text}.* - at `\$\.loss_fn_outputs\[1\]`"):
            encode_forward_backward_output(result)


def test_tensors_of_a_result_are_views() -> None:
    """Of the body itself where its type is a tensor's own, and never writable."""
    body = bytearray(encode_message("ForwardBackwardOutput", {
        "loss_fn_outputs": [{"fields": X, "num_datums": 2}]
    }).__bytes__())  # fmt: skip
    outputs = decode_forward_backward_output(body).loss_fn_outputs
    assert all(
        np.shares_memory(np.frombuffer(one["x"].buffer, "f"), np.frombuffer(body, np.uint8))
        and one["x"].buffer.readonly
        for one in outputs
    )
    assert decode_message("ForwardBackwardOutput", body)["loss_fn_outputs"][0]["num_datums"] == 2
