"""The time limits of one request as cancel scopes, one for each wait.

No scope ever spans a ``yield``; a wait without a limit costs no scope at all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from tinker_lite.attempt import PhaseExpired

if TYPE_CHECKING:
    from types import TracebackType

    from tinker_lite.errors import TimeoutPhase
    from tinker_lite.http import Timeout

__all__ = ["Limits", "Listening", "Window"]


class Window:
    """A bounded wait: ``with window: await ...`` raises ``PhaseExpired`` when its time is up.

    It may be entered again, for another wait until the same moment.
    """

    __slots__ = ("_scope", "deadline", "limit_s", "phase")

    def __init__(self, phase: TimeoutPhase, limit_s: float, deadline: float) -> None:
        self.phase: TimeoutPhase = phase
        self.limit_s = limit_s
        self.deadline = deadline
        self._scope: anyio.CancelScope | None = None

    def __enter__(self) -> None:
        if self.deadline != math.inf:
            self._scope = anyio.CancelScope(deadline=self.deadline)
            self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.__exit__(kind, error, traceback)
            if scope.cancelled_caught:
                raise PhaseExpired(self.phase, self.limit_s)


class Listening:
    """A wait for an answer that begins during an upload and outlasts it.

    The read limit holds once the upload is over, counted from then and from each arrival. One wait
    rather than two, since a wait that is cancelled leaves anyio before 4.16 reading on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._scope = anyio.CancelScope()
        self._window: Window | None = None

    def upload_is_over(self) -> None:
        """From now on the peer's silence counts."""
        self._window = self._limits.read()
        self._scope.deadline = self._window.deadline

    def something_came(self) -> None:
        """The silence, if it counts, is broken."""
        if self._window is not None:
            self.upload_is_over()

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            assert self._window is not None, "there is no deadline before the upload is over"
            raise PhaseExpired(self._window.phase, self._window.limit_s)


class Limits:
    """The limits of one request, counted from its making.

    Args:
        timeout: The request's limits.
    """

    __slots__ = ("_end", "_pool", "_timeout")

    def __init__(self, timeout: Timeout) -> None:
        self._timeout = timeout
        self._pool: Window | None = None
        total_s = timeout.total_s
        self._end = math.inf if total_s is None else anyio.current_time() + total_s

    def pool(self) -> Window:
        """The waits for slots, all of them together, from the first on."""
        if self._pool is None:
            self._pool = self._window("pool", self._timeout.pool_s)
        return self._pool

    def connect(self) -> Window:
        """Everything up to the stream that leads to the origin: TCP, and a proxy's tunnel."""
        return self._window("connect", self._timeout.connect_s)

    def tls(self) -> Window:
        """The TLS handshake."""
        return self._window("tls", self._timeout.tls_s)

    def write(self) -> Window:
        """The sending of one block."""
        return self._window("write", self._timeout.write_s)

    def read(self) -> Window:
        """The wait for the next bytes."""
        return self._window("read", self._timeout.read_s)

    def total(self) -> Window:
        """Something that has no limit of its own."""
        return self._window("total", None)

    def _window(self, phase: TimeoutPhase, limit_s: float | None) -> Window:
        deadline = math.inf if limit_s is None else anyio.current_time() + limit_s
        if limit_s is None or self._end < deadline:
            return Window("total", self._timeout.total_s or 0.0, self._end)
        return Window(phase, limit_s, deadline)
