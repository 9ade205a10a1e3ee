# ruff: noqa: UP006, UP007, UP035, UP045, RUF036  the older spellings are what is tested here
from __future__ import annotations

import datetime as dt
import sys
from typing import (
    Annotated,
    Any,
    Dict,
    Final,
    Generic,
    List,
    Literal,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    TypedDict,
    TypeVar,
    Union,
)

import msgspec
import pytest
import typing_extensions

from tinker_lite.types.property_info import PropertyInfo
from tinker_lite.wire.annotations import plan_of, record_of
from tinker_lite.wire.transform import transform

T = TypeVar("T")
Named = TypeVar("Named", bound="Item")

Renamed = Annotated[str, PropertyInfo(alias="theName")]
Day = Annotated[dt.date, PropertyInfo(format="iso8601")]
DayId = NewType("DayId", dt.date)
DAY = dt.date(2024, 2, 3)


class Item(TypedDict):
    """The type that is looked for below."""

    the_name: Renamed


Bounded = TypeVar("Bounded", bound=Item)


class Readable(Protocol):
    """Cannot be asked whether a value is one."""

    def read_me(self) -> str:
        """Read."""
        ...


class Spellings(TypedDict, total=False):
    """One field per way to write a type."""

    required: Required[Annotated[int, PropertyInfo(alias="A")]]
    not_required: NotRequired[Annotated[int, PropertyInfo(alias="B")]]
    around: Annotated[NotRequired[int], PropertyInfo(alias="C")]
    read_only: typing_extensions.ReadOnly[Annotated[int, PropertyInfo(alias="D")]]
    other_metadata: Annotated[int, "text", PropertyInfo(alias="E"), 7]
    two_marks: Annotated[Day, PropertyInfo(alias="F")]
    new_type: Annotated[DayId, PropertyInfo(alias="G", format="iso8601")]
    old_list: List[Item]
    old_dict: Dict[str, Item]
    old_optional: Optional[Item]
    old_union: Union[Item, None, int]
    protocol: Readable | Item
    bare_list: list  # type: ignore[type-arg]
    literal: Literal["a", "b"]


ITEM, DONE = {"the_name": "x"}, {"theName": "x"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"required": 1, "not_required": 2, "around": 3}, {"A": 1, "B": 2, "C": 3}),
        ({"read_only": 4, "other_metadata": 5}, {"D": 4, "E": 5}),
        ({"two_marks": DAY, "new_type": DAY}, {"F": "2024-02-03", "G": "2024-02-03"}),
        (
            {"old_list": [ITEM], "old_dict": {"a": ITEM}},
            {"old_list": [DONE], "old_dict": {"a": DONE}},
        ),
        ({"old_optional": ITEM, "old_union": ITEM}, {"old_optional": DONE, "old_union": DONE}),
        ({"protocol": ITEM}, {"protocol": DONE}),
        ({"bare_list": [ITEM], "literal": "a"}, {"bare_list": [ITEM], "literal": "a"}),
    ],
)
def test_every_spelling_is_understood(data: object, expected: object) -> None:
    """With annotations that are texts, as in this module, and resolved when first needed."""
    assert transform(data, Spellings) == expected


# Classes of every kind


class Base(TypedDict):
    """Fields to inherit."""

    base_field: Annotated[int, PropertyInfo(alias="baseField")]


class Derived(Base, total=False):
    """Inherits them."""

    own_field: Annotated[int, PropertyInfo(alias="ownField")]


class Backport(typing_extensions.TypedDict):
    """A TypedDict of another class than typing's."""

    the_name: Renamed


class Tree(msgspec.Struct):
    """Holds itself."""

    the_name: Renamed
    the_children: Annotated[list[Tree], PropertyInfo(alias="kids")] = []
    constant: Final[int] = 1


class Page(TypedDict, Generic[T]):
    """Holds whatever it is told to."""

    the_items: Annotated[list[T], PropertyInfo(alias="items")]
    next_page: NotRequired[Page[T]]
    boxed: NotRequired[Box[list[T]]]


class Box(msgspec.Struct, Generic[T]):
    """A generic struct."""

    content: T


class Limited(TypedDict, Generic[Bounded]):
    """Its variable has a bound."""

    item: Bounded


@pytest.mark.parametrize(
    ("data", "expected_type", "expected"),
    [
        pytest.param(
            {"base_field": 1, "own_field": 2},
            Derived,
            {"baseField": 1, "ownField": 2},
            id="inherited fields",
        ),
        pytest.param(ITEM, Backport, DONE, id="a TypedDict of typing_extensions"),
        pytest.param(
            Tree("x", [Tree("y", [Tree("z")])]),
            Tree,
            {
                "theName": "x",
                "kids": [
                    {
                        "theName": "y",
                        "kids": [{"theName": "z", "kids": list[Any](), "constant": 1}],
                        "constant": 1,
                    }
                ],
                "constant": 1,
            },
            id="a struct of itself",
        ),
        pytest.param(
            {"the_items": [ITEM], "next_page": {"the_items": [ITEM], "boxed": {"content": [ITEM]}}},
            Page[Item],
            {"items": [DONE], "next_page": {"items": [DONE], "boxed": {"content": [DONE]}}},
            id="a generic TypedDict",
        ),
        pytest.param(
            {"the_items": [DAY]}, Page[Day], {"items": ["2024-02-03"]}, id="of a marked type"
        ),
        pytest.param(Box(ITEM), Box[Item], {"content": DONE}, id="a generic struct"),
        pytest.param(Box(ITEM), Box, {"content": ITEM}, id="of nothing in particular"),
        pytest.param({"item": ITEM}, Limited, {"item": DONE}, id="by the bound of its variable"),
    ],
)
def test_classes_are_understood(data: object, expected_type: object, expected: object) -> None:
    """Inheritance, recursion and type variables."""
    assert transform(data, expected_type) == expected


def test_a_variable_alone_is_its_bound() -> None:
    """Unless the bound is a name, which says nothing about where to look for it."""
    generic: Any = List
    assert transform([ITEM], generic[Bounded]) == [DONE]
    assert transform([ITEM], generic[Named]) == [ITEM]


def test_a_class_inside_a_function_may_hold_itself() -> None:
    """Its own name is the one that its module does not know."""

    class Local(msgspec.Struct):
        inner: Annotated[Local | None, PropertyInfo(alias="INNER")] = None

    assert transform({"inner": {"inner": {}}}, Local) == {"INNER": {"INNER": {}}}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with 3.12")
def test_type_aliases_may_hold_themselves() -> None:
    """The type statement, with and without parameters."""
    names: dict[str, Any] = {"Item": Item}
    statements = "type Nested = Item | list[Nested]\ntype Pair[T] = tuple[T, T]"
    exec(statements, names)  # no syntax of the oldest Python we support
    assert transform([ITEM, [[ITEM]]], names["Nested"]) == [DONE, [[DONE]]]
    assert transform([ITEM, ITEM], names["Pair"][Item]) == [DONE, DONE]


def test_what_cannot_be_resolved_is_named() -> None:
    """The class, the name, and where it was looked for."""

    class Broken(TypedDict):
        field: NoSuchType  # type: ignore[name-defined]  # noqa: F821  # there is none

    with pytest.raises(TypeError, match=r"Broken cannot be resolved .*NoSuchType.*test_transform"):
        transform({"field": 1}, Broken)
    with pytest.raises(TypeError, match="The annotation 'Item' is a name; give the type itself"):
        transform({}, "Item")
    with pytest.raises(TypeError, match="is a name"):
        transform({}, List["Item"])


def test_types_are_looked_at_once() -> None:
    """The fields of a class are kept, and shared by everything that names it."""
    first = plan_of(Derived)
    assert first is plan_of(Derived) is record_of(Derived)
    assert record_of(Derived).fields is record_of(Derived).fields
    assert plan_of(Page[Item]) is plan_of(Page[Item])
    assert plan_of(Page[Item]) is not plan_of(Page[int])


def test_required_fields_are_known() -> None:
    """Also where the annotations are texts, which TypedDict itself does not look into."""
    required = {name for name, field in record_of(Spellings).fields.items() if field.is_required}
    assert required == {"required"}
    assert [field.is_required for field in record_of(Tree).fields.values()] == [True, False, False]


def test_marks_that_cannot_be_hashed_do_no_harm() -> None:
    """A type argument may carry any metadata."""
    odd: Any = Annotated[Item, ["a list"]]
    generic: Any = Page
    assert transform({"the_items": [ITEM]}, generic[odd]) == {"items": [DONE]}
