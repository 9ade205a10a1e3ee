"""A server that does exactly what a case tells it, byte by byte.

Each connection is served by a script in a thread of its own. Everything a script may wait for is
bounded, and what it raises fails the case.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from functools import partial
from typing import TYPE_CHECKING

from .received import Received, read_head, read_request

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from types import TracebackType
    from typing import TypeAlias

__all__ = ["WAIT_S", "Adversary", "Peer", "Script", "ok"]

WAIT_S = 10.0  # what only a defect makes anybody wait for


def ok(body: bytes = b"", *headers: str) -> bytes:
    """A plain answer with status 200, its length and the header lines given."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + body


class Peer:
    """One accepted connection, as a script sees it.

    Args:
        sock: The connection.
        server: The adversary, whose ``requests`` grow with what is read here.
    """

    def __init__(self, sock: socket.socket, server: Adversary) -> None:
        self._sock = sock
        self.server = server
        self._stream = sock.makefile("rb")

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
            while self._stream.read(65_536):
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


class Adversary:
    """A server on loopback; a context manager.

    Args:
        scripts: What to do with each connection in the order of their coming; the last serves all
            further ones too.
        tls: Speak TLS with this context.
        mute_tls: Accept connections, but never answer the TLS handshake.

    Attributes:
        n_connections: How many were accepted.
        requests: Every request or head that a script read.
    """

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, mute_tls: bool = False
    ) -> None:
        self.n_connections = 0
        self.requests: list[Received] = []
        self._scheme = "https" if tls or mute_tls else "http"
        self._scripts = scripts
        self._tls = tls
        self._stopping = False
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._port: int = self._listener.getsockname()[1]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """A URL of this server."""
        return f"{self._scheme}://{host}:{self._port}{path}"

    def __enter__(self) -> Adversary:
        """Start to accept."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and raise what a script raised."""
        # Closing a listener does not wake up its accept() everywhere; connecting to it does.
        self._stopping = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
            pass
        for thread in list(self._threads):
            thread.join(2 * WAIT_S)
            assert not thread.is_alive(), "a script of the adversary does not end"
        if self._failures and error is None:
            raise self._failures[0]

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopping:
                sock.close()
                self._listener.close()
                return
            sock.settimeout(WAIT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each part on its own
            script = self._scripts[min(self.n_connections, len(self._scripts) - 1)]
            self.n_connections += 1
            self._start(partial(self._serve, sock, script))

    def _serve(self, sock: socket.socket, script: Script) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:  # the client did not like the certificate
            sock.close()
            return
        peer = Peer(sock, self)
        try:
            script(peer)
        except BaseException as error:  # noqa: BLE001  # shown by the case, not by the thread
            self._failures.append(error)
        finally:
            peer.close()
