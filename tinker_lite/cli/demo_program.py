"""The program behind ``tinker-lite demo``: fine-tune a language model on a text, step by step.

It uses the public names of tinker_lite only, so it can be copied as the start of a program of your
own. It prints nothing: ``report`` is told what happens, and ``demo_display`` shows it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tinker_lite import (
    AdamParams,
    APIFuture,
    Datum,
    ForwardBackwardOutput,
    ModelInput,
    OptimStepResponse,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TensorData,
    TrainingClient,
)
from tinker_lite.cli.demo_events import (
    Compared,
    Downloaded,
    Event,
    Measured,
    Outcome,
    Prepared,
    Sampled,
    Saved,
    Stepped,
)
from tinker_lite.cli.demo_text import opening, random_batches, split, windows

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Recipe", "choose_model", "run_demo"]

Batch: TypeAlias = list[Datum]
QueuePass: TypeAlias = Callable[[Batch], APIFuture[ForwardBackwardOutput]]
Report: TypeAlias = Callable[[Event], None]

PREFERRED_MODEL = "tinker-lite/english-bytes"
CHECKPOINT_NAME = "demo"
N_SAMPLED_TOKENS = 240
N_QUEUED_STEPS = 2  # the service works on one while the next one travels
N_WARMUP_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        n_steps: Optimiser steps with cross entropy.
        n_custom_steps: Optimiser steps with the custom loss, after those.
        batch_size: Windows of text in a batch.
        seq_len: Tokens in a window.
        rank: Rank of the LoRA adapters.
        learning_rate: Highest step size of Adam.
        seed: Seed of adapters, batches and samples.
    """

    n_steps: int
    n_custom_steps: int
    batch_size: int
    seq_len: int
    rank: int
    learning_rate: float
    seed: int


def choose_model(service: ServiceClient, wanted: str | None) -> str:
    """The wanted model, or the one that the demo is made for, or the first that can be trained.

    Args:
        service: Asked in any case, so that a service that is not there is noticed.
        wanted: A name, taken as it is: services may train more than they list.

    Raises:
        ValueError: None is wanted and the service offers none.
    """
    offered = service.get_server_capabilities().supported_models
    names = [m.model_name for m in offered if m.model_name and m.trainable is not False]
    if wanted is not None:
        return wanted
    if not names:
        raise ValueError("The service names no model that can be trained; give --base-model.")
    return PREFERRED_MODEL if PREFERRED_MODEL in names else names[0]


def run_demo(
    service: ServiceClient,
    base_model: str,
    text: str,
    recipe: Recipe,
    archive: Path,
    report: Report,
) -> Outcome:
    """Train on a text; sample before and after; save the result, download it, and load it back.

    Args:
        service: Where to train.
        base_model: What to train.
        text: What to learn; its last tenth only measures.
        recipe: How to train.
        archive: The file that the checkpoint is downloaded to.
        report: Told what happens, sometimes from another thread.

    Raises:
        ValueError: The text is too short for the recipe; nothing was trained.
        TinkerError: The service failed.
    """
    training = service.create_lora_training_client(base_model, rank=recipe.rank, seed=recipe.seed)
    tokenizer = training.get_tokenizer()
    train_tokens, held_out_tokens = split(tokenizer.encode(text), recipe.seq_len)
    held_out = windows(held_out_tokens, recipe.seq_len)
    prompt = opening(text)
    report(Prepared(base_model, len(train_tokens), len(held_out_tokens), tokenizer.vocab_size))

    # Before: how well it predicts the text, and what it writes.
    loss_before = mean_loss(training.forward(held_out, "cross_entropy").result())
    report(Measured("before", loss_before))
    untrained = training.save_weights_and_get_sampling_client()
    report(Sampled("before", prompt, sample(untrained, tokenizer, prompt, recipe.seed)))

    # Train with the loss that every service knows, then a little with one of our own.
    batches = random_batches(train_tokens, recipe.seq_len, recipe.batch_size, recipe.seed)
    steps = zip(learning_rates(recipe), batches, strict=False)
    for n, output in enumerate(train(training, cross_entropy(training), steps), start=1):
        report(Stepped("cross entropy", n, recipe.n_steps, mean_loss(output), n_tokens(output)))

    steps = zip([recipe.learning_rate / 10] * recipe.n_custom_steps, batches, strict=False)
    for n, output in enumerate(train(training, focal(training), steps), start=1):
        loss = output.metrics["loss:sum"] / n_tokens(output)
        report(Stepped("focal loss", n, recipe.n_custom_steps, loss, n_tokens(output)))

    # After: the same questions.
    loss_after = mean_loss(training.forward(held_out, "cross_entropy").result())
    report(Measured("after", loss_after))
    sampler_path = training.save_weights_for_sampler(CHECKPOINT_NAME).result().path
    trained = service.create_sampling_client(sampler_path)
    report(Sampled("after", prompt, sample(trained, tokenizer, prompt, recipe.seed)))

    # Keep it: save, download, load.
    state_path = training.save_state(CHECKPOINT_NAME).result().path
    report(Saved(state_path))
    downloaded = service.create_rest_client().download_checkpoint_archive(
        state_path, archive, lambda n_bytes, size_bytes: report(Downloaded(n_bytes, size_bytes))
    )
    downloaded.result()
    check = held_out[: recipe.batch_size]
    difference = load_and_compare(service, training, state_path, check, report)
    return Outcome(loss_before, loss_after, difference, state_path, sampler_path)


# Training.


def learning_rates(recipe: Recipe) -> Iterator[float]:
    """One for each step: up over the first few steps, then down to a tenth."""
    for step in range(recipe.n_steps):
        warmup = min(1.0, (step + 1) / N_WARMUP_STEPS)
        yield recipe.learning_rate * warmup * (1 - 0.9 * step / recipe.n_steps)


def train(
    training: TrainingClient, queue_pass: QueuePass, steps: Iterable[tuple[float, Batch]]
) -> Iterator[ForwardBackwardOutput]:
    """A pass and an optimiser step for each learning rate and batch; gives the passes' results.

    The next step is queued before the last one's result is waited for: the service is never idle.
    """
    queued: deque[tuple[APIFuture[ForwardBackwardOutput], APIFuture[OptimStepResponse]]] = deque()
    for learning_rate, batch in steps:
        adam = AdamParams(learning_rate=learning_rate)
        queued.append((queue_pass(batch), training.optim_step(adam)))
        if len(queued) == N_QUEUED_STEPS:
            yield finished(*queued.popleft())
    while queued:
        yield finished(*queued.popleft())


def finished(
    passed: APIFuture[ForwardBackwardOutput], stepped: APIFuture[OptimStepResponse]
) -> ForwardBackwardOutput:
    """Wait for both halves of a step; gives the pass's result."""
    output = passed.result()
    stepped.result()
    return output


def cross_entropy(training: TrainingClient) -> QueuePass:
    """The loss that every service knows."""
    return lambda batch: training.forward_backward(batch, "cross_entropy")


def focal(training: TrainingClient) -> QueuePass:
    """A loss of our own, computed on this machine between a forward and a backward pass."""
    return lambda batch: training.forward_backward_custom(batch, focal_loss, gradients="returned")


def focal_loss(
    data: Batch, logprobs: list[TensorData]
) -> tuple[float, list[list[float]], dict[str, float]]:
    """Focal loss: ``-(1 - p)**2 * log p`` summed over tokens, p being a token's probability.

    What the model predicts well already (p near 1) hardly counts; the step goes to the hard tokens.
    With l = log p, the derivative that the service needs is ``2 * p * (1 - p) * l - (1 - p)**2``.
    """
    del data  # the targets' logprobs are all it takes
    loss = 0.0
    gradients: list[list[float]] = []
    for values in logprobs:
        pairs = [(math.exp(logprob), logprob) for logprob in values.data]
        loss -= sum((1 - p) ** 2 * logprob for p, logprob in pairs)
        gradients.append([2 * p * (1 - p) * logprob - (1 - p) ** 2 for p, logprob in pairs])
    return loss, gradients, {}


# Looking at a model.


def n_tokens(output: ForwardBackwardOutput) -> int:
    """How many tokens a pass predicted."""
    return sum(len(one["logprobs"]) for one in output.loss_fn_outputs)


def mean_loss(output: ForwardBackwardOutput) -> float:
    """Cross entropy of a pass, in nats per token."""
    return -sum(sum(one["logprobs"].data) for one in output.loss_fn_outputs) / n_tokens(output)


def sample(sampler: SamplingClient, tokenizer: Any, prompt: str, seed: int) -> str:
    """How a model goes on from a prompt."""
    params = SamplingParams(max_tokens=N_SAMPLED_TOKENS, temperature=0.7, seed=seed)
    answer = sampler.sample(ModelInput.from_ints(tokenizer.encode(prompt)), 1, params).result()
    return str(tokenizer.decode(answer.sequences[0].tokens))


def load_and_compare(
    service: ServiceClient,
    training: TrainingClient,
    state_path: str,
    batch: Batch,
    report: Report,
) -> float:
    """Load a checkpoint twice, and hold the two against the model that was saved.

    The first gets the weights alone. The second gets the optimiser's state too, so after the same
    step on both sides it is the same model still.

    Returns:
        The largest difference between logprobs that was found, in nats.
    """
    loaded = service.create_training_client_from_state(state_path)
    resumed = service.create_training_client_from_state_with_optimizer(state_path)
    at_once = largest_difference(training, loaded, batch)
    report(Compared("loaded back", at_once))
    for client in (training, resumed):
        finished(
            client.forward_backward(batch, "cross_entropy"),
            client.optim_step(AdamParams(learning_rate=1e-4)),
        )
    one_step_on = largest_difference(training, resumed, batch)
    report(Compared("loaded back and both trained one step further", one_step_on))
    return max(at_once, one_step_on)


def largest_difference(one: TrainingClient, other: TrainingClient, batch: Batch) -> float:
    """The largest difference between two models' logprobs of a batch, in nats."""
    passes = [client.forward(batch, "cross_entropy") for client in (one, other)]
    outputs = [passed.result().loss_fn_outputs for passed in passes]
    return max(
        abs(float(mine) - float(theirs))
        for my, their in zip(*outputs, strict=True)
        for mine, theirs in zip(my["logprobs"].data, their["logprobs"].data, strict=True)
    )
