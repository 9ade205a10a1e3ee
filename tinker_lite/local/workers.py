"""Threads that work off jobs one after another."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Job", "ProcessEnding", "Worker"]

logger = logging.getLogger("tinker_lite.local")

Job: TypeAlias = Callable[[], object]
# Long enough for a training step under way; the thread is a daemon, so exit never hangs on it.
CLOSE_S = 10.0


class ProcessEnding(Exception):  # noqa: N818  it says what happened
    """A job cannot go on because the process is ending; its worker ends with it."""


class Worker:
    """One thread, started at the first job, that runs jobs in the order they were given.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: deque[Job] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def submit(self, job: Job) -> None:
        """Run a job after those given before; a closed worker drops it."""
        with self._changed:
            self._jobs.append(job)
            self._wake()

    def submit_later(self, delay_s: float, job: Job) -> None:
        """Give a job after ``delay_s`` seconds."""
        with self._changed:
            due = time.monotonic() + delay_s
            heapq.heappush(self._later, (due, next(self._order), job))
            self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def close(self) -> None:
        """Stop after the job under way, which is waited for up to ``CLOSE_S``."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_S)

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                job()
            except ProcessEnding:
                return
            except Exception:  # the thread must outlive a job that fails
                logger.exception("A job of the embedded service failed")
            del job  # an idle thread must not keep the last job's arrays alive

    def _next_job(self) -> Job | None:
        with self._changed:
            while not self._is_closed:
                self._collect_due()
                if self._jobs:
                    return self._jobs.popleft()
                self._changed.wait(self._until_due_s())
        return None

    def _collect_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._jobs.append(heapq.heappop(self._later)[2])

    def _until_due_s(self) -> float | None:
        return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
