"""Whatever arrives, reading ends in a value or a DecodeError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.types.strategies import DATUMS
from tests.wire.protobuf_foreign import foreign, messages
from tinker_lite.errors import DecodeError
from tinker_lite.wire.protobuf import (
    decode_forward_backward_output,
    decode_forward_backward_request,
    decode_sample_response,
    decode_sampling_params,
    encode_message,
)
from tinker_lite.wire.protobuf.arrays import tensor_fields

if TYPE_CHECKING:
    from collections.abc import Callable

READERS: dict[str, Callable[[bytes], object]] = {
    "ForwardBackwardRequest": decode_forward_backward_request,
    "ForwardBackwardOutput": decode_forward_backward_output,
    "SampleResponse": decode_sample_response,
    "SamplingParams": decode_sampling_params,
}


@st.composite
def sensible(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Messages whose arrays nearly fit, so that damage reaches what is behind the reader."""
    tensors = draw(DATUMS).loss_fn_inputs
    if name == "ForwardBackwardRequest":
        inputs = {key: tensor_fields(tensor) for key, tensor in tensors.items()}
        n_tokens = draw(st.integers(0, 3))
        datum = {
            "model_input": [{"encoded_text": {"tokens": bytes(4 * n_tokens)}}],
            "loss_fn_inputs": inputs,
            "model_input_spans": [{"prompt_tokens": {"sequence_id": "s", "length": n_tokens}}],
        }
        return {"data": [datum], "seq_id": 1}
    if name == "ForwardBackwardOutput":
        offsets = draw(st.lists(st.integers(0, 5).map(lambda n: 4 * n), max_size=3).map(sorted))
        column = {
            "data": bytes(20),
            "offsets": b"".join(n.to_bytes(8, "little") for n in offsets),
            "dtype": draw(st.integers(1, 4)),
            "trailing_shape": draw(st.lists(st.integers(0, 2), max_size=2)),
        }
        record = {"fields": {"x": column}, "num_datums": draw(st.integers(0, 2))}
        return {"loss_fn_outputs": [record] * draw(st.integers(1, 2))}
    k, n = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    table = {"token_ids": bytes(4 * k * n), "logprobs": bytes(4 * k * n), "k": k, "length": n}
    sequence = {"stop_reason": 1, "tokens": bytes(8), "topk_sampled_logprobs": table}
    tensor = {"dense": bytes(4 * k * n), "dtype": 3, "shape": [n, k]}
    targets = [tensor_fields(one) for one in tensors.values()]
    return {
        "sequences": [sequence],
        "prompt_logprobs": bytes(4),
        "topk_prompt_logprobs": table,
        "target_prompt_logprobs": targets[0] if targets else None,
        "prompt_alt_tokens": {"tokens": tensor, "logprobs": {**tensor, "dtype": 1}},
    }


@st.composite
def bodies(draw: st.DrawFn, name: str) -> bytes:
    """Arbitrary bytes, or a message that was damaged in up to four places."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1 or name == "SamplingParams":
        raw = bytearray(foreign(name, draw(messages(name))).SerializeToString())
    else:
        raw = bytearray(bytes(encode_message(name, draw(sensible(name)))))
    for _ in range(draw(st.integers(0, 4))):
        i = draw(st.integers(0, len(raw)))
        j = draw(st.integers(i, min(len(raw), i + 4)))
        raw[i:j] = draw(st.binary(max_size=3) | st.just(bytes(raw[i:j]) * 2))
    return bytes(raw)


def check(data: st.DataObject) -> None:
    """Read one body; any error but ours fails the test."""
    name = data.draw(st.sampled_from(sorted(READERS)))
    raw = data.draw(bodies(name))
    try:
        READERS[name](raw)
    except DecodeError as error:
        if not str(error).startswith(f"Not a valid {name}: "):
            raise


@settings(max_examples=500)
@given(st.data())
def test_any_bytes_end_in_a_value_or_a_decode_error(data: st.DataObject) -> None:
    """Arbitrary ones, and messages that were damaged."""
    check(data)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(st.data())
def test_any_bytes_do_so_in_ten_thousand_cases(data: st.DataObject) -> None:
    """The same over more cases."""
    check(data)
