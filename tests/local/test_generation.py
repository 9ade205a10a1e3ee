from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.generation import (
    DecodingParams,
    GeneratedSequence,
    draw_tokens,
    generate,
    log_softmax,
    score_prompt,
    top_rows,
)
from tinker_lite.local.transformer import forward

BASE = load_base_model("tinker-lite/tiny-random")
SHAPE, WEIGHTS = BASE.shape, BASE.weights
PROMPT = np.frombuffer(b"In the beginning", np.uint8).astype(np.int64)
NO_STOP = DecodingParams(max_tokens=20, seed=7, stop=[])


def run(params: DecodingParams, num_samples: int = 1) -> list[GeneratedSequence]:
    """Continue the prompt of these tests."""
    return generate(SHAPE, WEIGHTS, PROMPT, params, num_samples)


def tokens_of(sequences: list[GeneratedSequence]) -> list[list[int]]:
    """Return the tokens alone, for comparison."""
    return [sequence.tokens.tolist() for sequence in sequences]


def logprobs_without_cache(sequence: GeneratedSequence) -> npt.NDArray[np.float32]:
    """Log-probabilities of all tokens (n, V) at each place of the sequence, in one pass."""
    whole = np.concatenate([PROMPT, sequence.tokens])[None]
    logits, _ = forward(SHAPE, WEIGHTS, whole)
    return log_softmax(logits)[len(PROMPT) - 1 : -1]


def test_greedy_takes_the_likeliest_token_of_a_pass_without_cache() -> None:
    """At temperature 0 every token is the best one given all before it; seeds do not matter."""
    (sequence,) = run(DecodingParams(max_tokens=20, stop=[], temperature=0.0))
    assert np.array_equal(sequence.tokens, logprobs_without_cache(sequence).argmax(axis=1))
    assert tokens_of(run(replace(NO_STOP, temperature=0.0))) == [sequence.tokens.tolist()]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_logprobs_are_the_models_own_at_any_temperature(temperature: float) -> None:
    """They equal the log softmax of the raw logits of a pass without cache."""
    params = replace(NO_STOP, temperature=temperature, top_k=5, top_p=0.9)
    for sequence in run(params, 3):
        expected = logprobs_without_cache(sequence)[np.arange(20), sequence.tokens]
        np.testing.assert_allclose(sequence.logprobs, expected, atol=1e-4)
        assert sequence.logprobs.dtype == np.float32


def test_a_seed_gives_the_same_set_of_different_texts() -> None:
    """The set is reproducible, its members differ, and another seed gives another set."""
    first = tokens_of(run(NO_STOP, 4))
    assert tokens_of(run(NO_STOP, 4)) == first
    assert len({tuple(tokens) for tokens in first}) == 4
    assert tokens_of(run(replace(NO_STOP, seed=8), 4)) != first
    assert tokens_of(run(replace(NO_STOP, seed=-1), 1)) != first[:1]


def test_the_first_texts_do_not_depend_on_how_many_are_asked_for() -> None:
    """Sequence i has random numbers of its own."""
    assert tokens_of(run(NO_STOP, 4))[:2] == tokens_of(run(NO_STOP, 2))


def test_without_a_seed_texts_differ_between_calls() -> None:
    """None draws a fresh seed."""
    params = replace(NO_STOP, seed=None)
    assert tokens_of(run(params)) != tokens_of(run(params))


def test_a_sequence_that_stops_leaves_the_others_unchanged() -> None:
    """Stopping one text of a group early changes no other text of it."""
    free = tokens_of(run(NO_STOP, 4))
    stopped = run(replace(NO_STOP, stop=[free[1][4]]), 4)
    for sequence, tokens in zip(stopped, free, strict=True):
        end = tokens.index(free[1][4]) + 1 if free[1][4] in tokens else 20
        assert sequence.tokens.tolist() == tokens[:end]
        assert sequence.stop_reason == ("stop" if free[1][4] in tokens else "length")
        assert len(sequence.logprobs) == end


def test_by_default_byte_0_stops() -> None:
    """None stops at the end-of-text byte, which is kept; any other stop, or [], takes its place."""
    uniform = np.zeros((256, SHAPE.d_model), np.float32)  # byte 0 comes within the context
    weights = {**WEIGHTS, "unembedding": uniform}
    params = DecodingParams(seed=5)
    ended = [s for s in generate(SHAPE, weights, PROMPT, params, 8) if s.stop_reason == "stop"]
    assert ended
    assert all(s.tokens[-1] == 0 and (s.tokens[:-1] != 0).all() for s in ended)
    for stop in ([], [300], "never this"):
        free = generate(SHAPE, weights, PROMPT, replace(params, stop=stop), 8)
        assert {s.stop_reason for s in free} == {"length"}
        assert any((s.tokens == 0).any() for s in free)


@pytest.mark.parametrize("form", ["a text", "texts", "token ids"])
def test_every_form_of_stop_ends_the_text_after_the_stop(form: str) -> None:
    """A text may span tokens; what stopped it is kept."""
    params = replace(NO_STOP, top_k=4)
    (free,) = run(params)
    tokens = free.tokens.tolist()
    first = next(i for i in range(1, 20) if max(tokens[i - 1 : i + 1]) < 128)
    text = bytes(tokens[first - 1 : first + 1]).decode()
    stop = {"a text": text, "texts": ["never this", text], "token ids": [300, tokens[first]]}[form]
    (sequence,) = run(replace(params, stop=stop))
    end = first + 1 if form != "token ids" else tokens.index(tokens[first]) + 1
    assert sequence.tokens.tolist() == tokens[:end]
    assert sequence.stop_reason == "stop"


def test_texts_end_at_max_tokens_or_at_the_context() -> None:
    """Both are "length"; None and too many go up to the context."""
    assert [len(s.tokens) for s in run(replace(NO_STOP, max_tokens=1), 2)] == [1, 1]
    for max_tokens in (None, 10_000):
        (sequence,) = run(replace(NO_STOP, max_tokens=max_tokens))
        assert len(PROMPT) + len(sequence.tokens) == SHAPE.context_length
        assert sequence.stop_reason == "length"


LOGITS = np.log(np.array([[0.1, 0.4, 0.05, 0.3, 0.15]], np.float32))
DRAWS = np.linspace(0, 1, 2000, endpoint=False)


def frequencies(**fields: Any) -> list[float]:
    """How often each of the five tokens comes up over evenly spaced draws."""
    logits = LOGITS.repeat(len(DRAWS), axis=0)
    tokens = draw_tokens(logits, DRAWS, DecodingParams(**fields))
    return [float(f) for f in np.bincount(tokens, minlength=5) / len(DRAWS)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        ({"top_k": 0}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_k": 99}, [0.1, 0.4, 0.05, 0.3, 0.15]),
        ({"top_p": 0.5}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.72}, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        ({"top_p": 1e-9}, [0, 1, 0, 0, 0]),
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0, 0]),
        ({"temperature": 0.5}, [p * p / 0.285 for p in (0.1, 0.4, 0.05, 0.3, 0.15)]),
        ({"temperature": 0.5, "top_p": 0.56}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e-300}, [0, 1, 0, 0, 0]),
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
    ],
    ids=str,
)  # fmt: skip
def test_draws_follow_the_shaped_distribution(
    fields: dict[str, Any], expected: list[float]
) -> None:
    """Temperature first, then top_k, then the fewest that hold top_p; the rest is rescaled."""
    assert frequencies(**fields) == pytest.approx(expected, abs=2e-3)


def test_the_largest_draw_lands_on_a_token_that_was_kept() -> None:
    """Rounding never lets a draw below 1 fall behind the last kept token."""
    last_draw = np.array([np.nextafter(1.0, 0.0)])
    generator = np.random.default_rng(0)
    for _ in range(200):
        logits = generator.normal(0, 3, (1, 256)).astype(np.float32)
        (token,) = draw_tokens(logits, last_draw, DecodingParams(top_k=7))
        assert token == np.argsort(-logits[0])[6]


def test_equally_likely_tokens_rank_by_id() -> None:
    """Ties are broken one way, so that greedy decoding is the same everywhere."""
    tied = np.zeros((1, 256), np.float32)
    assert draw_tokens(tied, np.array([0.9]), DecodingParams(temperature=0.0)).tolist() == [0]
    assert draw_tokens(tied, np.array([0.9]), DecodingParams(top_k=1)).tolist() == [0]


def test_prompts_are_scored_place_by_place() -> None:
    """Each place but the first has the log-probabilities of all tokens."""
    table = score_prompt(SHAPE, WEIGHTS, PROMPT)
    expected = log_softmax(forward(SHAPE, WEIGHTS, PROMPT[None])[0])[:-1]
    np.testing.assert_allclose(table, expected, atol=1e-5)


def test_the_likeliest_tokens_come_in_order() -> None:
    """Best first, ties by id; none if none are asked for."""
    logprobs = np.log(np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]], np.float32))
    rows = top_rows(logprobs, 2)
    assert [[token for token, _ in row] for row in rows] == [[1, 2], [0, 2]]
    assert rows[0] == [(1, float(logprobs[0, 1])), (2, float(logprobs[0, 2]))]
    assert top_rows(logprobs, 0) == [[], []]


def test_the_likeliest_tokens_are_reported_as_they_were_drawn_from() -> None:
    """Each place of a text has its own; the greedy one leads, and the drawn one is its logprob."""
    params = DecodingParams(max_tokens=5, temperature=0.0, stop=[])
    for sequence in generate(SHAPE, WEIGHTS, PROMPT, params, 2, n_top=3):
        assert [len(row) for row in sequence.tops] == [3] * 5
        first = [row[0] for row in sequence.tops]
        assert first == list(zip(sequence.tokens, sequence.logprobs, strict=True))


def test_a_prompt_of_one_token_has_nothing_to_score() -> None:
    """There is no token before the first."""
    assert score_prompt(SHAPE, WEIGHTS, np.array([65])).shape == (0, 256)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "prompt: is empty"),
        ([1, 256], "prompt: token 256 is not in 0 to 255"),
        ([1, -1], "prompt: token -1 is not in 0 to 255"),
        ([0.5], r"prompt: must be a list of token ids, got float64 \(1,\)"),
        ([[1]], r"prompt: must be a list of token ids, got int64 \(1, 1\)"),
        ([1] * 256, "prompt: has 256 tokens and leaves no room for 1 more; the context is 256"),
        ([1] * 300, "prompt: has 300 tokens and leaves no room for 1 more; the context is 256"),
    ],
    ids=["empty", "token too large", "token negative", "floats", "nested", "full", "too long"],
)
def test_an_unusable_prompt_is_refused(prompt: list[Any], message: str) -> None:
    """The error says what is wrong, with the prompt's length where that is it."""
    array = np.array(prompt, np.int64 if not prompt else None)
    with pytest.raises(ValueError, match=message):
        generate(SHAPE, WEIGHTS, array, NO_STOP, 1)


def test_a_prompt_as_long_as_the_context_can_be_scored_but_no_longer() -> None:
    """Scoring needs no room for another token."""
    full = np.ones(256, np.int64)
    assert score_prompt(SHAPE, WEIGHTS, full).shape == (255, 256)
    with pytest.raises(ValueError, match="prompt: has 257 tokens; the context is 256 tokens"):
        score_prompt(SHAPE, WEIGHTS, np.ones(257, np.int64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": 0}, "max_tokens: must be 1 or more, got 0"),
        ({"temperature": -0.1}, "temperature: must be 0 or more"),
        ({"temperature": float("nan")}, "temperature: must be 0 or more"),
        ({"top_k": -2}, r"top_k: must be -1 \(off\) or more"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p: must be above 0 and at most 1"),
        ({"stop": ""}, "stop: must be a text, texts or token ids"),
        ({"stop": ["a", ""]}, "stop: must be a text, texts or token ids"),
        ({"stop": ["a", 3]}, "stop: must be a text, texts or token ids"),
    ],
    ids=str,
)
def test_a_parameter_out_of_range_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    """The error names the field and what it may be."""
    with pytest.raises(ValueError, match=r"sampling_params\." + message):
        DecodingParams(**fields)


def test_at_least_one_sample_is_asked_for() -> None:
    """num_samples 0 is refused."""
    with pytest.raises(ValueError, match="num_samples: must be 1 or more, got 0"):
        run(NO_STOP, 0)
