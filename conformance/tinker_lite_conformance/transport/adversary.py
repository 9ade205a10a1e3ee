"""A server that does exactly what a case tells it, byte by byte.

Each connection is served by a script in a thread of its own. Everything a script may wait for is
bounded, and what it raises fails the case.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .peer import Peer, Script, ok

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

    from .received import Received

__all__ = ["WAIT_S", "Adversary", "Peer", "Script", "ok"]

WAIT_S = 10.0  # what only a defect makes anybody wait for


class Adversary:
    """A server on this machine; a context manager.

    Args:
        scripts: What to do with each connection in the order of their coming; the last serves all
            further ones too.
        tls: Speak TLS with this context.
        mute_tls: Accept connections, but never answer the TLS handshake.
        listen: ``"127.0.0.1"``, ``"::1"``, or ``"unix"`` for a socket file in a new folder.
        socket_name: Name of the socket file.
        patience_s: Bound of every wait, in seconds.

    Attributes:
        n_connections: How many were accepted.
        requests: Every request or head that a script read.
        path: The socket file, or "".
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        mute_tls: bool = False,
        listen: str = "127.0.0.1",
        socket_name: str = "s",
        patience_s: float = WAIT_S,
    ) -> None:
        self.n_connections = 0
        self.requests: list[Received] = []
        self.path = ""
        self.patience_s = patience_s
        self._scheme = "https" if tls or mute_tls else "http"
        self._host = f"[{listen}]" if ":" in listen else listen
        self._scripts = scripts
        self._tls = tls
        self._stopping = False
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._listener = self._listen(listen, socket_name)
        self._address = self._listener.getsockname()

    def _listen(self, listen: str, socket_name: str) -> socket.socket:
        if listen != "unix":
            family = socket.AF_INET6 if ":" in listen else socket.AF_INET
            return socket.create_server((listen, 0), family=family, backlog=256)
        self._folder = tempfile.TemporaryDirectory(prefix="kit")  # paths have 108 bytes at most
        self.path = str(Path(self._folder.name, socket_name))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(256)
        return listener

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._address[1]
        return port

    def url(self, path: str = "/", host: str | None = None, *, user: str = "") -> str:
        """A URL of this server.

        Args:
            path: Path and query.
            host: Another name for its address.
            user: User info, ending in ``@``, for a proxy's URL.
        """
        if self.path:
            return f"http+unix://{quote(self.path, safe='')}{path}"
        return f"{self._scheme}://{user}{host or self._host}:{self.port}{path}"

    def wait(self, event: threading.Event) -> bool:
        """Wait for something that the client's side does; whether it happened in time."""
        return event.wait(self.patience_s)

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
        with contextlib.suppress(OSError), socket.socket(self._listener.family) as caller:
            caller.settimeout(self.patience_s)
            caller.connect(self._address)
        for thread in list(self._threads):
            thread.join(2 * self.patience_s)
            assert not thread.is_alive(), "a script of the adversary does not end"
        if self._folder is not None:
            self._folder.cleanup()
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
            sock.settimeout(self.patience_s)
            if not self.path:  # each part that is sent goes out on its own
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
