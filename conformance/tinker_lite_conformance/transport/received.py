"""What an adversary got: one HTTP/1.1 request, read by the letter and kept as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import io

__all__ = ["Received", "read_head", "read_request"]


class Received(NamedTuple):
    """One request.

    Attributes:
        line: The request line, without its line end.
        headers: Name and value as sent, in order.
        body: The body without its framing; empty when only the head was read.
        whole: The body came to its declared end.
    """

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    whole: bool = False

    def values(self, name: str) -> list[str]:
        """Every value under a name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def read_head(stream: io.BufferedReader) -> Received | None:
    """Read a request head; None if the connection ends before it does."""
    lines: list[bytes] = []
    while line := stream.readline():
        if not line.endswith(b"\r\n"):
            return None
        if line == b"\r\n":
            pairs = [one.decode("latin-1").partition(":") for one in lines[1:]]
            return Received(
                lines[0].decode("latin-1"), [(name, value.strip()) for name, _, value in pairs]
            )
        lines.append(line[:-2])
    return None


def read_request(stream: io.BufferedReader) -> Received | None:
    """Read a request with its body; None if the connection ends before the head does."""
    head = read_head(stream)
    if head is None:
        return None
    if head.values("transfer-encoding"):
        body, whole = _read_chunks(stream)
    else:
        length = int((head.values("content-length") or ["0"])[0])
        body = stream.read(length)
        whole = len(body) == length
    return head._replace(body=body, whole=whole)


def _read_chunks(stream: io.BufferedReader) -> tuple[bytes, bool]:
    body = bytearray()
    while line := stream.readline():
        size = int(line, 16)
        body += stream.read(size)
        if stream.read(2) != b"\r\n":
            break
        if not size:
            return bytes(body), True
    return bytes(body), False
