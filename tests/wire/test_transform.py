from __future__ import annotations

import copy
import datetime as dt
import enum
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import anyio.to_thread
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.types.strategies import FORWARD_BACKWARD_REQUESTS, SAMPLE_REQUESTS
from tinker_lite import types as t
from tinker_lite.types.property_info import PropertyInfo
from tinker_lite.wire.json import encode_json, to_plain
from tinker_lite.wire.not_given import NOT_GIVEN
from tinker_lite.wire.transform import atransform, transform

WHEN = dt.datetime(2024, 2, 3, 14, 5, 6, 789, tzinfo=dt.UTC)
NAIVE = dt.datetime(2024, 2, 3, 14, 5)
Iso = PropertyInfo(format="iso8601")


class Leaf(TypedDict, total=False):
    """The innermost type."""

    foo_bar: Annotated[str, PropertyInfo(alias="fooBar")]
    when: Annotated[dt.datetime, PropertyInfo(format="iso8601")]
    plain_when: dt.datetime


class LeafStruct(msgspec.Struct, rename="camel"):
    """The same as a struct, with a rename of its own beside the mark."""

    foo_bar: Annotated[str | None, PropertyInfo(alias="FOO")] = None
    snake_case: int | None = None
    when: Annotated[dt.datetime | None, PropertyInfo(format="iso8601")] = None
    left_out: int | msgspec.UnsetType = msgspec.UNSET


@dataclass
class LeafData:
    """The same as a dataclass."""

    foo_bar: Annotated[str, PropertyInfo(alias="fooBar")]
    when: Annotated[dt.datetime | None, PropertyInfo(format="iso8601")] = None


class Middle(TypedDict, total=False):
    """Leaves in every container."""

    one: Leaf
    some: Annotated[list[Leaf], PropertyInfo(alias="theSome")]
    lazy: Iterable[Leaf]
    pair: tuple[Leaf, int]
    many: tuple[Leaf, ...]
    by_key: dict[str, Leaf]
    mapping: Mapping[str, list[Leaf]]
    maybe: Leaf | None
    struct: LeafStruct
    data: LeafData


class Outer(TypedDict, total=False):
    """Three levels down, and around again."""

    the_middle: Annotated[Middle, PropertyInfo(alias="theMiddle")]
    again: Annotated[Outer, PropertyInfo(alias="AGAIN")]


def leaves(n: int) -> Iterator[Any]:
    """Leaves that can be iterated over once."""
    return ({"foo_bar": str(i)} for i in range(n))


LEAF = {"foo_bar": "x"}
DONE = {"fooBar": "x"}
CASES = [
    pytest.param({"one": LEAF}, {"one": DONE}, id="a field"),
    pytest.param({"some": [LEAF, LEAF]}, {"theSome": [DONE, DONE]}, id="a list"),
    pytest.param({"some": (LEAF,)}, {"theSome": [DONE]}, id="a tuple for a list"),
    pytest.param({"pair": (LEAF, 1)}, {"pair": [DONE, 1]}, id="a tuple"),
    pytest.param({"pair": [LEAF, 1, LEAF]}, {"pair": [DONE, 1, LEAF]}, id="one more than there is"),
    pytest.param({"many": [LEAF, LEAF]}, {"many": [DONE, DONE]}, id="a tuple of any length"),
    pytest.param(
        {"by_key": {"foo_bar": LEAF}}, {"by_key": {"foo_bar": DONE}}, id="keys of a dict stay"
    ),
    pytest.param({"mapping": {"a": [LEAF]}}, {"mapping": {"a": [DONE]}}, id="a mapping"),
    pytest.param({"maybe": LEAF}, {"maybe": DONE}, id="an optional field"),
    pytest.param({"maybe": None, "one": None}, {"maybe": None, "one": None}, id="None is kept"),
    pytest.param(
        {"struct": {"foo_bar": "x", "snake_case": 1}},
        {"struct": {"FOO": "x", "snakeCase": 1}},
        id="a mapping for a struct",
    ),
    pytest.param(
        {"struct": LeafStruct("x", 1, WHEN)},
        {"struct": {"FOO": "x", "snakeCase": 1, "when": WHEN.isoformat()}},
        id="a struct",
    ),
    pytest.param({"struct": LeafStruct()}, {"struct": {}}, id="a struct without values"),
    pytest.param({"data": LeafData("x")}, {"data": DONE}, id="a dataclass"),
    pytest.param({"data": LEAF}, {"data": DONE}, id="a mapping for a dataclass"),
    pytest.param({"one": LeafStruct("x")}, {"one": {"FOO": "x"}}, id="an object of another type"),
    # Values of another kind
    pytest.param({"some": "text"}, {"theSome": "text"}, id="a text for a list"),
    pytest.param({"some": LEAF}, {"theSome": LEAF}, id="a mapping for a list"),
    pytest.param({"one": [LEAF]}, {"one": [LEAF]}, id="a list for a mapping"),
    pytest.param({"one": 7, "by_key": 7}, {"one": 7, "by_key": 7}, id="a number for a mapping"),
    # Unknown keys
    pytest.param({"new": {"foo_bar": 1}}, {"new": {"foo_bar": 1}}, id="an unknown key"),
    pytest.param({"new": ({"a": (1,)},)}, {"new": ({"a": (1,)},)}, id="unknown values stay"),
    pytest.param({1: {"foo_bar": 1}}, {1: {"foo_bar": 1}}, id="a key that is no text"),
    pytest.param({"new": [LeafData("x")]}, {"new": [DONE]}, id="an object where nothing is known"),
    pytest.param({"new": {"a": LeafStruct("x")}}, {"new": {"a": {"FOO": "x"}}}, id="and deeper"),
    # What was not given
    pytest.param({"one": NOT_GIVEN, "new": NOT_GIVEN, "some": msgspec.UNSET}, {}, id="not given"),
    pytest.param({"new": {"a": NOT_GIVEN, "b": 1}}, {"new": {"b": 1}}, id="not given, deeper"),
    # Both names
    pytest.param({"theSome": [LEAF]}, {"theSome": [DONE]}, id="given by its alias"),
    pytest.param({"some": [1], "theSome": [2]}, {"theSome": [2]}, id="given by both, name first"),
    pytest.param({"theSome": [2], "some": [1]}, {"theSome": [1]}, id="given by both, alias first"),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_a_body_is_put_on_the_wire(data: dict[str, Any], expected: dict[str, Any]) -> None:
    """By the marks of its type, at any depth, in a new mapping."""
    before = copy.deepcopy(data)
    result = transform(data, Middle)
    assert result == expected
    assert data == before
    assert result is not data


@pytest.mark.parametrize(("data", "expected"), CASES)
async def test_both_colours_agree(data: Any, expected: Any) -> None:
    """Three levels down, through a type that holds itself."""
    body = {"again": {"again": {"the_middle": data}}}
    wanted = {"AGAIN": {"AGAIN": {"theMiddle": expected}}}
    assert transform(body, Outer) == wanted
    assert await atransform(body, Outer, anyio.to_thread.run_sync) == wanted


async def test_what_can_be_iterated_over_becomes_a_list() -> None:
    """Generators, which give their values once, and views."""
    done = [{"fooBar": "0"}, {"fooBar": "1"}]
    assert transform({"some": leaves(2)}, Middle) == {"theSome": done}
    assert transform({"lazy": leaves(2)}, Middle) == {"lazy": done}
    assert transform({"lazy": {"a": LEAF}.values()}, Middle) == {"lazy": [DONE]}
    run = anyio.to_thread.run_sync
    assert await atransform({"lazy": leaves(2)}, Middle, run) == {"lazy": done}


def test_the_order_of_keys_is_kept() -> None:
    """Also of those that are renamed or unknown."""
    result: Any = transform({"z": 1, "some": [], "a": 2, "one": {}}, Middle)
    assert list(result) == ["z", "theSome", "a", "one"]


def test_a_list_is_not_judged_by_its_first_item() -> None:
    """What was not given goes, and a struct is transformed, behind texts and numbers too."""
    assert transform(["a", {"b": NOT_GIVEN}], object) == ["a", {}]
    assert transform({"new": [1, LeafStruct(foo_bar="x")]}, Middle) == {"new": [1, {"FOO": "x"}]}


def test_long_lists_of_numbers_are_the_same_object() -> None:
    """Token ids are not looked at one by one."""
    tokens = list(range(1000))
    assert transform(tokens, list[int]) is tokens
    kept: Any = transform({"new": tokens}, Middle)
    assert kept["new"] is tokens
    assert transform(tokens, Iterable[int]) is tokens
    assert transform(iter(tokens), Iterable[int]) == tokens


@pytest.mark.parametrize("value", [None, 7, "text", 1.5, True])
@pytest.mark.parametrize("expected_type", [Middle, int, Any, object, list[Leaf], Leaf | None])
def test_scalars_pass(value: object, expected_type: object) -> None:
    """Whatever type was expected; the server judges."""
    assert transform(value, expected_type) is value


# Formats


class Formats(TypedDict, total=False):
    """Dates in every position."""

    bare: dt.datetime
    iso: Annotated[dt.datetime, Iso]
    day: Annotated[dt.date, Iso]
    optional: Annotated[dt.datetime | None, Iso]
    either: Annotated[dt.datetime | str | int, Iso]
    some: Annotated[list[dt.datetime], Iso]
    inner: list[Annotated[dt.datetime, Iso]]
    union: Annotated[dt.datetime, Iso] | int
    pair: tuple[Annotated[dt.date, Iso], dt.date]
    by_key: Annotated[dict[str, dt.date], Iso]
    hour: Annotated[dt.datetime, PropertyInfo(format="custom", format_template="%H")]
    both: Annotated[dt.datetime, PropertyInfo(alias="BOTH", format="iso8601")]
    nested: Annotated[Leaf, Iso]
    hours: Annotated[
        list[Annotated[dt.date, PropertyInfo(format="custom", format_template="%j")]], Iso
    ]
    anything: Annotated[Any, Iso]
    time: Annotated[dt.time, Iso]


DAY = dt.date(2024, 2, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param({"bare": WHEN}, {"bare": WHEN}, id="without a mark"),
        pytest.param({"iso": WHEN}, {"iso": "2024-02-03T14:05:06.000789+00:00"}, id="with a zone"),
        pytest.param({"iso": NAIVE}, {"iso": "2024-02-03T14:05:00"}, id="without a zone"),
        pytest.param({"day": DAY}, {"day": "2024-02-03"}, id="a day"),
        pytest.param({"iso": DAY}, {"iso": "2024-02-03"}, id="a day for a moment"),
        pytest.param({"optional": None}, {"optional": None}, id="None"),
        pytest.param({"optional": NAIVE}, {"optional": "2024-02-03T14:05:00"}, id="optional"),
        pytest.param({"either": "now"}, {"either": "now"}, id="a text of a union"),
        pytest.param({"either": NAIVE}, {"either": "2024-02-03T14:05:00"}, id="a date of a union"),
        pytest.param({"some": [NAIVE, "x"]}, {"some": ["2024-02-03T14:05:00", "x"]}, id="a list"),
        pytest.param({"inner": [DAY]}, {"inner": ["2024-02-03"]}, id="marked inside a list"),
        pytest.param({"union": NAIVE}, {"union": "2024-02-03T14:05:00"}, id="inside a union"),
        pytest.param({"union": 7}, {"union": 7}, id="the other variant"),
        pytest.param({"pair": (DAY, DAY)}, {"pair": ["2024-02-03", DAY]}, id="inside a tuple"),
        pytest.param({"by_key": {"a": DAY}}, {"by_key": {"a": "2024-02-03"}}, id="a mapping"),
        pytest.param({"hour": WHEN}, {"hour": "14"}, id="a template"),
        pytest.param({"hour": DAY}, {"hour": "00"}, id="a template for a day"),
        pytest.param({"both": DAY}, {"BOTH": "2024-02-03"}, id="a format and an alias"),
        pytest.param({"nested": {"plain_when": WHEN}}, {"nested": {"plain_when": WHEN}}),
        pytest.param({"hours": [DAY]}, {"hours": ["034"]}, id="the inner mark counts"),
        pytest.param({"anything": DAY}, {"anything": "2024-02-03"}, id="Any"),
        pytest.param({"time": dt.time(1)}, {"time": dt.time(1)}, id="a time is none of both"),
        pytest.param({"iso": "2024"}, {"iso": "2024"}, id="a text stays"),
    ],
)
def test_dates_are_written_as_their_mark_says(data: object, expected: object) -> None:
    """And only where there is one."""
    assert transform(data, Formats) == expected


def test_marks_at_the_top_count() -> None:
    """The expected type may be marked itself."""
    assert transform(DAY, Annotated[dt.date, Iso]) == "2024-02-03"
    assert transform([DAY], Annotated[list[dt.date], Iso]) == ["2024-02-03"]


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        ({"format": "iso"}, "format is 'iso'; it is 'iso8601', 'base64' or 'custom'"),
        ({"format": "custom"}, "'custom' and a format_template go together"),
        ({"format_template": "%H"}, "'custom' and a format_template go together"),
        ({"format": "iso8601", "format_template": "%H"}, "go together"),
    ],
)
def test_marks_without_effect_are_refused(marks: dict[str, Any], text: str) -> None:
    """A mark that does nothing is a mistake of whoever wrote it."""
    with pytest.raises(ValueError, match=text):
        PropertyInfo(**marks)


# Other values


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"


def test_other_values_are_left_to_the_encoder() -> None:
    """Enumerations, bytes and paths without a mark."""
    body = {"a": Colour.RED, "b": b"\xff", "c": Path("x")}
    assert transform(body, dict[str, Any]) == body


@given(FORWARD_BACKWARD_REQUESTS | SAMPLE_REQUESTS)
def test_requests_of_the_protocol_are_what_they_were(request: object) -> None:
    """The transform of a struct of ours, or of its fields, encodes to what the struct does."""
    assert encode_json(transform(request, type(request))) == encode_json(request)
    assert encode_json(transform(to_plain(request), type(request))) == encode_json(request)


def test_types_with_a_form_of_their_own_keep_it() -> None:
    """They say themselves what they send."""
    params = t.SamplingParams(max_tokens=3)
    assert transform({"p": params}, dict[str, t.SamplingParams]) == {"p": to_plain(params)}


def test_not_given_is_one_value() -> None:
    """False, whatever copies and pickles it, and short in a repr."""
    assert not NOT_GIVEN
    assert pickle.loads(pickle.dumps(NOT_GIVEN)) is copy.deepcopy(NOT_GIVEN) is NOT_GIVEN
    assert repr(NOT_GIVEN) == "NOT_GIVEN"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("one", "some", "foo_bar", "by_key", "x", "fooBar")), inner
        )
    ),
    max_leaves=10,
)


@given(VALUES, st.sampled_from([Middle, Leaf, list[Middle], dict[str, Leaf], Leaf | list[Leaf]]))
def test_no_value_makes_it_fail_or_change_its_input(value: Any, expected_type: object) -> None:
    """What does not fit the type passes."""
    before = copy.deepcopy(value)
    transform(value, expected_type)
    assert value == before
