"""Section S5: bodies as the marks in their types want them on the wire."""

from __future__ import annotations

import copy
import datetime as dt
import importlib
import inspect
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, Required, TypedDict, Unpack

import msgspec
import pytest

import tinker_lite as tl
from tests.acceptance.tapes import PLACE, blocking, nonblocking
from tinker_lite import PropertyInfo
from tinker_lite.clients.faces import Operation, Resource
from tinker_lite.engine.preparation import Args
from tinker_lite.http import Request
from tinker_lite.protocol.endpoints import Row
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.wire.annotations import Choice, ListOf, Plain, record_of

Iso = Annotated[dt.datetime, PropertyInfo(format="iso8601")]
Base64 = Annotated[str | bytes | Path | io.BytesIO, PropertyInfo(format="base64")]

WHEN = dt.datetime(2024, 2, 3, 14, 5, 6, tzinfo=dt.UTC)
WHEN_TEXT = "2024-02-03T14:05:06+00:00"


class Leaf(TypedDict, total=False):
    """The innermost of three levels."""

    foo_bar: Annotated[int, PropertyInfo(alias="fooBar")]
    made_at: Annotated[Iso, PropertyInfo(alias="madeAt")]
    plain_at: dt.datetime


class Middle(TypedDict, total=False):
    """The level between."""

    one_leaf: Annotated[Leaf, PropertyInfo(alias="oneLeaf")]
    many: list[list[Leaf]]
    by_key: dict[str, Leaf]


class Outer(TypedDict, total=False):
    """The outermost level."""

    the_middle: Annotated[Middle, PropertyInfo(alias="theMiddle")]


class LeafStruct(msgspec.Struct):
    """The innermost of three structs."""

    foo_bar: Annotated[int, PropertyInfo(alias="fooBar")]
    made_at: Annotated[Iso | None, PropertyInfo(alias="madeAt")] = None


@dataclass
class MiddleData:
    """A dataclass between structs."""

    one_leaf: Annotated[LeafStruct, PropertyInfo(alias="oneLeaf")]
    many: list[list[LeafStruct]]
    plain: Annotated[Leaf, PropertyInfo(alias="thePlain")]


class OuterStruct(msgspec.Struct):
    """The outermost struct."""

    the_middle: Annotated[MiddleData, PropertyInfo(alias="theMiddle")]
    note: str | msgspec.UnsetType | None = msgspec.UNSET


LEAF: Any = {"foo_bar": 1, "made_at": WHEN}
LEAF_ON_WIRE = {"fooBar": 1, "madeAt": WHEN_TEXT}
STRUCT = OuterStruct(
    MiddleData(LeafStruct(1, WHEN), [[LeafStruct(1, WHEN)], []], {"foo_bar": 1, "made_at": WHEN})
)
STRUCT_ON_WIRE = {
    "theMiddle": {"oneLeaf": LEAF_ON_WIRE, "many": [[LEAF_ON_WIRE], []], "thePlain": LEAF_ON_WIRE}
}


async def both(data: Callable[[], object], expected_type: object) -> Any:
    """What a body becomes, which is the same in both colours."""
    result = tl.transform(data(), expected_type)
    assert await tl.atransform(data(), expected_type) == result
    return result


def answered(_: Request) -> FakeReply:
    """Answer every call."""
    return FakeReply()


async def sent(call: Callable[[Any], Any]) -> Any:
    """The JSON that a service sees of a call, which is the same in both colours."""
    transport, async_transport = FakeTransport(answered), AsyncFakeTransport(answered)
    call(blocking(transport))
    await call(nonblocking(async_transport))
    [request], [async_request] = transport.requests, async_transport.requests
    assert request.headers.get_all("content-type") == ["application/json"]
    assert request.body == async_request.body
    assert isinstance(request.body, bytes)
    return msgspec.json.decode(request.body)


async def posted(body: object, **options: Any) -> Any:
    """The JSON that a service sees of a body."""
    return await sent(lambda client: client.post(PLACE, cast_to=object, body=body, **options))


def test_s5_1_module() -> None:
    """S5.1: there is a module, and its public entries are documented."""
    module = importlib.import_module("tinker_lite.wire.transform")
    assert inspect.getdoc(module)
    assert tl.transform is vars(module)["transform"]
    for name in ("transform", "atransform"):
        assert "expected_type" in (inspect.getdoc(getattr(tl, name)) or "")


class Spelled(TypedDict):
    """One field per form of an annotation."""

    marked: Annotated[int, "other", PropertyInfo(alias="theMarked")]
    needed: Required[Annotated[int, PropertyInfo(alias="theNeeded")]]
    spare: NotRequired[Annotated[int, PropertyInfo(alias="theSpare")]]
    maybe: Optional[Leaf]  # noqa: UP045  the older spelling is tested too
    either: Leaf | list[int] | str
    some: Iterable[Leaf]


def test_s5_2_annotations() -> None:
    """S5.2: what an annotation says is found, in every form."""
    fields = record_of(Spelled).fields
    renamed = [field.wire_name for field in fields.values()]
    assert renamed == ["theMarked", "theNeeded", "theSpare", "maybe", "either", "some"]
    assert [name for name, field in fields.items() if not field.is_required] == ["spare"]
    leaf = record_of(Leaf)
    assert fields["marked"].plan == Plain(int)
    assert fields["maybe"].plan is leaf
    assert fields["either"].plan == Choice((leaf, ListOf(Plain(int)), Plain(str)))
    assert fields["some"].plan == ListOf(leaf)


async def test_s5_2_iterables() -> None:
    """S5.2: what can be iterated over becomes a list, transformed."""
    data: Any = {"some": None, "maybe": LEAF, "either": LEAF}
    result = await both(lambda: data | {"some": (LEAF for _ in range(2))}, Spelled)
    assert result == {
        "some": [LEAF_ON_WIRE, LEAF_ON_WIRE],
        "maybe": LEAF_ON_WIRE,
        "either": LEAF_ON_WIRE,
    }


async def test_s5_3_models() -> None:
    """S5.3: a struct or a dataclass is transformed as the mapping of its fields is."""
    model = LeafStruct(1, WHEN)
    mapping = {"foo_bar": 1, "made_at": WHEN}
    assert await both(lambda: model, LeafStruct) == await both(lambda: mapping, LeafStruct)
    assert await both(lambda: model, LeafStruct) == LEAF_ON_WIRE
    assert await posted(model) == LEAF_ON_WIRE
    assert await posted(STRUCT.the_middle) == STRUCT_ON_WIRE["theMiddle"]


async def test_s5_4_property_info() -> None:
    """S5.4: the exported mark is honoured; one without effect is refused."""
    one_name: Any = TypedDict("one_name", {"foo_bar": Annotated[str, PropertyInfo(alias="fooBar")]})
    assert await both(lambda: {"foo_bar": "x"}, one_name) == {"fooBar": "x"}
    with pytest.raises(ValueError, match="format 'custom' and a format_template go together"):
        PropertyInfo(format="custom")


async def test_s5_5_aliases() -> None:
    """S5.5: names become those of the wire, also where the alias is given already."""
    assert await both(lambda: {"foo_bar": 1}, Leaf) == {"fooBar": 1}
    assert await both(lambda: {"fooBar": 1}, Leaf) == {"fooBar": 1}
    assert await posted(LeafStruct(foo_bar=1)) == {"fooBar": 1}


class Formats(TypedDict, total=False):
    """One field per format."""

    at: Iso
    day: Annotated[dt.date, PropertyInfo(format="iso8601")]
    days: Annotated[list[dt.date], PropertyInfo(format="iso8601")]
    hour: Annotated[dt.datetime, PropertyInfo(format="custom", format_template="%H")]
    content: Base64
    contents: Annotated[list[bytes | Path], PropertyInfo(format="base64")]


async def test_s5_6_iso8601() -> None:
    """S5.6: moments and days become ISO 8601 text, in a list too."""
    day = dt.date(2024, 2, 3)
    data = {"at": WHEN, "day": day, "days": [day, day]}
    assert await both(lambda: data, Formats) == {
        "at": WHEN_TEXT,
        "day": "2024-02-03",
        "days": ["2024-02-03", "2024-02-03"],
    }
    assert await both(lambda: {"at": "a text"}, Formats) == {"at": "a text"}


class Upload(msgspec.Struct):
    """A body that carries files as text."""

    content: Base64


def with_content(form: Callable[[], Any]) -> dict[str, Any]:
    """A mapping with a file."""
    return {"content": form()}


def post_upload(form: Callable[[], Any], client: Any) -> Any:
    """A call that sends a struct with a file."""
    return client.post(PLACE, cast_to=object, body=Upload(form()))


async def test_s5_7_base64(tmp_path: Path) -> None:
    """S5.7: paths, open files and bytes become base64 text; a text passes unchanged."""
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff\x00abc")
    forms: list[Callable[[], Any]] = [
        lambda: path,
        lambda: io.BytesIO(b"\xff\x00abc"),
        lambda: b"\xff\x00abc",
        lambda: "/wBhYmM=",
    ]
    for form in forms:
        assert await both(partial(with_content, form), Formats) == {"content": "/wBhYmM="}
        assert await sent(partial(post_upload, form)) == {"content": "/wBhYmM="}
    assert await both(lambda: {"contents": [path, b""]}, Formats) == {"contents": ["/wBhYmM=", ""]}


async def test_s5_8_custom() -> None:
    """S5.8: a template gives the text of ``strftime``."""
    assert await both(lambda: {"hour": WHEN}, Formats) == {"hour": "14"}


async def test_s5_9_marked_field_only() -> None:
    """S5.9: of two moments only the one with a mark changes."""
    result = await both(lambda: {"made_at": WHEN, "plain_at": WHEN}, Leaf)
    assert result == {"madeAt": WHEN_TEXT, "plain_at": WHEN}


async def test_s5_10_nested_typed_dicts() -> None:
    """S5.10: three levels of TypedDicts, in lists of lists and in mappings too."""
    data = {"the_middle": {"one_leaf": LEAF, "many": [[LEAF], []], "by_key": {"foo_bar": LEAF}}}
    assert await both(lambda: data, Outer) == {
        "theMiddle": {
            "oneLeaf": LEAF_ON_WIRE,
            "many": [[LEAF_ON_WIRE], []],
            "by_key": {"foo_bar": LEAF_ON_WIRE},
        }
    }


async def test_s5_11_nested_models() -> None:
    """S5.11: three levels of structs, a dataclass and a TypedDict among them."""
    assert await both(lambda: STRUCT, OuterStruct) == STRUCT_ON_WIRE
    assert await posted(STRUCT) == STRUCT_ON_WIRE


class Cat(TypedDict):
    """One variant."""

    kind: Literal["cat"]
    sound: Annotated[str, PropertyInfo(alias="meow")]


class Dog(TypedDict):
    """Another, in which the same field has another name."""

    kind: Literal["dog"]
    sound: Annotated[str, PropertyInfo(alias="bark")]


class Fish(TypedDict):
    """A variant known by its keys alone."""

    swim_depth: Annotated[int, PropertyInfo(alias="swimDepth")]


@pytest.mark.parametrize(
    ("data", "expected_type", "expected"),
    [
        ({"kind": "cat", "sound": "x"}, Cat | Dog, {"kind": "cat", "meow": "x"}),
        ({"kind": "dog", "sound": "x"}, Cat | Dog, {"kind": "dog", "bark": "x"}),
        (
            {"kind": "dog", "sound": "x"},
            Annotated[Cat | Dog, PropertyInfo(discriminator="kind")],
            {"kind": "dog", "bark": "x"},
        ),
        ({"swim_depth": 1}, Cat | Fish, {"swimDepth": 1}),
        ({"sound": "x", "kind": "cat"}, Fish | Cat, {"meow": "x", "kind": "cat"}),
        ([{"swim_depth": 1}], list[Leaf | Fish] | None, [{"swimDepth": 1}]),
        (LeafStruct(1), Fish | LeafStruct, {"fooBar": 1}),
    ],
)
async def test_s5_12_unions(data: object, expected_type: object, expected: object) -> None:
    """S5.12: the variant that a value is of is found, and its names are used."""
    assert await both(lambda: data, expected_type) == expected


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
async def test_s5_13_central(verb: str) -> None:
    """S5.13: each verb does it, for whatever is in the body, in each view."""

    def call(client: Any) -> Any:
        return getattr(client, verb)(PLACE, cast_to=object, body={"items": [STRUCT]})

    assert await sent(call) == {"items": [STRUCT_ON_WIRE]}
    assert await sent(lambda client: call(client.with_raw_response)) == {"items": [STRUCT_ON_WIRE]}


async def test_s5_13_forms() -> None:
    """S5.13: the fields of a form have the same names as those of JSON."""
    transport = FakeTransport(answered)
    files = {"f": b"x"}
    blocking(transport).post(PLACE, cast_to=object, body=LeafStruct(7, WHEN), files=files)
    body = transport.requests[0].body
    assert isinstance(body, bytes)
    assert b'name="fooBar"\r\n\r\n7\r\n' in body
    assert f'name="madeAt"\r\n\r\n{WHEN_TEXT}\r\n'.encode() in body


class NewThing(msgspec.Struct):
    """A request that this library has never heard of."""

    display_name: Annotated[str, PropertyInfo(alias="displayName")]
    starts_at: Annotated[Iso, PropertyInfo(alias="startsAt")]
    sub_things: Annotated[list[list[NewThing]], PropertyInfo(alias="subThings")] = []


class NewFields(TypedDict, total=False):
    """The same as a TypedDict."""

    display_name: Annotated[str, PropertyInfo(alias="displayName")]
    starts_at: Annotated[Iso, PropertyInfo(alias="startsAt")]
    sub_things: Annotated[list[list[NewFields]], PropertyInfo(alias="subThings")]


THING = NewThing("a", WHEN)
FIELDS: Any = {"display_name": "a", "starts_at": WHEN, "sub_things": []}
THING_ON_WIRE: dict[str, Any] = {"displayName": "a", "startsAt": WHEN_TEXT, "subThings": []}


async def test_s5_14_new_types() -> None:
    """S5.14: the marks of a new type are honoured in a call of any path."""
    assert await posted(THING) == THING_ON_WIRE
    assert await posted(tl.transform(FIELDS, NewFields)) == THING_ON_WIRE


async def test_s5_15_nested_lists() -> None:
    """S5.15: and in lists of lists, at any depth."""
    nested = NewThing("b", WHEN, [[THING], [], [THING, THING]])
    on_wire: dict[str, Any] = THING_ON_WIRE | {
        "displayName": "b",
        "subThings": [[THING_ON_WIRE], [], [THING_ON_WIRE, THING_ON_WIRE]],
    }
    assert await posted(nested) == on_wire
    fields = FIELDS | {"display_name": "b", "sub_things": [[FIELDS], [], [FIELDS, FIELDS]]}
    assert await posted(tl.transform(fields, NewFields)) == on_wire


def new_endpoint(request: type) -> Callable[[Any, object], Any]:
    """A method of a resource that this library does not have, made of a row alone."""
    row: Row[Any] = Row(
        name="things.create", method="POST", path=PLACE, response=object, request=request
    )

    class Things(Resource[Any]):
        @Operation
        def create(self, request: object, **options: Unpack[tl.CallOptions]) -> Args[Any]:
            """Create a thing."""
            return Args(row=row, body=request, options=options)

    return lambda client, body: Things(client.face).create(body)


async def test_s5_15_new_endpoints() -> None:
    """S5.15: a new endpoint is a row; mappings are sent as the type of its request says."""
    create = new_endpoint(NewThing)
    assert await sent(lambda client: create(client, FIELDS)) == THING_ON_WIRE


async def test_s5_14_struct_of_a_new_endpoint() -> None:
    """S5.14: a struct is sent by a new endpoint under the names of its marks."""
    create = new_endpoint(NewThing)
    assert await sent(lambda client: create(client, THING)) == THING_ON_WIRE


async def test_s5_15_typed_dict_of_a_new_endpoint() -> None:
    """S5.15: the request type of a new endpoint may be a TypedDict."""
    create = new_endpoint(NewFields)
    assert await sent(lambda client: create(client, FIELDS)) == THING_ON_WIRE


async def test_x5_1_not_given() -> None:
    """X5.1: what was not given is not sent; a None that was given stays in a mapping."""
    data = {"foo_bar": None, "made_at": tl.NOT_GIVEN, "other": [None], "gone": msgspec.UNSET}
    assert await both(lambda: data, Leaf) == {"fooBar": None, "other": [None]}
    assert await posted(data) == {"foo_bar": None, "other": [None]}
    assert "note" not in await posted(STRUCT)


async def test_x5_2_unknown_keys() -> None:
    """X5.2: keys that the type does not know pass, with whatever is in them."""
    data = {"foo_bar": 1, "un_known": {"foo_bar": [1, {"made_at": "x"}]}}
    assert await both(lambda: data, Leaf) == {
        "fooBar": 1,
        "un_known": {"foo_bar": [1, {"made_at": "x"}]},
    }


async def test_x5_3_inputs_stay() -> None:
    """X5.3: no input is changed, be it a mapping, a struct or a dataclass."""
    data: Any = {"the_middle": {"one_leaf": dict(LEAF), "many": [[dict(LEAF)]], "by_key": {}}}
    before, struct_before = copy.deepcopy(data), copy.deepcopy(STRUCT)
    assert await both(lambda: data, Outer) != before
    await posted(data, extra_body={"the_middle": {"other": 1}, "new": 1})
    await posted(STRUCT, extra_body={"new": 1})
    assert data == before
    assert struct_before == STRUCT
