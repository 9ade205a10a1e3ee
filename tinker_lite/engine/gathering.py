"""Running several pieces of work at once, with one plain error instead of a group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["gather", "settle"]

T = TypeVar("T")


async def gather(works: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Run all of ``works`` at once and return their results in order.

    Raises:
        Exception: What the first one to fail raised; the others are cancelled.
    """
    results: list[T | None] = [None] * len(works)
    failures: list[Exception] = []

    async def run(i: int) -> None:
        try:
            results[i] = await works[i]()
        except Exception as error:  # noqa: BLE001  raised again below, outside the group
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for i in range(len(works)):
            tasks.start_soon(run, i)
    if failures:
        raise failures[0]
    return cast("list[T]", results)


async def settle(works: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
    """Run all of ``works`` at once to their ends, and return results and failures in order."""

    async def outcome(work: Callable[[], Awaitable[T]]) -> T | Exception:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001  it is the outcome
            return error

    return await gather([partial(outcome, work) for work in works])
