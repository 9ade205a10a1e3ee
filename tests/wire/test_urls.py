from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinker_lite.wire.urls import QueryValue, join_url, render_path, render_query

PARTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param("S:train:0", "/x/S:train:0/y", id="colons stay"),
        pytest.param("weights/ck", "/x/weights/ck/y", id="a slash stays"),
        pytest.param("a b?c#d%e", "/x/a%20b%3Fc%23d%25e/y", id="what ends a path is escaped"),
        pytest.param("ü", "/x/%C3%BC/y", id="beyond ASCII, UTF-8"),
        pytest.param("a..b", "/x/a..b/y", id="dots inside a name stay"),
        pytest.param("%2e%2e", "/x/%252e%252e/y", id="an escaped escape stays one"),
        pytest.param("a\r\nb\\", "/x/a%0D%0Ab%5C/y", id="line breaks are escaped"),
    ],
)
def test_a_path_is_filled(value: str, path: str) -> None:
    """Run ids hold colons and checkpoint ids a slash, both unescaped (protocol section 2)."""
    assert render_path("/x/{run}/y", run=value) == path


@pytest.mark.parametrize("value", ["", "..", ".", "a/../b", "../a", "a/.", "./a"])
def test_a_value_that_would_climb_out_is_refused(value: str) -> None:
    """The error names the placeholder."""
    with pytest.raises(ValueError, match=r"checkpoint is .*plain, non-empty identifier"):
        render_path("/x/{checkpoint}", checkpoint=value)


@given(PARTS, PARTS)
def test_what_is_put_into_a_path_can_be_read_from_it(run: str, checkpoint: str) -> None:
    """Whatever the names hold, they stay in their place and no query or fragment begins."""
    assume({".", ".."}.isdisjoint([*run.split("/"), *checkpoint.split("/")]))
    path = render_path("/r/{run}/c/{checkpoint}", run=run, checkpoint=checkpoint)
    parts = urlsplit(join_url("http://h", path))
    assert unquote(parts.path) == f"/api/v1/r/{run}/c/{checkpoint}"
    assert (parts.netloc, parts.query, parts.fragment) == ("h", "", "")
    assert path.isascii()
    assert path.isprintable()


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"limit": 20, "offset": 0}, "?limit=20&offset=0", id="numbers, zero too"),
        pytest.param({"a": None, "b": "", "c": 1}, "?c=1", id="None and empty are dropped"),
        pytest.param({"a": None}, "", id="nothing left"),
        pytest.param({"a": True, "b": False}, "?a=true&b=false", id="booleans in lower case"),
        pytest.param({"q": "a b&c=d"}, "?q=a+b%26c%3Dd", id="separators are escaped"),
        pytest.param({"x": 0.5}, "?x=0.5", id="a float"),
    ],
)
def test_a_query_is_written(parameters: dict[str, QueryValue], query: str) -> None:
    """By the rules of protocol section 2.12."""
    assert render_query(parameters) == query


@given(st.dictionaries(PARTS, PARTS, max_size=3))
def test_what_is_put_into_a_query_can_be_read_from_it(parameters: dict[str, str]) -> None:
    """Names and values come back as they were."""
    assert dict(parse_qsl(render_query(parameters)[1:])) == parameters


@pytest.mark.parametrize("base", ["http://h:8/pre/fix", "http://h:8/pre/fix/"])
def test_a_base_url_may_have_a_path(base: str) -> None:
    """Every request goes below it (protocol section 1.1)."""
    assert join_url(base, "/healthz", "?a=1") == "http://h:8/pre/fix/api/v1/healthz?a=1"
