"""Places that are given out first come, first served."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from .limits import Limits

__all__ = ["Slots"]


class _Waiter:
    __slots__ = ("event", "granted")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.granted = False


class Slots:
    """A bounded number of places, of one event loop: what happens between two waits is atomic.

    Args:
        bound: How many there are; None is no bound.

    Attributes:
        n_taken: How many are taken, those of waiters that have yet to wake up included.
    """

    __slots__ = ("_bound", "_waiters", "n_taken")

    def __init__(self, bound: int | None) -> None:
        self._bound = bound
        self._waiters: deque[_Waiter] = deque()
        self.n_taken = 0

    async def take(self, limits: Limits) -> None:
        """Take a place, waiting for it on the pool's time; an interrupted wait holds nothing."""
        if self._bound is None or self.n_taken < self._bound:
            self.n_taken += 1
            return
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            with limits.pool():
                await waiter.event.wait()
        except BaseException:
            if waiter.granted:  # the place came in the same moment as the interruption
                self.give_back()
            else:
                self._waiters.remove(waiter)
            raise

    def give_back(self) -> None:
        """Hand a place to whoever has waited longest."""
        self.n_taken -= 1
        if self._waiters:
            self._grant()

    def lift(self) -> None:
        """Let everybody pass from now on, the waiting first."""
        self._bound = None
        while self._waiters:
            self._grant()

    def _grant(self) -> None:
        self.n_taken += 1
        waiter = self._waiters.popleft()
        waiter.granted = True
        waiter.event.set()
