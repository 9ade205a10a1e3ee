"""Where a checkpoint's archive is, from the answer of the archive endpoint."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urljoin

from tinker_lite.errors import APIResponseValidationError
from tinker_lite.http import public_url
from tinker_lite.protocol.replies import Reply, read_reply
from tinker_lite.safety import is_no_downgrade
from tinker_lite.types import CheckpointArchiveUrlResponse
from tinker_lite.wire.dates import parse_http_date

__all__ = ["archive_location"]

# Protocol section 2.9: how long a signed URL is taken to work when the server does not say.
DEFAULT_LIFETIME = timedelta(minutes=15)


def archive_location(reply: Reply, request_url: str, now: datetime) -> CheckpointArchiveUrlResponse:
    """The signed URL: from a redirect's ``Location``, or from a JSON body.

    Args:
        reply: The answer, which was not followed.
        request_url: The URL asked, for a relative ``Location``.
        now: The present, for the default expiry.

    Raises:
        APIResponseValidationError: The answer names no place, or one that is not to be trusted.
    """
    found = _named(reply, request_url, now)
    if not is_no_downgrade(request_url, found.url):
        raise _refused(reply, f"names {public_url(found.url)}, which is not https")
    return found


def _named(reply: Reply, request_url: str, now: datetime) -> CheckpointArchiveUrlResponse:
    if reply.ok:
        return read_reply(reply, CheckpointArchiveUrlResponse, "checkpoints.archive")
    location = reply.headers.get("location")
    if location is None:
        raise _refused(reply, f"answered {reply.status} without a Location")
    return CheckpointArchiveUrlResponse(
        url=urljoin(request_url, location), expires=_expiry(reply, now)
    )


def _refused(reply: Reply, why: str) -> APIResponseValidationError:
    return APIResponseValidationError(reply.head(), message=f"checkpoints.archive {why}.")


def _expiry(reply: Reply, now: datetime) -> datetime:
    return parse_http_date(reply.headers.get("expires", "")) or now + DEFAULT_LIFETIME
