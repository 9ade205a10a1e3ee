"""Results and settings of sampling: what is sent, what is read, what is refused."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from tests.wire.protobuf_foreign import foreign
from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.wire.protobuf import (
    decode_sample_response,
    decode_sampling_params,
    encode_sample_response,
    encode_sampling_params,
)

FILLER = -99999.0


def packed(code: str, *numbers: float) -> bytes:
    """Numbers as they lie on the wire."""
    return struct.pack(f"<{len(numbers)}{code}", *numbers)


def read(**fields: Any) -> t.SampleResponse:
    """What is read from a result that the protobuf package wrote."""
    return decode_sample_response(foreign("SampleResponse", fields).SerializeToString())


# Results


def test_a_result_is_these_bytes() -> None:
    """Field by field, from the table of protocol section 3.9."""
    response = t.SampleResponse(
        sequences=[
            t.SampledSequence(stop_reason="length", tokens=[5, -1], logprobs=[-0.5, -2.0]),
            t.SampledSequence(stop_reason="stop", tokens=[]),
        ],
        prompt_logprobs=[None, -1.0],
        topk_prompt_logprobs=[None, [(7, -1.0)]],
        prompt_cache_hit_tokens=3,
    )
    expected = """
        0a 16  08 01  12 08 05000000 ffffffff  1a 08 000000bf 000000c0
        0a 00
        12 08  0000c07f 000080bf
        1a 18  0a 08 00000000 07000000  12 08 804fc3c7 000080bf  18 01  20 02
        20 03
    """
    assert bytes(encode_sample_response(response)) == bytes.fromhex(expected)
    assert decode_sample_response(bytes.fromhex(expected)) == response


def test_absent_and_empty_are_alike() -> None:
    """Logprobs of no tokens are no logprobs."""
    sequence = {"tokens": b"", "logprobs": b""}
    table = {"token_ids": b"", "logprobs": b""}
    for empty in ({**table, "k": 0, "length": 2}, {**table, "k": 2, "length": 0}):
        response = read(
            sequences=[{**sequence, "topk_sampled_logprobs": empty}],
            prompt_logprobs=b"",
            topk_prompt_logprobs=empty,
            target_prompt_logprobs={},
            prompt_alt_tokens={"tokens": {}},
        )
        assert response == t.SampleResponse(
            sequences=[t.SampledSequence(stop_reason="stop", tokens=[])]
        )


def test_fillers_are_cut_and_a_row_of_them_is_none() -> None:
    """Only at the end of a row; what merely looks alike stays."""
    rows = [
        [(0, FILLER), (0, FILLER)],
        [(0, FILLER), (5, -1.0)],
        [(5, -1.0), (0, FILLER)],
        [(5, -1.0), (0, -2.0)],
        [(5, FILLER), (0, FILLER)],
    ]
    table = {
        "token_ids": packed("i", *(token for row in rows for token, _ in row)),
        "logprobs": packed("f", *(logprob for row in rows for _, logprob in row)),
        "k": 2,
        "length": 5,
    }
    assert read(topk_prompt_logprobs=table).topk_prompt_logprobs == [
        None,
        None,
        [(5, -1.0)],
        [(5, -1.0), (0, -2.0)],
        [(5, FILLER)],
    ]


def test_nan_is_no_logprob_but_infinity_is_one() -> None:
    """The first token of a prompt has none; an impossible one has minus infinity."""
    response = read(prompt_logprobs=packed("f", math.nan, -math.inf))
    assert response.prompt_logprobs == [None, -math.inf]


@pytest.mark.parametrize("number", [2, -1, 2**31 - 1])
def test_a_newer_reason_to_stop_is_kept(number: int) -> None:
    """As in JSON: the sample is not lost, and the reason is sent again as it came."""
    raw = foreign("SampleResponse", {"sequences": [{"stop_reason": number}]}).SerializeToString()
    response = decode_sample_response(raw)
    reason = response.sequences[0].stop_reason
    assert (type(reason), reason) == (t.UnknownValue, str(number))
    assert bytes(encode_sample_response(response)) == raw


def test_newer_fields_are_these_bytes() -> None:
    """Alternative tokens are int32; a table of targets keeps its layout."""
    sequence = t.SampledSequence(stop_reason="stop", tokens=[], topk_logprobs=[[(7, -1.0)]])
    response = t.SampleResponse(
        sequences=[sequence],
        target_prompt_logprobs=t.TensorData([-2.0], "float32", [1, 2], [0, 1], [1]),
        prompt_alt_tokens=t.PromptAltTokens(
            tokens=t.TensorData([5, -1], "int64", [1, 2]),
            logprobs=t.TensorData([-0.5, -2.0], "float32", [1, 2]),
        ),
    )
    expected = """
        0a 12  22 10  0a 04 07000000  12 04 000080bf  18 01  20 01
        2a 2a  12 22  0a 04 000000c0  12 10 0000000000000000 0100000000000000
                      1a 08 0100000000000000
               18 01  22 02 01 02
        32 24  0a 10  0a 08 05000000 ffffffff  18 03  22 02 01 02
               12 10  0a 08 000000bf 000000c0  18 01  22 02 01 02
    """
    assert bytes(encode_sample_response(response)) == bytes.fromhex(expected)
    assert decode_sample_response(bytes.fromhex(expected)) == response


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"sequences": [{"tokens": b"123"}]}, "3 bytes are not a whole number of int32 - at "
         "`$.sequences[0].tokens`"),
        ({"sequences": [{"logprobs": b"123"}]}, "float32 - at `$.sequences[0].logprobs`"),
        ({"prompt_logprobs": b"1"}, "1 bytes are not a whole number of float32 - at "
         "`$.prompt_logprobs`"),
        ({"topk_prompt_logprobs": {"token_ids": b"1"}}, "at `$.topk_prompt_logprobs.token_ids`"),
        ({"topk_prompt_logprobs": {"logprobs": b"1"}}, "at `$.topk_prompt_logprobs.logprobs`"),
        ({"topk_prompt_logprobs": {"k": 2**32 - 1, "length": 2**32 - 1}},
         "0 tokens and 0 logprobs do not make 4294967295 rows of 4294967295 - at "
         "`$.topk_prompt_logprobs`"),
        ({"sequences": [{"topk_sampled_logprobs": {"k": 1, "length": 1}}]},
         "do not make 1 rows of 1 - at `$.sequences[0].topk_sampled_logprobs`"),
        ({"target_prompt_logprobs": {"shape": [1]}}, "has no values: neither dense nor sparse_csr "
         "- at `$.target_prompt_logprobs`"),
        ({"prompt_alt_tokens": {"tokens": {"dense": b"1", "dtype": 3}}},
         "1 bytes are not a whole number of int32 - at `$.prompt_alt_tokens.tokens`"),
        ({"prompt_alt_tokens": {"tokens": {"dense": b"1234", "dtype": 3}}},
         "has tokens or logprobs, but not both - at `$.prompt_alt_tokens`"),
    ],
)  # fmt: skip
def test_a_result_that_does_not_fit_names_its_path(fields: dict[str, Any], text: str) -> None:
    """The text says what is wrong with which value."""
    with pytest.raises(DecodeError, match=r"^Not a valid SampleResponse: ") as caught:
        read(**fields)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"sequences": [{"tokens": [1, 2**31]}]}, "at `$.sequences[0].tokens[1]`"),
        ({"sequences": [{"logprobs": [1e39]}]}, "1e+39 does not fit float32 - at "
         "`$.sequences[0].logprobs[0]`"),
        ({"sequences": [{"stop_reason": "tired"}]}, "'tired' is not known"),
        ({"sequences": [{"stop_reason": "2"}]}, "'2' is not known"),
        ({"sequences": [{"stop_reason": t.UnknownValue("tired")}]}, "('tired') is not known"),
        ({"prompt_logprobs": [None, "x"]}, "'x' does not fit float32 - at `$.prompt_logprobs[1]`"),
        ({"topk_prompt_logprobs": [[("x", 0.0)]]}, "`$.topk_prompt_logprobs.token_ids[0]`"),
        ({"sequences": [{"topk_logprobs": [[(1, "x")]]}]},
         "'x' does not fit float32 - at `$.sequences[0].topk_sampled_logprobs.logprobs[0]`"),
        ({"prompt_alt_tokens": t.PromptAltTokens(
            tokens=t.TensorData([1, 2**31], "int64"), logprobs=t.TensorData([], "float32"))},
         "2147483648 does not fit int32 - at `$.prompt_alt_tokens.tokens[1]`"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_sent_names_its_path(response: dict[str, Any], text: str) -> None:
    """Construction of a struct is not checked, so writing is."""
    fields: dict[str, Any] = {"stop_reason": "stop", "tokens": []}
    sequences = [t.SampledSequence(**(fields | one)) for one in response.pop("sequences", [])]
    made = t.SampleResponse(sequences=sequences, **response)
    with pytest.raises(ValueError, match=r"^SampleResponse cannot be sent") as caught:
        encode_sample_response(made)
    assert text in str(caught.value)


# Settings


@pytest.mark.parametrize(
    ("params", "back"),
    [
        (t.SamplingParams(), None),
        (t.SamplingParams(max_tokens=0, seed=2**64 - 1, temperature=0.5, top_k=5, top_p=0), None),
        (t.SamplingParams(stop=["a", ""]), None),
        (t.SamplingParams(stop=[-1, 7]), None),
        (t.SamplingParams(stop=[]), None),
        (t.SamplingParams(stop="a"), t.SamplingParams(stop=["a"])),
    ],
)
def test_settings_come_back(params: t.SamplingParams, back: t.SamplingParams | None) -> None:
    """Zero and an empty list are not the same as nothing."""
    raw = bytes(encode_sampling_params(params))
    assert decode_sampling_params(raw) == (back or params)


def test_absent_settings_have_their_defaults() -> None:
    """As in JSON."""
    assert decode_sampling_params(b"") == t.SamplingParams()


def test_a_setting_that_does_not_fit_names_its_path() -> None:
    """In both directions."""
    with pytest.raises(ValueError, match=r"does not fit int32 - at `\$\.stop_tokens\.values\[1\]`"):
        encode_sampling_params(t.SamplingParams(stop=[1, 2**31]))
    with pytest.raises(DecodeError, match=r"Not a valid SamplingParams: .*`\$\.top_k`"):
        decode_sampling_params(b"\x25")
