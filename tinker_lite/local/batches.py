"""One pass over a batch of examples: checked, grouped by length, computed, put together again.

Groups are formed from the lengths alone and their gradients added in one order, so a batch gives
the same bits every time, however many threads share the groups.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinker_lite.local.blas import n_workers, single_threaded_blas
from tinker_lite.local.generation import check_prompt, log_softmax
from tinker_lite.local.losses import (
    TARGETS,
    check_loss_inputs,
    complete_config,
    loss_and_gradient,
)
from tinker_lite.local.transformer import IntArray, ModelShape, Weights, backward, forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tinker_lite.local.layers import FloatArray

AnyArray = npt.NDArray[Any]

# A group holds at most so many tokens, padding included (or one longer example): enough for
# efficient matrix products, few enough that what passes between them stays in the cache.
GROUP_TOKENS = 1024


@dataclass(frozen=True)
class Example:
    """One training example: input tokens (T,), and the arrays its loss needs (see ``losses``)."""

    tokens: AnyArray
    loss_inputs: Mapping[str, AnyArray]


@dataclass(frozen=True)
class LossOutput:
    """What a pass over a batch gives.

    ``logprobs``: per example, float32 of the shape of its target tokens, in nats.
    ``metrics``: ``loss:sum``, the loss summed over all tokens of all examples.
    """

    logprobs: tuple[FloatArray, ...]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Objective:
    """A loss by name, and its settings."""

    loss_fn: str
    config: Mapping[str, object]


class _GroupResult(NamedTuple):
    logprobs: list[FloatArray]
    loss: float
    gradients: dict[str, FloatArray]


@single_threaded_blas()
def run_batch(
    shape: ModelShape,
    weights: Weights,
    examples: Sequence[Example],
    objective: Objective,
    trained: frozenset[str],
) -> tuple[LossOutput, dict[str, FloatArray]]:
    """Compute loss, log-probabilities, and the gradients of the matrices named in ``trained``.

    Args:
        shape: The sizes of the model.
        weights: Every weight, by name.
        examples: The batch, one or more, of any lengths up to the context.
        objective: The loss.
        trained: Empty for a forward pass only.

    Raises:
        ValueError: The batch or the loss cannot be used; the text names the example and field.
    """
    complete_config(objective.loss_fn, objective.config)
    check_batch(shape, examples, objective.loss_fn)
    groups = list(_groups([len(example.tokens) for example in examples]))

    def run(group: list[int]) -> _GroupResult:
        return _run_group(shape, weights, [examples[i] for i in group], objective, trained)

    logprobs: dict[int, FloatArray] = {}
    loss = 0.0
    gradients: dict[str, FloatArray] = {}
    with ThreadPoolExecutor(n_workers()) as threads:
        for group, result in _in_waves(threads, run, groups):
            logprobs |= zip(group, result.logprobs, strict=True)
            loss += result.loss
            for name, gradient in result.gradients.items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
    ordered = tuple(logprobs[i] for i in range(len(examples)))
    return LossOutput(ordered, {"loss:sum": loss}), gradients


def _in_waves(
    threads: ThreadPoolExecutor, run: Callable[[list[int]], _GroupResult], groups: list[list[int]]
) -> Iterator[tuple[list[int], _GroupResult]]:
    """Compute the groups in order, as many at a time as there are threads.

    Handing them all over at once would keep a process that was told to end at work until the
    last of them.
    """
    n_threads = n_workers()
    for start in range(0, len(groups), n_threads):
        wave = groups[start : start + n_threads]
        yield from zip(wave, _map(threads, run, wave), strict=True)


def _map(
    threads: ThreadPoolExecutor, run: Callable[[list[int]], _GroupResult], wave: list[list[int]]
) -> Iterator[_GroupResult]:
    try:
        return threads.map(run, wave)
    except RuntimeError:  # the interpreter is ending and starts no threads: this one does it all
        return map(run, wave)


def check_batch(shape: ModelShape, examples: Sequence[Example], loss_fn: str) -> None:
    """Check every example against the model and what the loss needs.

    Raises:
        ValueError: The batch is empty, or an example cannot be used; the text names it.
    """
    if not examples:
        raise ValueError("data: the batch is empty; give at least one example")
    for i, example in enumerate(examples):
        try:
            check_prompt(shape, example.tokens, name="model_input")
            check_loss_inputs(loss_fn, example.loss_inputs, len(example.tokens), shape.n_vocab)
        except ValueError as error:
            raise ValueError(f"data[{i}].{error}") from error


def _groups(lengths: list[int]) -> Iterator[list[int]]:
    """Share examples out, by index, into groups of like length and bounded size."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        n_members = max(1, GROUP_TOKENS // lengths[order[0]])
        yield order[:n_members]
        order = order[n_members:]


def _run_group(
    shape: ModelShape,
    weights: Weights,
    members: list[Example],
    objective: Objective,
    trained: frozenset[str],
) -> _GroupResult:
    tokens = _padded([example.tokens for example in members])
    logits, tape = forward(shape, weights, tokens)
    table = log_softmax(logits).reshape(*tokens.shape, -1)
    d_logits = np.zeros_like(table)
    found: list[FloatArray] = []
    total = 0.0
    for row, d_row, example in zip(table, d_logits, members, strict=True):
        targets = example.loss_inputs[TARGETS]
        places = np.arange(len(targets))[:, None]
        logprobs = row[places, _as_rows(targets)].reshape(targets.shape)
        loss, d_logprobs = loss_and_gradient(
            objective.loss_fn, logprobs, example.loss_inputs, objective.config
        )
        total += loss
        found.append(logprobs)
        if trained:
            _set_logit_gradient(d_row, row, _as_rows(targets), _as_rows(d_logprobs))
    if not trained:
        return _GroupResult(found, total, {})
    d_flat = d_logits.reshape(logits.shape)
    return _GroupResult(found, total, backward(shape, weights, tape, d_flat, trained))


def _set_logit_gradient(
    d_row: FloatArray, row: FloatArray, targets: IntArray, d_logprobs: FloatArray
) -> None:
    """Write the gradient of one example's logits into d_row (T, V), which holds zeros.

    ``row`` holds the log-probabilities of all tokens (T, V); ``targets`` and ``d_logprobs`` are
    (t, K) for the first t places, the others being padding.
    """
    n_targets = len(targets)
    d_row[:n_targets] = np.exp(row[:n_targets]) * -d_logprobs.sum(axis=1, keepdims=True)
    places = np.arange(n_targets)[:, None]
    np.add.at(d_row, (places, targets), d_logprobs)  # a token may be a target twice at one place


def _padded(sequences: list[AnyArray]) -> IntArray:
    tokens = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[: len(sequence)] = sequence
    return tokens


def _as_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape(len(values), -1)
