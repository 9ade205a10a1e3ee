"""A blocking transport over the standard library's http.client, to show how small one can be.

In this folder: ``tinker-lite conformance transport http_client_adapter:HTTPClientTransport``.
"""

from __future__ import annotations

import io
import select
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from tinker_lite import attempt as seam
from tinker_lite.errors import InvalidRequest, ProtocolError, TransportClosed
from tinker_lite.framing import RequestFraming, frame_request, read_framing
from tinker_lite.http import Origin, Request, Response, parse_target

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tinker_lite_conformance.transport import Options

PHASES: dict[seam.Stage, Literal["connect", "write"]] = {
    seam.Stage.CONNECT: "connect",
    seam.Stage.WRITE: "write",
}
ROWS: tuple[seam.Row, ...] = (
    (TimeoutError, lambda error, at: at.timeout(PHASES.get(at.stage, "read"), str(error))),
    (OSError, seam.lost),
    (IncompleteRead, seam.lost),
    (HTTPException, lambda error, at: at.error(ProtocolError, repr(error))),
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


class HTTPClientTransport:
    """A connection for each request under way; idle ones are kept."""

    lacks: ClassVar = {
        "streams_uploads": "left out: a body is collected before it is sent",
        "proxies": "left out",
        "unix_sockets": "left out",
        "bounded_pool": "left out: a request that finds no idle connection opens one",
        "guards_requests": "http.client lets odd methods through",
        "closes_running": "left out: close() closes what is idle",
        "http2": "http.client speaks HTTP/1.1 only",
        "tls_limit": "http.client has one limit for TCP and TLS together",
        "total_limit": "http.client has no limit for a whole exchange",
        "bounded_heads": "http.client has limits of its own: 100 headers of 64 KiB",
        "strict_framing": "http.client reads heads and chunk sizes leniently, and reads ahead",
        "interim_answers": "http.client takes 102 and 103 for the final answer",
        "early_answers": "http.client sends a body whole before it reads",
        "checked_tls_end": "Python's TLS sockets take a stream that breaks off for an ended one",
    }

    def __init__(self, options: Options) -> None:
        self._tls = options.verify
        self._idle: defaultdict[Origin, list[HTTPConnection]] = defaultdict(list)
        self._closed = False

    def send(self, request: Request) -> Response:
        """Send one request; see ``tinker_lite.http.Transport``."""
        attempt = seam.Attempt(request)
        body = request.body
        body = body if isinstance(body, bytes) else b"".join(cast("Iterable[bytes]", body))
        with _translated(attempt):
            target = parse_target(request.url)
            framing = frame_request(request, target)
            connection = self._connection(target.origin, attempt)
            with ExitStack() as stack:
                stack.callback(connection.close)
                answer = _exchange(connection, request, target.path, framing, body, attempt)
                stack.callback(answer.close)
                head = [(name, value.strip()) for name, value in answer.getheaders()]
                version = f"1.{answer.version % 10}"
                ending = read_framing(request.method, answer.status, version, head)
                held = stack.pop_all()

        def chunks() -> Generator[bytes]:
            attempt.stage = seam.Stage.BODY
            with _translated(attempt):
                while answer.length != 0 and (chunk := answer.read1(65_536)):
                    yield chunk
                if answer.length:
                    raise seam.PeerClosed("bytes are missing")
            if ending.persistent and not framing.closes and not self._closed:
                answer.close()
                held.pop_all()
                self._idle[target.origin].append(connection)

        return Response(answer.status, head, chunks(), close=held.close, http_version=version)

    def _connection(self, origin: Origin, attempt: seam.Attempt) -> HTTPConnection:
        if self._closed:
            raise attempt.error(TransportClosed, "the transport has been closed")
        with suppress(IndexError):  # popping is atomic, looking first would not be
            while True:
                connection = self._idle[origin].pop()
                if not select.select([connection.sock], [], [], 0)[0]:
                    attempt.reused = True
                    return connection
                connection.close()
        if origin.scheme == "https":
            return HTTPSConnection(origin.host, origin.port, context=self._tls)
        if origin.scheme == "http":
            return HTTPConnection(origin.host, origin.port)
        raise attempt.error(InvalidRequest, f"{origin.scheme} is not spoken here")

    def close(self) -> None:
        """Close idle connections; later requests are refused."""
        self._closed = True
        for connection in chain(*self._idle.values()):
            connection.close()


def _exchange(
    connection: HTTPConnection,
    request: Request,
    path: str,
    framing: RequestFraming,
    body: bytes,
    attempt: seam.Attempt,
) -> HTTPResponse:
    if connection.sock is None:
        attempt.stage, connection.timeout = seam.Stage.CONNECT, request.timeout.connect_s
        connection.connect()
    attempt.stage, sock = seam.Stage.WRITE, connection.sock
    assert sock is not None, "it is connected"
    sock.settimeout(request.timeout.write_s)
    connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in framing.headers:
        connection.putheader(name, value)
    connection.endheaders(io.BytesIO(body), encode_chunked=framing.length is None)  # in blocks
    attempt.sent_whole, attempt.stage = True, seam.Stage.HEAD
    sock.settimeout(request.timeout.read_s)
    return connection.getresponse()
