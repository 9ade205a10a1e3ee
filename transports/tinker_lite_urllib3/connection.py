"""One connection: urllib3 writes its request heads; opening, time limits and reading are ours.

urllib3 gives one timeout to a whole connection. This one gives each wait its own limit, sends in
blocks so that the write limit means progress, and reads through ``SocketReader``.
"""

from __future__ import annotations

import io
import select
from http.client import HTTPConnection as HTTPClientConnection
from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection

from .answer import Answer
from .link import Link
from .reader import SocketReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.attempt import Attempt
    from tinker_lite.routes import Route
    from tinker_lite.tls import TLSSettings

    from .limits import Limits

__all__ = ["BLOCK_BYTES", "SEND_BLOCK_BYTES", "Connection"]

BLOCK_BYTES = 262_144  # one read; measured: smaller ones cost more, larger ones no less
# One send, which takes no more than the socket does, so that the write limit still means progress.
SEND_BLOCK_BYTES = 1_048_576
READ_AHEAD_BYTES = 16_384


class Connection(HTTPConnection):
    """A connection along one route, used by one request at a time.

    Args:
        route: Where it leads.
        tls: How to speak TLS.

    Attributes:
        aborted: It was shut down from outside, by closing the transport.
    """

    limits: Limits
    attempt: Attempt
    response_class = Answer  # type: ignore[assignment]  # http.client asks it only begin and close
    reader: io.BufferedReader
    aborted = False
    _raw: SocketReader | None = None
    _head = b""

    def __init__(self, route: Route, tls: TLSSettings) -> None:
        super().__init__("")  # where to is the link's business
        # TLS is not listened to: its session tickets arrive unasked and look like an answer.
        proxy_speaks_tls = route.proxy is not None and route.proxy.scheme == "https"
        self._can_listen = route.origin.scheme != "https" and not proxy_speaks_tls
        self._link = Link(route, tls)

    def start(self, limits: Limits, attempt: Attempt) -> None:
        """Begin an exchange, over a new connection if there is none."""
        self.limits = limits
        self.attempt = attempt
        if self._raw is None:
            self._link.open(limits, attempt)
            self._raw = SocketReader(self._link.stream, limits)
            self.reader = io.BufferedReader(self._raw, READ_AHEAD_BYTES)
        else:
            self._raw.clock = limits

    def send(self, data: object) -> None:
        """Hold back what http.client writes, so that a small body can go with it."""
        assert isinstance(data, bytes), "only heads are sent this way"
        self._head += data

    def head(self, method: str, request_target: str, headers: list[tuple[str, str]]) -> bytes:
        """The bytes of a request head.

        The headers have been checked by the letter, so they need not pass http.client's own, looser
        checks, which take longer than all the rest (measured).

        Raises:
            ValueError, http.client.InvalidURL: The method or the target is not HTTP.
        """
        if not method:
            raise ValueError("the method is empty")
        self._head = b""
        self.putrequest(method, request_target, skip_host=True, skip_accept_encoding=True)
        self.endheaders()
        HTTPClientConnection.getresponse(self)  # reads nothing (see Answer); ends the request
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        return b"%b%b\r\n" % (self._head.removesuffix(b"\r\n"), lines.encode("latin-1"))

    def write(self, data: bytes | memoryview, has_answer: Callable[[], bool] | None = None) -> bool:
        """Send every byte, or stop when the peer answers.

        Args:
            data: What to send.
            has_answer: Called when bytes of the peer are there, to read them; whether to stop.

        Returns:
            Whether all of it was sent.
        """
        stream = self._link.stream
        listening = has_answer is not None and self._can_listen
        rest = memoryview(data)
        while rest:
            seconds = self.limits.seconds("write")
            stream.settimeout(seconds)
            try:
                if listening and _is_spoken_to(self._link.fileno(), seconds):
                    assert has_answer is not None, "so listening says"
                    if has_answer():
                        return False
                    continue
                rest = rest[stream.send(rest[:SEND_BLOCK_BYTES]) :]
            except TimeoutError as error:
                self.limits.expire("write", error)
        return True

    def has_more(self) -> bool:
        """Whether the peer has sent more than was read, without waiting for it."""
        assert self._raw is not None, "the connection is open"
        clock, self._raw.clock = self._raw.clock, None
        try:
            return bool(self.reader.peek(1)) or self._raw.ended
        finally:
            self._raw.clock = clock

    def is_dead(self) -> bool:
        """Whether something came in while it was idle: the end, or bytes nobody asked for."""
        try:
            return self.has_more()
        except (OSError, ValueError):
            return True

    def abort(self) -> None:
        """Wake up whoever waits on this connection, from any thread; the transport is closing."""
        self.aborted = True
        self._link.shut_down()

    def close(self) -> None:
        """Close at once, without a TLS farewell; a thread that waits on it wakes up."""
        self._link.close()


if hasattr(select, "poll"):

    def _is_spoken_to(descriptor: int, seconds: float | None) -> bool:
        """Wait until a socket takes bytes; True if it has bytes to give instead."""
        poll = select.poll()  # unlike select(), it takes descriptors above 1023
        poll.register(descriptor, select.POLLIN | select.POLLOUT)
        ready = poll.poll(None if seconds is None else seconds * 1000)
        if not ready:
            raise TimeoutError
        return bool(ready[0][1] & select.POLLIN)

else:

    def _is_spoken_to(descriptor: int, seconds: float | None) -> bool:
        """Wait until a socket takes bytes; True if it has bytes to give instead."""
        readable, writable, _ = select.select([descriptor], [descriptor], [], seconds)
        if not (readable or writable):
            raise TimeoutError
        return bool(readable)
