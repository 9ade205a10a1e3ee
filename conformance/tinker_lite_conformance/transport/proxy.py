"""Scripts that make the adversary an HTTP proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .peer import Peer, Script

__all__ = ["ESTABLISHED", "refuse", "tunnel"]

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def tunnel(peer: Peer) -> None:
    """Do what CONNECT asks for, and pass on bytes from then on."""
    received = peer.head()
    if received is None:
        return
    method, authority, _ = received.line.split(" ")
    assert method == "CONNECT", received.line
    host, _, port = authority.rpartition(":")
    peer.send(ESTABLISHED)
    peer.relay(host.strip("[]"), int(port))


def refuse(answer: bytes) -> Script:
    """Answer CONNECT with these bytes instead, and wait for the client to hang up."""

    def script(peer: Peer) -> None:
        peer.head()
        peer.send(answer)
        peer.wait_for_end()

    return script
