"""What is wrong with a message, and where in it: the path grows as the error travels outwards."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tinker_lite.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

__all__ = [
    "Fault",
    "Inside",
    "each",
    "each_entry",
    "entry",
    "failing_to_decode",
    "failing_to_encode",
    "position",
]

S = TypeVar("S")
T = TypeVar("T")

# A key of a map may be as long as the body; the text is for people.
_MAX_SHOWN_CHARACTERS = 64


class Fault(Exception):  # noqa: N818  it never leaves this package
    """Something does not fit.

    Args:
        text: What is wrong, without a full stop.
        path: Where, from the value that was being handled inwards.
    """

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.text, self.path = text, path

    def inside(self, step: str) -> Fault:
        """This fault, one step further out."""
        self.path = step + self.path
        return self

    def sentence(self) -> str:
        """The text, and the path in the form of the JSON codec."""
        return f"{self.text} - at `${self.path}`" if self.path else self.text


class Inside:
    """While it is entered, faults that pass get one step further out."""

    __slots__ = ("step",)

    def __init__(self, step: str) -> None:
        self.step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Fault):
            error.inside(self.step)


def position(i: int) -> str:
    """The step to the i-th of a repeated field."""
    return f"[{i}]"


def entry(key: str) -> str:
    """The step to an entry of a map."""
    cut = key if len(key) <= _MAX_SHOWN_CHARACTERS else f"{key[:_MAX_SHOWN_CHARACTERS]}..."
    return f"[{json.dumps(cut)}]"


def each(items: Sequence[S], convert: Callable[[S], T]) -> list[T]:
    """Convert every item; a fault in one names its position."""
    converted: list[T] = []
    for i, item in enumerate(items):
        try:
            converted.append(convert(item))
        except Fault as fault:
            raise fault.inside(position(i)) from None
    return converted


def each_entry(items: Mapping[str, S], convert: Callable[[S], T]) -> dict[str, T]:
    """Convert every value; a fault in one names its key."""
    converted: dict[str, T] = {}
    for key, item in items.items():
        try:
            converted[key] = convert(item)
        except Fault as fault:
            raise fault.inside(entry(str(key))) from None
    return converted


@contextmanager
def failing_to_decode(message: str) -> Generator[None]:
    """Turn faults of what a server or client sent into ``DecodeError``."""
    try:
        yield
    except Fault as fault:
        raise DecodeError(f"Not a valid {message}: {fault.sentence()}") from fault


@contextmanager
def failing_to_encode(message: str) -> Generator[None]:
    """Turn faults of what a caller gave into ``ValueError``."""
    try:
        yield
    except Fault as fault:
        raise ValueError(f"{message} cannot be sent as protobuf: {fault.sentence()}") from fault
