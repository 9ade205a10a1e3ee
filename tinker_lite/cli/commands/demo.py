"""``tinker-lite demo``: train on a text, and see what training does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from tinker_lite import ServiceClient
from tinker_lite.cli.demo_display import Display
from tinker_lite.cli.demo_meters import LiveMeter, Meter, PlainMeter
from tinker_lite.cli.demo_program import Recipe, choose_model, run_demo
from tinker_lite.cli.demo_text import read_text, shipped_text

if TYPE_CHECKING:
    from tinker_lite.cli.demo_events import Outcome

__all__ = ["command"]

Command: TypeAlias = Callable[..., Any]

OUR_MODELS = "tinker-lite/"
# Measured on the shipped text: the held-out loss falls by a third, in under a minute on two cores.
OUR_STEPS, OUR_LEARNING_RATE = 200, 4e-3
# Large models learn from few steps, which cost money, and diverge at the rate of a small one.
OTHER_STEPS, OTHER_LEARNING_RATE = 30, 2e-4
STEPS_PER_CUSTOM_STEP = 25
LEAST_FALL = 0.05


def _count(name: str, default: int, explanation: str) -> Callable[[Command], Command]:
    """An option whose value is a whole number from 1 on."""
    return click.option(
        name, type=click.IntRange(min=1), default=default, metavar="N", help=explanation
    )


@click.command("demo")
@click.option("--text", metavar="FILE", help="Text to train on, instead of the one that ships.")
@click.option("--base-url", metavar="URL", help="Another service, instead of the embedded one.")
@click.option("--base-model", metavar="NAME", help="Model to train; a fitting one by default.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Optimiser steps: {OUR_STEPS}, or {OTHER_STEPS} for models of other services.",
)
@_count("--batch-size", 8, "Windows of text in a step.")
@_count("--seq-len", 256, "Tokens in a window.")
@_count("--rank", 16, "Rank of the LoRA adapters.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help=f"Step size of Adam: {OUR_LEARNING_RATE:g}, or {OTHER_LEARNING_RATE:g} for other models.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Seed of adapters, batches and samples.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("tinker-lite-demo"),
    metavar="DIR",
    help="Folder for what the demo keeps.",
)
def command(
    text: str | None,
    base_url: str | None,
    base_model: str | None,
    steps: int | None,
    batch_size: int,
    seq_len: int,
    rank: int,
    learning_rate: float | None,
    seed: int,
    out: Path,
) -> None:
    """Train a small language model on a text, and see what training does.

    It measures the loss on a held-out part and samples before and after, trains with cross entropy
    and with a loss of its own, saves a checkpoint, downloads it and loads it back. Without options
    it needs no account, no network and no GPU, and takes under two minutes.
    """
    words = shipped_text() if text is None else read_text(text)
    url = base_url or f"local:{out.absolute() / 'service'}"
    archive = out / "checkpoint.tar"
    with ServiceClient(base_url=url, max_retries=1) as service:  # a wrong URL shows at once
        model = choose_model(service, base_model)
    with ServiceClient(base_url=url) as service, Display(_meter()) as display, _one_complaint():
        is_ours = model.startswith(OUR_MODELS)
        n_steps = steps or (OUR_STEPS if is_ours else OTHER_STEPS)
        recipe = Recipe(
            n_steps=n_steps,
            n_custom_steps=max(1, n_steps // STEPS_PER_CUSTOM_STEP),
            batch_size=batch_size,
            seq_len=seq_len,
            rank=rank,
            learning_rate=learning_rate or (OUR_LEARNING_RATE if is_ours else OTHER_LEARNING_RATE),
            seed=seed,
        )
        out.mkdir(parents=True, exist_ok=True)
        outcome = run_demo(service, model, words, recipe, archive, display)
        display.ended(outcome, url, archive)
    if text is None and base_url is None:
        _check(outcome)


@contextmanager
def _one_complaint() -> Generator[None]:
    """Keep a failure from being told again for each step that was queued behind it."""
    try:
        yield
    except BaseException:
        logging.getLogger("tinker_lite").setLevel(logging.CRITICAL)
        raise


def _meter() -> Meter:
    """Bars where they can be redrawn, else lines."""
    from rich.console import Console

    console = Console()
    return LiveMeter() if console.is_terminal and not console.is_dumb_terminal else PlainMeter()


def _check(outcome: Outcome) -> None:
    """What must hold for the shipped text on the embedded service, whatever the machine.

    Raises:
        ClickException: It does not hold.
    """
    if outcome.fall < LEAST_FALL:
        raise click.ClickException(
            f"The held-out loss fell by {outcome.fall:.1%} only, and {LEAST_FALL:.0%} is the least."
        )
    if outcome.difference != 0:
        raise click.ClickException(
            f"The loaded model's logprobs differ by {outcome.difference:g} from the saved one's."
        )
