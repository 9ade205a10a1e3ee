"""Which training operations are queued, sent, or waiting to be confirmed.

Kept apart from the operations themselves, so that the end of a process, which can run no more
Python on the loop, can still wait for sending and name what it leaves behind.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backlog"]


class Backlog:
    """A thread-safe register of operations by state."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._numbers = itertools.count()
        self._queued: dict[int, str] = {}
        self._sent: dict[int, str] = {}
        self._when_settled: list[Callable[[], object]] = []

    def queued(self, operation: str) -> int:
        """Register an operation that is not sent yet; returns its key."""
        with self._condition:
            key = next(self._numbers)
            self._queued[key] = operation
            return key

    def running(self, operation: str) -> int:
        """Register an operation that no exit has to wait for until it is sent; returns its key."""
        key = self.queued(operation)
        self.sent(key)
        return key

    def sent(self, key: int) -> None:
        """The operation was accepted by the service; unknown keys are ignored."""
        with self._condition:
            operation = self._queued.pop(key, None)
            if operation is not None:
                self._sent[key] = operation
        self._notify()

    def settled(self, key: int) -> None:
        """The operation has its result, failed or was cancelled."""
        with self._condition:
            self._queued.pop(key, None)
            self._sent.pop(key, None)
        self._notify()

    def _notify(self) -> None:
        with self._condition:
            self._condition.notify_all()
            callbacks = [] if self._queued or self._sent else self._when_settled
            if callbacks:
                self._when_settled = []
        for callback in callbacks:
            callback()

    def when_settled(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once, from any thread, as soon as every operation is settled."""
        with self._condition:
            self._when_settled.append(callback)
        self._notify()

    def wait_sent(self, timeout_s: float) -> bool:
        """Wait until nothing is queued any more; False if the time ran out."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queued, timeout_s)

    def never_sent(self) -> list[str]:
        """The operations that are still queued, oldest first."""
        with self._condition:
            return list(self._queued.values())

    def unconfirmed(self) -> list[str]:
        """The operations that have no result, sent or not, oldest first."""
        with self._condition:
            return [name for _, name in sorted({**self._sent, **self._queued}.items())]
