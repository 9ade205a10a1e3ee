from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tinker_lite.local.base_models import (
    END_OF_TEXT,
    WEIGHTS_PATH,
    BaseModel,
    base_model_names,
    load_base_model,
)
from tinker_lite.local.generation import DecodingParams, generate, score_prompt
from tinker_lite.local.transformer import IntArray, weight_sizes

ENGLISH = "tinker-lite/english-bytes"
SENTENCE = (
    "She had been a friend of the family for many years, and was very much attached to them. "
)


def byte_tokens(text: str) -> IntArray:
    """Token i is byte i."""
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


def own_logprobs(base: BaseModel, tokens: IntArray) -> npt.NDArray[np.float32]:
    """What each token but the first costs, given those before it."""
    table = score_prompt(base.shape, base.weights, tokens)
    return table[np.arange(len(table)), tokens[1:]]


@pytest.mark.parametrize("name", base_model_names())
def test_every_model_has_all_weights_of_its_shape(name: str) -> None:
    """Names and sizes are those the transformer expects; everything is float32 and finite."""
    base = load_base_model(name)
    sizes = {key: array.shape for key, array in base.weights.items()}
    assert sizes == weight_sizes(base.shape)
    assert base.name == name
    assert all(array.dtype == np.float32 for array in base.weights.values())
    assert all(np.isfinite(array).all() for array in base.weights.values())


@pytest.mark.parametrize("name", base_model_names())
def test_a_model_is_loaded_once_and_cannot_be_written_to(name: str) -> None:
    """Callers share one frozen copy."""
    base = load_base_model(name)
    assert load_base_model(name) is base
    assert not any(array.flags.writeable for array in base.weights.values())


def test_an_unknown_model_is_refused_with_the_known_names() -> None:
    """The error names the field, what was asked for, and what there is."""
    with pytest.raises(LookupError, match="base_model: there is no model 'llama' here") as caught:
        load_base_model("llama")
    assert all(name in str(caught.value) for name in base_model_names())


def test_the_weights_file_is_small_enough_to_ship() -> None:
    """At most 700 KB in the wheel."""
    assert WEIGHTS_PATH.stat().st_size <= 700_000


def test_the_english_model_has_learnt_english() -> None:
    """A plain sentence costs under 1.5 nats a byte, its letters in disorder over 2.5."""
    base = load_base_model(ENGLISH)
    shuffled = np.random.default_rng(0).permutation(byte_tokens(SENTENCE))
    costs = [
        -float(own_logprobs(base, tokens).mean()) for tokens in (byte_tokens(SENTENCE), shuffled)
    ]
    assert costs[0] < 1.5
    assert costs[1] > 2.5


def test_the_english_model_reads_its_whole_context() -> None:
    """Far past the length of its training windows a repeated sentence is still cheap."""
    base = load_base_model(ENGLISH)
    tokens = byte_tokens(SENTENCE * 20)[: base.shape.context_length]
    assert len(tokens) == base.shape.context_length
    assert -float(own_logprobs(base, tokens)[-256:].mean()) < 1.5


def test_the_english_model_writes_printable_text() -> None:
    """Samples are made of the characters of prose, and now and then of the end of a text."""
    base = load_base_model(ENGLISH)
    params = DecodingParams(max_tokens=100, seed=1, temperature=0.8)
    for sequence in generate(base.shape, base.weights, byte_tokens("It was "), params, 4):
        text = bytes(token for token in sequence.tokens.tolist() if token != END_OF_TEXT)
        assert text.decode("ascii").isprintable() or b"\n" in text
        assert text.count(b" ") > len(text) / 12
