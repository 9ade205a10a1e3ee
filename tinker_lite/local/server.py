"""The embedded service over HTTP/1.1, for any Tinker client on this machine or network.

One task per connection; a poll that waits for a result holds no thread. Every answer has a
Content-Length, which clients need with a 400 (protocol section 1.8). There is no TLS: across a
network, put a proxy in front.
"""

from __future__ import annotations

import hmac
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import h11

from tinker_lite.http import Headers
from tinker_lite.local.async_transport import InThreads, off_the_loop
from tinker_lite.local.exchange import (
    MAX_BODY_BYTES,
    Refusal,
    Reply,
    ServiceClosed,
    too_large,
)
from tinker_lite.local.promises import Promise
from tinker_lite.local.waiting import Alarm, kept_within
from tinker_lite.safety import MAX_HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker_lite.local.service import LocalService

__all__ = ["run_server", "serve"]

logger = logging.getLogger("tinker_lite.local")

RECEIVE_BYTES = 64 * 1024
# A client must go on with a request it has begun; in between it may be silent for longer.
PROGRESS_S = 60.0
IDLE_S = 300.0
# How long the rest of a refused request is thrown away, so that the refusal gets read.
LINGER_S = 2.0


def run_server(
    service: LocalService,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    api_key: str | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; Ctrl-C leaves no thread of the server and goes on to the caller.

    Args:
        service: What answers; it stays its owner's to close.
        host: Name or address to listen on.
        port: TCP port; 0 takes a free one.
        api_key: If given, every request must bring it as ``X-API-Key``.
        on_listening: Told the base URL once connections are accepted.

    Raises:
        OSError: The address cannot be listened on.
    """
    anyio.run(partial(serve, service, host, port, api_key=api_key, on_listening=on_listening))


async def serve(
    service: LocalService,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    api_key: str | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Async form of ``run_server``; serves until cancelled. Same arguments and errors."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    async with listener:
        if on_listening is not None:
            bound = listener.extra(anyio.abc.SocketAttribute.local_port)
            on_listening(f"http://{f'[{host}]' if ':' in host else host}:{bound}")
        await listener.serve(partial(_serve_connection, service, api_key))


async def _serve_connection(
    service: LocalService, api_key: str | None, stream: anyio.abc.SocketStream
) -> None:
    async with stream:
        try:
            await _Connection(service, api_key, stream).run()
        except (
            anyio.BrokenResourceError,
            anyio.EndOfStream,
            TimeoutError,
            h11.LocalProtocolError,
        ) as error:
            logger.debug("A connection ended: %r", error)
        except Exception:
            logger.exception("A connection failed")


class _Connection:
    """One connection: requests answered one after another."""

    def __init__(
        self, service: LocalService, api_key: str | None, stream: anyio.abc.SocketStream
    ) -> None:
        self._service, self._api_key, self._stream = service, api_key, stream
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def run(self) -> None:
        """Answer until the client leaves or the connection cannot go on."""
        while await self._answer_one():
            self._protocol.start_next_cycle()
        with anyio.move_on_after(LINGER_S), suppress(h11.RemoteProtocolError):
            await self._stream.send_eof()
            while await self._stream.receive(RECEIVE_BYTES):
                pass

    async def _answer_one(self) -> bool:
        """Answer the next request; False if there is none, or none can follow it."""
        try:
            request = await self._next_request()
            if request is None:
                return False
            await self._exchange(request)
        except h11.RemoteProtocolError as error:
            if self._protocol.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                refusal = Refusal(error.error_status_hint, f"This is not valid HTTP: {error}")
                await self._respond(refusal.reply())
            return False
        return self._protocol.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}

    async def _next_request(self) -> h11.Request | None:
        with anyio.fail_after(IDLE_S) as patience:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                await self._receive()
                # The first byte begins a request; from here on it has to come.
                patience.deadline = min(patience.deadline, anyio.current_time() + PROGRESS_S)
        return event if isinstance(event, h11.Request) else None

    async def _receive(self) -> None:
        if self._protocol.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            data = await self._stream.receive(RECEIVE_BYTES)
        except anyio.EndOfStream:
            data = b""
        self._protocol.receive_data(data)

    async def _exchange(self, request: h11.Request) -> None:
        headers = Headers((n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers)
        try:
            self._check_key(headers)
            body = await self._body(headers)
            reply = await self._reply(request, headers, body)
        except Refusal as refusal:
            reply = refusal.reply()
        except ServiceClosed as error:
            reply = Refusal(503, str(error)).reply()
        await self._respond(reply, is_head=request.method == b"HEAD")

    def _check_key(self, headers: Headers) -> None:
        given = headers.get("x-api-key", "")
        if self._api_key is not None and not hmac.compare_digest(
            given.encode(), self._api_key.encode()
        ):
            raise Refusal(401, "The X-API-Key header does not hold this service's key.")

    async def _body(self, headers: Headers) -> bytes:
        """Read the request's body whole.

        Raises:
            Refusal: 413, it is larger than ``MAX_BODY_BYTES``.
        """
        body = bytearray()
        size_bytes = int(headers.get("content-length", "0"))
        while size_bytes <= MAX_BODY_BYTES:
            with anyio.fail_after(PROGRESS_S):
                while (event := self._protocol.next_event()) is h11.NEED_DATA:
                    await self._receive()
            if not isinstance(event, h11.Data):
                return bytes(body)
            body += event.data
            size_bytes = len(body)
        raise too_large()

    async def _reply(self, request: h11.Request, headers: Headers, body: bytes) -> Reply:
        path, _, query = request.target.decode("latin-1").partition("?")
        begin = partial(
            self._service.begin,
            request.method.decode("latin-1"),
            path,
            query,
            headers,
            body,
            origin=f"http://{headers.get('host', '')}",
        )
        answer = await off_the_loop(begin, len(body))
        if isinstance(answer, Promise):
            await kept_within(answer, self._service.settings.poll_s, Alarm())
            kept = partial(self._service.answer, answer, headers)
            answer = await off_the_loop(kept, answer.size_bytes)
        return answer

    async def _respond(self, reply: Reply, *, is_head: bool = False) -> None:
        head = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers]
        if self._protocol.their_state is not h11.DONE:
            # What is left of a refused request cannot be told from a next one.
            head.append((b"connection", b"close"))
        await self._send(h11.Response(status_code=reply.status, headers=head))
        if isinstance(reply.body, bytes):
            if not is_head:
                await self._send(h11.Data(data=reply.body))
        else:
            async for chunk in InThreads(reply.body):
                await self._send(h11.Data(data=chunk))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._protocol.send(event)
        if data:
            with anyio.fail_after(PROGRESS_S):
                await self._stream.send(data)
