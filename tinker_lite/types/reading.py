"""Reading what does not fit at first sight, and is no mistake.

A value that the strict decoder refused is mended by the rules below and read again. Everything else
that is wrong stays wrong, and the error names its path.

- Fields that an ``Answer`` does not know move into its ``extra``.
- A null where a field has a default but takes no null counts as not sent (protocol section 12.1).
- A word unknown to a field marked ``Open`` becomes an ``UnknownValue``.
- An unknown member of a union becomes the union's ``UnknownVariant``, if it has one. A member of a
  request without its name is told by the fields it requires, as a chunk of 0.6.3 is (1.7).
- A time without a zone is UTC; a number is seconds since 1970.
- What a type itself accepts from older servers, by its class method ``mended``.

The rules for a type are worked out once, from its annotations, into a function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec import inspect as mi
from msgspec.structs import force_setattr

from tinker_lite.types.answers import OPEN, Answer, Extra, UnknownValue, UnknownVariant

__all__ = ["read_fields", "read_foreign", "read_leniently"]

T = TypeVar("T")
_Fields: TypeAlias = dict[str, Any]
# Gives its argument back, or what should be read in its place; never changes it, never raises.
_Mender: TypeAlias = Callable[[Any], Any]


def read_leniently(plain: object, type_: type[T]) -> T:
    """Plain values as ``type_``, by the rules of this module.

    Raises:
        msgspec.ValidationError: They do not fit; the text ends in the path of the wrong value.
    """
    mender = _mender(cast("Any", type_))
    mended = plain if mender is None else mender(plain)
    return msgspec.convert(mended, type_, dec_hook=read_foreign)


def read_fields(fields: object, type_: type[T]) -> T:
    """Check the plain values that a ``from_wire`` was given against a struct.

    Raises:
        ValueError: They do not fit. The text ends in the path of the wrong value, which the decoder
            that called ``from_wire`` continues outwards.
    """
    try:
        return read_leniently(fields, type_)
    except msgspec.ValidationError as error:
        # msgspec passes its own errors on as they are, and adds the outer path to other ones only.
        raise ValueError(str(error)) from None


def read_foreign(type_: type[Any], value: object) -> object:
    """Read a type that is no struct, by its ``from_wire``; the hook that msgspec calls.

    Raises:
        ValueError: The value does not fit.
        NotImplementedError: The type has no ``from_wire``.
    """
    if type_ is Extra:
        raise ValueError("Object contains unknown field")
    from_wire = getattr(type_, "from_wire", None)
    if from_wire is None:
        raise NotImplementedError(f"{type_!r} has no wire form")
    if not isinstance(value, dict):
        # msgspec turns a ValueError of a hook into a validation error that has the value's path.
        raise ValueError(f"Expected `object`, got `{type(value).__name__}`")  # noqa: TRY004
    return from_wire(value)


@functools.cache
def _mender(type_: Any) -> _Mender | None:
    return _mender_of(mi.type_info(type_))


def _mender_of(info: mi.Type) -> _Mender | None:
    mender: _Mender | None = None
    match info:
        case mi.Metadata(type=inner):
            mender = _mender_of(inner)
        case mi.StructType(cls=cls) if issubclass(cls, UnknownVariant):
            mender = _unknown_mender(cls)
        case mi.StructType():
            mender = _StructMender(info)
        case mi.UnionType(types=members):
            mender = _union_mender(members)
        case mi.DateTimeType(tz=True):
            mender = _aware
        case mi.ListType(item_type=item) | mi.VarTupleType(item_type=item):
            mender = _list_mender(_mender_of(item))
        case mi.DictType(value_type=item):
            mender = _dict_mender(_mender_of(item))
        case _:
            pass
    return mender


def _list_mender(item: _Mender | None) -> _Mender | None:
    if item is None:
        return None

    def mend(value: object) -> object:
        if not isinstance(value, list):
            return value
        return [item(one) for one in cast("list[object]", value)]

    return mend


def _dict_mender(item: _Mender | None) -> _Mender | None:
    if item is None:
        return None

    def mend(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: item(one) for key, one in cast("dict[object, object]", value).items()}

    return mend


def _aware(value: object) -> object:
    """A time that has a zone; what is no time stays as it is, and is refused afterwards."""
    if isinstance(value, str):
        try:
            when = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            return value
        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            return value
    return value


def _union_mender(members: tuple[mi.Type, ...]) -> _Mender | None:
    structs = [member for member in members if isinstance(member, mi.StructType)]
    if len(structs) > 1:
        return _VariantMender(structs)
    menders = [mender for member in members if (mender := _mender_of(member)) is not None]

    def mend(value: object) -> object:
        # Each mender leaves alone what is not of its kind.
        for mender in menders:
            value = mender(value)
        return value

    return mend if menders else None


def _unknown_mender(cls: type[UnknownVariant]) -> _Mender:
    def mend(value: object) -> object:
        return cls(_extra=Extra(cast("_Fields", value))) if isinstance(value, dict) else value

    return mend


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _VariantMender:
    """Mends members of a tagged union."""

    def __init__(self, variants: list[mi.StructType]) -> None:
        self.tag_field = cast("str", variants[0].tag_field)
        unknown = [v.cls for v in variants if issubclass(v.cls, UnknownVariant)]
        self.unknown = _unknown_mender(unknown[0]) if unknown else None
        known = [variant for variant in variants if variant.cls not in unknown]
        self.by_tag = {variant.tag: _StructMender(variant) for variant in known}

    def __call__(self, value: object) -> object:
        if not isinstance(value, dict):
            return value
        fields = cast("_Fields", value)
        if fields.get(self.tag_field) is None:
            return self._untagged(fields)
        tag = _text(fields[self.tag_field])
        if tag in self.by_tag:
            return self.by_tag[tag](fields)
        if self.unknown is None or tag is None:
            return fields
        return self.unknown(fields)

    def _untagged(self, fields: _Fields) -> object:
        fitting = [
            tag
            for tag, mender in self.by_tag.items()
            if mender.required and mender.required <= fields.keys() and not mender.keeps_unknown
        ]
        if len(fitting) != 1:
            return fields
        return self.by_tag[fitting[0]]({**fields, self.tag_field: fitting[0]})


class _StructMender:
    """Mends objects that a struct is read from."""

    def __init__(self, info: mi.StructType) -> None:
        fields = [field for field in info.fields if field.name != "_extra"]
        self.cls: type[Any] = info.cls
        self.keeps_unknown = issubclass(info.cls, Answer)
        self.known: set[str | None] = {*(f.encode_name for f in fields), info.tag_field}
        self.required = {field.encode_name for field in fields if field.required}
        self.not_null = [f.encode_name for f in fields if not f.required and not _is_nullable(f)]
        self.words = [(f.name, f.encode_name, _words(f.type)) for f in fields if _words(f.type)]
        found = [(field.encode_name, _mender_of(field.type)) for field in fields]
        self.nested = [(name, mender) for name, mender in found if mender is not None]
        self.mended: _Mender | None = getattr(info.cls, "mended", None)

    def __call__(self, value: object) -> object:
        if not isinstance(value, dict):
            return value
        given = cast("_Fields", value)
        fields = {**given} if self.mended is None else self.mended({**given})
        extra = self._take_unknown(fields) if self.keeps_unknown else None
        for name in self.not_null:
            if name in fields and fields[name] is None:
                del fields[name]
        for name, mender in self.nested:
            if name in fields:
                fields[name] = mender(fields[name])
        unknown_words = self._take_words(fields)
        if extra is None and not unknown_words:
            return fields
        return self._made(fields, extra, unknown_words)

    def _take_unknown(self, fields: _Fields) -> Extra | None:
        if self.known.issuperset(fields):
            return None
        unknown = [name for name in fields if name not in self.known]
        return Extra({name: fields.pop(name) for name in unknown})

    def _take_words(self, fields: _Fields) -> dict[str, UnknownValue]:
        """Put a known word in the place of each unknown one; by field, those that were there."""
        taken: dict[str, UnknownValue] = {}
        for name, wire_name, words in self.words:
            word = _text(fields.get(wire_name))
            if word is not None and word not in words:
                taken[name] = UnknownValue(word)
                fields[wire_name] = words[0]
        return taken

    def _made(self, fields: _Fields, extra: Extra | None, words: Mapping[str, str]) -> object:
        try:
            made = msgspec.convert(fields, self.cls, dec_hook=read_foreign)
        except msgspec.ValidationError:
            return fields  # reading the whole says what is wrong with it, and where
        force_setattr(made, "_extra", extra)
        for name, word in words.items():
            force_setattr(made, name, word)
        return made


def _is_nullable(field: mi.Field) -> bool:
    types = field.type.types if isinstance(field.type, mi.UnionType) else (field.type,)
    return any(isinstance(type_, mi.NoneType | mi.AnyType) for type_ in types)


def _words(info: mi.Type) -> tuple[str, ...]:
    """The known words of a field that is open to others."""
    if isinstance(info, mi.UnionType):
        return next((words for member in info.types if (words := _words(member))), ())
    if not isinstance(info, mi.Metadata) or not isinstance(info.type, mi.LiteralType):
        return ()
    mark: object = cast("Any", info).extra
    return tuple(str(word) for word in info.type.values) if mark == OPEN else ()
