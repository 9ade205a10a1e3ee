"""Where a future may be waited for, and where it may not go."""

from __future__ import annotations

import copy
import pickle
import traceback
import warnings
from typing import get_origin

import pytest

from tests.engine.door import Door
from tests.engine.scripted import PATIENCE_S
from tinker_lite import APIFuture
from tinker_lite.engine.runtime import ThreadRuntime


def test_blocking_on_the_own_thread_is_refused(runtime: ThreadRuntime, door: Door) -> None:
    """``result()`` where it would wait for itself names ``await``."""
    future = door.start()

    async def ask() -> object:
        return future.result()

    with pytest.raises(RuntimeError, match=r"result\(\) of waiting .* use `await` instead"):
        runtime.start(ask, "asking").result(PATIENCE_S)
    door.open()
    future.result(PATIENCE_S)

    async def ask_when_done() -> object:
        return future.result()

    assert runtime.start(ask_when_done, "asking").result(PATIENCE_S) is door.value


async def test_blocking_inside_another_loop_warns_at_the_caller(door: Door) -> None:
    """The warning points at the line that blocks, once per line."""
    future = door.start()
    lines: list[int] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            lines.append(here())
            with pytest.raises(TimeoutError):
                future.result(0.001)
    assert len(caught) == 1
    assert issubclass(caught[0].category, RuntimeWarning)
    assert "blocks the running event loop; use `await`" in str(caught[0].message)
    assert (caught[0].filename, caught[0].lineno) == (__file__, lines[0] + 2)
    door.open()


def here() -> int:
    """The caller's line."""
    return traceback.extract_stack()[-2].lineno or 0


def test_a_future_stays_where_it_is(door: Door) -> None:
    """Pickling and copying are refused."""
    future = door.start()
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="APIFuture cannot be pickled or copied"):
            attempt(future)
    assert repr(future) == "<APIFuture waiting: pending>"
    door.open()
    future.result(PATIENCE_S)
    assert repr(future) == "<APIFuture waiting: done>"


def test_an_exit_in_the_work_is_kept_in_its_future(runtime: ThreadRuntime, door: Door) -> None:
    """``sys.exit()`` inside one operation does not take the runtime along."""

    async def leave() -> object:
        raise SystemExit(3)

    future = runtime.start(leave, "leaving")
    assert isinstance(future.exception(PATIENCE_S), SystemExit)
    later = door.start()
    door.open()
    assert later.result(PATIENCE_S) is door.value


def test_api_future_is_generic_and_abstract_in_type() -> None:
    """``APIFuture[X]`` works at run time, as older annotations need."""
    assert get_origin(APIFuture[int]) is APIFuture
