"""An async transport over httpx, on asyncio and trio, to show how small one can be.

In this folder: ``tinker-lite conformance transport httpx_adapter:HttpxTransport --async``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, ClassVar, cast

import h11
import httpx  # noqa: TID251  # what is adapted here

from tinker_lite import attempt as seam
from tinker_lite.errors import (
    ConnectError,
    InvalidRequest,
    ProtocolError,
    TransportClosed,
    TransportError,
)
from tinker_lite.framing import frame_request
from tinker_lite.http import AsyncResponse, Request, parse_target

if TYPE_CHECKING:
    from tinker_lite_conformance.transport import Options

LATIN = "latin-1"


def _unconnected(error: Exception, attempt: seam.Attempt) -> TransportError:
    cause: BaseException = error
    while not str(cause) and cause.__context__:  # trio's errors leave the telling to their cause
        cause = cause.__context__
    return attempt.error(ConnectError, f"connecting failed ({cause})")


def _unsendable(error: Exception, attempt: seam.Attempt) -> TransportError:
    return InvalidRequest(f"{attempt}: {error}.", may_have_arrived=False)


def _broken(error: Exception, attempt: seam.Attempt) -> TransportError:
    if "disconnected" in str(error) or "peer closed" in str(error):
        return seam.lost(error, attempt)
    return attempt.error(ProtocolError, f"the peer broke HTTP/1.1 ({error})")


ROWS: tuple[seam.Row, ...] = (
    (httpx.ConnectTimeout, lambda _, attempt: attempt.timeout("connect", "it took too long")),
    (httpx.WriteTimeout, lambda _, attempt: attempt.timeout("write", "nothing was taken")),
    (httpx.ReadTimeout, lambda _, attempt: attempt.timeout("read", "nothing came")),
    (httpx.ConnectError, _unconnected),
    (httpx.NetworkError, seam.lost),
    (httpx.LocalProtocolError, _unsendable),
    (h11.LocalProtocolError, _unsendable),
    (httpx.RemoteProtocolError, _broken),
    *seam.COMMON_ROWS,
)


@contextmanager
def _translated(attempt: seam.Attempt) -> Generator[None]:
    try:
        yield
    except Exception as error:
        translated = seam.translate(error, attempt, ROWS)
        if translated is error:
            raise
        raise translated from error


class HttpxTransport:
    """httpx pools the connections; the adapter turns requests, answers and errors around."""

    lacks: ClassVar = {
        "proxies": "left out: httpx sends CONNECT to the exact target of the request behind it",
        "unix_sockets": "httpx takes a unix socket for a whole client, not for a URL",
        "http2": "left out: httpx needs an extra for it",
        "bounded_pool": "httpx bounds its connections to all hosts together",
        "tls_limit": "httpx has one limit for TCP and TLS together",
        "total_limit": "httpx has no limit for a whole exchange",
        "bounded_heads": "httpx has a limit of its own, about 100 kB",
        "strict_framing": "h11 takes HTTP/3.0, and httpx keeps connections that said too much",
        "interim_answers": "httpx does not bound a row of interim answers",
        "early_answers": "httpx reads an early answer only where sending fails",
        "checked_tls_end": "httpx takes a TLS stream that breaks off for one that ended",
        "guards_requests": "httpx fails over odd methods with errors of its own",
        "reports_reuse": "httpx does not say whether a connection had served before",
        "closes_running": "httpx closes the connections under requests that wait on",
    }

    def __init__(self, options: Options) -> None:
        tls = options.verify or True
        self._inner = httpx.AsyncHTTPTransport(tls, trust_env=False, limits=httpx.Limits())
        self._closed = False

    async def send(self, request: Request) -> AsyncResponse:
        """Send one request; see ``tinker_lite.http.AsyncTransport``."""
        attempt = seam.Attempt(request)
        with _translated(attempt):
            if self._closed:
                raise attempt.error(TransportClosed, "the transport has been closed")
            target = parse_target(request.url)
            framing = frame_request(request, target)
            attempt.stage = seam.Stage.HEAD
            limits = request.timeout
            phases = {"connect": limits.connect_s, "write": limits.write_s, "read": limits.read_s}
            async with aclosing(_blocks(request, attempt)) as blocks:
                answer = await self._inner.handle_async_request(
                    httpx.Request(
                        request.method,
                        str(target.origin),
                        headers=[(k.encode(LATIN), v.encode(LATIN)) for k, v in framing.headers],
                        stream=_Upload(blocks),
                        extensions={"timeout": phases, "target": target.path.encode("ascii")},
                    )
                )
            version = answer.http_version.removeprefix("HTTP/")
            head = [(k.decode(LATIN), v.decode(LATIN)) for k, v in answer.headers.raw]
        body = _Download(answer, attempt)
        return AsyncResponse(
            answer.status_code, head, body, close=body.aclose, http_version=version
        )

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        await self._inner.aclose()


async def _blocks(request: Request, attempt: seam.Attempt) -> AsyncGenerator[bytes]:
    body = request.body
    if isinstance(body, bytes):
        for start in range(0, len(body), 65_536):  # httpx limits each write
            yield body[start : start + 65_536]
    elif isinstance(body, AsyncIterable):
        try:
            async for block in body:
                yield block
        except Exception as error:
            attempt.caller_error = error
            raise
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
    attempt.sent_whole = True


class _Upload(httpx.AsyncByteStream):
    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._blocks


class _Download:
    def __init__(self, answer: httpx.Response, attempt: seam.Attempt) -> None:
        self._answer, self._attempt = answer, attempt
        self._chunks = aiter(cast("AsyncIterable[bytes]", answer.stream))
        attempt.stage = seam.Stage.BODY

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with _translated(self._attempt):
            return await anext(self._chunks)

    async def aclose(self) -> None:
        await cast("AsyncGenerator[bytes]", self._chunks).aclose()
        await self._answer.aclose()
