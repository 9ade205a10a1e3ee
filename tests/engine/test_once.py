"""A value that many tasks ask for at once."""

from __future__ import annotations

import anyio
import pytest

from tinker_lite.engine.session import Once

pytestmark = pytest.mark.anyio


class Maker:
    """Makes a value when it is let, and counts how often it was asked.

    Args:
        failures: What the first attempts raise.
    """

    def __init__(self, *failures: Exception) -> None:
        self.n_asked = 0
        self.let = anyio.Event()
        self._failures = [*failures]

    async def __call__(self) -> str:
        """Wait, then make the value or fail."""
        self.n_asked += 1
        await self.let.wait()
        if self._failures:
            raise self._failures.pop(0)
        return f"made {self.n_asked}"


async def ask(once: Once[str], maker: Maker, found: list[object]) -> None:
    """Note the value or the failure."""
    try:
        found.append(await once.get(maker))
    except ValueError as error:
        found.append(str(error))


async def test_a_failure_is_that_of_all_who_waited_for_it() -> None:
    """They do not try one after the other; whoever asks later makes a new attempt."""
    once, maker, found = Once[str](), Maker(ValueError("no")), list[object]()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, once, maker, found)
        await anyio.wait_all_tasks_blocked()
        maker.let.set()
    assert (found, maker.n_asked, once.value) == (["no"] * 5, 1, None)
    assert await once.get(maker) == await once.get(maker) == once.value == "made 2"


async def test_one_who_gives_up_leaves_the_making_to_the_next() -> None:
    """A cancelled maker is no failure of the value."""
    once, maker, found = Once[str](), Maker(), list[object]()
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as doomed:
                doomed.start_soon(once.get, maker)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(ask, once, maker, found)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        await anyio.wait_all_tasks_blocked()
        maker.let.set()
    assert found == ["made 2"]
