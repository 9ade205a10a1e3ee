from __future__ import annotations

from functools import partial

import anyio
import pytest

from tinker_lite.engine.backlog import Backlog
from tinker_lite.engine.gathering import gather


async def test_results_come_in_the_order_of_the_works() -> None:
    """Whichever finishes first."""
    first_may_end = anyio.Event()

    async def first() -> int:
        await first_may_end.wait()
        return 1

    async def second() -> int:
        first_may_end.set()
        return 2

    assert await gather([first, second]) == [1, 2]
    assert await gather([]) == []


async def test_the_first_failure_is_raised_plainly_and_cancels_the_rest() -> None:
    """No exception group reaches the caller."""
    cut_off: list[bool] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cut_off.append(True)
            raise

    async def fail() -> None:
        await anyio.wait_all_tasks_blocked()
        raise LookupError("first")

    with pytest.raises(LookupError, match="first"):
        await gather([wait, fail])
    assert cut_off == [True]


async def test_gathering_can_be_cancelled() -> None:
    """A cancelled gather ends all its works and stays a cancellation."""
    with anyio.move_on_after(0.01) as scope:
        await gather([partial(anyio.sleep, 60), partial(anyio.sleep, 60)])
    assert scope.cancelled_caught


def test_a_backlog_tells_queued_from_sent_from_settled() -> None:
    """Unconfirmed is what has no result, oldest first, sent or not."""
    backlog = Backlog()
    first, second = backlog.queued("first"), backlog.queued("second")
    assert not backlog.wait_sent(0.0)
    backlog.sent(first)
    assert backlog.unconfirmed() == ["first", "second"]
    backlog.settled(first)
    backlog.sent(second)
    assert backlog.wait_sent(0.0)
    assert backlog.unconfirmed() == ["second"]
    backlog.settled(second)
    backlog.sent(second)
    assert backlog.unconfirmed() == []


def test_a_backlog_calls_once_when_everything_is_settled() -> None:
    """At once if nothing has begun, else when the last operation has its result."""
    backlog = Backlog()
    calls: list[str] = []
    backlog.when_settled(lambda: calls.append("at once"))
    key = backlog.queued("x")
    backlog.when_settled(lambda: calls.append("later"))
    assert calls == ["at once"]
    backlog.settled(key)
    backlog.settled(key)
    assert calls == ["at once", "later"]
