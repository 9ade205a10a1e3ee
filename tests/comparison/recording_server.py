"""A loopback HTTP server that keeps what it is sent, for any client in any process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

__all__ = ["Answer", "Recorded", "Recorder", "recording_server"]

# The clients beat their hearts every ten seconds (protocol section 8).
MAX_HOLD_S = 30.0


class Recorded(NamedTuple):
    """One request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """One answer; it always gets a Content-Length, which clients need with a 400."""

    status: int
    body: bytes
    headers: dict[str, str]


class Recorder:
    """Everything that one server was sent.

    Args:
        answer: Gives the answer to a request; called by one thread at a time.
        held_target: The request target whose answers are held back, for a bounded time,
        awaited: until these have been seen: method and target of each.
    """

    def __init__(
        self,
        answer: Callable[[Recorded], Answer],
        held_target: str = "",
        awaited: Collection[str] = (),
    ) -> None:
        self.requests: list[Recorded] = []
        self._answer, self._held_target, self._awaited = answer, held_target, set(awaited)
        self._arrival = threading.Condition()

    def take(self, request: Recorded) -> Answer:
        """Keep a request and answer it."""
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
            if request.target == self._held_target:
                self._arrival.wait_for(self._all_came, MAX_HOLD_S)
            return self._answer(request)

    def _all_came(self) -> bool:
        return self._awaited <= {f"{one.method} {one.target}" for one in self.requests}


@contextmanager
def recording_server(recorder: Recorder) -> Generator[str]:
    """Serve on a free port of loopback; gives the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorder))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: a second one waits for an acknowledgement

        def _exchange(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            answer = recorder.take(Recorded(self.command, self.path, headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _exchange  # noqa: N815 the base class's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 likewise
            """Say nothing: the requests are the record."""

    return Handler
