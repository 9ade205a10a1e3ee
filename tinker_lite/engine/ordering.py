"""Turns: the operations of one training client go out one after another, in the order of the calls.

A turn is taken inside the caller's call, on any thread; everything else happens on the loop. The
wire's sequence numbers are drawn when a turn begins, not when it is taken: turns begin in call
order, so the numbers are in call order too, and the number of chunks of a call may depend on limits
that only the server knows. An operation that is cancelled before its turn draws no number and so
leaves no gap; one that is cancelled while it is being sent leaves one, since the service may have
taken it (protocol section 4.8 leaves open what a gap does).
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["TurnQueue"]


class TurnQueue:
    """The queue of one training client."""

    def __init__(self) -> None:
        self._tickets = itertools.count()
        self._current = 0
        self._passed: set[int] = set()
        self._waiting: dict[int, anyio.Event] = {}
        self._next_seq_id = 1

    def take(self) -> int:
        """A place in the queue; thread-safe. Use every place with ``turn`` or ``give_up``."""
        return next(self._tickets)

    @asynccontextmanager
    async def turn(self, ticket: int) -> AsyncGenerator[None]:
        """Wait for the turn, hold it, and pass it on whatever happens."""
        try:
            if ticket != self._current:
                event = self._waiting[ticket] = anyio.Event()
                await event.wait()
            yield
        finally:
            self.give_up(ticket)

    def give_up(self, ticket: int) -> None:
        """Pass the turn on, now or as soon as it would come; on the loop only."""
        self._waiting.pop(ticket, None)
        if ticket < self._current:
            return
        self._passed.add(ticket)
        while self._current in self._passed:
            self._passed.remove(self._current)
            self._current += 1
        event = self._waiting.get(self._current)
        if event is not None:
            event.set()

    def draw(self, count: int = 1) -> list[int]:
        """The next wire sequence numbers; only while holding the turn."""
        first = self._next_seq_id
        self._next_seq_id += count
        return list(range(first, first + count))
