"""What a case works with: the subject, an adversary that follows scripts, and requests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from tinker_lite.http import Headers, Request, Timeout

from .adversary import WAIT_S, Adversary, Script
from .options import Options

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

    from tinker_lite.http import HeaderPairs

    from .subject import Reply, Subject

__all__ = ["BOUNDED", "Bench", "Kit", "bounded"]


def bounded(patience_s: float) -> Timeout:
    """Limits by which every wait of a case ends, even where the transport is at fault."""
    return Timeout(
        pool_s=patience_s,
        connect_s=patience_s,
        tls_s=patience_s,
        write_s=patience_s,
        read_s=patience_s,
        total_s=2 * patience_s,
    )


BOUNDED = bounded(WAIT_S)


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
        timeout: Timeout | None = None,
        host: str | None = None,
        max_head_bytes: int = 65_536,
    ) -> Request:
        """A request to the server."""
        return Request(
            method=method,
            url=self.server.url(path, host),
            headers=Headers(headers),
            body=body,
            timeout=timeout or bounded(self.server.patience_s),
            max_head_bytes=max_head_bytes,
        )

    async def get(self, path: str = "/", *, timeout: Timeout | None = None) -> Reply:
        """Send a GET."""
        return await self.subject.send(self.request(path=path, timeout=timeout))


class Kit:
    """Makes benches.

    Args:
        make_subject: Makes the transport under test.
        patience_s: How long to wait for what only a defect delays.
    """

    def __init__(
        self, make_subject: Callable[[Options], Subject], patience_s: float = WAIT_S
    ) -> None:
        self._make_subject = make_subject
        self.patience_s = patience_s

    @asynccontextmanager
    async def bench(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        mute_tls: bool = False,
        trust: ssl.SSLContext | None = None,
        max_connections: int | None = None,
        proxy: str | None = None,
        listen: str = "127.0.0.1",
        socket_name: str = "s",
    ) -> AsyncGenerator[Bench]:
        """A new transport, and a server that follows the scripts.

        Args:
            scripts: One for each connection; see ``Adversary``, also for ``tls``, ``mute_tls``,
                ``listen`` and ``socket_name``.
            tls: What the server speaks.
            mute_tls: Whether it leaves TLS handshakes unanswered.
            trust: What the transport trusts.
            max_connections: What the transport may open to one host.
            proxy: What the transport sends everything through.
            listen: Where the server listens.
            socket_name: Name of its socket file.
        """
        options = Options(trust, max_connections, proxy)
        with Adversary(
            *scripts,
            tls=tls,
            mute_tls=mute_tls,
            listen=listen,
            socket_name=socket_name,
            patience_s=self.patience_s,
        ) as server:
            async with self.subject(options) as subject:
                yield Bench(subject, server)

    @asynccontextmanager
    async def subject(self, options: Options) -> AsyncGenerator[Subject]:
        """A new transport alone."""
        subject = self._make_subject(options)
        try:
            yield subject
        finally:
            await subject.close()

    def proxy(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> Adversary:
        """A server to be used as a proxy: start it with ``with``."""
        return Adversary(*scripts, tls=tls, patience_s=self.patience_s)
