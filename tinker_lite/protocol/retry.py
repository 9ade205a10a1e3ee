"""Whether a call is made again, and after how long.

The rules:

* A repeat carries the same idempotency key, and everything that changes the server carries a
  sequence number too, so a repeat never applies twice (protocol sections 1.6 and 4.8).
* ``x-should-retry`` decides when it is there. Otherwise 408, 425, 429 and 5xx are repeated.
* 409 is repeated at most three times: the hosted service uses it for clashes that pass, others for
  a name that is taken for good (protocol section 12.3), and waiting minutes for those helps nobody.
* ``retry-after-ms`` and ``retry-after`` are obeyed up to 60 s; otherwise the delay doubles, with
  jitter.
* An endpoint of class ``paced`` is not repeated after a 429, which its caller obeys by itself.
* An endpoint of class ``once`` or ``poll`` gets one attempt. Whatever the class and the number of
  retries allowed, a kept-alive connection that turns out to be dead gives a second one at once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tinker_lite.errors import (
    ConnectionLost,
    InvalidRequest,
    LimitExceeded,
    TransportClosed,
    TransportError,
)
from tinker_lite.wire.dates import parse_http_date

if TYPE_CHECKING:
    from tinker_lite.http import Headers
    from tinker_lite.protocol.endpoints import RetryClass

__all__ = [
    "RetryPolicy",
    "delay_after_error",
    "delay_after_expiry",
    "delay_after_status",
    "retry_after_s",
]

# Longest delay a server may ask for (protocol section 5.1); a longer wish is ignored.
MAX_SERVER_DELAY_S = 60.0
MAX_CONFLICT_RETRIES = 3
_REPEATED: tuple[RetryClass, ...] = ("standard", "paced")
_REPEATED_STATUSES = frozenset({408, 425, 429})
# Failures that a repeat cannot mend.
FINAL_ERRORS = (InvalidRequest, LimitExceeded, TransportClosed)


class RetryPolicy(Protocol):
    """The numbers of a policy; ``tinker_lite.config.RetryConfig`` has them."""

    @property
    def max_retries(self) -> int:
        """Repeats after the first attempt."""
        ...

    @property
    def delay_base_s(self) -> float:
        """First delay, in seconds."""
        ...

    @property
    def delay_max_s(self) -> float:
        """Longest delay, in seconds."""
        ...

    @property
    def jitter(self) -> float:
        """Share of a delay that is taken off at random."""
        ...

    @property
    def total_s(self) -> float:
        """Seconds after which no further attempt starts."""
        ...


def delay_after_status(
    status: int,
    headers: Headers,
    *,
    policy: RetryPolicy,
    retry_class: RetryClass,
    n_retries: int,
    elapsed_s: float,
    random: float,
    now: datetime | None = None,
) -> float | None:
    """Seconds until the call is made again, or None if the answer is final.

    Args:
        status: The HTTP status, not a success.
        headers: The answer's headers.
        policy: The numbers.
        retry_class: The endpoint's class.
        n_retries: Repeats made so far.
        elapsed_s: Seconds since the first attempt started.
        random: A number in [0, 1).
        now: The time, for a ``retry-after`` given as a date.
    """
    if retry_class == "paced" and status == 429:
        return None
    if retry_class not in _REPEATED or not _status_allows(status, headers, n_retries):
        return None
    asked_s = retry_after_s(headers, now)
    delay_s = _backoff_s(policy, n_retries, random) if asked_s is None else asked_s
    return _within(policy, n_retries, elapsed_s, delay_s)


def delay_after_error(
    error: TransportError,
    *,
    policy: RetryPolicy,
    retry_class: RetryClass,
    n_retries: int,
    elapsed_s: float,
    random: float,
) -> float | None:
    """Seconds until the call is made again, or None if the failure is final.

    Args are those of ``delay_after_status``, with the failure in place of the answer.
    """
    if isinstance(error, FINAL_ERRORS):
        return None
    if isinstance(error, ConnectionLost) and error.reused_connection and n_retries == 0:
        return 0.0 if elapsed_s <= policy.total_s else None
    if retry_class not in _REPEATED:
        return None
    return _within(policy, n_retries, elapsed_s, _backoff_s(policy, n_retries, random))


def delay_after_expiry(policy: RetryPolicy, n_retries: int) -> float | None:
    """Seconds until a sample whose result has expired is done again, or None to give up.

    Each repeat is a new sample, and paid for, so there are as many as of any call.
    """
    if n_retries >= policy.max_retries:
        return None
    return _backoff_s(policy, n_retries, random=0.0)


def _status_allows(status: int, headers: Headers, n_retries: int) -> bool:
    wish = headers.get("x-should-retry")
    if wish in {"true", "false"}:
        return wish == "true"
    if status == 409:
        return n_retries < MAX_CONFLICT_RETRIES
    return status in _REPEATED_STATUSES or status >= 500


def _backoff_s(policy: RetryPolicy, n_retries: int, random: float) -> float:
    delay_s = min(policy.delay_base_s * 2.0 ** min(n_retries, 30), policy.delay_max_s)
    return delay_s * (1.0 - policy.jitter * random)


def _within(policy: RetryPolicy, n_retries: int, elapsed_s: float, delay_s: float) -> float | None:
    if n_retries >= policy.max_retries or elapsed_s + delay_s > policy.total_s:
        return None
    return delay_s


def retry_after_s(headers: Headers, now: datetime | None = None) -> float | None:
    """The delay a server asks for, in seconds, or None if it asks for none or for too long."""
    delay_s = _asked_s(headers, now)
    return delay_s if delay_s is not None and 0 < delay_s <= MAX_SERVER_DELAY_S else None


def _asked_s(headers: Headers, now: datetime | None) -> float | None:
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000.0
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    when = parse_http_date(text)
    return None if when is None else (when - (now or datetime.now(UTC))).total_seconds()


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d+(\.\d+)?", text.strip()) else None
