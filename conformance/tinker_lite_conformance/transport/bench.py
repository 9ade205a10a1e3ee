"""What a case works with: the subject, an adversary that follows scripts, and requests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from tinker_lite.http import Headers, Request, Timeout

from .adversary import WAIT_S, Adversary, Script

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

    from tinker_lite.http import HeaderPairs

    from .subject import Reply, Subject

__all__ = ["BOUNDED", "Bench", "Kit"]

# Every wait of a case ends, even where the transport is at fault.
BOUNDED = Timeout(
    pool_s=WAIT_S, connect_s=WAIT_S, tls_s=WAIT_S, write_s=WAIT_S, read_s=WAIT_S, total_s=2 * WAIT_S
)


class Bench(NamedTuple):
    """A transport and the server it is tested against."""

    subject: Subject
    server: Adversary

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        headers: HeaderPairs = (),
        body: bytes | Iterable[bytes] | AsyncIterable[bytes] = b"",
        timeout: Timeout = BOUNDED,
        host: str = "127.0.0.1",
        max_head_bytes: int = 65_536,
    ) -> Request:
        """A request to the server."""
        return Request(
            method=method,
            url=self.server.url(path, host),
            headers=Headers(headers),
            body=body,
            timeout=timeout,
            max_head_bytes=max_head_bytes,
        )

    async def get(self, path: str = "/", *, timeout: Timeout = BOUNDED) -> Reply:
        """Send a GET."""
        return await self.subject.send(self.request(path=path, timeout=timeout))


class Kit:
    """Makes benches.

    Args:
        make_subject: Makes the transport under test from an SSL context and a bound on its
            connections to one host; None stands for its defaults.
    """

    def __init__(
        self, make_subject: Callable[[ssl.SSLContext | None, int | None], Subject]
    ) -> None:
        self._make_subject = make_subject

    @asynccontextmanager
    async def bench(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        mute_tls: bool = False,
        trust: ssl.SSLContext | None = None,
        max_connections: int | None = None,
    ) -> AsyncGenerator[Bench]:
        """A new transport, and a server that follows the scripts."""
        with Adversary(*scripts, tls=tls, mute_tls=mute_tls) as server:
            subject = self._make_subject(trust, max_connections)
            try:
                yield Bench(subject, server)
            finally:
                await subject.close()
