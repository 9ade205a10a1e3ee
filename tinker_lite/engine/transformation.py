"""``atransform`` for callers outside: files are read in worker threads of anyio's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread

from tinker_lite.wire import transform

if TYPE_CHECKING:
    from tinker_lite.wire.files import RunBlocking

__all__ = ["atransform"]


async def atransform(
    data: object, expected_type: object, run: RunBlocking = anyio.to_thread.run_sync
) -> Any:
    """Async form of ``transform``; same result and errors.

    Args:
        data: The body.
        expected_type: Its type.
        run: Runs each blocking read.
    """
    return await transform.atransform(data, expected_type, run)
