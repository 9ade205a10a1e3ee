"""``APIFuture``: the answer of every operation that takes time.

A future is filled by its runtime, on whatever thread that runs, and may be asked from anywhere:
blocking from any number of threads, awaited any number of times from any number of event loops
(asyncio or trio). The work has started when the future exists; nothing here starts it.

Rules: a timeout never cancels; cancelling one awaiter detaches that awaiter; when the last one
goes, or on ``cancel()``, the work is cancelled. A failure that nobody ever looked at is logged
once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import logging
import threading
import time
from abc import ABCMeta
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

from tinker_lite.errors import TransportClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

__all__ = [
    "HELD_QUEUE",
    "APIFuture",
    "Host",
    "in_event_loop",
    "loop_poster",
    "without_traceback",
]

T = TypeVar("T")

# The queue whose turn the running code holds: a custom loss must not wait for its own successors.
HELD_QUEUE: ContextVar[object] = ContextVar("tinker_lite_held_queue", default=None)

# A blocking wait looks up this often, in seconds: Ctrl-C that comes in the moment before a lock is
# waited for is only noticed after the wait, and on Windows every Ctrl-C is.
SIGNAL_CHECK_S = 0.5

logger = logging.getLogger("tinker_lite")


class Host(Protocol):
    """What a future needs to know of the runtime that fills it."""

    def check_may_block(self, what: str) -> None:
        """Raise if blocking on this thread would wait for itself; warn if it would stop a loop."""
        ...

    def note_interrupt(self) -> None:
        """Remember that a blocking wait was interrupted by the user."""
        ...

    def check_usable(self) -> None:
        """Raise if the runtime cannot run anything any more, as in a forked child."""
        ...


def loop_poster() -> Callable[[Callable[[], object]], object]:
    """A function that runs a callback on the current event loop from any thread, without waiting.

    anyio has no such public call that does not block, so the native one is taken from its token.
    """
    native = cast("Any", current_token().native_token)
    if hasattr(native, "call_soon_threadsafe"):
        return cast("Callable[[Callable[[], object]], object]", native.call_soon_threadsafe)
    return cast("Callable[[Callable[[], object]], object]", native.run_sync_soon)


def in_event_loop() -> bool:
    """Whether this thread is running an event loop, asyncio or trio."""
    try:
        current_token()
    except RuntimeError:
        return False
    return True


class APIFuture(Generic[T], metaclass=ABCMeta):
    """The result of an operation, now or later.

    Args:
        host: The runtime that fills it.
        operation: What is being done, for messages.

    Attributes:
        operation: What is being done.
        queue: What the operation is ordered by, or None.
    """

    def __init__(self, host: Host, operation: str) -> None:
        self.operation = operation
        self.queue: object = None
        self._host = host
        self._condition = threading.Condition()
        self._done = False
        self._was_cancelled = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._callbacks: list[Callable[[APIFuture[T]], object]] = []
        self._n_waiting = 0
        self._cancel_work: Callable[[], None] | None = None
        self._cancel_asked = False

    # Filling: called by the runtime.

    def bind(self, cancel_work: Callable[[], None]) -> None:
        """Tell how the work can be cancelled; does so at once if it was asked for before."""
        with self._condition:
            self._cancel_work = cancel_work
            asked = self._cancel_asked
        if asked:
            cancel_work()

    def set_result(self, value: T) -> None:
        """Fill in the value; ignored if the future is done."""
        self._fill(value, None, was_cancelled=False)

    def set_exception(self, error: BaseException) -> None:
        """Fill in the failure; ignored if the future is done."""
        self._fill(None, error, was_cancelled=False)

    def set_cancelled(self) -> None:
        """Fill in that the work was cancelled; ignored if the future is done."""
        error = concurrent.futures.CancelledError(f"{self.operation} was cancelled")
        self._fill(None, error, was_cancelled=True)

    def _fill(self, value: T | None, error: BaseException | None, *, was_cancelled: bool) -> None:
        with self._condition:
            if self._done:
                return
            self._done = True
            self._was_cancelled = was_cancelled
            self._value = value
            self._error = error
            self._traceback = None if error is None else error.__traceback__
            self._cancel_work = None
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            self._run(callback)

    def _run(self, callback: Callable[[APIFuture[T]], object]) -> None:
        try:
            callback(self)
        except (Exception, SystemExit):  # an exit here would end the loop that serves everybody
            logger.exception("A callback of %s raised", self.operation)

    # Asking.

    def done(self) -> bool:
        """Whether the result, the failure or the cancellation is there."""
        return self._done

    def cancelled(self) -> bool:
        """Whether the work was cancelled."""
        return self._was_cancelled

    def cancel(self) -> bool:
        """Stop waiting for the result, and the work where that is possible.

        A training step that the service has accepted still applies, and later ones go on.

        Returns:
            False if the future is done already.
        """
        if not self._done:
            self._host.check_usable()
        with self._condition:
            if self._done:
                return False
            self._cancel_asked = True
            cancel_work = self._cancel_work
        if cancel_work is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the work with it
                cancel_work()
        return True

    def result(self, timeout: float | None = None) -> T:
        """Wait for the value, blocking this thread.

        Args:
            timeout: Seconds to wait; None waits as long as it takes. Running out cancels nothing.

        Raises:
            TimeoutError: The time ran out; ask again whenever you like.
            RuntimeError: Called on the runtime's own thread, where it would wait for itself.
            TinkerError: The operation failed.
        """
        self._block(timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like ``result`` and return the failure, or None if there is none."""
        self._block(timeout)
        return self._seen_error()

    def _block(self, timeout: float | None) -> None:
        if self._done:
            return
        if self.queue is not None and self.queue is HELD_QUEUE.get():
            raise RuntimeError(
                f"result() of {self.operation} inside a custom loss of the same client would wait "
                "for itself: the operation comes after the loss."
            )
        self._host.check_may_block(self.operation)
        with self._condition:
            self._n_waiting += 1
            try:
                if not self._wait_done(timeout):
                    raise TimeoutError(
                        f"{self.operation} has no result after {timeout} s; it goes on, and "
                        "result() may be called again."
                    )
            except KeyboardInterrupt:
                self._host.note_interrupt()
                raise
            finally:
                self._n_waiting -= 1

    def _wait_done(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._done:
            left_s = SIGNAL_CHECK_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._condition.wait(min(left_s, SIGNAL_CHECK_S))
        return True

    def _outcome(self, *, seen: bool = True) -> T:
        error = self._error
        if error is not None:
            if seen:
                _mark_seen(error)
            # One error object is raised to every asker; each gets the original traceback plus its
            # own frames, not those of whoever asked before.
            raise error.with_traceback(self._traceback)
        return cast("T", self._value)

    def _seen_error(self) -> BaseException | None:
        if self._error is not None:
            _mark_seen(self._error)
        return self._error

    async def result_async(self, timeout: float | None = None) -> T:
        """Async form of ``result``; same argument, result and errors."""
        if timeout is None:
            return await self._wait()
        with anyio.move_on_after(timeout):
            await self._wait(detach_only=True)
        if not self._done:
            raise TimeoutError(
                f"{self.operation} has no result after {timeout} s; it goes on, and it may be "
                "awaited again."
            )
        return self._outcome()

    async def exception_async(self) -> BaseException | None:
        """Async form of ``exception``, without a time limit."""
        await self._settled(detach_only=False)
        return self._seen_error()

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait for the value on the running event loop, asyncio or trio."""
        return self._wait().__await__()

    async def watched(self) -> T:
        """Wait like ``await``, but going away cancels nothing."""
        return await self._wait(detach_only=True)

    async def shared(self) -> T:
        """Wait for other work of this library: neither cancelling it nor counting as a look."""
        await self._settled(detach_only=True)
        return self._outcome(seen=False)

    async def coroutine(self) -> T:
        """The wait as a coroutine, for what insists on one (``asyncio.create_task``)."""
        return await self._wait()

    async def _wait(self, *, detach_only: bool = False) -> T:
        await self._settled(detach_only=detach_only)
        return self._outcome()

    async def _settled(self, *, detach_only: bool) -> None:
        if self._done:
            await anyio.lowlevel.checkpoint()
            return
        self._host.check_usable()
        event = anyio.Event()
        post = loop_poster()

        def wake(_: object) -> None:
            try:
                post(event.set)
            except RuntimeError:  # the awaiting loop is gone, and with it whoever waited
                logger.debug("The loop that awaited %s has closed", self.operation)

        self._attach(wake)
        try:
            await event.wait()
        except anyio.get_cancelled_exc_class():
            self._detach(wake, detach_only=detach_only)
            raise
        with self._condition:
            self._n_waiting -= 1

    def _attach(self, wake: Callable[[APIFuture[T]], object]) -> None:
        with self._condition:
            self._n_waiting += 1
            if not self._done:
                self._callbacks.append(wake)
                return
        wake(self)

    def _detach(self, wake: Callable[[APIFuture[T]], object], *, detach_only: bool) -> None:
        with self._condition:
            self._n_waiting -= 1
            if wake in self._callbacks:
                self._callbacks.remove(wake)
            last = self._n_waiting == 0 and not detach_only
        if last:
            self.cancel()

    def add_done_callback(self, callback: Callable[[APIFuture[T]], object]) -> None:
        """Call ``callback(future)`` when done, on the thread that fills it; at once if done."""
        if not self._done:
            self._host.check_usable()
        with self._condition:
            if not self._done:
                self._callbacks.append(callback)
                self._n_waiting += 1  # whoever awaits besides must not cancel what is wanted here
                return
        self._run(callback)

    def future(self) -> concurrent.futures.Future[T]:
        """A standard-library future of the same result, for ``concurrent.futures.wait``."""
        mirror: concurrent.futures.Future[T] = concurrent.futures.Future()

        def reflect(_: object) -> None:
            error = self._seen_error()
            if self._was_cancelled:
                mirror.cancel()
            if not mirror.set_running_or_notify_cancel():
                return
            if error is not None:
                mirror.set_exception(error)
            else:
                mirror.set_result(cast("T", self._value))

        self.add_done_callback(reflect)
        return mirror

    def __repr__(self) -> str:
        """The operation and its state."""
        if not self._done:
            state = "pending"
        elif self._was_cancelled:
            state = "cancelled"
        else:
            state = "failed" if self._error is not None else "done"
        return f"<APIFuture {self.operation}: {state}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse pickling: the work belongs to this process."""
        raise TypeError("An APIFuture cannot be pickled or copied; pass on its result instead.")

    def __del__(self) -> None:
        """Say so, once, if a failure was never looked at."""
        error = getattr(self, "_error", None)
        if error is None or self._was_cancelled or getattr(error, _SEEN, False):
            return
        if isinstance(error.__cause__, TransportClosed):  # the client was closed: no news to anyone
            return
        _mark_seen(error)
        logger.error("%s failed and nobody asked for its result: %s", self.operation, error)


# One failure may fail many operations (those that waited for a model that could not be made), so
# it is the error that remembers whether anybody has seen it.
_SEEN = "_tinker_lite_seen"


def _mark_seen(error: BaseException) -> None:
    with contextlib.suppress(AttributeError):  # an error class may refuse attributes
        setattr(error, _SEEN, True)


def without_traceback(error: BaseException) -> BaseException:
    """A copy to keep: a traceback would hold the client and the batch for as long as it is kept."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001  whatever a foreign class's copying raises
        return RuntimeError(repr(error))
