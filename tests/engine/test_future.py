from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import logging
import threading
import traceback
from collections.abc import Callable

import anyio
import pytest

from tests.engine.door import Door
from tests.engine.scripted import PATIENCE_S
from tinker_lite import APIFuture
from tinker_lite.engine.runtime import ThreadRuntime


class BrokenError(Exception):
    """What failing work raises."""


async def broken() -> object:
    """Work that fails."""
    raise BrokenError("it broke")


def run_everywhere(main: Callable[[], object]) -> None:
    """Run ``main`` on a thread of its own and demand that it ends well."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            main()
        except BaseException as error:  # noqa: BLE001  handed over to the test's thread
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert failures == []


def test_result_gives_the_same_object_every_time(door: Door) -> None:
    """Asking twice gives the value twice."""
    future = door.start()
    door.open()
    assert future.result(PATIENCE_S) is door.value
    assert future.result() is door.value
    assert future.exception() is None
    assert future.done()
    assert not future.cancelled()


def test_work_starts_without_being_asked(runtime: ThreadRuntime) -> None:
    """Work runs although nobody looks at its future."""
    ran = threading.Event()

    async def work() -> None:
        ran.set()

    runtime.start(work, "working")
    assert ran.wait(PATIENCE_S)


def test_a_timeout_cancels_nothing(door: Door) -> None:
    """After a timeout the work goes on, and the result can be asked for again."""
    future = door.start()
    with pytest.raises(TimeoutError, match=r"waiting has no result after 0\.01 s; it goes on"):
        future.result(0.01)
    with pytest.raises(TimeoutError, match="waiting"):
        future.exception(0.01)
    assert not future.done()
    door.open()
    assert future.result(PATIENCE_S) is door.value


async def test_an_async_timeout_cancels_nothing(door: Door) -> None:
    """A time limit of ``result_async`` leaves the work alone."""
    future = door.start()
    with pytest.raises(TimeoutError, match=r"waiting has no result after 0\.01 s"):
        await future.result_async(0.01)
    door.open()
    assert await future.result_async(PATIENCE_S) is door.value


def test_awaited_many_times_from_several_loops_and_threads(door: Door) -> None:
    """Loops of both kinds in several threads, and blocking threads, all get the one value."""
    future = door.start()
    seen: list[object] = []

    async def twice() -> None:
        seen.append(await future)
        seen.append(await future)

    async def several() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(twice)
            tasks.start_soon(twice)

    mains: list[Callable[[], object]] = [
        lambda: anyio.run(several, backend="asyncio"),
        lambda: anyio.run(several, backend="trio"),
        lambda: seen.extend([future.result(PATIENCE_S)] * 2),
    ]
    threads = [threading.Thread(target=main) for main in mains]
    for thread in threads:
        thread.start()
    door.open()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(seen) == 10
    assert all(value is door.value for value in seen)


async def test_cancelling_one_awaiter_detaches_only_it(door: Door) -> None:
    """Another awaiter still gets the value."""
    future = door.start()
    values: list[object] = []

    async def wait() -> None:
        values.append(await future)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0.01) as scope:
            await future
        assert scope.cancelled_caught
        assert not future.cancelled()
        door.open()
    assert values == [door.value]


async def test_the_last_cancelled_awaiter_cancels_the_work(door: Door) -> None:
    """Nobody is left who wants the value."""
    future = door.start()
    with anyio.move_on_after(0.01):
        await future
    assert await anyio.to_thread.run_sync(door.cut_off.wait, PATIENCE_S)
    with pytest.raises(concurrent.futures.CancelledError, match="waiting was cancelled"):
        await future
    assert future.cancelled()


async def test_a_blocking_waiter_keeps_the_work_alive(door: Door) -> None:
    """A thread in ``result()`` counts as an awaiter."""
    future = door.start()
    asking = threading.Event()
    values: list[object] = []

    def ask() -> None:
        asking.set()
        values.append(future.result(PATIENCE_S))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, ask)
        await anyio.to_thread.run_sync(asking.wait, PATIENCE_S)
        await anyio.sleep(0.05)  # the thread is between its signal and its wait
        with anyio.move_on_after(0.01):
            await future
        door.open()
    assert values == [door.value]


async def test_shared_never_cancels_the_work(door: Door) -> None:
    """Cancelling ``shared()`` leaves the work alone even when nobody else waits."""
    future = door.start()
    with anyio.move_on_after(0.01) as scope:
        await future.shared()
    assert scope.cancelled_caught
    door.open()
    assert await future.shared() is door.value


def test_cancel_stops_the_work_once(door: Door) -> None:
    """``cancel()`` says whether there was anything to cancel."""
    future = door.start()
    assert future.cancel()
    assert isinstance(future.exception(PATIENCE_S), concurrent.futures.CancelledError)
    assert future.cancelled()
    assert future.done()
    assert not future.cancel()
    assert repr(future) == "<APIFuture waiting: cancelled>"


def test_done_callbacks_run_before_and_after(door: Door) -> None:
    """A callback runs once, whether it was added before the end or after."""
    future = door.start()
    called: list[tuple[str, APIFuture[object]]] = []
    future.add_done_callback(lambda f: called.append(("before", f)))
    door.open()
    future.result(PATIENCE_S)
    future.add_done_callback(lambda f: called.append(("after", f)))
    run_everywhere(lambda: None)
    assert called == [("before", future), ("after", future)]


@pytest.mark.parametrize("kind", [BrokenError, SystemExit], ids=["an error", "an exit"])
def test_a_raising_callback_harms_nobody(
    kind: type[BaseException], door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; other callbacks, waiters and later work go on."""
    future = door.start()
    called = threading.Event()

    def bad(_: object) -> None:
        raise kind("bad callback")

    future.add_done_callback(bad)
    future.add_done_callback(lambda _: called.set())
    with caplog.at_level(logging.ERROR, "tinker_lite"):
        door.open()
        assert future.result(PATIENCE_S) is door.value
        assert called.wait(PATIENCE_S)
    assert [record.getMessage() for record in caplog.records] == ["A callback of waiting raised"]


def test_the_mirror_is_a_standard_future(runtime: ThreadRuntime, door: Door) -> None:
    """``future()`` serves ``concurrent.futures.wait`` and carries value or failure."""
    good, bad = door.start(), runtime.start(broken, "breaking")
    mirrors = {good.future(), bad.future()}
    door.open()
    done, pending = concurrent.futures.wait(mirrors, PATIENCE_S)
    assert done == mirrors
    assert not pending
    assert good.future().result() is door.value
    assert isinstance(bad.future().exception(), BrokenError)


def test_asyncio_helpers_take_a_future(door: Door) -> None:
    """``gather``, ``wait_for`` and ``create_task(f.coroutine())`` work."""

    async def main() -> None:
        future, other = door.start(), door.start()
        task = asyncio.create_task(future.coroutine())
        door.open()
        first, second = await asyncio.gather(future, other)
        assert first is second is door.value
        assert await asyncio.wait_for(future, PATIENCE_S) is door.value
        assert await task is door.value

    asyncio.run(main())


def test_wait_for_detaches_one_of_two(door: Door) -> None:
    """A ``wait_for`` that runs out takes only its own awaiter along."""

    async def main() -> None:
        future = door.start()
        task = asyncio.create_task(future.coroutine())
        await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(future, 0.01)
        assert not future.cancelled()
        door.open()
        assert await task is door.value

    asyncio.run(main())


def test_an_unread_failure_is_logged_once(
    runtime: ThreadRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropping a failed future says so at once, without waiting for the garbage collector."""
    gc.disable()
    try:
        with caplog.at_level(logging.ERROR, "tinker_lite"):
            future = runtime.start(broken, "breaking")
            failed = threading.Event()
            future.add_done_callback(lambda _: failed.set())
            assert failed.wait(PATIENCE_S)
            barrier(runtime)
            del future
            messages = [record.getMessage() for record in caplog.records]
            assert messages == ["breaking failed and nobody asked for its result: it broke"]
            gc.collect()
            assert len(caplog.records) == 1
    finally:
        gc.enable()


def barrier(runtime: ThreadRuntime) -> None:
    """Return when everything started before has been let go of."""

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    runtime.start(nothing, "nothing").result(PATIENCE_S)


READS: dict[str, Callable[[APIFuture[object]], object]] = {
    "result": lambda f: f.result(PATIENCE_S),
    "exception": lambda f: f.exception(PATIENCE_S),
    "await": lambda f: anyio.run(f.result_async),
    "exception_async": lambda f: anyio.run(f.exception_async),
    "mirror": lambda f: f.future().result(PATIENCE_S),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_read_failure_is_never_logged(
    read: Callable[[APIFuture[object]], object],
    runtime: ThreadRuntime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever looked at the failure has been told."""
    with caplog.at_level(logging.ERROR, "tinker_lite"):
        future = runtime.start(broken, "breaking")
        with contextlib.suppress(BrokenError):
            assert isinstance(read(future), BrokenError)
        barrier(runtime)
        del future
        gc.collect()
    assert caplog.records == []


def test_a_cancelled_future_is_no_failure(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Dropping a cancelled future logs nothing."""
    with caplog.at_level(logging.ERROR, "tinker_lite"):
        future = door.start()
        future.cancel()
        assert door.cut_off.wait(PATIENCE_S)
        del future
        gc.collect()
    assert caplog.records == []


def caller_of(future: APIFuture[object]) -> list[str]:
    """The functions in the traceback of the failure, as the caller sees it."""
    try:
        future.result(PATIENCE_S)
    except BrokenError as error:
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("it did not fail")


def test_a_failure_shows_the_frames_of_caller_and_work(runtime: ThreadRuntime) -> None:
    """The traceback names who asked and what failed, and does not grow with asking."""
    future = runtime.start(broken, "breaking")
    first = caller_of(future)
    assert first[0] == "caller_of"
    assert first[-1] == "broken"
    assert [caller_of(future) for _ in range(3)] == [first] * 3
