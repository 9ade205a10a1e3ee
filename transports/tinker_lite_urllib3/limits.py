"""The time limits of one request as seconds to give a socket before each wait."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NoReturn, Protocol

from tinker_lite.attempt import PhaseExpired

if TYPE_CHECKING:
    from tinker_lite.errors import TimeoutPhase
    from tinker_lite.http import Timeout

__all__ = ["Clock", "Limits", "Window"]


class Clock(Protocol):
    """Says how long to wait, and raises what a wait that took too long becomes."""

    def seconds(self, phase: TimeoutPhase) -> float | None:
        """How long a wait of this phase may take from now; None is for ever."""
        ...

    def expire(self, phase: TimeoutPhase, cause: BaseException | None = None) -> NoReturn:
        """Raise the error of a wait of this phase that took too long."""
        ...


class Limits:
    """The limits of one request, counted from its making; each wait has the whole of its own.

    Args:
        timeout: The request's limits.
    """

    __slots__ = ("_end", "_limits_s")

    def __init__(self, timeout: Timeout) -> None:
        self._limits_s: dict[TimeoutPhase, float | None] = {
            "pool": timeout.pool_s,
            "connect": timeout.connect_s,
            "tls": timeout.tls_s,
            "write": timeout.write_s,
            "read": timeout.read_s,
            "total": timeout.total_s,
        }
        self._end = math.inf if timeout.total_s is None else time.monotonic() + timeout.total_s

    def seconds(self, phase: TimeoutPhase) -> float | None:
        """How long a wait of this phase may take from now; None is for ever.

        Raises:
            PhaseExpired: The total is used up.
        """
        limit_s = self._limits_s[phase]
        if self._end == math.inf:
            return limit_s
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            self.expire(phase)
        return left_s if limit_s is None else min(limit_s, left_s)

    def expire(self, phase: TimeoutPhase, cause: BaseException | None = None) -> NoReturn:
        """Raise the error of a wait of this phase that took too long; the total goes first."""
        named: TimeoutPhase = "total" if self._end <= time.monotonic() else phase
        raise PhaseExpired(named, self._limits_s[named] or 0.0) from cause

    def window(self, phase: TimeoutPhase) -> Window:
        """The limit of one phase, for several waits together."""
        return Window(self, phase)


class Window:
    """A stretch of time that begins now and that several waits share, whatever they call it."""

    __slots__ = ("_end", "_limits", "_phase")

    def __init__(self, limits: Limits, phase: TimeoutPhase) -> None:
        self._limits = limits
        self._phase: TimeoutPhase = phase
        seconds = limits.seconds(phase)
        self._end = None if seconds is None else time.monotonic() + seconds

    def seconds(self, phase: TimeoutPhase | None = None) -> float | None:
        """What is left; None is for ever.

        Raises:
            PhaseExpired: Nothing is.
        """
        if self._end is None:
            return None
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            self.expire()
        return left_s

    def expire(
        self, phase: TimeoutPhase | None = None, cause: BaseException | None = None
    ) -> NoReturn:
        """Raise the error of a wait that took too long."""
        self._limits.expire(self._phase, cause)
