"""Waiting on an event loop for what a worker thread does, without a thread of one's own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.local.promises import Promise

__all__ = ["Alarm", "kept_within"]


class Alarm:
    """An event of the running loop that may be set from any thread, any number of times."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._soon = _scheduler()

    def ring(self) -> None:
        """Wake the waiter soon; harmless when its loop has ended."""
        with suppress(RuntimeError):
            self._soon(self._event.set)

    async def wait(self, patience_s: float) -> bool:
        """Wait for the alarm; False if it did not ring in time."""
        with anyio.move_on_after(patience_s):
            await self._event.wait()
        return self._event.is_set()


def _scheduler() -> Callable[[Callable[[], object]], object]:
    # anyio's own way into a loop blocks the calling thread; a worker must never wait for a loop.
    native = cast("Any", current_token().native_token)
    return cast(
        "Callable[[Callable[[], object]], object]",
        native.call_soon_threadsafe
        if hasattr(native, "call_soon_threadsafe")
        else native.run_sync_soon,
    )


async def kept_within(promise: Promise, patience_s: float, alarm: Alarm) -> bool:
    """Wait until a promise is kept or ``alarm`` rings for another reason; False if neither did."""
    promise.add_waiter(alarm.ring)
    try:
        return await alarm.wait(patience_s)
    finally:
        promise.remove_waiter(alarm.ring)
