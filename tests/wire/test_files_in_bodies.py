from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.wire.file_fields import extract_files
from tinker_lite.wire.not_given import NOT_GIVEN

HANDLE = io.BytesIO(b"x")


@pytest.mark.parametrize(
    ("body", "paths", "rest", "files"),
    [
        pytest.param(
            {"a": b"1", "b": 2}, [["a"]], {"b": 2}, [("a", b"1")], id="a field of the body"
        ),
        pytest.param(
            {"a": {"b": {"c": b"1", "d": 2}}},
            [["a", "b", "c"]],
            {"a": {"b": {"d": 2}}},
            [("a[b][c]", b"1")],
            id="deeper",
        ),
        pytest.param(
            {"docs": [{"file": b"1"}, {"file": b"2", "n": 1}]},
            [["docs", "<array>", "file"]],
            {"docs": [{}, {"n": 1}]},
            [("docs[][file]", b"1"), ("docs[][file]", b"2")],
            id="in the elements of a list",
        ),
        pytest.param(
            {"files": [b"1", ("n", b"2")]},
            [["files", "<array>"]],
            {"files": []},
            [("files[]", b"1"), ("files[]", ("n", b"2"))],
            id="the elements of a list",
        ),
        pytest.param(
            {"a": [[b"1"], [b"2"]]},
            [["a", "<array>", "<array>"]],
            {"a": [list[int](), list[int]()]},
            [("a[][]", b"1"), ("a[][]", b"2")],
            id="lists of lists",
        ),
        pytest.param(
            {"a": Path("p"), "b": HANDLE, "c": ("n", Path("p"), "a/b")},
            [["c"], ["a"], ["b"]],
            {},
            [("c", ("n", Path("p"), "a/b")), ("a", Path("p")), ("b", HANDLE)],
            id="every form, in the order of the paths",
        ),
        pytest.param({"a": b"1"}, [["a"], ["a"]], {}, [("a", b"1")], id="the same path twice"),
        pytest.param({"a": b"1"}, [], {"a": b"1"}, [], id="no path"),
        pytest.param({"a": {"b": 1}}, [["a", "c"]], {"a": {"b": 1}}, [], id="no such key"),
        pytest.param({"a": [1]}, [["a", "b"]], {"a": [1]}, [], id="a list where a key is sought"),
        pytest.param({"a": 1}, [["a", "<array>"]], {"a": 1}, [], id="no list"),
        pytest.param({"a": "xy"}, [["a", "<array>"]], {"a": "xy"}, [], id="a text is no list"),
        pytest.param({"a": [{"b": 1}, 7]}, [["a", "<array>", "c"]], {"a": [{"b": 1}, 7]}, []),
        pytest.param({"a": None}, [["a"]], {"a": None}, [], id="None stays"),
        pytest.param({"a": NOT_GIVEN}, [["a"]], {"a": NOT_GIVEN}, [], id="not given"),
    ],
)
def test_files_are_taken_out_of_a_body(
    body: dict[str, Any], paths: list[list[str]], rest: dict[str, Any], files: list[Any]
) -> None:
    """Named as form fields are; the body that was given stays as it was."""
    before = {key: copy.copy(value) for key, value in body.items() if value is not HANDLE}
    assert extract_files(body, paths) == (rest, files)
    assert {key: value for key, value in body.items() if value is not HANDLE} == before


@pytest.mark.parametrize(
    ("body", "path", "text"),
    [
        ({"a": "name.txt"}, ["a"], "^a is a str, not a file: give bytes, a path"),
        ({"a": {"b": 7}}, ["a", "b"], r"^a\.b is a int"),
        ({"d": [{"f": b""}, {"f": 1.5}]}, ["d", "<array>", "f"], r"^d\[1\]\.f is a float"),
        ({"a": [b"", "x"]}, ["a", "<array>"], r"^a\[1\] is a str"),
        ({"a": b""}, [], "A path is a list of keys"),
        ({"a": b""}, "a", "A path is a list of keys such as .* not 'a'"),
    ],
)
def test_what_is_no_file_is_refused(body: dict[str, Any], path: Any, text: str) -> None:
    """By the place where it stands."""
    with pytest.raises(TypeError, match=text):
        extract_files(body, [path])


BODIES = st.recursive(
    st.integers() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)
PATHS = st.lists(st.sampled_from(("a", "b", "c", "<array>")), min_size=1, max_size=4)


def n_files(value: object) -> int:
    """How many contents there are in a body."""
    if isinstance(value, bytes):
        return 1
    if isinstance(value, dict):
        return sum(n_files(item) for item in cast("dict[str, object]", value).values())
    return sum(map(n_files, cast("list[object]", value))) if isinstance(value, list) else 0


@given(st.dictionaries(st.sampled_from("abc"), BODIES), st.lists(PATHS, max_size=3))
def test_every_file_is_either_taken_or_left(
    body: dict[str, object], paths: list[list[str]]
) -> None:
    """None is lost, none is doubled, and the body is not changed."""
    before = copy.deepcopy(body)
    try:
        rest, files = extract_files(body, paths)
    except TypeError:
        assert body == before
        return
    assert body == before
    assert n_files(rest) + len(files) == n_files(body)
    again, none = extract_files(rest, paths)
    assert (again, none) == (rest, [])
