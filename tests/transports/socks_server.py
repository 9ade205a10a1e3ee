"""A small SOCKS proxy for tests: versions 4, 4a and 5, with or without user and password."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

__all__ = ["Asked", "SocksServer"]

WAIT_S = 10.0  # what only a defect makes anybody wait for


class Asked(NamedTuple):
    """What a client asked for: the version, the host as it was named, the port, and by whom."""

    version: int
    host: str
    port: int
    user: str = ""
    password: str = ""


class _RefusedError(Exception):
    """The client was told no, or is gone."""


class SocksServer:
    """A SOCKS proxy on loopback; a context manager. Whatever the host, it connects to 127.0.0.1.

    Args:
        user: The user name that it wants, and with version 5 the password; empty wants none.
        password: The password.
        answer: Sent instead of the answer to a request, where given; then it waits for the end.

    Attributes:
        asked: Every request, in order.
    """

    def __init__(self, user: str = "", password: str = "", answer: bytes | None = None) -> None:
        self.asked: list[Asked] = []
        self._user, self._password, self._answer = user, password, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def url(self, scheme: str, userinfo: str = "") -> str:
        """A URL of this proxy."""
        return f"{scheme}://{userinfo}127.0.0.1:{self.port}"

    def __enter__(self) -> SocksServer:
        """Start to accept."""
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop; every connection must have ended."""
        self._stopping = True
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in list(self._threads):
            thread.join(2 * WAIT_S)
            assert not thread.is_alive(), "a connection of the proxy does not end"

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while True:
                sock, _ = self._listener.accept()
                if self._stopping:
                    sock.close()
                    return
                sock.settimeout(WAIT_S)
                self._start(partial(self._serve, sock))

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb", 0) as stream, suppress(OSError, _RefusedError):
            version = _read(stream, 1)[0]
            asked = self._read_5(stream, sock) if version == 5 else self._read_4(stream, sock)
            self.asked.append(asked)
            if self._answer is not None:
                sock.sendall(self._answer)
                stream.read()
                return
            with socket.create_connection(("127.0.0.1", asked.port), WAIT_S) as onward:
                granted = b"\x05\0\0\x01" + bytes(6) if version == 5 else b"\0\x5a" + bytes(6)
                sock.sendall(granted)
                back = threading.Thread(target=_pass_on, args=(onward, sock), daemon=True)
                back.start()
                _pass_on(sock, onward)
                back.join(WAIT_S)

    def _read_4(self, stream: io.RawIOBase, sock: socket.socket) -> Asked:
        _, port, address = struct.unpack(">BH4s", _read(stream, 7))
        user = _read_text(stream)
        is_named = address[:3] == bytes(3) and address[3] != 0
        host = _read_text(stream) if is_named else socket.inet_ntoa(address)
        if user != self._user:
            sock.sendall(b"\0\x5d" + bytes(6))
            raise _RefusedError
        return Asked(4, host, port, user)

    def _read_5(self, stream: io.RawIOBase, sock: socket.socket) -> Asked:
        methods = _read(stream, _read(stream, 1)[0])
        wanted = 2 if self._user else 0
        if wanted not in methods:
            sock.sendall(b"\x05\xff")
            raise _RefusedError
        sock.sendall(bytes((5, wanted)))
        user = password = ""
        if wanted == 2:
            assert _read(stream, 1) == b"\x01"
            user = _read(stream, _read(stream, 1)[0]).decode()
            password = _read(stream, _read(stream, 1)[0]).decode()
            is_known = (user, password) == (self._user, self._password)
            sock.sendall(bytes((1, 0 if is_known else 1)))
            if not is_known:
                raise _RefusedError
        assert _read(stream, 3) == b"\x05\x01\0"
        kind = _read(stream, 1)[0]
        if kind == 3:
            host = _read(stream, _read(stream, 1)[0]).decode("ascii")
        else:
            host = str(ipaddress.ip_address(_read(stream, {1: 4, 4: 16}[kind])))
        [port] = struct.unpack(">H", _read(stream, 2))
        return Asked(5, host, port, user, password)


def _read(stream: io.RawIOBase, n_bytes: int) -> bytes:
    data = b""
    while len(data) < n_bytes:
        more = stream.read(n_bytes - len(data))
        if not more:
            raise _RefusedError
        data += more
    return data


def _read_text(stream: io.RawIOBase) -> str:
    text = b""
    while (byte := _read(stream, 1)) != b"\0":
        text += byte
    return text.decode()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
