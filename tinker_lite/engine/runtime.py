"""Runtimes: where operations run.

``ThreadRuntime`` owns one background thread with an event loop, started at first use and shared by
the process. ``TaskRuntime`` uses the caller's own loop and task group, with no thread. Both start
work without waiting, from any thread, and never let an operation's error out of it: errors go into
futures.

A runtime holds operations, never clients, so that a client can be collected while its runtime
lives.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import os
import sys
import threading
import time
import warnings
import weakref
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from tinker_lite.engine.exiting import before_threads_end
from tinker_lite.engine.future import APIFuture, in_event_loop
from tinker_lite.engine.hosting import LoopHost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from anyio.abc import TaskGroup

    from tinker_lite.engine.backlog import Backlog
    from tinker_lite.engine.hosting import Work

__all__ = ["Runtime", "TaskRuntime", "ThreadRuntime", "shared_runtime", "task_runtime"]

T = TypeVar("T")

logger = logging.getLogger("tinker_lite")

# Seconds that the end of the process waits for queued work to be sent.
EXIT_DRAIN_S = 5.0


class Runtime(Protocol):
    """What the engine needs of a runtime."""

    def watch(self, backlog: Backlog) -> None:
        """At the end of the process, wait until it is sent; name what is not confirmed."""
        ...

    def start(self, work: Work[T], operation: str) -> APIFuture[T]:
        """Start work as a task of its own, from any thread, without waiting for it."""
        ...

    def post(self, callback: Callable[[], object]) -> None:
        """Run a callback on the loop, from any thread; RuntimeError if the loop has ended."""
        ...

    def check_may_block(self, what: str) -> None:
        """Raise if blocking on this thread would wait for itself; warn if it would stop a loop."""
        ...

    def note_interrupt(self) -> None:
        """Remember that a blocking wait was interrupted by the user."""
        ...

    def check_usable(self) -> None:
        """Raise if the runtime cannot run anything any more."""
        ...


def _warn_inside_loop(what: str) -> None:
    """Warn, once per call site, that a blocking wait stops the caller's own event loop."""
    if "ipykernel" in sys.modules:  # a notebook always runs a loop, and a blocked cell is expected
        return
    if not in_event_loop():
        return
    warnings.warn(
        f"result() of {what} blocks the running event loop; use `await` instead.",
        RuntimeWarning,
        stacklevel=_depth_outside_library(),
    )


def _depth_outside_library() -> int:
    """Stack level of the first frame that is not this library's, for a warning about the caller."""
    depth = 0  # this function's own frame stands for the level that `warn` counts from
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tinker_lite."):
        depth += 1
        frame = frame.f_back
    return depth


class TaskRuntime:
    """Operations as tasks of the caller's own event loop; made by ``task_runtime``."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._host = LoopHost(tasks, is_callers=True)
        self._closed = False

    def start(self, work: Work[T], operation: str) -> APIFuture[T]:
        """Start work in the caller's task group."""
        self.check_usable()
        future: APIFuture[T] = APIFuture(self, operation)
        self._host.start(work, future)
        return future

    def post(self, callback: Callable[[], object]) -> None:
        """Run a callback on the caller's loop."""
        self._host.post(callback)

    def check_may_block(self, what: str) -> None:
        """Refuse to block the loop that the work runs on."""
        if self._host.on_own_thread():
            raise RuntimeError(
                f"result() of {what} would wait for its own event loop; use `await` instead."
            )

    def check_usable(self) -> None:
        """Refuse work after the ``async with`` block."""
        if self._closed:
            raise RuntimeError("This client was closed when its `async with` block ended.")

    def note_interrupt(self) -> None:
        """Nothing to remember: the caller's own loop decides."""

    def watch(self, backlog: Backlog) -> None:
        """Nothing to watch: the ``async with`` block sees to its end."""

    def close(self) -> None:
        """Take no more work."""
        self._closed = True


@asynccontextmanager
async def task_runtime() -> AsyncGenerator[TaskRuntime]:
    """A runtime on the running loop; what still runs when the block ends is cancelled.

    An error of the block leaves it as it is, not wrapped in the group that a task group makes.
    """
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            runtime = TaskRuntime(tasks)
            try:
                yield runtime
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  raised again below
                failure = error
            finally:
                runtime.close()
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Ctrl-C may strike in any task of the loop, and leaves as what it is.
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from group
    if failure is not None:
        raise failure


class ThreadRuntime:
    """One background thread with an asyncio event loop, started when the first work comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._host: LoopHost | None = None
        self._stop: anyio.Event | None = None
        self._backlogs: weakref.WeakSet[Backlog] = weakref.WeakSet()
        self._interrupted = False
        self._watches_exit = False
        self._gave_up = False
        self._failure: BaseException | None = None

    def start(self, work: Work[T], operation: str) -> APIFuture[T]:
        """Start work on the background loop."""
        self.check_usable()
        future: APIFuture[T] = APIFuture(self, operation)
        self._running_host().start(work, future)
        return future

    def post(self, callback: Callable[[], object]) -> None:
        """Run a callback on the background loop."""
        host = self._host
        if host is None:
            raise RuntimeError("The background thread of tinker_lite does not run.")
        host.post(callback)

    def check_usable(self) -> None:
        """Refuse work in a child process: the thread did not come along."""
        if self._pid != os.getpid():
            raise RuntimeError(
                "This client was made before a fork and cannot be used in the child process. "
                "Make a new ServiceClient in the child."
            )

    def check_may_block(self, what: str) -> None:
        """Refuse to block the loop's own thread; warn on the thread of another loop."""
        self.check_usable()
        host = self._host
        if host is not None and host.on_own_thread():
            raise RuntimeError(
                f"result() of {what} was called on the thread that produces it (perhaps in a "
                "callback); use `await` instead."
            )
        _warn_inside_loop(what)

    def watch(self, backlog: Backlog) -> None:
        """Wait for the backlog at the end of the process."""
        self._backlogs.add(backlog)

    def note_interrupt(self) -> None:
        """Remember that the user pressed Ctrl-C: the exit then waits for nothing."""
        self._interrupted = True

    def _running_host(self) -> LoopHost:
        with self._lock:
            if self._host is None:
                self._start_thread()
            host = self._host
        if host is None:
            raise RuntimeError(
                "The background thread of tinker_lite could not start its event loop."
            ) from self._failure
        return host

    def _start_thread(self) -> None:
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._thread_main, args=(started,), name="tinker_lite", daemon=True
        )
        self._thread.start()
        started.wait()
        if not self._watches_exit:
            self._watches_exit = True
            before_threads_end(self._drain)
            atexit.register(self._at_exit)

    def _thread_main(self, started: threading.Event) -> None:
        try:
            anyio.run(self._main, started)
        except BaseException as error:  # noqa: BLE001  told to whoever needs the loop next
            self._failure = error
        finally:
            started.set()

    async def _main(self, started: threading.Event) -> None:
        async with anyio.create_task_group() as tasks:
            host = LoopHost(tasks, is_callers=False)
            self._stop = anyio.Event()
            self._host = host
            started.set()
            try:
                await self._stop.wait()
            finally:
                # However the loop ends, the next work starts a new one.
                self._host = None
                host.close()
            tasks.cancel_scope.cancel()

    def _drain(self) -> None:
        """When the main thread has ended: wait until queued work is sent, or patience runs out."""
        if self._pid != os.getpid() or self._interrupted or self._gave_up:
            return
        # Python sets this for the error that ended the program: Ctrl-C, wherever it struck.
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            return
        deadline = time.monotonic() + EXIT_DRAIN_S
        for backlog in list(self._backlogs):
            if not backlog.wait_sent(max(0.0, deadline - time.monotonic())):
                self._gave_up = True

    def _at_exit(self) -> None:
        """When the program's own threads have ended too: send what they queued, name the rest."""
        if self._pid != os.getpid():
            return
        self._drain()
        _name_unconfirmed(list(self._backlogs))
        self.stop()

    def stop(self) -> None:
        """End the thread and whatever still runs; work that comes later starts a new one."""
        with self._lock:
            host, thread, stop = self._host, self._thread, self._stop
            self._host = self._thread = self._stop = None
        if host is None or thread is None or stop is None or self._pid != os.getpid():
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            host.post(stop.set)
        thread.join(timeout=EXIT_DRAIN_S)


def _name_unconfirmed(backlogs: Sequence[Backlog]) -> None:
    unconfirmed = [name for backlog in backlogs for name in backlog.unconfirmed()]
    if not unconfirmed:
        return
    never_sent = [name for backlog in backlogs for name in backlog.never_sent()]
    logger.warning(
        "The program ended before these operations were confirmed: %s. Never sent: %s. "
        "Wait for their futures before the end to be sure of them.",
        _counted(unconfirmed),
        _counted(never_sent) or "none",
    )


def _counted(names: Sequence[str]) -> str:
    """Each name once, with how often it occurs: a long job can leave hundreds."""
    return ", ".join(f"{name} x {n}" if n > 1 else name for name, n in Counter(names).items())


class _Shared:
    """The process's one background runtime; a forked child forgets its parent's."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):  # Windows has no fork
            os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        # A new lock too: the old one may be held by a thread that does not exist in the child.
        self._lock = threading.Lock()
        self._runtime: ThreadRuntime | None = None

    def get(self) -> ThreadRuntime:
        with self._lock:
            if self._runtime is None:
                self._runtime = ThreadRuntime()
            return self._runtime


_shared = _Shared()


def shared_runtime() -> ThreadRuntime:
    """The process's background runtime, made at first use."""
    return _shared.get()
