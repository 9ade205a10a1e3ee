from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

import msgspec
import pytest

from tinker_lite.types.property_info import PropertyInfo
from tinker_lite.wire.transform import transform

DAY = dt.date(2024, 2, 3)


class Cat(TypedDict, total=False):
    """Has a field of its own and one that the dog spells otherwise."""

    kind: Literal["cat"]
    fur_colour: Annotated[str, PropertyInfo(alias="furColour")]
    full_name: Annotated[str, PropertyInfo(alias="catName")]


class Dog(TypedDict, total=False):
    """The other one."""

    kind: Literal["dog", "wolf"]
    tail_length: Annotated[int, PropertyInfo(alias="tailLength")]
    full_name: Annotated[str, PropertyInfo(alias="dogName")]


class TaggedCat(msgspec.Struct, tag_field="type", tag="cat"):
    """A tagged struct."""

    full_name: Annotated[str, PropertyInfo(alias="catName")]


class TaggedDog(msgspec.Struct, tag_field="type", tag="dog"):
    """Another one with the same fields."""

    full_name: Annotated[str, PropertyInfo(alias="dogName")]


@dataclass
class Fish:
    """No tag at all."""

    full_name: Annotated[str, PropertyInfo(alias="fishName")]
    depth_m: int


class AliasedKind(TypedDict):
    """The field that tells has another name on the wire."""

    animal_kind: Annotated[Literal["bird"], PropertyInfo(alias="animalKind")]
    full_name: Annotated[str, PropertyInfo(alias="birdName")]


Pet = Annotated[Cat | Dog, PropertyInfo(discriminator="kind")]


@pytest.mark.parametrize(
    ("data", "expected_type", "expected"),
    [
        pytest.param({"fur_colour": "b"}, Cat | Dog, {"furColour": "b"}, id="the first's key"),
        pytest.param({"tail_length": 1}, Cat | Dog, {"tailLength": 1}, id="the second's key"),
        pytest.param({"full_name": "x"}, Cat | Dog, {"catName": "x"}, id="the first of equals"),
        pytest.param(
            {"full_name": "x", "tail_length": 1},
            Cat | Dog,
            {"dogName": "x", "tailLength": 1},
            id="the one that knows more",
        ),
        pytest.param({"kind": "dog", "full_name": "x"}, Cat | Dog, {"kind": "dog", "dogName": "x"}),
        pytest.param(
            {"kind": "wolf", "fur_colour": "x"},
            Pet,
            {"kind": "wolf", "fur_colour": "x"},
            id="the discriminator counts more than the keys",
        ),
        pytest.param(
            {"kind": "newt", "full_name": "x"},
            Pet,
            {"kind": "newt", "full_name": "x"},
            id="an unknown tag passes",
        ),
        pytest.param({"tail_length": 1}, Pet, {"tailLength": 1}, id="without its discriminator"),
        pytest.param(
            {"animal_kind": "bird", "full_name": "x"},
            Annotated[Cat | AliasedKind, PropertyInfo(discriminator="animal_kind")],
            {"animalKind": "bird", "birdName": "x"},
            id="a discriminator with an alias",
        ),
        pytest.param(
            {"animalKind": "bird", "full_name": "x"},
            Annotated[Cat | AliasedKind, PropertyInfo(discriminator="animalKind")],
            {"animalKind": "bird", "birdName": "x"},
            id="named by its alias",
        ),
        pytest.param(
            {"type": "dog", "full_name": "x"},
            TaggedCat | TaggedDog,
            {"type": "dog", "dogName": "x"},
            id="a mapping with the tag of a struct",
        ),
        pytest.param(
            {"type": "dog", "full_name": "x"},
            Annotated[TaggedCat | TaggedDog, PropertyInfo(discriminator="type")],
            {"type": "dog", "dogName": "x"},
            id="with its tag as the discriminator",
        ),
        pytest.param(
            TaggedDog("x"), TaggedCat | TaggedDog, {"type": "dog", "dogName": "x"}, id="a struct"
        ),
        pytest.param(
            Fish("x", 3), Cat | TaggedDog | Fish, {"fishName": "x", "depth_m": 3}, id="a dataclass"
        ),
        pytest.param(
            {"full_name": "x", "depth_m": 3},
            Cat | Fish,
            {"fishName": "x", "depth_m": 3},
            id="a mapping for a dataclass",
        ),
        pytest.param(
            {"full_name": "x"}, Fish | Cat, {"catName": "x"}, id="not one that misses a field"
        ),
        pytest.param(
            [{"kind": "cat", "full_name": "x"}, {"kind": "dog", "full_name": "y"}],
            list[Pet],
            [{"kind": "cat", "catName": "x"}, {"kind": "dog", "dogName": "y"}],
            id="each element by itself",
        ),
        pytest.param(
            [{"tail_length": 1}], Cat | list[Dog] | list[Cat], [{"tailLength": 1}], id="a list"
        ),
        pytest.param(
            [{"fur_colour": 1}], Cat | list[Dog] | list[Cat], [{"furColour": 1}], id="by its first"
        ),
        pytest.param("text", str | Iterable[Cat], "text", id="a text is no iterable"),
        pytest.param(
            iter([{"fur_colour": 1}]), str | Iterable[Cat], [{"furColour": 1}], id="an iterator is"
        ),
        pytest.param(
            {"fur_colour": {"fur_colour": 1}},
            dict[str, Cat] | list[Cat],
            {"fur_colour": {"furColour": 1}},
            id="a dict, whose keys stay",
        ),
        pytest.param({"a": {"tail_length": 1}}, Cat | Mapping[str, Dog], {"a": {"tailLength": 1}}),
        pytest.param(
            ({"fur_colour": 1}, 2), tuple[Cat, int] | tuple[Cat], [{"furColour": 1}, 2], id="tuples"
        ),
        pytest.param(7, Cat | list[Dog], 7, id="none of them"),
        pytest.param(
            DAY,
            Annotated[dt.date, PropertyInfo(format="custom", format_template="%Y")] | str,
            "2024",
            id="a marked variant",
        ),
        pytest.param(
            dt.datetime(2024, 2, 3, 4),
            Annotated[dt.date, PropertyInfo(format="iso8601")]
            | Annotated[dt.datetime, PropertyInfo(format="custom", format_template="%H")],
            "04",
            id="the exact type",
        ),
        pytest.param(
            b"abc", Annotated[str | Path, PropertyInfo(format="base64")], "YWJj", id="by its format"
        ),
    ],
)
def test_the_right_variant_is_chosen(data: object, expected_type: object, expected: object) -> None:
    """By the discriminator, by literals and tags, by kind, and by the keys that are there."""
    assert transform(data, expected_type) == expected


class Zoo(TypedDict):
    """Unions inside unions."""

    pets: NotRequired[list[Pet | TaggedCat] | None]
    star: NotRequired[Annotated[Pet | None, PropertyInfo(alias="theStar")]]


def test_unions_inside_unions() -> None:
    """Through lists and optional fields."""
    dog, done = {"kind": "dog", "full_name": "x"}, {"kind": "dog", "dogName": "x"}
    body = {"pets": [dog, TaggedCat("y")], "star": dog}
    assert transform(body, Zoo) == {
        "pets": [done, {"type": "cat", "catName": "y"}],
        "theStar": done,
    }
