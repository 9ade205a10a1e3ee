"""The demo's text and its examples."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest

from tinker_lite.cli.demo_text import (
    MAX_HELD_OUT_WINDOWS,
    opening,
    random_batches,
    read_text,
    shipped_text,
    split,
    windows,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_text_is_a_real_one() -> None:
    """Plain English prose of a useful length, with no verse numbers left."""
    text = shipped_text()
    assert 50_000 < len(text) < 150_000
    assert text.startswith("Now there was a certain man of Ramathaimzophim")
    assert not any(character.isdigit() for character in text)


def test_a_file_is_read_as_utf_8(tmp_path: Path) -> None:
    """Accents survive."""
    (tmp_path / "a.txt").write_bytes("l'été".encode())
    assert read_text(str(tmp_path / "a.txt")) == "l'été"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text each say so."""
    with pytest.raises(ValueError, match=r"--text .*nowhere cannot be read: No such file"):
        read_text(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_text(str(tmp_path))
    (tmp_path / "b.bin").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match="is not UTF-8 text: byte 2"):
        read_text(str(tmp_path / "b.bin"))


def test_the_last_tenth_is_held_out() -> None:
    """No token is in both parts, and none is lost."""
    tokens = list(range(1000))
    train_tokens, held_out = split(tokens, 50)
    assert (train_tokens, held_out) == (tokens[:900], tokens[900:])


def test_windows_predict_each_next_token_once() -> None:
    """They follow each other without overlap or gap, and their number is bounded."""
    data = windows(list(range(101)), 10)
    targets = [token for datum in data for token in datum.loss_fn_inputs["target_tokens"].data]
    assert targets == list(range(1, 101))
    assert [datum.model_input.to_ints()[0] for datum in data] == list(range(0, 100, 10))
    assert len(windows(list(range(10_000)), 10)) == MAX_HELD_OUT_WINDOWS


def test_random_batches_repeat_for_a_seed() -> None:
    """The same seed draws the same windows, each a piece of the text shifted by one."""
    tokens = list(range(500))
    first, second = (list(islice(random_batches(tokens, 7, 3, seed=5), 4)) for _ in range(2))
    assert first == second
    assert [len(batch) for batch in first] == [3] * 4
    for datum in first[0]:
        inputs = datum.model_input.to_ints()
        assert inputs == list(range(inputs[0], inputs[0] + 7))
        assert datum.loss_fn_inputs["target_tokens"].data == [token + 1 for token in inputs]


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ("half a line\nAnd David arose early in the morning", "And David arose early"),
        ("\n\nshort\nnext", "short"),
        ("one line only and nothing else in it", "one line only and nothing"),
    ],
    ids=["a whole line", "a short line", "no line break"],
)
def test_the_opening_is_the_first_words_of_a_whole_line(held_out: str, words: str) -> None:
    """It ends between words, and does not begin in the middle of a line if that can be helped."""
    assert opening("x" * 9 * len(held_out) + held_out) == words
