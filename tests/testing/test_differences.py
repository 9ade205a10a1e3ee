from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from tinker_lite.testing.differences import differences

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("expected", "came", "lines"),
    [
        pytest.param({"a": 1}, {"a": 1.0}, [], id="numbers by value"),
        pytest.param({"a": 1}, {"a": True}, ["`$.a`: expected 1, came True"], id="not booleans"),
        pytest.param(
            {"a": [1, {"b": 2}]},
            {"a": [1, {"b": 3}]},
            ["`$.a[1].b`: expected 2, came 3"],
            id="the place is named",
        ),
        pytest.param({"a": 1}, {}, ["`$.a`: expected 1, nothing came"], id="a missing key"),
        pytest.param({}, {"b": 1}, ["`$.b`: expected nothing, came 1"], id="a surplus key"),
        pytest.param([1, 2], [3], ["`$[0]`: expected 1, came 3", "`$`: expected 2 items, came 1"],
                     id="lists of two lengths"),
        pytest.param((1, 2), [1, 2], [], id="tuples are lists"),
        pytest.param([1], {"0": 1}, ["`$`: expected [1], came {'0': 1}"], id="two kinds"),
        pytest.param({"a": "REDACTED"}, {"a": {"b": 1}}, [], id="a redacted value is anything"),
        pytest.param("x" * 100, "", ["`$`: expected '" + "x" * 76 + "..., came ''"], id="cut"),
    ],
)  # fmt: skip
def test_each_difference_is_a_line(expected: object, came: object, lines: list[str]) -> None:
    """With its place, what was expected and what came."""
    assert list(differences(expected, came)) == lines


def test_partial_mappings_may_have_more_keys() -> None:
    """At every depth; lists keep their length."""
    came = {"a": [{"b": 1, "c": 2}], "d": 3}
    assert list(differences({"a": [{"b": 1}]}, came, partial=True)) == []
    assert list(differences({"a": []}, came, partial=True)) == ["`$.a`: expected 0 items, came 1"]


def test_ignored_keys_are_not_looked_at() -> None:
    """At every depth, present or not."""
    one, other = {"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 9}], "c": 3}
    assert list(differences(one, other, ignored={"b", "c"})) == []


@hypothesis.given(PLAIN, PLAIN)
def test_no_difference_means_equal(one: object, other: object) -> None:
    """And nothing differs from itself; the order of two values does not matter to that."""
    assert list(differences(one, one)) == []
    assert bool(list(differences(one, other))) == bool(list(differences(other, one)))
    if not list(differences(one, other)):
        assert one == other
