"""Dates as HTTP headers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["parse_http_date"]


def parse_http_date(text: str) -> datetime | None:
    """The moment, always with a time zone, or None if the text is no date."""
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # "-0000" says that the zone is not known; HTTP dates are UTC (RFC 9110 section 5.6.7).
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
