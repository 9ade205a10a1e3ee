"""Transports that write what passes through another one into a file."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tinker_lite.errors import TransportError, TruncatedBody
from tinker_lite.testing.forms import AsyncForm, BlockingForm, Form, R, Tap, drive
from tinker_lite.testing.recording import (
    Exchange,
    Failure,
    Head,
    RecordedResponse,
    encode_line,
    recorded_request,
    recorded_response,
)
from tinker_lite.testing.redaction import Redactor

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    from tinker_lite.http import (
        AsyncResponse,
        AsyncTransport,
        Headers,
        Request,
        Response,
        Transport,
    )

__all__ = ["AsyncRecordingTransport", "RecordingTransport"]

# A body is held until its exchange ends. What is longer is no longer a fixture that anybody reads.
MAX_BODY_BYTES = 64 * 2**20


class RecordingTransport:
    """A blocking transport that sends through another one and records every exchange.

    The file is begun anew by the first request, and each exchange is added to it as it ends: when
    its body has been read or the response closed, or when the transport raised an error. A request
    whose answer nobody waited for is not recorded. Secrets never reach the file: credentials in
    headers, signed URLs, and fields of JSON named like a key, token or password.

    Args:
        inner: The transport that sends; it is closed with this one.
        file: Where to write.
        secret_names: Further names of headers, query parameters and JSON fields that are secret.
        max_body_bytes: Longest body to keep; of longer ones the beginning is kept, and a replay
            breaks off there.
    """

    def __init__(
        self,
        inner: Transport,
        file: str | os.PathLike[str],
        *,
        secret_names: Collection[str] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._inner = inner
        self._form = BlockingForm(inner)
        self._recorder = _Recorder(Path(file), secret_names, max_body_bytes)

    def send(self, request: Request) -> Response:
        """Send one request; what the inner transport raises leaves this one too."""
        return drive(self._recorder.exchange(self._form, request))

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class AsyncRecordingTransport:
    """The async form of ``RecordingTransport``; same arguments, and the same file."""

    def __init__(
        self,
        inner: AsyncTransport,
        file: str | os.PathLike[str],
        *,
        secret_names: Collection[str] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._inner = inner
        self._form = AsyncForm(inner)
        self._recorder = _Recorder(Path(file), secret_names, max_body_bytes)

    async def send(self, request: Request) -> AsyncResponse:
        """Async form of ``RecordingTransport.send``; same argument, result and errors."""
        return await self._recorder.exchange(self._form, request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class _Recorder:
    """Numbers exchanges and writes them; thread-safe."""

    def __init__(self, file: Path, secret_names: Collection[str], max_body_bytes: int) -> None:
        self.redactor = Redactor(secret_names)
        self.max_body_bytes = max_body_bytes
        self._file = file
        self._head = encode_line(Head(secret_names=sorted(secret_names)))
        self._numbers = itertools.count(1)
        self._has_begun = False
        self._lock = threading.Lock()

    async def exchange(self, form: Form[R], request: Request) -> R:
        """Send a request and record what comes of it."""
        with self._lock:
            self.redactor.learn(request.headers)
            recorded = _Recorded(self, next(self._numbers), request)
        try:
            response = await form.send(form.watched(request, recorded.sent))
        except TransportError as error:
            recorded.write(failure=Failure.of(error, self.redactor))
            raise
        status, headers = form.head(response)
        return form.tapped(response, _Received(recorded, status, headers))

    def write(self, exchange: Exchange) -> None:
        """Add an exchange to the file."""
        # The file is opened for each line: transports are often left unclosed, and a handle kept
        # open would then be one that nobody closes. A loop is held up no longer than by logging.
        line = encode_line(exchange)
        with self._lock:
            if not self._has_begun:
                self._file.write_bytes(self._head)
                self._has_begun = True
            with self._file.open("ab") as file:
                file.write(line)


class _Kept:
    """What is kept of a body that passes: at most so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.is_whole = False
        self.n_passed = 0
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []

    def chunk(self, chunk: bytes) -> None:
        """A chunk passes."""
        room = max(self._max_bytes - self.n_passed, 0)
        self.n_passed += len(chunk)
        self._chunks.append(chunk[:room])

    def ended(self) -> None:
        """The body has ended."""
        self.is_whole = self.n_passed <= self._max_bytes

    def raw(self) -> bytes:
        """What was kept."""
        return b"".join(self._chunks)


class _Recorded:
    """One exchange under way."""

    def __init__(self, recorder: _Recorder, number: int, request: Request) -> None:
        self.sent = _Kept(recorder.max_body_bytes)
        self.recorder = recorder
        self.path = urlsplit(request.url).path
        self._number = number
        self._request = request

    def write(
        self, response: RecordedResponse | None = None, failure: Failure | None = None
    ) -> None:
        """Write it down: it has ended."""
        self.recorder.write(
            Exchange(
                number=self._number,
                request=recorded_request(
                    self._request,
                    self.sent.raw(),
                    self.recorder.redactor,
                    is_partial=not self.sent.is_whole,
                ),
                response=response,
                failure=failure,
            )
        )


class _Received(Tap):
    """Keeps a response's body, and writes the exchange when that has ended, however it ended."""

    def __init__(self, recorded: _Recorded, status: int, headers: Headers) -> None:
        self._recorded = recorded
        self._status = status
        self._headers = headers
        self._body = _Kept(recorded.recorder.max_body_bytes)
        self._is_written = False

    async def chunk(self, chunk: bytes) -> bytes:
        """Keep a chunk and hand it on."""
        self._body.chunk(chunk)
        return chunk

    async def ended(self) -> None:
        """Write, the body being whole."""
        self._body.ended()
        self._write(None if self._body.is_whole else self._cut("kept no more of this body"))

    def failed(self, error: TransportError) -> None:
        """Write, with the error that broke the body."""
        self._write(Failure.of(error, self._recorded.recorder.redactor))

    def left(self) -> None:
        """Write what was read, if the caller left before the end."""
        self._write(self._cut("read no further"))

    def _cut(self, why: str) -> Failure:
        error = TruncatedBody(
            f"The recording ends here: whoever made it {why}.", may_have_arrived=True
        )
        return Failure.of(error, self._recorded.recorder.redactor)

    def _write(self, failure: Failure | None) -> None:
        if self._is_written:
            return
        self._is_written = True
        response = recorded_response(
            self._status,
            self._headers,
            self._body.raw(),
            failure,
            self._recorded.recorder.redactor,
            path=self._recorded.path,
        )
        self._recorded.write(response=response)
