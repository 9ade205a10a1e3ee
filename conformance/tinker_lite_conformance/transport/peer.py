"""One connection of the adversary, as its script sees it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Protocol

from .received import Received, read_head, read_request

if TYPE_CHECKING:
    import io
    import threading
    from collections.abc import Callable
    from typing import TypeAlias

__all__ = ["Peer", "Script", "Server", "ok"]

BLOCK_BYTES = 65_536


def ok(body: bytes = b"", *headers: str) -> bytes:
    """A plain answer with status 200, its length and the header lines given."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


class Server(Protocol):
    """What a connection knows of the server that accepted it."""

    requests: list[Received]
    patience_s: float

    def wait(self, event: threading.Event) -> bool:
        """Wait for something; whether it happened in time."""
        ...


class Peer:
    """One accepted connection, as a script sees it.

    Args:
        sock: The connection.
        server: The adversary, whose ``requests`` grow with what is read here.
    """

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self._sock = sock
        self.server = server
        self._stream = sock.makefile("rb")

    @property
    def protocol(self) -> str | None:
        """What ALPN chose in the TLS handshake."""
        return (
            self._sock.selected_alpn_protocol() if isinstance(self._sock, ssl.SSLSocket) else None
        )

    def head(self) -> Received | None:
        """Read a request head and leave its body; None at the end of the connection."""
        return self._note(read_head)

    def request(self) -> Received | None:
        """Read a request; None at the end of the connection."""
        return self._note(read_request)

    def _note(self, read: Callable[[io.BufferedReader], Received | None]) -> Received | None:
        try:
            received = read(self._stream)
        except (ConnectionError, ssl.SSLError):
            return None
        if received is not None:
            self.server.requests.append(received)
        return received

    def read(self, n_bytes: int) -> bytes:
        """Read that many bytes, fewer only at the end."""
        return self._stream.read(n_bytes)

    def send(self, *parts: bytes) -> None:
        """Send bytes; a peer that is gone already does not matter."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for part in parts:
                self._sock.sendall(part)

    def wait(self, event: threading.Event) -> bool:
        """Wait for something that the client's side does; whether it happened in time."""
        return self.server.wait(event)

    def relay(self, host: str, port: int) -> None:
        """Pass bytes on to another server, and back, until either side ends."""
        with socket.create_connection((host, port), self.server.patience_s) as far:
            ways = {self._sock: far, far: self._sock}
            while True:
                ready = self._pending() or select.select(ways, [], [], self.server.patience_s)[0]
                assert ready, "neither side of the relay says anything"
                for one in ready:
                    try:
                        block = one.recv(BLOCK_BYTES)
                    except (ConnectionError, ssl.SSLError):
                        return
                    if not block:
                        return
                    with contextlib.suppress(ConnectionError, ssl.SSLError):
                        ways[one].sendall(block)

    def _pending(self) -> list[socket.socket]:
        """The client's side, if TLS has read more from its socket than it has handed over."""
        sock = self._sock
        return [sock] if isinstance(sock, ssl.SSLSocket) and sock.pending() else []

    def half_close(self) -> None:
        """Send no more, but go on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def wait_for_end(self) -> bool:
        """Read on until the connection ends; whether it did within the bound."""
        try:
            while self._stream.read(BLOCK_BYTES):
                pass
        except (ConnectionError, ssl.SSLError):
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Hang up, over TLS without a farewell."""
        self._stream.close()
        self._sock.close()

    def say_goodbye(self) -> None:
        """End TLS in order, then hang up."""
        if isinstance(self._sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self._sock.settimeout(0.2)  # for the client's farewell, which need not come
                self._sock.unwrap()
        self.close()


Script: TypeAlias = "Callable[[Peer], None]"
