from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.config import RetryConfig
from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    LimitExceeded,
    ProtocolError,
    TransportClosed,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import Headers
from tinker_lite.protocol.endpoints import RetryClass
from tinker_lite.protocol.retry import (
    delay_after_error,
    delay_after_expiry,
    delay_after_status,
    retry_after_s,
)

POLICY = RetryConfig(max_retries=5, delay_base_s=0.5, delay_max_s=10.0, jitter=0.25, total_s=300.0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(
    what: int | TransportError,
    *headers: tuple[str, str],
    n: int = 0,
    elapsed_s: float = 0.0,
    random: float = 0.0,
    retry_class: RetryClass = "standard",
    policy: RetryConfig = POLICY,
) -> float | None:
    """The decision after ``n`` retries."""
    if isinstance(what, int):
        return delay_after_status(
            what,
            Headers(headers),
            policy=policy,
            retry_class=retry_class,
            n_retries=n,
            elapsed_s=elapsed_s,
            random=random,
            now=NOW,
        )
    return delay_after_error(
        what,
        policy=policy,
        retry_class=retry_class,
        n_retries=n,
        elapsed_s=elapsed_s,
        random=random,
    )


# Statuses


@pytest.mark.parametrize(
    ("status", "delay_s"),
    [
        *((status, 0.5) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
        *((status, None) for status in (301, 400, 401, 402, 403, 404, 405, 410, 413, 422)),
    ],
)
def test_the_status_decides(status: int, delay_s: float | None) -> None:
    """Too early, too much and the server's own failures are repeated, the rest is final."""
    assert after(status) == delay_s


@pytest.mark.parametrize(
    ("status", "wish", "delay_s"),
    [
        pytest.param(400, "true", 0.5, id="a final status is repeated on request"),
        pytest.param(503, "false", None, id="a passing one is final on request"),
        pytest.param(503, "maybe", 0.5, id="another word decides nothing"),
        pytest.param(400, "maybe", None, id="neither way"),
    ],
)
def test_the_server_may_decide(status: int, wish: str, delay_s: float | None) -> None:
    """``x-should-retry`` wins over the status (protocol section 5.1)."""
    assert after(status, ("X-Should-Retry", wish)) == delay_s


def test_a_conflict_is_repeated_three_times() -> None:
    """A name taken for good must not hold a caller for minutes; the server may insist."""
    assert [after(409, n=n) for n in range(4)] == [0.5, 1.0, 2.0, None]
    assert after(409, ("x-should-retry", "true"), n=4) == 8.0


def test_a_conversation_of_failures() -> None:
    """Delays double up to the longest, and end with the number of retries."""
    assert [after(503, n=n) for n in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, None]
    many = RetryConfig(max_retries=100)
    assert [after(503, n=n, policy=many) for n in (4, 5, 99)] == [8.0, 10.0, 10.0]


def test_jitter_takes_a_share_off() -> None:
    """Clients that failed together come back apart, never later than the delay says."""
    assert after(503, random=0.0) == 0.5
    assert after(503, random=1.0) == 0.375
    assert after(503, random=0.5) == pytest.approx(0.4375)


def test_no_attempt_starts_after_the_total() -> None:
    """The pause counts: what would end beyond it is not begun."""
    assert after(503, elapsed_s=299.5) == 0.5
    assert after(503, elapsed_s=299.6) is None
    assert after(503, ("retry-after", "60"), elapsed_s=250) is None


@pytest.mark.parametrize("retry_class", ["once", "poll"])
@pytest.mark.parametrize("status", [408, 409, 429, 503])
def test_callers_that_repeat_by_themselves_get_every_status(
    retry_class: RetryClass, status: int
) -> None:
    """Even when the server asks for a repeat."""
    assert after(status, ("x-should-retry", "true"), retry_class=retry_class) is None


# What the server asks for


@pytest.mark.parametrize(
    ("headers", "delay_s"),
    [
        pytest.param([("retry-after", "2")], 2.0, id="seconds"),
        pytest.param([("Retry-After", " 0.25 ")], 0.25, id="a fraction"),
        pytest.param([("retry-after-ms", "1500")], 1.5, id="milliseconds"),
        pytest.param([("retry-after", "9"), ("retry-after-ms", "20")], 0.02, id="ms come first"),
        pytest.param([("retry-after", "60")], 60.0, id="the longest"),
        pytest.param([("retry-after", "60.1")], None, id="longer than that"),
        pytest.param([("retry-after", "0")], None, id="none at all"),
        pytest.param([("retry-after", "-1")], None, id="a negative number"),
        pytest.param([("retry-after", "soon")], None, id="a word"),
        pytest.param([("retry-after", "")], None, id="nothing"),
        pytest.param([("retry-after", "nan")], None, id="no number"),
        pytest.param([("retry-after", "9" * 400)], None, id="beyond every float"),
        pytest.param([("retry-after-ms", "x"), ("retry-after", "3")], 3.0, id="a broken ms"),
        pytest.param([("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")], 30.0, id="a date"),
        pytest.param([("retry-after", "Thu, 01 Jan 2026 00:00:30 -0000")], 30.0, id="no zone"),
        pytest.param([("retry-after", "Wed, 31 Dec 2025 23:59:30 GMT")], None, id="a date gone by"),
        pytest.param([("retry-after", "Thu, 01 Jan 2026 00:02:00 GMT")], None, id="a far date"),
        pytest.param([], None, id="no header"),
    ],
)
def test_a_server_may_ask_for_a_delay(
    headers: list[tuple[str, str]], delay_s: float | None
) -> None:
    """Up to a minute; what cannot be obeyed is ignored, and the usual delay is taken."""
    assert retry_after_s(Headers(headers), NOW) == delay_s
    assert after(503, *headers, n=1) == (1.0 if delay_s is None else delay_s)


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_no_header_is_an_error(seconds: str, millis: str) -> None:
    """Whatever a server writes there, the delay is one that can be waited."""
    asked = retry_after_s(Headers([("retry-after", seconds), ("retry-after-ms", millis)]), NOW)
    assert asked is None or 0 < asked <= 60


# Failures


LOST = ConnectionLost("reset", may_have_arrived=True)
STALE = ConnectionLost("reset", may_have_arrived=True, reused_connection=True)
LATE = TransportTimeout("late", phase="read", may_have_arrived=True, reused_connection=True)


@pytest.mark.parametrize(
    ("error", "delay_s"),
    [
        pytest.param(ConnectError("refused"), 0.5, id="no connection"),
        pytest.param(LOST, 0.5, id="the connection went"),
        pytest.param(LATE, 0.5, id="a timeout"),
        pytest.param(TruncatedBody("cut", may_have_arrived=True), 0.5, id="half a body"),
        pytest.param(ProtocolError("bad", may_have_arrived=True), 0.5, id="no HTTP"),
        pytest.param(STALE, 0.0, id="a stale connection, at once"),
        pytest.param(InvalidRequest("url", may_have_arrived=False), None, id="no request"),
        pytest.param(LimitExceeded("big", may_have_arrived=True), None, id="too large"),
        pytest.param(TransportClosed("closed", may_have_arrived=False), None, id="closed"),
    ],
)
def test_the_failure_decides(error: TransportError, delay_s: float | None) -> None:
    """What a repeat can mend is repeated."""
    assert after(error) == delay_s


@pytest.mark.parametrize("retry_class", ["standard", "once", "poll"])
def test_a_stale_connection_costs_one_repeat_at_once(retry_class: RetryClass) -> None:
    """In every class and whatever the number of retries, but once, and not after the total."""
    none = RetryConfig(max_retries=0)
    assert after(STALE, retry_class=retry_class, policy=none) == 0.0
    assert after(STALE, retry_class=retry_class, policy=none, n=1) is None
    assert after(STALE, retry_class=retry_class, elapsed_s=300.1) is None


def test_only_a_lost_connection_can_be_a_stale_one() -> None:
    """A timeout on a kept-alive connection is a timeout; polls and heartbeats are told."""
    assert after(LATE, retry_class="poll") is None
    assert after(LOST, retry_class="once") is None
    assert after(STALE, n=1) == 1.0


# Samples whose result has expired


def test_an_expired_sample_is_done_again_as_often_as_any_call() -> None:
    """Each repeat is a new sample and paid for, so the number is bounded."""
    policy = RetryConfig(max_retries=3)
    assert [delay_after_expiry(policy, n) for n in range(4)] == [0.5, 1.0, 2.0, None]


# The schedule as a whole

REPLIES = st.one_of(
    st.sampled_from([408, 409, 425, 429, 500, 503, 404]),
    st.sampled_from([LOST, STALE, LATE, ConnectError("refused")]),
)
POLICIES = st.builds(
    RetryConfig,
    max_retries=st.integers(0, 6),
    delay_base_s=st.floats(0, 5),
    delay_max_s=st.floats(0, 20),
    jitter=st.floats(0, 1),
    total_s=st.floats(0, 100),
)
WISHES = st.sampled_from(["", "true", "1", "59", "3600", "never"])


@given(
    st.lists(st.tuples(REPLIES, WISHES, st.floats(0, 30)), min_size=12, max_size=12),
    POLICIES,
    st.sampled_from(["standard", "once", "poll"]),
    st.floats(0, 1, exclude_max=True),
)
def test_a_schedule_is_bounded_whatever_the_replies(
    replies: list[tuple[int | TransportError, str, float]],
    policy: RetryConfig,
    retry_class: RetryClass,
    random: float,
) -> None:
    """Number of retries, delay and total hold; only a stale connection may add an attempt."""
    elapsed_s = 0.0
    n = 0
    for what, wish, took_s in replies:
        elapsed_s += took_s
        headers = [("x-should-retry" if wish == "true" else "retry-after", wish)]
        delay_s = after(
            what,
            *headers,
            n=n,
            elapsed_s=elapsed_s,
            random=random,
            retry_class=retry_class,
            policy=policy,
        )
        if delay_s is None:
            break
        assert 0 <= delay_s <= max(policy.delay_max_s, 60.0)
        assert what is not STALE or n > 0 or delay_s == 0
        n += 1
        elapsed_s += delay_s
        assert elapsed_s <= policy.total_s
    stale_first = replies[0][0] is STALE
    allowed = policy.max_retries if retry_class == "standard" else 0
    assert n <= max(allowed, int(stale_first))
