"""How the demo looks: its events as text."""

from __future__ import annotations

import math
import shutil
import textwrap
import time
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

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

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tinker_lite.cli.demo_meters import Meter

__all__ = ["Display", "side_by_side"]

MAX_COLUMNS = 120  # wider columns of prose are hard to read
N_BYTE_VALUES = 256

SUMMARY = """
The loss on the held-out text fell by {fall:.1%},
from {before:.3f} to {after:.3f} nats per {unit}.

The checkpoint is in {archive} ({size}).
The service keeps it too. A program goes on from there like this:

  from tinker_lite import ServiceClient
  service = ServiceClient(base_url={base_url!r})
  training = service.create_training_client_from_state_with_optimizer(
      {state_path!r})
  sampler = service.create_sampling_client(
      {sampler_path!r})

To train on a text of yours: tinker-lite demo --text FILE"""


class Display:
    """Prints events as they come; a context manager, so that no bar outlives the program.

    Args:
        meter: Shows the work that takes time.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._unit = "token"
        self._written_before = ""
        self._loss = ""
        self._n_tokens = 0
        self._work_began_at = self._told_at = time.monotonic()

    def __enter__(self) -> Display:
        """Use it as the function that is told the events."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._meter.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Stepped():
                self._stepped(event)
            case Downloaded(n_bytes, size_bytes):
                self._meter.show("download", n_bytes, size_bytes, _megabytes(n_bytes))
            case Prepared():
                self._prepared(event)
            case Measured(when, loss):
                self._say(f"{when} training: {loss:.3f} nats per {self._unit} of the held-out text")
            case Sampled():
                self._sampled(event)
            case Saved(path):
                self._say(f"saved as {path}")
            case Compared(what, difference):
                self._say(f"{what}: logprobs differ by at most {difference:g}")
        self._told_at = time.monotonic()

    def _say(self, text: str) -> None:
        self._meter.close()
        click.echo(text)

    def _prepared(self, event: Prepared) -> None:
        if event.n_vocab == N_BYTE_VALUES:
            self._unit = "byte"
        self._say(f"model: {event.base_model}")
        self._say(
            f"text: {event.n_train_tokens:,} {self._unit}s to learn, "
            f"{event.n_held_out_tokens:,} held out"
        )
        self._say(
            f"loss: nats per {self._unit}; knowing nothing is "
            f"ln {event.n_vocab} = {math.log(event.n_vocab):.2f}"
        )

    def _stepped(self, event: Stepped) -> None:
        if event.loss != self._loss:
            self._loss, self._n_tokens, self._work_began_at = event.loss, 0, self._told_at
        self._n_tokens += event.n_tokens
        rate = self._n_tokens / max(time.monotonic() - self._work_began_at, 1e-9)
        figures = (
            f"step {event.step}/{event.n_steps}  loss {event.loss_per_token:.3f}  "
            f"{rate:,.0f} {self._unit}s/s"
        )
        self._meter.show(event.loss, event.step, event.n_steps, figures)

    def _sampled(self, event: Sampled) -> None:
        if event.when == "before":  # shown beside what it writes after training
            self._written_before = event.continuation
            return
        self._say(f'\nWhat it writes after "{event.prompt}":\n')
        columns = min(shutil.get_terminal_size().columns, MAX_COLUMNS)
        for line in side_by_side(self._written_before, event.continuation, columns):
            self._say(line)
        self._say("")

    def ended(self, outcome: Outcome, base_url: str, archive: Path) -> None:
        """Sum up, and say where things are and how to go on.

        Args:
            outcome: How it ended.
            base_url: The service that has the checkpoints.
            archive: The downloaded checkpoint.
        """
        self._say(
            SUMMARY.format(
                before=outcome.loss_before,
                after=outcome.loss_after,
                unit=self._unit,
                fall=outcome.fall,
                archive=archive,
                size=_megabytes(archive.stat().st_size),
                base_url=base_url,
                state_path=outcome.state_path,
                sampler_path=outcome.sampler_path,
            )
        )


def side_by_side(before: str, after: str, columns: int) -> list[str]:
    """Two texts in two columns under the headings "before training" and "after training".

    Args:
        before: The left text.
        after: The right text.
        columns: Width of both together.
    """
    width = (columns - 3) // 2
    left, right = (_wrapped(text, width) for text in (before, after))
    rows = [("before training", "after training"), ("-" * width, "-" * width)]
    rows += zip_longest(left, right, fillvalue="")
    return [f"{one:<{width}} | {other}".rstrip() for one, other in rows]


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, with what a terminal cannot show as a replacement character."""
    whole_words = text.strip().rpartition(" ")[0] or text.strip()
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in f"{whole_words} ...")
    return [part for line in shown.splitlines() for part in textwrap.wrap(line, width) or [""]]


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
