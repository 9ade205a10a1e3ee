"""What type annotations say about the wire form of their values, as plans.

A plan is built from an annotation alone and holds no value. ``Annotated``, ``Required``,
``NotRequired``, ``Optional``, unions, aliases, new types, type variables, forward references and
recursive types are understood; what is not understood is a ``Plain`` plan, which changes nothing.
The fields of a class are looked up once, when they are first needed.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import IO, Annotated, Any, Literal, TypeAlias, TypeVar, Union, cast

import msgspec

from tinker_lite.types.property_info import PropertyFormat, PropertyInfo
from tinker_lite.wire.class_fields import DeclaredField, declared_fields, has_fields, tag_of

__all__ = [
    "UNTYPED",
    "Choice",
    "Deferred",
    "DictOf",
    "Field",
    "Format",
    "ListOf",
    "Plain",
    "Plan",
    "Record",
    "TupleOf",
    "plan_of",
    "record_of",
]

Bindings: TypeAlias = Mapping[object, object]  # type variables to what they stand for

MAX_CACHED_CLASSES = 4096


class Format(msgspec.Struct, frozen=True):
    """How a marked value is written."""

    kind: PropertyFormat
    template: str | None = None


class Plain(msgspec.Struct, frozen=True):
    """A value without structure of its own.

    Attributes:
        python_type: The Python type that it should have, if that can be told.
        format: How to write it, if it is marked.
        literals: The values that it may have, if they are listed.
    """

    python_type: type | None = None
    format: Format | None = None
    literals: tuple[object, ...] = ()

    @property
    def needs_transform(self) -> bool:
        """Whether the mark asks for more than JSON encoders do: they write bytes as base64."""
        kind = None if self.format is None else self.format.kind
        return kind is not None and not (kind == "base64" and self.python_type is bytes)


class ListOf(msgspec.Struct, frozen=True):
    """Any number of values of one kind."""

    item: Plan


class TupleOf(msgspec.Struct, frozen=True):
    """A fixed number of values, each of its own kind."""

    items: tuple[Plan, ...]


class DictOf(msgspec.Struct, frozen=True):
    """Values of one kind under keys that stay as they are."""

    value: Plan


class Choice(msgspec.Struct, frozen=True):
    """One of several kinds; ``discriminator`` names the field that tells."""

    variants: tuple[Plan, ...]
    discriminator: str | None = None


class Deferred:
    """An alias that may mean itself somewhere inside; it is resolved when a value gets there."""

    def __init__(self, annotation: object, format_: Format | None) -> None:
        self._annotation = annotation
        self._format = format_

    @functools.cached_property
    def plan(self) -> Plan:
        """What the alias stands for."""
        return plan_of(self._annotation, self._format)


class Field(msgspec.Struct, frozen=True):
    """One field of a class."""

    name: str
    wire_name: str
    plan: Plan
    is_required: bool
    is_aliased: bool

    @property
    def literals(self) -> tuple[object, ...]:
        """The values that it may have, if they are listed."""
        return self.plan.literals if isinstance(self.plan, Plain) else ()


class Record:
    """A class with named fields: a TypedDict, a struct or a dataclass.

    Args:
        cls: The class.
        bindings: What its type variables stand for.

    Attributes:
        cls: The class.
        tag: The name and the value of the field that marks a tagged struct.
    """

    def __init__(self, cls: type, bindings: Bindings) -> None:
        self.cls = cls
        self.tag = tag_of(cls)
        self._bindings = bindings

    @functools.cached_property
    def fields(self) -> dict[str, Field]:
        """The fields by name, inherited ones included.

        Raises:
            TypeError: An annotation names something that is not to be found.
        """
        return {declared.name: self._field(declared) for declared in declared_fields(self.cls)}

    @functools.cached_property
    def by_key(self) -> dict[str, Field]:
        """The fields by name and, where no other field has that name, by wire name."""
        return {field.wire_name: field for field in self.fields.values()} | self.fields

    @functools.cached_property
    def is_marked(self) -> bool:
        """Whether the class, or a type inside it, has marks that a JSON encoder cannot obey."""
        seen: dict[int, Plan] = {}
        waiting: list[Plan] = [self]
        while waiting:
            plan = waiting.pop()
            if id(plan) in seen:
                continue
            seen[id(plan)] = plan
            if isinstance(plan, Plain) and plan.needs_transform:
                return True
            if isinstance(plan, Record) and any(f.is_aliased for f in plan.fields.values()):
                return True
            waiting.extend(_inner_plans(plan))
        return False

    def find(self, key: object) -> Field | None:
        """The field that a key of a mapping means."""
        return self.by_key.get(key) if isinstance(key, str) else None

    def _field(self, declared: DeclaredField) -> Field:
        _, info, is_required = _stripped(declared.hint)
        return Field(
            name=declared.name,
            wire_name=info.alias or declared.wire_name,
            plan=plan_of(_substituted(declared.hint, self._bindings)),
            is_required=declared.is_required if is_required is None else is_required,
            is_aliased=info.alias is not None,
        )


Plan: TypeAlias = Plain | ListOf | TupleOf | DictOf | Choice | Deferred | Record

UNTYPED = Plain()


def record_of(cls: type, bindings: Bindings | None = None) -> Record:
    """The plan of a class with named fields; the same object for the same class."""
    items = tuple((bindings or {}).items())
    try:
        return _cached_record(cls, items)
    except TypeError:  # a type may hold marks that cannot be hashed
        return Record(cls, dict(items))


@functools.lru_cache(MAX_CACHED_CLASSES)
def _cached_record(cls: type, bindings: tuple[tuple[object, object], ...]) -> Record:
    return Record(cls, dict(bindings))


def _inner_plans(plan: Plan) -> Iterable[Plan]:
    match plan:
        case Plain():
            return ()
        case ListOf(inner) | DictOf(inner):
            return (inner,)
        case TupleOf(plans) | Choice(plans):
            return plans
        case Deferred():
            return (plan.plan,)
        case Record():
            return [field.plan for field in plan.fields.values()]


def plan_of(annotation: object, format_: Format | None = None) -> Plan:
    """The plan of an annotation.

    Args:
        annotation: Any type form.
        format_: What a mark further out says; a mark of its own goes before it.

    Raises:
        TypeError: It is a name that was not resolved.
    """
    annotation, info, _ = _stripped(annotation)
    if info.format is not None:
        format_ = Format(info.format, info.format_template)
    if isinstance(annotation, str | typing.ForwardRef):
        raise TypeError(f"The annotation {annotation!r} is a name; give the type itself.")
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if type(origin).__name__ == "TypeAliasType":  # typing's since Python 3.12
        alias: Any = origin
        meant = _substituted(
            alias.__value__, dict(zip(alias.__type_params__, arguments, strict=False))
        )
        return Deferred(meant, format_)
    if origin is Union or origin is types.UnionType:
        return _union(arguments, info.discriminator, format_)
    if origin is Literal:
        return Plain(None, format_, arguments)
    return _class(origin, arguments, format_) if isinstance(origin, type) else Plain(None, format_)


def _union(
    arguments: tuple[object, ...], discriminator: str | None, format_: Format | None
) -> Plan:
    variants = [plan_of(a, format_) for a in arguments if a is not types.NoneType]
    return variants[0] if len(variants) == 1 else Choice(tuple(variants), discriminator)


def _class(cls: Any, arguments: tuple[object, ...], format_: Format | None) -> Plan:
    if has_fields(cls):
        return record_of(
            cls, dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
        )
    if arguments and not issubclass(cls, cast("Any", IO)):  # a file has lines, but is no list
        if issubclass(cls, tuple) and arguments[1:] != (Ellipsis,):
            return TupleOf(tuple(plan_of(a, format_) for a in arguments))
        if issubclass(cls, Mapping):
            return DictOf(plan_of(arguments[-1], format_))
        if issubclass(cls, Iterable):
            return ListOf(plan_of(arguments[0], format_))
    # Most protocols cannot be asked whether a value is one of theirs.
    return Plain(None if getattr(cls, "_is_protocol", False) else cls, format_)


def _substituted(annotation: object, bindings: Bindings) -> object:
    """An annotation of a generic class with what its variables stand for put in."""
    if isinstance(annotation, TypeVar):
        return bindings.get(annotation, _limit(annotation))
    variables = getattr(annotation, "__parameters__", ())
    if typing.get_origin(annotation) is None or not variables:
        return annotation
    return cast("Any", annotation)[tuple(bindings.get(v, _limit(v)) for v in variables)]


def _limit(variable: object) -> object:
    bound = getattr(variable, "__bound__", None)
    # A bound that is a name says nothing about where to look for it.
    return object if bound is None or isinstance(bound, typing.ForwardRef) else bound


def _stripped(annotation: object) -> tuple[object, PropertyInfo, bool | None]:
    """The bare type, the marks around it, and whether it says that it is required.

    Of two marks for the same thing the inner one counts.
    """
    info, is_required = PropertyInfo(), None
    while True:
        origin = typing.get_origin(annotation)
        # A special form of typing or typing_extensions, by its name; not a class of that name.
        form = None if isinstance(origin, type) else getattr(origin, "_name", None)
        if origin is Annotated:
            for mark in cast("Any", annotation).__metadata__[::-1]:
                info = _over(mark, info) if isinstance(mark, PropertyInfo) else info
        elif form in {"Required", "NotRequired"}:
            is_required = form == "Required"
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = cast("Any", annotation).__supertype__
            continue
        elif isinstance(annotation, TypeVar):
            annotation = _limit(annotation)
            continue
        elif form not in {"ReadOnly", "Final"}:
            return annotation, info, is_required
        annotation = typing.get_args(annotation)[0]


def _over(inner: PropertyInfo, outer: PropertyInfo) -> PropertyInfo:
    formatted = inner if inner.format is not None else outer
    return PropertyInfo(
        alias=inner.alias or outer.alias,
        format=formatted.format,
        format_template=formatted.format_template,
        discriminator=inner.discriminator or outer.discriminator,
    )
