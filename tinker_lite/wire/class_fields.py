"""The fields of a class, be it a TypedDict, a struct or a dataclass, with resolved annotations."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DeclaredField", "declared_fields", "has_fields", "tag_of"]


class DeclaredField(NamedTuple):
    """One field as its class declares it.

    Attributes:
        name: Its name in Python.
        wire_name: Its name on the wire, as far as the class itself renames it.
        hint: Its annotation, with everything around the bare type.
        is_required: Whether it has to be given, unless the annotation says otherwise.
    """

    name: str
    wire_name: str
    hint: object
    is_required: bool


def has_fields(cls: type) -> bool:
    """Whether a class is one of the three kinds."""
    # By its mark, since the TypedDict of typing_extensions is another class than typing's.
    is_typed_dict = hasattr(cls, "__total__") and dict in cls.__mro__
    return is_typed_dict or _is_struct(cls) or dataclasses.is_dataclass(cls)


def _is_struct(cls: type) -> TypeGuard[type[msgspec.Struct]]:
    return issubclass(cls, msgspec.Struct)


def tag_of(cls: type) -> tuple[str, object] | None:
    """The name and the value of the field that marks a tagged struct."""
    if not _is_struct(cls):
        return None
    config = cls.__struct_config__
    return None if config.tag_field is None else (config.tag_field, config.tag)


def declared_fields(cls: type) -> list[DeclaredField]:
    """The fields in their order, inherited ones included.

    Raises:
        TypeError: An annotation names something that is not to be found.
    """
    hints = _hints(cls)
    if _is_struct(cls):
        return _struct_fields(cls, hints)
    required = _required_names(cls)
    names = _names(cls, hints)
    return [DeclaredField(name, name, hints[name], name in required) for name in names]


def _struct_fields(cls: type[msgspec.Struct], hints: Mapping[str, object]) -> list[DeclaredField]:
    # Not by msgspec.structs.fields, which resolves the annotations again, and less of them.
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    padded = (msgspec.NODEFAULT,) * (len(names) - len(defaults)) + defaults
    return [
        DeclaredField(name, wire_name, hints[name], default is msgspec.NODEFAULT)
        for name, wire_name, default in zip(
            names, cls.__struct_encode_fields__, padded, strict=True
        )
    ]


def _hints(cls: type) -> Mapping[str, object]:
    try:
        try:
            return typing.get_type_hints(cls, include_extras=True)
        except NameError:
            # A class inside a function is not found by its own name, which recursion needs.
            return typing.get_type_hints(cls, None, {cls.__name__: cls}, include_extras=True)
    except (NameError, AttributeError, SyntaxError) as error:
        raise TypeError(
            f"The annotations of {cls.__qualname__} cannot be resolved ({error}); names in them "
            f"must be found in its module, {cls.__module__}, at run time."
        ) from error


def _names(cls: Any, hints: Mapping[str, object]) -> Iterable[str]:
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    return hints


def _required_names(cls: Any) -> Iterable[str]:
    if not dataclasses.is_dataclass(cls):
        return cast("frozenset[str]", cls.__required_keys__)
    empty, fields = dataclasses.MISSING, dataclasses.fields(cls)
    return [f.name for f in fields if f.default is empty and f.default_factory is empty]
