"""What the cases without sockets work with: a transport, and one request that it can answer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .bench import bounded
from .options import Options
from .peer import Peer, ok

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable

    from tinker_lite.http import Request, Timeout

    from .bench import Kit
    from .subject import Reply, Subject

__all__ = ["ProbeBench", "Prober"]


def answer(peer: Peer) -> None:
    """Answer every request of a connection with the same small body."""
    while peer.request() is not None:
        peer.send(ok(b'{"status":"ok"}', "Content-Type: application/json"))


class ProbeBench(NamedTuple):
    """A transport and the request it answers with success and a body."""

    subject: Subject
    probe: Request

    def request(
        self,
        *,
        body: Iterable[bytes] | AsyncIterable[bytes] | None = None,
        timeout: Timeout | None = None,
        max_head_bytes: int | None = None,
    ) -> Request:
        """The request, parts of it replaced."""
        return msgspec.structs.replace(
            self.probe,
            body=self.probe.body if body is None else body,
            timeout=timeout or self.probe.timeout,
            max_head_bytes=max_head_bytes or self.probe.max_head_bytes,
        )

    async def ask(self) -> Reply:
        """Send the request."""
        return await self.subject.send(self.probe)

    async def works(self) -> bool:
        """Whether the request is answered as it should be."""
        reply = await self.ask()
        return 200 <= reply.status < 300 and await reply.read() != b""


class Prober:
    """Makes benches for cases that need no sockets.

    Args:
        kit: Makes the transport; its adversary answers where the candidate has sockets.
        request: What the candidate answers without them, with a 2xx status and a body.
    """

    def __init__(self, kit: Kit, request: Request | None) -> None:
        self._kit = kit
        self._request = request

    @asynccontextmanager
    async def bench(self, *, max_connections: int | None = None) -> AsyncGenerator[ProbeBench]:
        """A new transport, and the request that it can answer."""
        limits = bounded(self._kit.patience_s)
        if self._request is None:
            async with self._kit.bench(answer, max_connections=max_connections) as bench:
                yield ProbeBench(bench.subject, bench.request())
            return
        request = msgspec.structs.replace(self._request, timeout=limits)
        async with self._kit.subject(Options(max_connections=max_connections)) as subject:
            yield ProbeBench(subject, request)
