"""The async clients, each used in the way that costs it least."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from benchmarks.blocking_peers import with_length
from benchmarks.job import HEADERS

from tinker_lite.headers import Headers
from tinker_lite.http import Request, Timeout
from tinker_lite_h11 import H11Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["ASYNC_PEERS", "AsyncPeer"]

Blocks: TypeAlias = bytes | AsyncIterable[bytes]
CONNECT_LIMIT_S = 60.0  # 2,000 connections at once take longer than the usual 5 s


class AsyncPeer(Protocol):
    """The async form of ``BlockingPeer``."""

    async def ask(
        self, method: str, path: str, body: Blocks = b"", length: int | None = None
    ) -> int:
        """Send a request and read its answer whole; the number of bytes that came."""
        ...

    async def download(self, path: str) -> int:
        """Read an answer as it arrives and keep nothing; the number of bytes that came."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class OurAsync:
    """``H11Transport``."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._transport = H11Transport()
        self._timeout = Timeout(connect_s=CONNECT_LIMIT_S)

    def _request(self, method: str, path: str, body: Blocks, headers: dict[str, str]) -> Request:
        return Request(
            method=method,
            url=self._base_url + path,
            headers=Headers(headers.items()),
            body=body,
            timeout=self._timeout,
        )

    async def ask(
        self, method: str, path: str, body: Blocks = b"", length: int | None = None
    ) -> int:
        request = self._request(method, path, body, with_length(length))
        return len(await (await self._transport.send(request)).read())

    async def download(self, path: str) -> int:
        answer = await self._transport.send(self._request("GET", path, b"", HEADERS))
        n_bytes = 0
        async for chunk in answer.iter_bytes():
            n_bytes += len(chunk)
        return n_bytes

    async def aclose(self) -> None:
        await self._transport.aclose()


class HttpxAsync:
    """``httpx.AsyncClient``."""

    def __init__(self, base_url: str, httpx: ModuleType) -> None:
        self._client: Any = httpx.AsyncClient(
            base_url=base_url,
            trust_env=False,
            timeout=CONNECT_LIMIT_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def ask(
        self, method: str, path: str, body: Blocks = b"", length: int | None = None
    ) -> int:
        answer = await self._client.request(
            method, path, content=body or None, headers=with_length(length)
        )
        return len(answer.content)

    async def download(self, path: str) -> int:
        n_bytes = 0
        async with self._client.stream("GET", path, headers=HEADERS) as answer:
            async for chunk in answer.aiter_raw():
                n_bytes += len(chunk)
        return n_bytes

    async def aclose(self) -> None:
        await self._client.aclose()


class Aiohttp:
    """``aiohttp.ClientSession``."""

    def __init__(self, base_url: str, aiohttp: ModuleType) -> None:
        self._session: Any = aiohttp.ClientSession(
            base_url, connector=aiohttp.TCPConnector(limit=0)
        )

    async def ask(
        self, method: str, path: str, body: Blocks = b"", length: int | None = None
    ) -> int:
        asked = self._session.request(method, path, data=body or None, headers=with_length(length))
        async with asked as answer:
            return len(await answer.read())

    async def download(self, path: str) -> int:
        n_bytes = 0
        async with self._session.get(path, headers=HEADERS) as answer:
            async for chunk in answer.content.iter_any():
                n_bytes += len(chunk)
        return n_bytes

    async def aclose(self) -> None:
        await self._session.close()


# Name -> the event loop, and as in BLOCKING_PEERS.
ASYNC_PEERS: dict[str, tuple[str, str | None, Callable[..., AsyncPeer]]] = {
    "H11Transport": ("asyncio", None, OurAsync),
    "H11Transport, trio": ("trio", None, OurAsync),
    "httpx async": ("asyncio", "httpx", HttpxAsync),
    "aiohttp": ("asyncio", "aiohttp", Aiohttp),
}
