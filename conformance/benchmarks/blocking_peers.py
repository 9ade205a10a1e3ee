"""The blocking clients, each used in the way that costs it least."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from benchmarks.job import HEADERS
from urllib3 import HTTPConnectionPool

from tinker_lite.headers import Headers
from tinker_lite.http import Request
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["BLOCKING_PEERS", "BlockingPeer"]

Blocks: TypeAlias = bytes | Iterable[bytes]


class BlockingPeer(Protocol):
    """A client under measurement; one lives as long as its process."""

    def ask(self, method: str, path: str, body: Blocks = b"", length: int | None = None) -> int:
        """Send a request and read its answer whole; the number of bytes that came.

        An iterable body comes with its length in bytes.
        """
        ...

    def download(self, path: str) -> int:
        """Read an answer as it arrives and keep nothing; the number of bytes that came."""
        ...


def with_length(length: int | None) -> dict[str, str]:
    """What to send, with the length of a body that does not know its own."""
    return HEADERS if length is None else {**HEADERS, "Content-Length": str(length)}


class OurBlocking:
    """``Urllib3Transport``."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._transport = Urllib3Transport()

    def ask(self, method: str, path: str, body: Blocks = b"", length: int | None = None) -> int:
        headers = Headers(with_length(length).items())
        request = Request(method=method, url=self._base_url + path, headers=headers, body=body)
        return len(self._transport.send(request).read())

    def download(self, path: str) -> int:
        request = Request(method="GET", url=self._base_url + path, headers=Headers(HEADERS.items()))
        return sum(map(len, self._transport.send(request).iter_bytes()))


class BareUrllib3:
    """urllib3's connection pool: no retries, no preloading, bodies read whole."""

    def __init__(self, base_url: str) -> None:
        host, _, port = base_url.removeprefix("http://").partition(":")
        self._pool = HTTPConnectionPool(host, int(port))

    def _send(self, method: str, path: str, body: Blocks, headers: dict[str, str]) -> Any:
        return self._pool.urlopen(
            method,
            path,
            body or None,
            headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
        )

    def ask(self, method: str, path: str, body: Blocks = b"", length: int | None = None) -> int:
        return len(self._send(method, path, body, with_length(length)).read())

    def download(self, path: str) -> int:
        return sum(map(len, self._send("GET", path, b"", HEADERS).stream(1_048_576)))


class HttpxBlocking:
    """``httpx.Client``."""

    def __init__(self, base_url: str, httpx: ModuleType) -> None:
        self._client: Any = httpx.Client(base_url=base_url, trust_env=False)

    def ask(self, method: str, path: str, body: Blocks = b"", length: int | None = None) -> int:
        content = body or None
        answer = self._client.request(method, path, content=content, headers=with_length(length))
        return len(answer.content)

    def download(self, path: str) -> int:
        with self._client.stream("GET", path, headers=HEADERS) as answer:
            return sum(map(len, answer.iter_raw()))


# Name -> how to make it from the base URL and, for a peer that may be missing, its module.
BLOCKING_PEERS: dict[str, tuple[str | None, Callable[..., BlockingPeer]]] = {
    "Urllib3Transport": (None, OurBlocking),
    "urllib3": (None, BareUrllib3),
    "httpx": ("httpx", HttpxBlocking),
}
