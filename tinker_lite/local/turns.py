"""The order in which the numbered requests of one model run.

The rules, from protocol section 4.8:

* Numbers start at 1 and may arrive in any order: the chunks of one call are sent all at once, the
  first of them last. A number waits until all lower ones have come.
* A number that was refused counts as used. One that never comes is given up after a while, which is
  the caller's to decide; if it comes later after all it runs at once.
* A request without a number runs in order of arrival.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Turns"]

T = TypeVar("T")


class Turns(Generic[T]):
    """Puts jobs into the order of their numbers."""

    def __init__(self) -> None:
        self.n_arrived = 0
        self._next = 1
        self._held: dict[int, T | None] = {}  # None: the number was refused
        self._gaps: list[range] = []  # numbers passed over that may still come
        self._late: set[int] = set()  # those of them that did

    @property
    def is_waiting(self) -> bool:
        """Whether jobs are held back because a lower number is missing."""
        return bool(self._held)

    def is_used(self, number: int) -> bool:
        """Whether a job with this number was taken on before."""
        if number >= self._next:
            return self._held.get(number) is not None
        return number in self._late or not any(number in gap for gap in self._gaps)

    def arrive(self, number: int | None, job: T) -> list[T]:
        """Take on a job; return those that are to run now, in order."""
        self.n_arrived += 1
        if number is None:
            return [job]
        if number < self._next:
            self._late.add(number)
            return [job]
        self._held[number] = job
        return self._ready()

    def refuse(self, number: int) -> list[T]:
        """Count a number as used without a job; return what may run now."""
        if number < self._next or number in self._held:
            return []
        self._held[number] = None
        return self._ready()

    def give_up(self) -> list[T]:
        """Stop waiting for the numbers missing below the lowest held; return what may run now."""
        if not self._held:
            return []
        lowest = min(self._held)
        self._gaps.append(range(self._next, lowest))
        self._next = lowest
        return self._ready()

    def _ready(self) -> list[T]:
        jobs: list[T] = []
        while self._next in self._held:
            job = self._held.pop(self._next)
            if job is None:
                self._gaps.append(range(self._next, self._next + 1))
            else:
                jobs.append(job)
            self._next += 1
        return jobs
