"""Streaming a checkpoint's archive to a file; a broken download starts anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import anyio

from tinker_lite.engine.call import USER_AGENT, perform, prepare, raise_for_status
from tinker_lite.errors import APIError, TransportError, TruncatedBody
from tinker_lite.http import AsyncResponse, Headers, Request, Timeout, public_url
from tinker_lite.protocol.archive import archive_location
from tinker_lite.protocol.endpoints import BY_NAME
from tinker_lite.protocol.replies import Reply, connection_error, status_error
from tinker_lite.types import CheckpointArchiveUrlResponse, ParsedCheckpointTinkerPath

if TYPE_CHECKING:
    from pathlib import Path

    from tinker_lite.engine.session import Session

__all__ = ["DownloadProgress", "archive_url", "download_archive"]

# Told the bytes received so far and the size, or None where the server does not say it.
DownloadProgress: TypeAlias = Callable[[int, "int | None"], None]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
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
    call = prepare(session.config, BY_NAME["checkpoints.archive"], path=path)
    reply = await perform(call, session.config, session.io)
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
    request = Request(
        method="GET",
        url=located.url,
        headers=Headers([("User-Agent", USER_AGENT), ("Accept-Encoding", "identity")]),
        timeout=_TIMEOUT,
    )
    part = destination.with_name(destination.name + ".part")
    try:
        async with await session.transport.send(request) as response:
            if response.status != 200:
                raise await _refusal(response, located.url)
            await _save(response, part, on_progress)
    except TransportError as error:
        raise connection_error(
            error, operation="download", method="GET", url=located.url, n_retries=0
        ) from error
    else:
        await anyio.Path(part).replace(destination)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(part).unlink(missing_ok=True)
    return destination


async def _refusal(response: AsyncResponse, url: str) -> APIError:
    body = await response.read(max_bytes=65_536)
    head = Reply(
        status=response.status,
        headers=response.headers,
        body=body,
        method="GET",
        url=public_url(url),
    )
    return status_error(head, "download")


async def _save(response: AsyncResponse, part: Path, on_progress: DownloadProgress | None) -> None:
    size_bytes = _declared_size(response.headers)
    done_bytes = 0
    async with await anyio.open_file(part, "wb") as file:
        async for chunk in response.iter_bytes():
            await file.write(chunk)
            done_bytes += len(chunk)
            if on_progress is not None:
                on_progress(done_bytes, size_bytes)
    if size_bytes is not None and done_bytes != size_bytes:
        raise TruncatedBody(
            f"The archive has {done_bytes} bytes where {size_bytes} were declared.",
            may_have_arrived=True,
        )


def _declared_size(headers: Headers) -> int | None:
    declared = headers.get("content-length")
    return int(declared) if declared is not None and declared.isdigit() else None
