"""Every struct of the protocol, and strategies that make values of them from their annotations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as mi

from tests.types import strategies as own
from tinker_lite import types as t
from tinker_lite.types.answers import OPEN, Answer, UnknownVariant

STRUCTS: list[type[msgspec.Struct]] = [
    cls
    for name in t.__all__
    if isinstance(cls := getattr(t, name), type) and issubclass(cls, msgspec.Struct)
]
ANSWERS = [cls for cls in STRUCTS if issubclass(cls, Answer)]
REQUESTS = [cls for cls in STRUCTS if not issubclass(cls, Answer)]

TIMES = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | own.FLOATS | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
DENSE = own.tensors().map(lambda tensor: tensor.to_dense())
FOREIGN: dict[object, st.SearchStrategy[Any]] = {
    t.TensorData: own.tensors(),
    t.Datum: st.builds(
        t.Datum, own.MODEL_INPUTS, st.dictionaries(st.text(max_size=4), DENSE, max_size=2)
    ),
    t.SamplingParams: own.SAMPLING_PARAMS,
}
# Fields that take fewer values than their annotation says, since a struct checks them when made.
CHECKED: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    t.LoraConfig: {"rank": st.integers(1, 64), "train_mlp": st.just(value=True)},
    t.PromptProvenanceSpan: {
        "sequence_id": st.text(min_size=1),
        "offset": st.integers(0, 9),
        "length": st.integers(0, 9),
    },
    t.SessionSearchRequest: {
        "limit": st.integers(1, 200),
        "display_name": st.none() | st.text(min_size=1),
        "statuses": st.none() | st.just([t.ActiveSessionStatusQuery()]),
    },
    t.UserSearchOwner: {"owner_urns": st.lists(st.text(), min_size=1, max_size=10)},
    t.OptimizerStepRequest: {
        "optimizer_params": st.just({"type": "x", "a": [1]})
        | st.just(t.DimuonParams(learning_rate=1))
    },
    t.TelemetryBatch: {"events": st.just([])},
}
CHECKED[t.SampledProvenanceSpan] = CHECKED[t.PromptProvenanceSpan]


@functools.cache
def values_of(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Values of a struct, with unknown fields where it keeps them."""
    return st.deferred(lambda: _struct(cast("mi.StructType", mi.type_info(cls))))


def _struct(info: mi.StructType) -> st.SearchStrategy[Any]:
    fields = {f.name: _of(f.type) for f in info.fields if f.name != "_extra"}
    if info.cls in {t.TelemetryBatch, t.TelemetrySendRequest}:
        fields["events"] = st.lists(_of(_item(info, "events")), min_size=1, max_size=3)
    else:
        fields |= CHECKED.get(info.cls, {})
    names = {f.encode_name for f in info.fields} | {info.tag_field}
    if issubclass(info.cls, UnknownVariant):
        tag = cast("str", info.tag_field)
        unknown = st.text(min_size=1).filter(lambda text: text != "?" and text.islower() is False)
        pairs = st.tuples(unknown, _more(names))
        fields["_extra"] = pairs.map(lambda pair: t.Extra({**pair[1], tag: pair[0]}))
    elif issubclass(info.cls, Answer):
        fields["_extra"] = st.none() | _more(names).map(
            lambda more: t.Extra(more) if more else None
        )
    return st.builds(info.cls, **fields)


def _item(info: mi.StructType, name: str) -> mi.Type:
    field = next(f for f in info.fields if f.name == name)
    return cast("mi.ListType", field.type).item_type


def _more(names: set[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(max_size=6).filter(lambda n: n not in names), JSON, max_size=2)


def _of(info: mi.Type) -> st.SearchStrategy[Any]:
    make = _COMPOUND.get(type(info))
    return _PLAIN[type(info)] if make is None else make(info)


def _marked(info: Any) -> st.SearchStrategy[Any]:
    """What an annotation with metadata takes; words of an open set may be others too."""
    known = _of(info.type)
    if info.extra != OPEN:
        return known
    words = info.type.values
    return known | st.text().filter(lambda word: word not in words).map(t.UnknownValue)


def _few(info: Any) -> st.SearchStrategy[Any]:
    return st.lists(_of(info.item_type), max_size=2)


_COMPOUND: dict[type[mi.Type], Callable[[Any], st.SearchStrategy[Any]]] = {
    mi.Metadata: _marked,
    mi.StructType: lambda info: values_of(info.cls),
    mi.UnionType: lambda info: st.one_of(*map(_of, info.types)),
    mi.VarTupleType: lambda info: _few(info).map(tuple),
    mi.ListType: _few,
    mi.CollectionType: _few,
    mi.TupleType: lambda info: st.tuples(*map(_of, info.item_types)),
    mi.DictType: lambda info: st.dictionaries(
        st.text(max_size=4), _of(info.value_type), max_size=2
    ),
    mi.LiteralType: lambda info: st.sampled_from(info.values),
    mi.CustomType: lambda info: FOREIGN[info.cls],
}
_PLAIN: dict[type[mi.Type], st.SearchStrategy[Any]] = {
    mi.StrType: st.text(max_size=8),
    mi.IntType: st.integers(-(2**70), 2**70),
    mi.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    mi.BoolType: st.booleans(),
    mi.NoneType: st.none(),
    mi.BytesType: st.binary(max_size=8),
    mi.DateTimeType: TIMES,
    mi.AnyType: JSON,
}
