"""The demo's text, and the examples that are made of it."""

from __future__ import annotations

import random
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tinker_lite import Datum, ModelInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["opening", "random_batches", "read_text", "shipped_text", "split", "windows"]

HELD_OUT_PART = 10  # the last tenth of a text only measures
MAX_HELD_OUT_WINDOWS = 48
MIN_OPENING_CHARS = 20


def shipped_text() -> str:
    """The First Book of Samuel, King James Version; see ``data/PROVENANCE.md``."""
    text = files("tinker_lite.cli").joinpath("data", "first_samuel.txt")
    return text.read_text(encoding="ascii")


def read_text(path: str) -> str:
    """The text of a file.

    Raises:
        ValueError: It cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"--text {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"--text {path} is not UTF-8 text: byte {error.start} cannot be decoded."
        ) from error


def opening(text: str) -> str:
    """A few words to go on from: the beginning of the first whole line of the held-out part."""
    held_out = text[-(len(text) // HELD_OUT_PART) :]
    line = held_out.partition("\n")[2].strip().partition("\n")[0] or held_out.strip()
    end = line.find(" ", MIN_OPENING_CHARS)
    return line[:end] if end > 0 else line[:MIN_OPENING_CHARS]


def split(tokens: Sequence[int], seq_len: int) -> tuple[Sequence[int], Sequence[int]]:
    """The tokens to train on, and the held-out ones that only measure.

    Raises:
        ValueError: Too few for one window of each.
    """
    n_held_out = len(tokens) // HELD_OUT_PART
    if n_held_out <= seq_len:
        raise ValueError(
            f"The text has {len(tokens)} tokens, and with windows of {seq_len} it needs at least "
            f"{HELD_OUT_PART * (seq_len + 1)}. Give a longer text or a smaller --seq-len."
        )
    return tokens[:-n_held_out], tokens[-n_held_out:]


def example(window: Sequence[int]) -> Datum:
    """Predict each token of a window from those before it; all count alike."""
    targets = list(window[1:])
    weights = [1.0] * len(targets)
    return Datum(ModelInput.from_ints(window[:-1]), {"target_tokens": targets, "weights": weights})


def windows(tokens: Sequence[int], seq_len: int) -> list[Datum]:
    """Consecutive windows, as examples; of a long text the first ones."""
    starts = range(0, len(tokens) - seq_len, seq_len)
    return [example(tokens[i : i + seq_len + 1]) for i in starts[:MAX_HELD_OUT_WINDOWS]]


def random_batches(
    tokens: Sequence[int], seq_len: int, batch_size: int, seed: int
) -> Iterator[list[Datum]]:
    """Batches of windows from anywhere in the text, without end."""
    draw = random.Random(seed)
    while True:
        starts = [draw.randrange(len(tokens) - seq_len) for _ in range(batch_size)]
        yield [example(tokens[i : i + seq_len + 1]) for i in starts]
