"""A task group on a running loop, and how work of any thread reaches it."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from tinker_lite.engine.future import APIFuture, loop_poster

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["LoopHost", "Work"]

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T]]

# After so many queued callbacks the loop gets a chance to do something else.
CALLBACKS_PER_STEP = 100


class LoopHost:
    """A task group on a running loop.

    Callbacks of other threads go through a queue to a task of the group, because a callback that a
    loop is handed from outside does not know which loop it is on, and could start no tasks.

    Args:
        tasks: The group; when it is cancelled, the host takes no more work.
        is_callers: Whether the loop is the caller's own, whose Ctrl-C must go through.
    """

    def __init__(self, tasks: TaskGroup, *, is_callers: bool) -> None:
        self._tasks = tasks
        self._is_callers = is_callers
        self._post = loop_poster()
        self._thread_id = threading.get_ident()
        self._lock = threading.Lock()
        self._closed = False
        # A callback, and what to do with it when it will never run.
        self._queue: deque[tuple[Callable[[], object], Callable[[], object]]] = deque()
        self._wake = anyio.Event()
        tasks.start_soon(self._dispatch)

    async def _dispatch(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                n_run = 0
                while self._queue:
                    self._queue.popleft()[0]()
                    n_run += 1
                    if n_run % CALLBACKS_PER_STEP == 0:
                        await anyio.lowlevel.checkpoint()
        finally:
            self.close()

    def on_own_thread(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self._thread_id

    def post(
        self, callback: Callable[[], object], dropped: Callable[[], object] = lambda: None
    ) -> None:
        """Run a callback on the loop, from any thread, without waiting.

        Args:
            callback: What to run.
            dropped: Run instead, on any thread, if the loop ends before it comes to the callback.

        Raises:
            RuntimeError: The loop has ended.
        """
        if self.on_own_thread():
            callback()
            return
        with self._lock:
            if self._closed:
                raise RuntimeError("The event loop of this client has ended; make a new client.")
            self._queue.append((callback, dropped))
        self._post(lambda: self._wake.set())  # noqa: PLW0108  the event that is current by then

    def close(self) -> None:
        """Take no more work, and drop what has not begun."""
        with self._lock:
            self._closed = True
            left = list(self._queue)
            self._queue.clear()
        for _, dropped in left:
            dropped()

    def start(self, work: Work[T], future: APIFuture[T]) -> None:
        """Start work as a task of the group; its outcome goes into the future."""
        self.post(
            lambda: self._tasks.start_soon(self._run, work, future, name=future.operation),
            future.set_cancelled,
        )

    async def _run(self, work: Work[T], future: APIFuture[T]) -> None:
        try:
            with anyio.CancelScope() as scope:
                future.bind(lambda: self.post(scope.cancel))
                await self._fill(work, future)
        finally:
            future.set_cancelled()  # ignored unless the work was cut off
            # The failure's traceback holds this frame: without this the future would hold itself.
            del future

    async def _fill(self, work: Work[T], future: APIFuture[T]) -> None:
        """Run the work; whatever it raises is its future's, and must not end the loop."""
        try:
            future.set_result(await work())
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Nobody cancelled this: code of the caller raised it, and it is a failure like another.
            future.set_exception(RuntimeError(f"{future.operation} raised {error!r} by itself"))
        except BaseException as error:
            if self._is_callers and isinstance(error, KeyboardInterrupt):
                raise  # Ctrl-C struck in this task of the caller's loop, and is the caller's
            future.set_exception(error)
        finally:
            del future  # as above
