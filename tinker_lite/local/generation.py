"""Sampling from a model token by token, and scoring of prompts.

All sequences of a request are decoded together over one key-value cache; a sequence that has
ended leaves the group. Weights come in as they are: whether an adapter is merged into them is
not known here.

Log-probabilities are always the model's own, the log softmax of its logits: temperature, top_k
and top_p shape what is drawn, not what is reported.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tinker_lite.local.base_models import END_OF_TEXT
from tinker_lite.local.blas import single_threaded_blas
from tinker_lite.local.transformer import IntArray, KeyValueCache, ModelShape, Weights, forward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinker_lite.local.layers import FloatArray

# Tokens and their log-probabilities, the likeliest first.
TopRow: TypeAlias = "list[tuple[int, float]]"


@dataclass(frozen=True)
class DecodingParams:
    """How to sample, field for field as in a request.

    ``stop``: None ends at byte 0; a string, strings or token ids end there instead, and ``[]``
    nowhere. ``temperature`` 0 takes the likeliest token; otherwise logits are divided by it, then
    the ``top_k`` likeliest are kept (-1 or 0: all), then the fewest that hold ``top_p``.
    ``seed`` None draws one.

    Raises:
        ValueError: A field is out of range; the text names it.
    """

    max_tokens: int | None = None
    seed: int | None = None
    stop: str | Sequence[str] | Sequence[int] | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise _param_error("max_tokens", "1 or more", self.max_tokens)
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise _param_error("temperature", "0 or more", self.temperature)
        if self.top_k < -1:
            raise _param_error("top_k", "-1 (off) or more", self.top_k)
        if not 0 < self.top_p <= 1:
            raise _param_error("top_p", "above 0 and at most 1", self.top_p)
        self.stop_sequences()

    def stop_sequences(self) -> list[list[int]]:
        """Return the token sequences that end a text."""
        if self.stop is None:
            return [[END_OF_TEXT]]
        stops: list[str | int] = [self.stop] if isinstance(self.stop, str) else [*self.stop]
        if len({type(stop) for stop in stops}) > 1 or "" in stops:
            raise _param_error("stop", "a text, texts or token ids, none of them empty", self.stop)
        return [list(stop.encode()) if isinstance(stop, str) else [stop] for stop in stops]


def _param_error(name: str, wanted: str, got: object) -> ValueError:
    return ValueError(f"sampling_params.{name}: must be {wanted}, got {got!r}")


@dataclass(frozen=True)
class GeneratedSequence:
    """One sampled text.

    ``tokens`` int64 (n,) without the prompt but with what stopped it; ``logprobs`` float32 (n,);
    ``stop_reason`` "stop" or "length"; ``tops`` the likeliest tokens at each place.
    """

    tokens: IntArray
    logprobs: FloatArray
    stop_reason: str
    tops: list[TopRow]


def check_prompt(
    shape: ModelShape, prompt: IntArray, n_more: int = 0, name: str = "prompt"
) -> None:
    """Check that a prompt (P,) can be read and leaves room for ``n_more`` tokens.

    Raises:
        ValueError: It is empty, too long, or holds a token out of range; the text calls it by
            ``name``.
    """
    if prompt.ndim != 1 or prompt.dtype.kind not in "iu":
        raise ValueError(f"{name}: must be a list of token ids, got {prompt.dtype} {prompt.shape}")
    if not prompt.size:
        raise ValueError(f"{name}: is empty; give at least one token, such as byte 0")
    if not (prompt.min() >= 0 and prompt.max() < shape.n_vocab):
        wrong = prompt[(prompt < 0) | (prompt >= shape.n_vocab)][0]
        raise ValueError(f"{name}: token {wrong} is not in 0 to {shape.n_vocab - 1}")
    if len(prompt) + n_more > shape.context_length:
        room = f" and leaves no room for {n_more} more" if n_more else ""
        raise ValueError(
            f"{name}: has {len(prompt)} tokens{room}; the context is {shape.context_length} tokens"
        )


@single_threaded_blas()
def generate(
    shape: ModelShape,
    weights: Weights,
    prompt: IntArray,
    params: DecodingParams,
    num_samples: int,
    n_top: int = 0,
) -> list[GeneratedSequence]:
    """Continue a prompt ``num_samples`` times.

    Sequence i draws from a generator of its own, seeded by (seed, i): the same request gives the
    same texts, and the first of them do not depend on how many are asked for.

    Args:
        shape: The sizes of the model.
        weights: Every weight, by name.
        prompt: Token ids (P,), at least one.
        params: How to sample. ``max_tokens`` None, or too many, ends at the context's end.
        num_samples: How many sequences, at least one.
        n_top: How many of the likeliest tokens to report at each place.

    Raises:
        ValueError: The prompt is unusable or fills the context, or num_samples is below 1.
    """
    check_prompt(shape, prompt, n_more=1)
    if num_samples < 1:
        raise ValueError(f"num_samples: must be 1 or more, got {num_samples}")
    room = shape.context_length - len(prompt)
    max_tokens = room if params.max_tokens is None else min(params.max_tokens, room)
    cache = KeyValueCache(shape, 1, len(prompt) + max_tokens)
    logits = forward(shape, weights, prompt[None], cache)[0][-1:]
    drafts = _new_drafts(params, num_samples)
    running = np.arange(num_samples)
    cache = cache.select(np.zeros(num_samples, np.intp))
    logits = logits.repeat(num_samples, axis=0)
    for _ in range(max_tokens - 1):
        is_open = _extend_drafts([drafts[i] for i in running], logits, params, n_top)
        if not is_open.all():
            running, cache = running[is_open], cache.select(np.flatnonzero(is_open))
        if not running.size:
            return [draft.finished() for draft in drafts]
        last = np.array([[drafts[i].tokens[-1]] for i in running])
        logits = forward(shape, weights, last, cache)[0]
    _extend_drafts([drafts[i] for i in running], logits, params, n_top)
    return [draft.finished() for draft in drafts]


class _Draft:
    """One sequence while it grows."""

    def __init__(self, generator: np.random.Generator, stops: list[list[int]]) -> None:
        self.generator, self.tokens = generator, list[int]()
        self._stops, self._logprobs, self._tops = stops, list[float](), list[TopRow]()
        self.is_open = True

    def append(self, token: int, logprob: float, top: TopRow) -> None:
        self.tokens.append(token)
        self._logprobs.append(logprob)
        self._tops.append(top)
        self.is_open = not any(self.tokens[-len(stop) :] == stop for stop in self._stops)

    def finished(self) -> GeneratedSequence:
        reason = "length" if self.is_open else "stop"
        logprobs = np.array(self._logprobs, np.float32)
        return GeneratedSequence(np.array(self.tokens, np.int64), logprobs, reason, self._tops)


def _new_drafts(params: DecodingParams, num_samples: int) -> list[_Draft]:
    seed = secrets.randbits(64) if params.seed is None else params.seed % 2**64
    stops = params.stop_sequences()
    generators = [np.random.Generator(np.random.PCG64([seed, i])) for i in range(num_samples)]
    return [_Draft(generator, stops) for generator in generators]


def _extend_drafts(
    drafts: list[_Draft], logits: FloatArray, params: DecodingParams, n_top: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Draw one token for each draft from its row of logits (n, V); return which stay open (n,)."""
    logprobs = log_softmax(logits)
    draws = np.array([draft.generator.random() for draft in drafts])
    tokens, tops = draw_tokens(logits, draws, params), top_rows(logprobs, n_top)
    for draft, token, row, top in zip(drafts, tokens, logprobs, tops, strict=True):
        draft.append(int(token), float(row[token]), top)
    return np.array([draft.is_open for draft in drafts])


def draw_tokens(
    logits: FloatArray, draws: np.ndarray[tuple[int], np.dtype[np.float64]], params: DecodingParams
) -> IntArray:
    """Turn logits (n, V) and uniform draws (n,) in [0, 1) into tokens (n,)."""
    order: IntArray = np.argsort(-logits, axis=1, kind="stable")  # likeliest first; ties by id
    if params.temperature == 0:
        return order[:, 0]
    ranked = np.take_along_axis(logits, order, axis=1).astype(np.float64)
    with np.errstate(over="ignore"):  # near temperature 0 all but the likeliest go to exp(-inf)
        likelihood = np.exp((ranked - ranked[:, :1]) / params.temperature)
    if params.top_k > 0:
        likelihood[:, params.top_k :] = 0
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    if params.top_p < 1:
        likelihood[np.cumsum(likelihood, axis=1) - likelihood >= params.top_p] = 0
    cumulative = np.cumsum(likelihood, axis=1)
    total = cumulative[:, -1:]
    # Strictly below the total, rounding or not: every draw lands on a token that was kept.
    targets = np.minimum(draws[:, None] * total, np.nextafter(total, 0))
    chosen = (cumulative <= targets).sum(axis=1)
    tokens: IntArray = np.take_along_axis(order, chosen[:, None], axis=1)[:, 0]
    return tokens


def log_softmax(logits: FloatArray) -> FloatArray:
    """Return the log-probabilities (n, V) of logits (n, V), in nats."""
    shifted: FloatArray = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def top_rows(logprobs: FloatArray, k: int) -> list[TopRow]:
    """Return the k likeliest tokens of each row (n, V), best first; ties by id."""
    if not k:
        return [[] for _ in logprobs]
    ids = np.argsort(-logprobs, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(logprobs, ids, axis=1)
    return [list(zip(*row, strict=True)) for row in zip(ids.tolist(), best.tolist(), strict=True)]


@single_threaded_blas()
def score_prompt(shape: ModelShape, weights: Weights, prompt: IntArray) -> FloatArray:
    """Return the log-probabilities of all tokens at each place of a prompt but the first.

    Args:
        shape: The sizes of the model.
        weights: Every weight, by name.
        prompt: Token ids (P,), at least one.

    Returns:
        (P - 1, V), in nats; row i is for the token at i + 1, given those before it.

    Raises:
        ValueError: The prompt is unusable.
    """
    check_prompt(shape, prompt)
    return log_softmax(forward(shape, weights, prompt[None])[0])[:-1]
