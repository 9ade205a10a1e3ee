"""The server of the benchmarks: as little work for each request as Python allows.

``GET /n`` is answered with n zero bytes, any other method after its body, with none. One thread,
non-blocking sockets, bodies sent from one buffer. It prints its port, then the processor seconds it
has used for every line it reads, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import sys
import time

from benchmarks.job import stay_on_processor

BLOCK = memoryview(bytes(4_194_304))
SINK = bytearray(1_048_576)
# As many headers as services and their proxies send.
HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: origin\r\n"
    b"Content-Type: application/octet-stream\r\nX-Request-ID: 0123456789abcdef\r\n"
    b"Cache-Control: no-store\r\nVary: Accept-Encoding\r\nContent-Length: %d\r\n\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One client."""

    def __init__(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, self)
        self._sock = sock
        self._selector = selector
        self._head = b""
        self._n_to_read = 0
        self._n_to_write = 0

    def ready(self) -> None:
        """Go on with whatever is under way; forget a client that has gone."""
        try:
            if self._n_to_write:
                self._write()
            elif self._n_to_read:
                self._read_body()
            else:
                self._read_head()
        except BlockingIOError:
            pass
        except OSError:
            self._selector.unregister(self._sock)
            self._sock.close()

    def _read_head(self) -> None:
        data = self._sock.recv(65_536)
        if not data:
            raise ConnectionResetError
        head, end, body = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            return
        self._head = b""
        method, target, _ = head.split(b" ", 2)
        if method == b"GET":
            self._answer(int(target[1:].partition(b"?")[0]))
            return
        length = _LENGTH.search(head)
        self._n_to_read = (int(length[1]) if length else 0) - len(body)
        if not self._n_to_read:
            self._answer(0)

    def _read_body(self) -> None:
        n_bytes = self._sock.recv_into(SINK)
        if not n_bytes:
            raise ConnectionResetError
        self._n_to_read -= n_bytes
        if not self._n_to_read:
            self._answer(0)

    def _answer(self, size_bytes: int) -> None:
        first = BLOCK[: min(size_bytes, 65_536)]
        n_sent = self._sock.send(HEAD % size_bytes + first)
        self._n_to_write = len(HEAD % size_bytes) + size_bytes - n_sent
        if self._n_to_write:
            self._selector.modify(self._sock, selectors.EVENT_WRITE, self)

    def _write(self) -> None:
        self._n_to_write -= self._sock.send(BLOCK[: self._n_to_write])
        if not self._n_to_write:
            self._selector.modify(self._sock, selectors.EVENT_READ, self)


def main() -> None:
    """Serve until standard input ends."""
    stay_on_processor(-1)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  # read by the benchmark
    while True:
        for key, _ in selector.select():
            if isinstance(key.data, Connection):
                key.data.ready()
            elif key.fileobj is listener:
                with contextlib.suppress(OSError):  # a client that has given up already
                    Connection(listener.accept()[0], selector)
            elif sys.stdin.readline():
                print(time.process_time(), flush=True)  # noqa: T201  # likewise
            else:
                return


if __name__ == "__main__":
    main()
