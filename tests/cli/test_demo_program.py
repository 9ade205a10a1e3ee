"""The demo's program, at a small scale over the embedded service."""

from __future__ import annotations

import math
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite import ServiceClient, TensorData
from tinker_lite.cli import demo_events as events
from tinker_lite.cli.demo_program import (
    N_QUEUED_STEPS,
    Recipe,
    choose_model,
    cross_entropy,
    focal_loss,
    learning_rates,
    run_demo,
    train,
)
from tinker_lite.cli.demo_text import random_batches, shipped_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tinker_lite import APIFuture, Datum, ForwardBackwardOutput

MODEL = "tinker-lite/tiny-random"
RECIPE = Recipe(
    n_steps=6, n_custom_steps=2, batch_size=4, seq_len=32, rank=4, learning_rate=2e-2, seed=1
)
TEXT = shipped_text()[:4000]


@dataclass
class Run:
    """A run of the demo: what it told, and how it ended."""

    archive: Path
    told: list[events.Event] = field(default_factory=list[events.Event])
    outcome: events.Outcome | None = None

    def of(self, kind: type[events.Event]) -> list[events.Event]:
        """The events of one kind, in order."""
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def service() -> Iterator[ServiceClient]:
    """A client of the embedded service."""
    with ServiceClient(base_url="local:") as client:
        yield client


@pytest.fixture
def run(service: ServiceClient, tmp_path: Path) -> Run:
    """A whole run."""
    run = Run(tmp_path / "checkpoint.tar")
    run.outcome = run_demo(service, MODEL, TEXT, RECIPE, run.archive, run.told.append)
    return run


def test_a_run_learns_and_keeps_what_it_learnt(run: Run, service: ServiceClient) -> None:
    """The loss falls, what is loaded is what was saved, and both checkpoints can be used."""
    outcome = run.outcome
    assert outcome is not None
    assert 0 < outcome.loss_after < outcome.loss_before
    assert outcome.fall == pytest.approx(1 - outcome.loss_after / outcome.loss_before)
    assert outcome.difference == 0.0
    with tarfile.open(run.archive) as archive:
        assert "adapter.safetensors" in archive.getnames()
    resumed = service.create_training_client_from_state_with_optimizer(outcome.state_path)
    assert resumed.get_info().model_data.model_name == MODEL
    assert service.create_sampling_client(outcome.sampler_path).get_base_model() == MODEL


def test_a_run_tells_what_happens(run: Run) -> None:
    """Every step is told, before comes before after, and a download ends at its size."""
    kinds = list(dict.fromkeys(type(event) for event in run.told))
    assert kinds == [
        events.Prepared, events.Measured, events.Sampled, events.Stepped, events.Saved,
        events.Downloaded, events.Compared,
    ]  # fmt: skip
    steps = [event for event in run.told if isinstance(event, events.Stepped)]
    assert [(s.loss, s.step) for s in steps] == [
        *(("cross entropy", n + 1) for n in range(RECIPE.n_steps)),
        *(("focal loss", n + 1) for n in range(RECIPE.n_custom_steps)),
    ]
    assert {s.n_tokens for s in steps} == {RECIPE.batch_size * RECIPE.seq_len}
    measured = [event for event in run.told if isinstance(event, events.Measured)]
    assert [m.when for m in measured] == ["before", "after"]
    *_, last = [event for event in run.told if isinstance(event, events.Downloaded)]
    assert last.n_bytes == last.size_bytes == run.archive.stat().st_size


def test_a_text_too_short_is_told_before_training(service: ServiceClient, tmp_path: Path) -> None:
    """The error says how long the text must be."""
    told: list[events.Event] = []
    with pytest.raises(ValueError, match=r"has 300 tokens, .* needs at least 330\."):
        run_demo(service, MODEL, TEXT[:300], RECIPE, tmp_path / "checkpoint.tar", told.append)
    assert told == []


def test_the_next_step_is_queued_before_a_result_is_waited_for(service: ServiceClient) -> None:
    """While a step is worked on, the one after it is on its way already."""
    training = service.create_lora_training_client(MODEL, rank=2)
    seen: list[str] = []

    def queue_pass(batch: list[Datum]) -> APIFuture[ForwardBackwardOutput]:
        seen.append("queued")
        return cross_entropy(training)(batch)

    batches = random_batches(list(TEXT.encode()), 16, 1, seed=0)
    seen.extend("done" for _ in train(training, queue_pass, zip([1e-3] * 4, batches, strict=False)))
    assert N_QUEUED_STEPS == 2
    assert seen == ["queued", "queued", "done", "queued", "done", "queued", "done", "done"]


def test_learning_rates_rise_and_fall() -> None:
    """One for each step: a short way up, and down to a tenth at the end."""
    recipe = Recipe(
        n_steps=100, n_custom_steps=0, batch_size=1, seq_len=1, rank=1, learning_rate=1.0, seed=0
    )
    rates = list(learning_rates(recipe))
    assert len(rates) == recipe.n_steps
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@given(st.floats(min_value=-15, max_value=-0.01))
def test_the_focal_loss_has_the_gradient_it_returns(logprob: float) -> None:
    """The formula agrees with the slope between two points close by."""
    step = 1e-4

    def loss(value: float) -> float:
        return -((1 - math.exp(value)) ** 2) * value

    total, [[gradient]], _ = focal_loss([], [TensorData([logprob], "float32")])
    assert total == pytest.approx(loss(logprob), rel=1e-5, abs=1e-6)
    slope = (loss(logprob + step) - loss(logprob - step)) / (2 * step)
    assert gradient == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_the_demos_own_model_is_chosen_where_it_is_offered(service: ServiceClient) -> None:
    """A wanted name is taken as it is; else the English model."""
    assert choose_model(service, None) == "tinker-lite/english-bytes"
    assert choose_model(service, "some/other") == "some/other"
