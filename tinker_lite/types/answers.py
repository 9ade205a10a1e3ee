"""What a server says: structs that keep the fields and the words they do not know.

A newer server may send fields, literals and members of unions that these types have no name for.
None of them is lost or an error: unknown fields are in ``extra``, an unknown word of a closed set
is an ``UnknownValue``, and an unknown member of a union is the union's ``Unknown...`` struct, which
holds all of its fields. All three are sent again as they came.

The decoder refuses unknown fields, at no cost to the answers that have none. Only what it refused
is read a second time, by ``reading``, which puts the unknown parts where they belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar, cast

from msgspec import Meta

from tinker_lite.types._base import Variant, Wire, short_repr

__all__ = ["Answer", "AnswerVariant", "Extra", "Moment", "Open", "UnknownValue", "UnknownVariant"]

T = TypeVar("T")

# An aware datetime. A text without a zone is read as UTC, which is what the protocol's times are in
# (section 1.7), and a number as seconds since 1970; any other text is an error.
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]


class UnknownValue(str):
    """A word that is not among those its field is known to have; equal to its text."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Tell it apart from the known words."""
        return f"UnknownValue({super().__repr__()})"


# Words of a closed set, to type checkers, since callers pass them on as such; at run time any other
# text comes as an ``UnknownValue``. ``reading`` finds the mark.
OPEN = {"open": True}
Open: TypeAlias = Annotated[T, Meta(extra=OPEN)]


class Extra(Mapping[str, Any]):
    """The fields of an object that its type does not know, by their names on the wire."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        """By the names alone, since values may be lists."""
        return hash(frozenset(self._fields))

    def __reduce__(self) -> tuple[type[Extra], tuple[dict[str, Any]]]:
        return Extra, (dict(self._fields),)

    def __repr__(self) -> str:
        return short_repr(self._fields)


_NONE = Extra({})


class Answer(Wire, kw_only=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of the structs that a server sends.

    They are left out of garbage collection, which takes a third off decoding a long listing: what
    comes out of JSON has no cycles.
    """

    _extra: Extra | None = None

    @property
    def extra(self) -> Mapping[str, Any]:
        """The fields that this type does not know, by name; empty when there are none."""
        return _NONE if self._extra is None else self._extra


class AnswerVariant(Answer, Variant, kw_only=True, frozen=True, tag_field="type"):
    """Base of the members of a union of answers that the field ``type`` tells apart."""


class UnknownVariant(AnswerVariant, kw_only=True, frozen=True, tag="?"):
    """Base of the member of a union that stands for those not known here.

    All fields are in ``extra``, the one that names the member included. The tag of the class only
    has to differ from those of the other members; it is never sent.
    """

    @property
    def type(self) -> str:
        """The member's name, as on the wire."""
        return cast("str", self.extra.get("type", "?"))
