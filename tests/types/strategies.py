"""Values of the protocol's types for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from tinker_lite import types as t

TOKENS = st.lists(st.integers(0, 2**31 - 1), max_size=8)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(max_size=4)
FORMATS = st.sampled_from(("png", "jpeg"))
COUNTS = st.none() | st.integers(0, 10_000)

TEXT_CHUNKS = st.builds(t.EncodedTextChunk, tokens=TOKENS)
CHUNKS = st.one_of(
    TEXT_CHUNKS,
    st.builds(t.ImageChunk, data=st.binary(), format=FORMATS, expected_tokens=COUNTS),
    st.builds(t.ImageAssetPointerChunk, location=st.text(), format=FORMATS, expected_tokens=COUNTS),
)
MODEL_INPUTS = st.builds(t.ModelInput, chunks=st.lists(CHUNKS, max_size=4))


@st.composite
def tensors(draw: st.DrawFn) -> t.TensorData:
    """A tensor of either dtype, without a shape, with one, or sparse."""
    kind = draw(st.sampled_from(("flat", "shaped", "sparse")))
    n = draw(st.integers(0, 12))
    dtype: t.TensorDtype = draw(st.sampled_from(("int64", "float32")))
    numbers = INT64 if dtype == "int64" else FLOATS
    values = draw(st.lists(numbers, min_size=n, max_size=n))
    if kind == "flat":
        return t.TensorData(values, dtype)
    if kind == "shaped":
        return t.TensorData(values, dtype, draw(st.sampled_from(([n], [1, n], [n, 1, 1]))))
    return t.TensorData(values, dtype, [1, n + 1], [0, n], list(range(n)))


DATUMS = st.builds(t.Datum, MODEL_INPUTS, st.dictionaries(st.text(), tensors(), max_size=3))
SAMPLING_PARAMS = st.builds(
    t.SamplingParams,
    max_tokens=COUNTS,
    seed=st.none() | st.integers(0, 2**64 - 1),
    stop=st.none() | st.text() | st.lists(st.text(), max_size=2) | TOKENS,
    temperature=st.floats(0, 10),
    top_k=st.integers(-1, 50),
    top_p=st.floats(0, 1),
)
SAMPLE_REQUESTS = st.builds(
    t.SampleRequest,
    num_samples=st.integers(1, 4),
    prompt=MODEL_INPUTS,
    sampling_params=SAMPLING_PARAMS,
    sampling_session_id=st.none() | st.text(),
    seq_id=st.none() | INT64,
    prompt_logprobs=st.none() | st.booleans(),
    target_prompt_logprobs=st.none() | tensors(),
    prompt_logprobs_last_n=COUNTS,
)
FORWARD_BACKWARD_REQUESTS = st.builds(
    t.ForwardBackwardRequest,
    forward_backward_input=st.builds(
        t.ForwardBackwardInput,
        data=st.lists(DATUMS, max_size=3),
        loss_fn=st.text(),
        loss_fn_config=st.none() | st.dictionaries(st.text(), FLOATS | st.text(), max_size=2),
    ),
    model_id=st.text(),
    seq_id=st.none() | st.integers(0, 2**31 - 1),
)
