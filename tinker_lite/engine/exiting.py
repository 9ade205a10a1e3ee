"""The end of the process, early enough that threads can still be started.

``atexit`` runs after the standard library has closed its thread pools; from then on no host name
can be looked up (asyncio does that in a pool) and, from Python 3.12 on, no thread can be started.
The hook that the standard library itself uses comes earlier. It is private, so it is used in this
one place, and without it ``atexit`` has to do.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread as pools
import threading
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["before_threads_end"]

# Importing the pools registers their own hook; hooks run last in, first out, so ours comes first.
_POOLS = pools


def before_threads_end(callback: Callable[[], None]) -> None:
    """Call ``callback`` once when the process begins to end, while threads still work."""
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        cast("Callable[[Callable[[], None]], object]", register)(callback)
    except RuntimeError:  # the main thread has ended already, and another thread goes on
        atexit.register(callback)
