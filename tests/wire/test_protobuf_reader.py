"""The rules of the format, and what breaks them, in bytes written by hand."""

from __future__ import annotations

from mmap import mmap
from typing import Any

import pytest

from tinker_lite.errors import DecodeError
from tinker_lite.wire.protobuf import decode_message, encode_message
from tinker_lite.wire.protobuf.faults import Fault
from tinker_lite.wire.protobuf.reader import MAX_MESSAGES
from tinker_lite.wire.protobuf.varints import pack_varints, read_varint, unpack_varints

REQUEST = "ForwardBackwardRequest"


# What is read


@pytest.mark.parametrize(
    ("name", "raw", "fields"),
    [
        pytest.param(REQUEST, "", {}, id="nothing"),
        pytest.param(REQUEST, "1001 1002", {"seq_id": 2}, id="the last scalar wins"),
        pytest.param(REQUEST, "9080808000 05", {"seq_id": 5}, id="a tag longer than it must be"),
        pytest.param(REQUEST, "10 ffffffffffffffffff01", {"seq_id": -1}, id="a negative int32"),
        pytest.param(REQUEST, "10 ffffffff0f", {"seq_id": -1}, id="one written as 32 bits"),
        pytest.param(REQUEST, "10 8180808010", {"seq_id": 1}, id="an int32 keeps its low bits"),
        pytest.param(REQUEST, "10 ffffffffffffffffff7f", {"seq_id": -1}, id="bits past the 64th"),
        pytest.param(REQUEST, "30 8002", {"forward_only": True}, id="any number but 0 is true"),
        pytest.param("Tensor", "2002 2003", {"shape": [2, 3]}, id="numbers one by one"),
        pytest.param("Tensor", "2203 02c801", {"shape": [2, 200]}, id="numbers packed"),
        pytest.param("Tensor", "2002 220103 2200", {"shape": [2, 3]}, id="numbers both ways"),
        pytest.param("Tensor", "0a01ff 1200", {"sparse_csr": {}}, id="the last of a oneof"),
        pytest.param(
            "Tensor", "12030a0161 1203120162",
            {"sparse_csr": {"values": b"a", "crow_indices": b"b"}}, id="a message in two pieces",
        ),
        pytest.param(REQUEST, "2a00", {"loss_fn_config": {"": 0.0}}, id="an entry of defaults"),
        pytest.param(
            REQUEST, "2a0c 11000000000000f03f 0a0161", {"loss_fn_config": {"a": 1.0}},
            id="an entry whose value comes first",
        ),
        pytest.param(REQUEST, "3a03 0a0161", {"loss_fn_config_v2": {"a": {}}}, id="no value"),
        pytest.param(
            REQUEST, "3a08 0a0161 12031201 62 3a08 0a0161 12031201 63",
            {"loss_fn_config_v2": {"a": {"text": "c"}}}, id="the last of equal keys",
        ),
        pytest.param(REQUEST, "4001 4a0161 5100000000 00000000 5d00000000 1001", {"seq_id": 1},
                     id="unknown fields of every wire type"),
        pytest.param(REQUEST, "43 08ff01 4b4c 120161 44 1001", {"seq_id": 1}, id="unknown groups"),
        pytest.param("StopTokens", "0a0b 01 ffffffffffffffffff01", {"values": [1, -1]},
                     id="packed and negative"),
        pytest.param("StopStrings", "0a0161 0a00", {"values": ["a", ""]}, id="empty texts count"),
        pytest.param("SampledSequence", "0809", {"stop_reason": 9}, id="an enum not known"),
    ],
)  # fmt: skip
def test_every_rule_of_the_format_holds(name: str, raw: str, fields: dict[str, Any]) -> None:
    """Each by the bytes that show it."""
    assert decode_message(name, bytes.fromhex(raw)) == fields


def test_buffers_of_any_kind_are_read_in_place() -> None:
    """And what is handed out cannot be written to."""
    raw = bytearray.fromhex("0a0261621204")
    for given in (bytes(raw[:4]), raw[:4], memoryview(raw)[:4]):
        data: memoryview[int] = decode_message("EncodedTextChunk", given)["tokens"]
        assert data.tobytes() == b"ab"
        assert data.readonly


# What is refused


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        pytest.param(REQUEST, "10", "the bytes end inside a number - at `$.seq_id`", id="none"),
        pytest.param(REQUEST, "90", "the bytes end inside a number", id="half a tag"),
        pytest.param(REQUEST, "10" + "80" * 10 + "01", "a number takes more than 10 bytes",
                     id="an endless number"),
        pytest.param(REQUEST, "0a0261", "said to have 2 bytes where 1 are left - at `$.model_id`",
                     id="a text past the end"),
        pytest.param(REQUEST, "0affffffff0f", "is said to have 4294967295 bytes", id="4 GB"),
        pytest.param(REQUEST, "0a01ff", "not UTF-8 from byte 0 on - at `$.model_id`", id="no text"),
        pytest.param(REQUEST, "1200", "comes with wire type 2, not 0 - at `$.seq_id`", id="a run"),
        pytest.param(REQUEST, "0d00000000", "comes with wire type 5, not 2", id="a float"),
        pytest.param("SamplingParams", "1d0000", "4 bytes where 2 are left - at `$.temperature`",
                     id="half a float"),
        pytest.param(REQUEST, "0001", "there is no field number 0", id="field 0"),
        pytest.param(REQUEST, "808080808001 00", "there is no field number", id="a huge field"),
        pytest.param(REQUEST, "46", "there is no wire type 6 - at `$.<field 8>`", id="wire type 6"),
        pytest.param(REQUEST, "44", "a group ends that did not begin", id="only a group's end"),
        pytest.param(REQUEST, "434c", "a group ends that did not begin", id="another group's end"),
        pytest.param(REQUEST, "43", "the bytes end inside a number", id="a group without end"),
        pytest.param(REQUEST, "430044", "there is no field number 0", id="field 0 in a group"),
        pytest.param(REQUEST, "43" * 101, "groups are nested more than 100 deep", id="deep groups"),
        pytest.param(REQUEST, "43" * 10**6, "groups are nested more than 100 deep", id="deeper"),
        pytest.param(REQUEST, "5100", "has 8 bytes where 1 are left", id="an unknown one"),
        pytest.param("Tensor", "2202 0180", "the bytes end inside a number - at `$.shape`",
                     id="packed and cut short"),
        pytest.param("Tensor", "220c 01" + "80" * 10 + "01", "a number takes more than 10 bytes",
                     id="packed and endless"),
        pytest.param(
            REQUEST, "1a00 1a08 0a02 0a00 0a02 0a05",
            "is said to have 5 bytes where 0 are left - at "
            "`$.data[1].model_input[1].encoded_text`", id="deep inside",
        ),
        pytest.param(
            REQUEST, "1a0a 1208 0a0161 1203 220180",
            'the bytes end inside a number - at `$.data[0].loss_fn_inputs["a"].shape`',
            id="in an entry",
        ),
        pytest.param(REQUEST, "2a030a0122 2a06 0a0122 120100", 'at `$.loss_fn_config["\\""]`',
                     id="a key with a quote"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_names_its_path(name: str, raw: str, text: str) -> None:
    """It is a DecodeError that says what is wrong, and where."""
    with pytest.raises(DecodeError, match=f"^Not a valid {name}: ") as caught:
        decode_message(name, bytes.fromhex(raw))
    assert text in str(caught.value)
    assert isinstance(caught.value.__cause__, Fault)


def test_every_beginning_of_a_message_is_read_or_refused() -> None:
    """A body that was cut anywhere is at worst a DecodeError."""
    span = {"prompt_tokens": {"sequence_id": "s", "offset": 300, "length": 2}}
    tensor = {"dense": b"12345678", "dtype": 1, "shape": [2, 1, 300]}
    datum = {"loss_fn_inputs": {"weights": tensor}, "model_input_spans": [span]}
    whole = bytes(encode_message(REQUEST, {"seq_id": -1, "data": [datum], "loss_fn": "x"}))
    n_read = 0
    for n in range(len(whole)):
        try:
            decode_message(REQUEST, whole[:n])
        except DecodeError as error:
            assert "left" in str(error) or "end inside" in str(error)  # noqa: PT017  or it is read
        else:
            n_read += 1
    assert n_read == 3  # after nothing, after seq_id and after data


def test_the_number_of_messages_in_a_body_is_bounded() -> None:
    """Two bytes make a message of some hundreds in memory."""
    with pytest.raises(DecodeError, match=f"more than {MAX_MESSAGES} messages in one body"):
        decode_message(REQUEST, b"\x1a\x00" * MAX_MESSAGES)


def test_a_body_of_more_than_2_gib_is_not_looked_at() -> None:
    """No page of this one is ever touched."""
    untouched = memoryview(mmap(-1, 2**31))
    with pytest.raises(DecodeError, match="2147483648 bytes are more than 2147483647"):
        decode_message(REQUEST, untouched)


def test_a_long_key_is_cut_in_the_path() -> None:
    """Errors are for people."""
    raw = bytes(encode_message(REQUEST, {"loss_fn_config": {"k" * 1000: 1.0}}))
    with pytest.raises(DecodeError, match=r"at `\$\.loss_fn_config\[\"k{64}\.\.\.\"\]`$"):
        decode_message(REQUEST, raw.replace(b"\x11", b"\x10"))


# Numbers of variable length


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (2**63 - 1, "ffffffffffffffff7f"),
        (2**64 - 1, "ffffffffffffffffff01"),
        (-1, "ffffffffffffffffff01"),
        (-(2**63), "80808080808080808001"),
    ],
)
def test_a_number_takes_the_bytes_of_the_format(value: int, raw: str) -> None:
    """Alone and in a list; read back modulo 2**64."""
    packed = bytes.fromhex(raw)
    assert pack_varints([value]) == packed
    assert read_varint(b"\xff" + packed + b"\x01", 1, 2 + len(packed)) == (
        value % 2**64,
        1 + len(packed),
    )
    assert unpack_varints(packed + b"\x05" + packed) == [value % 2**64, 5, value % 2**64]


def test_bits_past_the_64th_are_dropped() -> None:
    """Ten bytes have room for six more."""
    raw = b"\xff" * 9 + b"\x7f"
    assert read_varint(raw, 0, 10) == (2**64 - 1, 10)
    assert unpack_varints(raw) == [2**64 - 1]


# What is written


def test_defaults_are_left_out_where_the_format_leaves_them_out() -> None:
    """Not in optional fields, oneofs and entries."""
    plain: dict[str, Any] = {
        "model_id": "",
        "seq_id": 0,
        "forward_only": False,
        "data": [],
        "loss_fn_config": {},
    }
    assert bytes(encode_message(REQUEST, plain)) == b""
    assert bytes(encode_message("ImageChunk", {"data": b"", "expected_tokens": 0})).hex() == "1800"
    assert (
        bytes(encode_message("Tensor", {"dense": b"", "dtype": 0, "shape": None})).hex() == "0a00"
    )
    zero = {"loss_fn_config": {"": 0.0}}
    assert bytes(encode_message(REQUEST, zero)).hex() == "2a0b0a00110000000000000000"


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        (REQUEST, {"seq_id": 2**31}, "2147483648 does not fit int32 - at `$.seq_id`"),
        (REQUEST, {"seq_id": 1.5}, "1.5 does not fit int32 - at `$.seq_id`"),
        (REQUEST, {"model_id": 7}, "7 is not a string - at `$.model_id`"),
        (REQUEST, {"model_id": "\ud800"}, "character 0 has no UTF-8 form - at `$.model_id`"),
        (REQUEST, {"loss_fn_config": {"a": "x"}}, "'x' does not fit double - at "
         '`$.loss_fn_config["a"]`'),
        ("TopkLogprobs", {"k": -1}, "-1 does not fit uint32 - at `$.k`"),
        ("SamplingParams", {"seed": 2**64}, "does not fit uint64 - at `$.seed`"),
        ("SamplingParams", {"temperature": 1e39}, "does not fit float - at `$.temperature`"),
        ("StopTokens", {"values": [1, "x"]}, "'x' does not fit int32 - at `$.values[1]`"),
        ("StopStrings", {"values": ["a", 1]}, "1 is not a string - at `$.values[1]`"),
        ("DmelChunk", {"dmel": "text"}, "'text' is not a buffer of bytes - at `$.dmel`"),
        (REQUEST, {"data": [{}, {"model_input": [{"image": {"format": 1}}]}]},
         "1 is not a string - at `$.data[1].model_input[0].image.format`"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_field_is_not_written(
    name: str, fields: dict[str, Any], text: str
) -> None:
    """The error names the path, as in reading."""
    with pytest.raises(ValueError, match=f"^{name} cannot be sent as protobuf: ") as caught:
        encode_message(name, fields)
    assert text in str(caught.value)
    assert not isinstance(caught.value, DecodeError)


def test_a_message_of_more_than_2_gib_is_not_written() -> None:
    """No implementation of the format could read it."""
    one = bytes(2**20)
    with pytest.raises(ValueError, match="bytes are more than the 2147483647 allowed"):
        encode_message("DmelChunk", {"dmel": (one,) * 2048})
