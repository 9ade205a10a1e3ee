"""The reading side of a connection: a file over a socket, with a limit on every wait."""

from __future__ import annotations

import io
import ssl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .limits import Clock

__all__ = ["SocketReader", "Stream"]


class Stream(Protocol):
    """What a connection needs of a socket; TLS within TLS has no more of one."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Bound the next operations; 0 is not to wait, None for ever."""
        ...

    def recv_into(self, buffer: memoryview, /) -> int:
        """Read what is there; 0 is the end."""
        ...

    def send(self, data: memoryview, /) -> int:
        """Send some of it; how much."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        ...


class SocketReader(io.RawIOBase):
    """The reading side of a socket, which sets the read limit before every wait.

    Attributes:
        clock: How long to wait; None is not to wait.
        ended: The peer has ended its side.
    """

    def __init__(self, stream: Stream, clock: Clock) -> None:
        super().__init__()
        self._stream = stream
        self.clock: Clock | None = clock
        self.ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # what io passes
        """Read what is there, waiting for something unless there is no clock."""
        clock = self.clock
        self._stream.settimeout(0.0 if clock is None else clock.seconds("read"))
        try:
            n_bytes = self._stream.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except TimeoutError as error:
            assert clock is not None, "a wait has a clock"
            clock.expire("read", error)
        self.ended = self.ended or n_bytes == 0
        return n_bytes
