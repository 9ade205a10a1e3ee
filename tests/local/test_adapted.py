from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.local import torch_reference as reference
from tinker_lite.local import batches
from tinker_lite.local.adam import AdamHyper
from tinker_lite.local.adapted import AdaptedModel, base_snapshot
from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.batches import Example, Objective, run_batch
from tinker_lite.local.generation import DecodingParams
from tinker_lite.local.lora import (
    LoraSpec,
    adapted_matrices,
    adapter_gradients,
    merged_weights,
    new_adapter,
)
from tinker_lite.local.losses import LOSS_FUNCTIONS, complete_config

BASE = load_base_model("tinker-lite/tiny-random")
SPEC = LoraSpec(rank=4, seed=1)
LENGTHS = (5, 70, 1, 33)
STEP = AdamHyper(learning_rate=0.02)


def example(loss_fn: str, n_tokens: int, seed: int, n_targets: int = 0) -> Example:
    """An example with everything its loss needs, of random content."""
    generator = np.random.default_rng([seed, n_tokens])
    size = (n_tokens, n_targets) if n_targets else (n_tokens,)
    inputs: dict[str, npt.NDArray[Any]] = {"target_tokens": generator.integers(0, 256, size)}
    if loss_fn == "cross_entropy":
        inputs["weights"] = generator.standard_normal(size, np.float32)
    else:
        inputs["logprobs"] = generator.normal(-5.5, 0.5, size).astype(np.float32)
        inputs["advantages"] = generator.standard_normal(size, np.float32)
    if loss_fn == "gspo":
        inputs["sequence_ratio_mask"] = (generator.random(size) < 0.8).astype(np.float32)
        inputs["sequence_ratio_mask"][0] = 1  # a sequence of no tokens has no ratio
    return Example(generator.integers(0, 256, n_tokens), inputs)


def batch(loss_fn: str = "cross_entropy", seed: int = 0, n_targets: int = 0) -> list[Example]:
    """Four examples of unequal lengths."""
    return [example(loss_fn, n, seed, n_targets) for n in LENGTHS]


def random_adapter(spec: LoraSpec) -> dict[str, npt.NDArray[np.float32]]:
    """An adapter with both factors away from zero, so that both have gradients."""
    generator = np.random.default_rng(9)
    fresh = new_adapter(BASE.shape, spec)
    return {n: generator.normal(0, 0.05, a.shape).astype(np.float32) for n, a in fresh.items()}


def same(one: dict[str, npt.NDArray[Any]], other: dict[str, npt.NDArray[Any]]) -> bool:
    """Whether two states agree bit for bit."""
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


def full_state(model: AdaptedModel) -> dict[str, npt.NDArray[Any]]:
    """Everything a checkpoint may hold."""
    return model.state_dict(include_optimizer=True)


@pytest.mark.parametrize(
    ("loss_fn", "n_targets"), [*((name, 0) for name in LOSS_FUNCTIONS), ("cross_entropy", 3)]
)
def test_logprobs_and_adapter_gradients_equal_autograd(loss_fn: str, n_targets: int) -> None:
    """Over a batch of unequal lengths, for every loss, within 1e-4 of torch."""
    adapter, examples = random_adapter(SPEC), batch(loss_fn, n_targets=n_targets)
    output, matrix_gradients = run_batch(
        BASE.shape,
        merged_weights(BASE.weights, adapter),
        examples,
        Objective(loss_fn, {}),
        frozenset(adapted_matrices(BASE.shape, SPEC)),
    )
    found = adapter_gradients(adapter, matrix_gradients)
    weights, factors = reference.tensors(BASE.weights), reference.tensors(adapter)
    total = reference.tensor(0.0)
    for given, logprobs in zip(examples, output.logprobs, strict=True):
        all_logits = reference.logits(BASE.shape, weights, factors, given.tokens.tolist())
        lp = reference.target_logprobs(all_logits, given.loss_inputs["target_tokens"])
        np.testing.assert_allclose(logprobs, reference.to_numpy(lp), rtol=1e-4)
        config = complete_config(loss_fn, {})
        total = total + reference.loss(loss_fn, lp, given.loss_inputs, config)
    assert output.metrics == {"loss:sum": pytest.approx(total.item(), rel=1e-4)}
    expected = reference.gradients(total, factors)
    for name, gradient in found.items():
        error = np.abs(gradient - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-4, name


def test_a_batch_gives_what_its_examples_give_alone() -> None:
    """Grouping and padding change results by no more than rounding."""
    model = AdaptedModel(BASE, SPEC)
    together = model.forward(batch())
    alone = [model.forward([given]) for given in batch()]
    for one, other in zip(together.logprobs, alone, strict=True):
        np.testing.assert_allclose(one, other.logprobs[0], atol=1e-5)
    total = sum(output.metrics["loss:sum"] for output in alone)
    assert together.metrics["loss:sum"] == pytest.approx(total, rel=1e-4)


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups are added up in one order, whoever computed them."""
    monkeypatch.setattr(batches, "GROUP_TOKENS", 64)
    states: list[dict[str, npt.NDArray[Any]]] = []
    for n_threads in (1, 4):
        monkeypatch.setattr(batches, "n_workers", lambda n=n_threads: n)
        model = AdaptedModel(BASE, SPEC)
        for _ in range(2):
            model.forward_backward(batch() * 3)
            model.optim_step(STEP)
        states.append(full_state(model))
    assert same(*states)


def test_the_same_calls_give_the_same_bits() -> None:
    """Training is deterministic for a seed."""
    models = [AdaptedModel(BASE, SPEC) for _ in range(2)]
    for model in models:
        model.forward_backward(batch("ppo"), "ppo")
        model.optim_step(STEP)
    assert same(*(full_state(model) for model in models))


def test_gradients_add_up_until_the_step() -> None:
    """A batch split over two calls steps as the whole batch does."""
    whole, split = AdaptedModel(BASE, SPEC), AdaptedModel(BASE, SPEC)
    for model in (whole, split):  # B away from zero, so that A has a gradient as well
        model.forward_backward(batch(seed=1))
        model.optim_step(STEP)
    whole.forward_backward(batch())
    split.forward_backward(batch()[:2])
    split.forward_backward(batch()[2:])
    coarse = AdamHyper(learning_rate=0.1, eps=1.0)  # a step in proportion to the gradient
    norms = [model.optim_step(coarse)["grad_norm:mean"] for model in (whole, split)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    one, other = full_state(whole), full_state(split)
    assert all(np.allclose(one[name], other[name], rtol=1e-3, atol=1e-5) for name in one)


def test_a_step_uses_the_gradient_up() -> None:
    """Nothing pending is a gradient of zero; forward alone leaves nothing pending."""
    model = AdaptedModel(BASE, SPEC)
    model.forward(batch())
    assert model.optim_step(STEP) == {"grad_norm:mean": 0.0}
    model.forward_backward(batch())
    assert model.optim_step(STEP)["grad_norm:mean"] > 0
    assert model.optim_step(STEP) == {"grad_norm:mean": 0.0}
    assert model.n_steps == 3


def test_forward_equals_forward_backward_and_changes_nothing() -> None:
    """Both give the same log-probabilities and loss; only one leaves a gradient."""
    model = AdaptedModel(BASE, SPEC)
    before = full_state(model)
    one, other = model.forward(batch("dro"), "dro", {"beta": 0.3}), model.forward_backward(
        batch("dro"), "dro", {"beta": 0.3}
    )  # fmt: skip
    assert all(np.array_equal(*pair) for pair in zip(one.logprobs, other.logprobs, strict=True))
    assert one.metrics == other.metrics
    assert same(before, full_state(model))


def test_training_lowers_the_loss() -> None:
    """Twenty steps on one text halve its cost."""
    text = np.frombuffer(b"the cat sat on the mat. " * 4, np.uint8).astype(np.int64)
    data = [Example(text[:-1], {"target_tokens": text[1:]})]
    model = AdaptedModel(BASE, LoraSpec(rank=8))
    losses: list[float] = []
    for _ in range(20):
        losses.append(model.forward_backward(data).metrics["loss:sum"])
        model.optim_step(STEP)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("include_optimizer", [True, False])
def test_a_loaded_state_gives_bit_equal_logprobs(include_optimizer: bool) -> None:
    """Saving and loading changes no bit; without the optimiser Adam starts afresh."""
    model, other = AdaptedModel(BASE, SPEC), AdaptedModel(BASE, replace(SPEC, seed=2))
    for _ in range(2):
        model.forward_backward(batch())
        model.optim_step(STEP)
    state = model.state_dict(include_optimizer=include_optimizer)
    other.forward_backward(batch())  # a pending gradient, which loading drops
    other.load_state_dict(state, include_optimizer=include_optimizer)
    for pair in zip(model.forward(batch()).logprobs, other.forward(batch()).logprobs, strict=True):
        assert np.array_equal(*pair)
    assert other.n_steps == (2 if include_optimizer else 0)
    for each in (model, other):
        each.forward_backward(batch(seed=3))
        each.optim_step(STEP)
    assert same(full_state(model), full_state(other)) == include_optimizer


def test_a_saved_state_is_a_copy() -> None:
    """Training on does not reach what was saved, nor does writing to it reach the model."""
    model = AdaptedModel(BASE, SPEC)
    state = full_state(model)
    kept = {name: array.copy() for name, array in state.items()}
    model.forward_backward(batch())
    model.optim_step(STEP)
    assert same(state, kept)
    after = full_state(model)
    full_state(model)["adapter.unembedding.lora_b"][:] = 99
    assert same(after, full_state(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"adapter.unembedding.lora_a": None},
            "checkpoint: adapter.unembedding.lora_a is missing",
        ),
        ({"optimizer.step": None}, "checkpoint: optimizer.step is missing"),
        (
            {"optimizer.first.unembedding.lora_b": np.zeros((256, 9), np.float32)},
            "checkpoint: optimizer.first.unembedding.lora_b has shape (256, 9), the model (256, 4)",
        ),
    ],
    ids=["no adapter", "no step", "another rank"],
)
def test_a_state_that_does_not_fit_is_refused_whole(
    change: dict[str, npt.NDArray[Any] | None], message: str
) -> None:
    """The error names the array, and the model is as before."""
    model, donor = AdaptedModel(BASE, SPEC), AdaptedModel(BASE, replace(SPEC, seed=2))
    state = full_state(donor)
    for name, array in change.items():
        state.pop(name)
        if array is not None:
            state[name] = array
    before = full_state(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.load_state_dict(state, include_optimizer=True)
    assert same(before, full_state(model))


def test_a_snapshot_is_not_reached_by_later_steps() -> None:
    """It samples and scores as the model did when it was taken; the next one differs."""
    model = AdaptedModel(BASE, SPEC)
    prompt, params = np.array([72, 105]), DecodingParams(max_tokens=8, seed=1, stop=[])
    snapshot = model.snapshot()
    scores = snapshot.score_prompt(prompt)
    tokens = snapshot.generate(prompt, params, 2)[1].tokens
    assert np.array_equal(scores, base_snapshot(BASE).score_prompt(prompt))
    model.forward_backward(batch())
    model.optim_step(STEP)
    assert np.array_equal(snapshot.score_prompt(prompt), scores)
    assert np.array_equal(snapshot.generate(prompt, params, 2)[1].tokens, tokens)
    assert not np.array_equal(model.snapshot().score_prompt(prompt), scores)


@pytest.mark.parametrize(
    ("index", "spoiled", "message"),
    [
        (2, {"tokens": np.array([], np.int64)}, "data[2].model_input: is empty"),
        (0, {"tokens": np.array([1, 999, 1, 1, 1])}, "data[0].model_input: token 999 is not in"),
        (
            1,
            {"tokens": np.ones(257, np.int64)},
            "data[1].model_input: has 257 tokens; the context is 256 tokens",
        ),
        (3, {"loss_inputs": {}}, "data[3].loss_fn_inputs['target_tokens']: missing"),
    ],
    ids=["empty", "token out of range", "too long", "no targets"],
)
def test_an_unusable_example_is_named_and_leaves_the_model_as_it_was(
    index: int, spoiled: dict[str, Any], message: str
) -> None:
    """The whole batch is refused: nothing is pending afterwards."""
    model = AdaptedModel(BASE, SPEC)
    examples = batch()
    examples[index] = replace(examples[index], **spoiled)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.forward_backward(examples)
    assert model.optim_step(STEP) == {"grad_norm:mean": 0.0}


def test_a_model_that_has_diverged_says_so() -> None:
    """A step far too large is told at the next use, whether that trains, scores or samples."""
    model = AdaptedModel(BASE, SPEC)
    model.forward_backward(batch())
    model.optim_step(AdamHyper(learning_rate=1e38))
    snapshot, prompt = model.snapshot(), np.array([1, 2])
    for use in (
        lambda: model.forward_backward(batch()),
        lambda: snapshot.score_prompt(prompt),
        lambda: snapshot.generate(prompt, DecodingParams()),
    ):
        with pytest.raises(ValueError, match="model: has diverged, its logits are not finite"):
            use()


def test_an_empty_batch_and_an_unknown_loss_are_refused() -> None:
    """Each with its field's name."""
    model = AdaptedModel(BASE, SPEC)
    with pytest.raises(ValueError, match="data: the batch is empty"):
        model.forward_backward([])
    with pytest.raises(ValueError, match="loss_fn: 'grpo' is not one of"):
        model.forward(batch(), "grpo")
