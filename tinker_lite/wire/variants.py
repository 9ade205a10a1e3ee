"""Which variant of a union a value is meant to be.

By the discriminator where the union names one and the value has it. Otherwise by fit: the variant
of the right kind that knows the most keys of a mapping, is contradicted by no literal, and misses
no required key; the first one of equals.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from tinker_lite.wire.annotations import Choice, Deferred, DictOf, ListOf, Plain, Record, TupleOf

if TYPE_CHECKING:
    from tinker_lite.wire.annotations import Field, Format, Plan

__all__ = ["choose", "is_file_like", "is_many", "takes"]

# Compared from left to right; the first number is about the value, the next about what is inside.
Fit: TypeAlias = tuple[int, ...]
NO_FIT: Fit = ()


def choose(choice: Choice, value: object) -> Plan | None:
    """The variant for a value; None if there is none of its kind."""
    if choice.discriminator is not None and isinstance(value, Mapping):
        return _tagged(cast("Mapping[object, object]", value), choice, choice.discriminator)
    return _best(choice, value)


def _tagged(value: Mapping[object, object], choice: Choice, discriminator: str) -> Plan | None:
    for record in _records(choice):
        if _is_tagged(value, record, discriminator):
            return record
    return _best(choice, value)


def _best(choice: Choice, value: object) -> Plan | None:
    best = max(choice.variants, key=lambda variant: _fit(variant, value))
    return best if _fit(best, value) else None


def _records(plan: Plan) -> Iterator[Record]:
    if isinstance(plan, Record):
        yield plan
    elif isinstance(plan, Deferred):
        yield from _records(plan.plan)
    elif isinstance(plan, Choice):
        for variant in plan.variants:
            yield from _records(variant)


def _is_tagged(value: Mapping[object, object], record: Record, discriminator: str) -> bool:
    if record.tag is not None and record.tag[0] == discriminator:
        return value.get(discriminator) == record.tag[1]
    field = record.by_key.get(discriminator)
    if field is None:
        return False
    tag = value.get(field.name, value.get(field.wire_name))
    return tag in field.literals


@functools.singledispatch
def _fit(plan: Plan, value: object) -> Fit:
    """How well a value fits a plan: not at all, or more the greater it is."""
    raise AssertionError(f"no plan: {plan!r}")


@_fit.register(Deferred)
def _(plan: Deferred, value: object) -> Fit:
    return _fit(plan.plan, value)


@_fit.register(Choice)
def _(plan: Choice, value: object) -> Fit:
    return max(_fit(variant, value) for variant in plan.variants)


@_fit.register(Plain)
def _(plan: Plain, value: object) -> Fit:
    if plan.literals:
        return (3,) if value in plan.literals else NO_FIT
    if plan.python_type is None or plan.python_type is object:
        return (1,)
    if isinstance(value, plan.python_type):
        return (3 if type(value) is plan.python_type else 2,)
    return (1,) if plan.format is not None and takes(plan.format, value) else NO_FIT


@_fit.register(DictOf)
def _(plan: DictOf, value: object) -> Fit:
    if not isinstance(value, Mapping):
        return NO_FIT
    return (2, *_fit_first(plan.value, cast("Mapping[object, object]", value).values()))


@_fit.register(ListOf)
def _(plan: ListOf, value: object) -> Fit:
    if not is_many(value):
        return NO_FIT
    # Looking at the first element of an iterator would take it away.
    items = cast("Sequence[object]", value if isinstance(value, list | tuple) else ())
    return (1, *_fit_first(plan.item, items))


@_fit.register(TupleOf)
def _(plan: TupleOf, value: object) -> Fit:
    if not isinstance(value, list | tuple):
        return NO_FIT
    items = cast("Sequence[object]", value)
    return (1, *_fit_first(plan.items[0], items)) if len(items) == len(plan.items) else (1,)


@_fit.register(Record)
def _(plan: Record, value: object) -> Fit:
    if isinstance(value, Mapping):
        return _fit_mapping(plan, cast("Mapping[object, object]", value))
    cls = plan.cls
    is_own = not issubclass(cls, dict) and isinstance(value, cls)
    return (3 if type(value) is cls else 2,) if is_own else NO_FIT


def _fit_first(plan: Plan, values: Iterable[object]) -> Fit:
    for value in values:
        return _fit(plan, value)
    return NO_FIT


def _fit_mapping(record: Record, value: Mapping[object, object]) -> Fit:
    if record.tag is not None and value.get(record.tag[0], record.tag[1]) != record.tag[1]:
        return NO_FIT
    known = {field.name: item for key, item in value.items() if (field := record.find(key))}
    if any(_contradicts(record.fields[name], item) for name, item in known.items()):
        return NO_FIT
    has_all = all(name in known for name, field in record.fields.items() if field.is_required)
    return (1 + 2 * len(known) + has_all,)


def _contradicts(field: Field, value: object) -> bool:
    return value is not None and bool(field.literals) and value not in field.literals


def takes(format_: Format, value: object) -> bool:
    """Whether a format has something to do for a value."""
    if format_.kind == "base64":
        return isinstance(value, bytes) or is_file_like(value)
    return isinstance(value, dt.date)  # a datetime is one too


def is_file_like(value: object) -> bool:
    """Whether a value is a path or a file object."""
    return isinstance(value, os.PathLike) or hasattr(value, "read")


def is_many(value: object) -> bool:
    """Whether a value is a list, or something else that becomes a list on the wire."""
    is_one = isinstance(value, str | bytes | bytearray | memoryview | Mapping)
    return not is_one and not is_file_like(value) and isinstance(value, Iterable)
