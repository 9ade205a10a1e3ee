from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.wire.dates import parse_http_date

MOMENT = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", id="the form of HTTP"),
        pytest.param("Wed, 21 Oct 2015 09:28:00 +0200", id="another zone"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 -0000", id="a zone that is not known"),
        pytest.param("Wednesday, 21-Oct-15 07:28:00 GMT", id="the old form"),
    ],
)
def test_a_date_is_a_moment_with_a_zone(text: str) -> None:
    """So that it can be compared with now, whatever the server wrote."""
    assert parse_http_date(text) == MOMENT


@given(st.text() | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,5} \d+:\d+:\d+ [+-]\d{4}"))
def test_no_text_is_an_error(text: str) -> None:
    """What is no date is None; what is one has a zone."""
    when = parse_http_date(text)
    assert when is None or when.utcoffset() is not None
