"""What reading and writing costs, in counts: objects and bytes for each datum, none for a value."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, TypeVar

import pytest

from tinker_lite import types as t
from tinker_lite.wire.protobuf import (
    decode_forward_backward_output,
    decode_forward_backward_request,
    encode_forward_backward_output,
    encode_forward_backward_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

N_DATUMS = 128
# Room for the dict, the tensor, its views and its shape, and for what the interpreter keeps.
MAX_BLOCKS_PER_DATUM = 12
MAX_BYTES_PER_DATUM = 1200


def output(n_tokens: int) -> t.ForwardBackwardOutput:
    """Logprobs of 128 datums."""
    # -0.7 has no exact float32, so that no value is a number the interpreter keeps one of.
    values = [-0.7] * n_tokens
    tensors = [t.TensorData(values, "float32", [n_tokens]) for _ in range(N_DATUMS)]
    return t.ForwardBackwardOutput(loss_fn_outputs=[{"logprobs": one} for one in tensors])


def allocated(work: Callable[[], T]) -> tuple[T, int, int]:
    """A result, the blocks it holds, and the most bytes that were held on the way to it."""
    work()  # what is made once, such as tables, is made now
    gc.collect()
    tracemalloc.start()
    try:
        result = work()
        _, peak_bytes = tracemalloc.get_traced_memory()
        statistics = tracemalloc.take_snapshot().statistics("filename")
    finally:
        tracemalloc.stop()
    return result, sum(line.count for line in statistics), peak_bytes


@pytest.mark.parametrize("n_tokens", [1, 4096])
def test_reading_a_result_costs_nothing_for_a_token(n_tokens: int) -> None:
    """128 x 4096 logprobs are as many objects and bytes as 128 x 1."""
    raw = bytes(encode_forward_backward_output(output(n_tokens)))
    result, n_blocks, peak_bytes = allocated(lambda: decode_forward_backward_output(raw))
    assert len(result.loss_fn_outputs[-1]["logprobs"]) == n_tokens
    assert n_blocks < MAX_BLOCKS_PER_DATUM * N_DATUMS
    assert peak_bytes < MAX_BYTES_PER_DATUM * N_DATUMS


@pytest.mark.parametrize("n_tokens", [1, 4096])
def test_writing_a_result_costs_nothing_for_a_token(n_tokens: int) -> None:
    """Values are referenced."""
    result = output(n_tokens)
    body, n_blocks, peak_bytes = allocated(lambda: encode_forward_backward_output(result))
    assert body.size_bytes > 4 * N_DATUMS * n_tokens
    assert n_blocks < MAX_BLOCKS_PER_DATUM * N_DATUMS
    assert peak_bytes < MAX_BYTES_PER_DATUM * N_DATUMS


def request(n_tokens: int) -> t.ForwardBackwardRequest:
    """A batch of 16 datums with two tensors each."""
    tensor = t.TensorData([-0.7] * n_tokens, "float32")
    datum = t.Datum(
        t.ModelInput.from_ints(range(100_000, 100_000 + n_tokens)), {"a": tensor, "b": tensor}
    )
    passed = t.ForwardBackwardInput(data=[datum] * 16, loss_fn="ppo")
    return t.ForwardBackwardRequest(forward_backward_input=passed, model_id="M", seq_id=1)


def test_writing_a_request_costs_four_bytes_for_a_token() -> None:
    """Token ids are packed, which is the only copy; there is no object for one."""
    small, large = request(1), request(4096)
    body, n_blocks, peak_bytes = allocated(lambda: encode_forward_backward_request(large))
    _, n_blocks_of_small, peak_bytes_of_small = allocated(
        lambda: encode_forward_backward_request(small)
    )
    n_tokens = 16 * 4096
    assert body.size_bytes > 12 * n_tokens
    assert n_blocks < n_blocks_of_small + 100
    # While a list is packed it is an argument list for a moment, of eight bytes for each token.
    assert peak_bytes < peak_bytes_of_small + 4 * n_tokens + 3 * 8 * 4096


def test_blocks_of_a_body_are_made_one_at_a_time() -> None:
    """Sending needs the memory of two blocks beside the tensors."""
    body = encode_forward_backward_output(output(4096))
    n_bytes, _, peak_bytes = allocated(lambda: sum(map(len, body)))
    assert n_bytes == body.size_bytes > 2_000_000
    assert peak_bytes < 2 * 262_144 + 100_000


def test_tensors_of_a_request_are_read_in_place() -> None:
    """Only token ids become objects, since the struct holds a list of them."""
    raw = bytes(encode_forward_backward_request(request(4096)))
    without = bytes(encode_forward_backward_request(request(1)))
    _, n_blocks, _ = allocated(lambda: decode_forward_backward_request(raw))
    _, n_blocks_of_small, _ = allocated(lambda: decode_forward_backward_request(without))
    assert n_blocks < n_blocks_of_small + 16 * 4096 + 1000
