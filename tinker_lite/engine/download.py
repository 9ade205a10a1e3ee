"""Streaming a checkpoint's archive to a file; a broken download starts anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from tinker_lite._version import USER_AGENT
from tinker_lite.engine.body_reader import BodyReader
from tinker_lite.engine.call import Call, error_of, raise_for_status
from tinker_lite.engine.performing import perform, perform_open
from tinker_lite.engine.preparation import Args, prepared
from tinker_lite.engine.saving import save_body
from tinker_lite.errors import TruncatedBody
from tinker_lite.http import AsyncResponse, Headers, Timeout
from tinker_lite.protocol.archive import archive_location
from tinker_lite.protocol.endpoints import CHECKPOINTS_ARCHIVE, Row
from tinker_lite.protocol.replies import Reply, status_error
from tinker_lite.types import CheckpointArchiveUrlResponse, ParsedCheckpointTinkerPath

if TYPE_CHECKING:
    from pathlib import Path

    from tinker_lite.engine.call_io import CallIO
    from tinker_lite.engine.sending import Opened
    from tinker_lite.engine.session import Session

__all__ = ["DownloadProgress", "archive_url", "download_archive"]

# Told the bytes received so far and the size, or None where the server does not say it.
DownloadProgress: TypeAlias = Callable[[int, "int | None"], None]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Left to the caller to repeat: an archive may be large.
_DOWNLOAD: Row[bytes] = Row(name="download", method="GET", path="", retry="once")
# A stalled storage host is noticed after a minute without a byte; the whole may take hours.
_TIMEOUT = Timeout(read_s=60.0, total_s=None)


async def archive_url(session: Session, tinker_path: str) -> CheckpointArchiveUrlResponse:
    """A signed URL of a checkpoint's archive.

    Raises:
        ValueError: The path is malformed.
        APIStatusError: The service refused.
    """
    parsed = ParsedCheckpointTinkerPath.from_tinker_path(tinker_path)
    path = {"run": parsed.training_run_id, "checkpoint": parsed.checkpoint_id}
    args = Args(row=CHECKPOINTS_ARCHIVE, path=path)
    call = await prepared(args, session.defaults, session.io)
    reply = await perform(call, session.io)
    if reply.status not in _REDIRECTS:
        raise_for_status(reply, "checkpoints.archive")
    return archive_location(reply, call.url, datetime.now(UTC))


async def download_archive(
    session: Session,
    tinker_path: str,
    destination: Path,
    on_progress: DownloadProgress | None = None,
) -> Path:
    """Stream a checkpoint's archive to ``destination``, which appears only when it is whole.

    The credential is not sent to the storage host.

    Raises:
        APIStatusError: The service or the storage refused.
        APIConnectionError: The body broke off; nothing is left behind.
    """
    located = await archive_url(session, tinker_path)
    call = Call(
        endpoint=_DOWNLOAD,
        method="GET",
        url=located.url,
        headers=Headers([("User-Agent", USER_AGENT), ("Accept-Encoding", "identity")]),
        timeout=_TIMEOUT,
        retry=session.config.retry,
        max_response_bytes=session.config.max_response_bytes,
    )
    outcome = await perform_open(call, session.io)
    if isinstance(outcome, Reply):
        raise status_error(outcome, _DOWNLOAD.name)
    await save_body(_Metered(outcome, session.io, on_progress), session.io, destination)
    return destination


class _Metered(BodyReader[AsyncResponse]):
    """A body that tells how much of it has come, and that minds the size it declared."""

    def __init__(
        self,
        opened: Opened[AsyncResponse],
        io: CallIO[AsyncResponse],
        on_progress: DownloadProgress | None,
    ) -> None:
        super().__init__(opened, io)
        self._call = opened.call
        self._on_progress = on_progress
        self._size_bytes = _declared_size(opened.response.headers)
        self._done_bytes = 0

    async def next(self) -> bytes | None:
        """The next piece, or None at the declared end."""
        piece = await super().next()
        if piece is not None:
            self._done_bytes += len(piece)
            if self._on_progress is not None:
                self._on_progress(self._done_bytes, self._size_bytes)
        elif self._size_bytes not in {None, self._done_bytes}:
            short = TruncatedBody(
                f"The archive has {self._done_bytes} bytes where {self._size_bytes} were declared.",
                may_have_arrived=True,
            )
            raise error_of(short, self._call, 0) from short
        return piece


def _declared_size(headers: Headers) -> int | None:
    declared = headers.get("content-length")
    if declared is None or not declared.isdigit() or "content-encoding" in headers:
        return None
    return int(declared)
