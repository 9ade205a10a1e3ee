from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinker_lite.wire.urls import (
    ArrayFormat,
    QueryValue,
    join_url,
    render_path,
    render_query,
    with_query,
)

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
    with pytest.raises(ValueError, match=r"\{checkpoint\} of \S+ is .*plain, non-empty identifier"):
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


NESTED: dict[str, QueryValue] = {"in": ["foo", None, {"b": {"c": ["d", True]}}], "x": {}}


@pytest.mark.parametrize(
    ("parameters", "arrays", "query"),
    [
        pytest.param({"a": {"b": {"c": 1}}}, "comma", "a[b][c]=1", id="nested"),
        pytest.param({"a": [1, None, "x"]}, "comma", "a=1,x", id="a list, by commas"),
        pytest.param({"a": [1, 2]}, "repeat", "a=1&a=2", id="a list, repeated"),
        pytest.param({"a": [1, 2]}, "brackets", "a[]=1&a[]=2", id="a list, in brackets"),
        pytest.param({"a": [], "b": [None], "c": {}}, "comma", "", id="empty ones are dropped"),
        pytest.param(NESTED, "repeat", "in=foo&in[b][c]=d&in[b][c]=true", id="all of it"),
        pytest.param({"d": dt.date(2026, 1, 2)}, "comma", "d=2026-01-02", id="a day"),
        pytest.param(
            {"t": dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=1)))},
            "comma",
            "t=2026-01-02T02:00:00Z",
            id="a time, in UTC",
        ),
        pytest.param({"t": dt.datetime(2026, 1, 2)}, "comma", "t=2026-01-02T00:00:00", id="naive"),
    ],
)
def test_nested_queries(parameters: dict[str, QueryValue], arrays: ArrayFormat, query: str) -> None:
    """Keys in brackets; lists in the format that is asked for."""
    assert unquote(render_query(parameters, arrays)).removeprefix("?") == query


def test_what_has_no_form_in_a_query_is_refused() -> None:
    """The error names the parameter, or the formats that there are."""
    wrong: Any = {"a": object()}
    with pytest.raises(TypeError, match="The query parameter 'a' holds a object"):
        render_query(wrong)
    with pytest.raises(TypeError, match="The query parameter 'a' holds a dict"):
        render_query({"a": [{"b": 1}]})
    unknown: Any = "pipes"
    with pytest.raises(ValueError, match="'comma', 'repeat' or 'brackets', not 'pipes'"):
        render_query({}, unknown)


@pytest.mark.parametrize(
    ("path", "parameters", "whole"),
    [
        pytest.param("/a", {}, "/a", id="nothing"),
        pytest.param("/a?b=1", {}, "/a?b=1", id="nothing to add"),
        pytest.param("/a?limit=5", {"limit": 6, "x": 1}, "/a?limit=6&x=1", id="replaced"),
        pytest.param("/a?b=1&b=2&c=", {"b": [3, 4]}, "/a?c=&b=3%2C4", id="all of a name"),
        pytest.param("/a?b=1", {"b": None}, "/a", id="taken away"),
        pytest.param("/a?b[c]=1&b[]=2&bc=3", {"b": None}, "/a?bc=3", id="taken away, nested"),
        pytest.param("/a?b=7&c=1", {"b": [], "c": ""}, "/a", id="nothing in its place"),
        pytest.param("/a?b[c]=1", {"b": {"d": 2}}, "/a?b%5Bd%5D=2", id="nested, replaced"),
        pytest.param("/a?b[c]=1&b[d]=2", {"b[c]": 3}, "/a?b%5Bd%5D=2&b%5Bc%5D=3", id="one inside"),
        pytest.param("/a?z=1#f", {"b": 1}, "/a?z=1&b=1#f", id="before a fragment"),
        pytest.param("/a?b=1#f?b=1", {"b": None}, "/a#f?b=1", id="nothing but a fragment"),
        pytest.param("http://h/a?b=1", {"c": "x y"}, "http://h/a?b=1&c=x+y", id="a whole URL"),
    ],
)
def test_a_query_is_added_to_one(path: str, parameters: dict[str, QueryValue], whole: str) -> None:
    """What stands there under the same name goes."""
    assert with_query(path, parameters) == whole


@given(st.dictionaries(PARTS, PARTS, max_size=3))
def test_what_is_put_into_a_query_can_be_read_from_it(parameters: dict[str, str]) -> None:
    """Names and values come back as they were."""
    assert dict(parse_qsl(render_query(parameters)[1:])) == parameters


@pytest.mark.parametrize("base", ["http://h:8/pre/fix", "http://h:8/pre/fix/"])
def test_a_base_url_may_have_a_path(base: str) -> None:
    """Every request goes below it (protocol section 1.1)."""
    assert join_url(base, "/healthz", "?a=1") == "http://h:8/pre/fix/api/v1/healthz?a=1"
