from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.types.strategies import DATUMS
from tinker_lite import types as t
from tinker_lite.protocol.batching import (
    chunked,
    combine_outputs,
    estimated_bytes,
    reduce_metrics,
)

TARGETS = t.TensorData([1, 2], "int64")


def datum(n_tokens: int) -> t.Datum:
    """An example of four bytes per token."""
    return t.Datum(t.ModelInput.from_ints([1] * n_tokens))


# Sizes: protocol section 5.5


@pytest.mark.parametrize(
    ("example", "size_bytes"),
    [
        pytest.param(datum(3), 12, id="four bytes per token"),
        pytest.param(t.Datum(t.ModelInput.empty(), {"t": TARGETS}), 16, id="eight per integer"),
        pytest.param(t.Datum(t.ModelInput.empty(), {"weights": [1, 2]}), 8, id="four per float"),
        pytest.param(
            t.Datum(t.ModelInput.empty(), {"w": t.TensorData([5], "float32", [1, 2], [0, 1], [1])}),
            4 + 8 * 3,
            id="values and indices of a sparse tensor",
        ),
        pytest.param(
            t.Datum(
                t.ModelInput(
                    chunks=[
                        t.ImageChunk(data=b"12345", format="png"),
                        t.ImageAssetPointerChunk(location="abc", format="png"),
                        t.EncodedTextChunk(tokens=[1]),
                    ]
                )
            ),
            5 + 3 + 4,
            id="raw bytes of a picture, text of a pointer",
        ),
    ],
)
def test_an_example_has_an_estimated_size(example: t.Datum, size_bytes: int) -> None:
    """As the chunk limit counts it."""
    assert estimated_bytes(example) == size_bytes


# Chunks


@pytest.mark.parametrize(
    ("n_tokens", "max_len", "max_bytes", "lengths"),
    [
        pytest.param([1, 1, 1, 1, 1], 2, 10**6, [2, 2, 1], id="the number limits"),
        pytest.param([1, 1, 1, 1, 1], 10, 8, [2, 2, 1], id="the bytes limit, reached exactly"),
        pytest.param([1, 1, 1, 1, 1], 10, 7, [1] * 5, id="one byte less"),
        pytest.param([1, 50, 1], 10, 8, [1, 1, 1], id="an oversized example stands alone"),
        pytest.param([50, 1, 1], 10, 8, [1, 2], id="and does not take others along"),
        pytest.param([2, 1, 1, 2], 10, 12, [2, 2], id="greedily, in order"),
        pytest.param([0, 0, 0], 2, 0, [2, 1], id="empty examples have no bytes"),
        pytest.param([1], 1, 0, [1], id="every chunk holds at least one"),
        pytest.param([], 1, 1, [], id="nothing"),
    ],
)
def test_a_batch_is_cut(
    n_tokens: list[int], max_len: int, max_bytes: int, lengths: list[int]
) -> None:
    """By number and by bytes, whichever comes first."""
    chunks = chunked([datum(n) for n in n_tokens], max_len=max_len, max_bytes=max_bytes)
    assert [len(chunk) for chunk in chunks] == lengths


@given(st.lists(DATUMS, max_size=12), st.integers(1, 5), st.integers(0, 200))
def test_cutting_loses_and_reorders_nothing(
    data: list[t.Datum], max_len: int, max_bytes: int
) -> None:
    """Both limits hold, but for one example that is too large by itself; no chunk is needless."""
    chunks = chunked(data, max_len=max_len, max_bytes=max_bytes)
    assert [id(d) for chunk in chunks for d in chunk] == [id(d) for d in data]
    sizes = [sum(map(estimated_bytes, chunk)) for chunk in chunks]
    for chunk, size in zip(chunks, sizes, strict=True):
        assert 1 <= len(chunk) <= max_len
        assert size <= max_bytes or len(chunk) == 1
    for chunk, size, following in zip(chunks, sizes, chunks[1:], strict=False):
        assert len(chunk) == max_len or size + estimated_bytes(following[0]) > max_bytes


# Metrics: protocol section 5.6


@pytest.mark.parametrize(
    ("name", "reduced"),
    [
        pytest.param("a:sum", {"a:sum": 7.0}, id="sum"),
        pytest.param("a:mean", {"a:mean": 1.25}, id="mean, by the number of outputs"),
        pytest.param("a:min", {"a:min": 1.0}, id="min"),
        pytest.param("a:max", {"a:max": 4.0}, id="max"),
        pytest.param("a:slack", {"a:slack": 2.75}, id="slack, largest minus mean"),
        pytest.param("a:hash2", {"a:hash2": 7}, id="hash2, a sum of integers"),
        pytest.param(
            "a:unique", {"a:unique": 1.0, "a:unique_1": 2.0, "a:unique_2": 4.0}, id="unique, each"
        ),
        pytest.param("a:median", {"a:median": 1.0}, id="another reduction, from the first chunk"),
        pytest.param("a", {"a": 1.0}, id="no reduction, from the first chunk"),
        pytest.param("a:b:sum", {"a:b:sum": 1.0}, id="two colons, from the first chunk"),
        pytest.param(":sum", {":sum": 7.0}, id="no name"),
    ],
)
def test_a_metric_is_reduced_by_its_suffix(name: str, reduced: dict[str, float]) -> None:
    """The values 1, 2 and 4 of chunks with 3, 1 and 0 outputs."""
    chunks = [{name: 1.0}, {name: 2.0}, {name: 4.0}]
    assert reduce_metrics(chunks, [3, 1, 0]) == pytest.approx(reduced)
    assert list(reduce_metrics(chunks[:1], [2])) == [name]


def test_only_metrics_of_every_chunk_are_kept() -> None:
    """In the order of the first chunk; what one chunk lacks cannot be reduced."""
    chunks = [{"b:sum": 1.0, "a:max": 2.0, "c:min": 0.0}, {"a:max": 5.0, "b:sum": 1.0, "d:sum": 9}]
    assert list(reduce_metrics(chunks, [1, 1]).items()) == [("b:sum", 2.0), ("a:max", 5.0)]
    assert reduce_metrics([], []) == {}
    assert reduce_metrics([{"a:sum": 1.0}, {}], [1, 1]) == {}


def test_a_mean_over_no_outputs_is_the_first_value() -> None:
    """Rather than a division by zero that loses the result."""
    assert reduce_metrics([{"a:mean": 3.0}, {"a:mean": 5.0}], [0, 0]) == {"a:mean": 3.0}


def test_hashes_wrap_at_64_bits() -> None:
    """The sum does not depend on the order and stays exact."""
    top = 2**64 - 1
    assert reduce_metrics([{"h:hash2": top}, {"h:hash2": 3}], [1, 1]) == {"h:hash2": 2}
    assert reduce_metrics([{"h:hash2": -1}], [1]) == {"h:hash2": top}
    assert reduce_metrics([{"h:hash2": 1.9}, {"h:hash2": 1.9}], [1, 1]) == {"h:hash2": 2}


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.integers(1, 50)),
        min_size=1,
        max_size=6,
    )
)
def test_reducing_over_chunks_is_reducing_over_examples(chunks: list[tuple[float, int]]) -> None:
    """A mean weighs every output alike, and lies between the least and the largest."""
    values = [value for value, _ in chunks]
    names = ("m:mean", "m:min", "m:max", "m:slack")
    reduced = reduce_metrics(
        [dict.fromkeys(names, value) for value in values], [n for _, n in chunks]
    )
    every = [value for value, n in chunks for _ in range(n)]
    assert reduced["m:mean"] == pytest.approx(math.fsum(every) / len(every), abs=1e-6)
    assert reduced["m:min"] == min(values)
    assert reduced["m:slack"] == pytest.approx(reduced["m:max"] - reduced["m:mean"])


def test_outputs_are_joined_in_chunk_order() -> None:
    """The type comes from the first chunk, and each chunk weighs by its outputs."""
    first = t.ForwardBackwardOutput(
        loss_fn_output_type="scalar",
        loss_fn_outputs=[{"logprobs": TARGETS}, {}],
        metrics={"loss:sum": 1.0, "x:mean": 1.0},
    )
    second = t.ForwardBackwardOutput(
        loss_fn_output_type="other", loss_fn_outputs=[{}], metrics={"loss:sum": 2.0, "x:mean": 4.0}
    )
    both = combine_outputs([first, second])
    assert both.loss_fn_output_type == "scalar"
    assert both.loss_fn_outputs == [{"logprobs": TARGETS}, {}, {}]
    assert both.metrics == {"loss:sum": 3.0, "x:mean": 2.0}
    both.metrics["mine"] = 1.0
    assert "mine" not in first.metrics
