"""Work that a test holds back and lets go."""

from __future__ import annotations

import threading

import anyio

from tinker_lite import APIFuture
from tinker_lite.engine.runtime import ThreadRuntime


class Door:
    """Work that waits behind a door, on whatever loop it runs."""

    def __init__(self, runtime: ThreadRuntime) -> None:
        self._runtime = runtime
        self._event = anyio.Event()
        self.value = object()
        self.finished = threading.Event()
        self.cut_off = threading.Event()

    async def work(self) -> object:
        """Wait for the door and give the value."""
        try:
            await self._event.wait()
        except anyio.get_cancelled_exc_class():
            self.cut_off.set()
            raise
        finally:
            self.finished.set()
        return self.value

    def start(self) -> APIFuture[object]:
        """Start the work."""
        return self._runtime.start(self.work, "waiting")

    def open(self) -> None:
        """Let all works of this door end."""

        async def set_event() -> None:
            self._event.set()

        self._runtime.start(set_event, "opening")
