"""Waiting a little for the end of a session whose program has failed already."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from tinker_lite.engine.future import APIFuture

__all__ = ["wait_briefly", "wait_briefly_async"]

logger = logging.getLogger("tinker_lite")

# After an error, telling the service is a courtesy that must not keep the program waiting.
PATIENCE_S = 5.0
# Whoever waits for it waits a little longer, so that the farewell gives up first and says so.
WAIT_S = PATIENCE_S + 1.0


def wait_briefly(closing: APIFuture[None]) -> None:
    """Wait for the end of a session, blocking, for a few seconds at most; never raises."""
    try:
        failure = closing.exception(WAIT_S)
    except TimeoutError as error:
        failure = error
    _note(failure)


async def wait_briefly_async(closing: APIFuture[None]) -> None:
    """Async form of ``wait_briefly``; goes on while the surrounding scope is being cancelled."""
    with anyio.move_on_after(WAIT_S, shield=True):
        _note(await closing.exception_async())


def _note(failure: BaseException | None) -> None:
    if failure is not None:
        logger.info("The service could not be told that the session ended: %s", failure)
