"""The base of every struct that goes over the wire.

Rules that hold for all of them: keyword construction with no unknown keyword, and a field that is
None is left out of what is sent (protocol section 1.7). A struct is checked when it is decoded;
what callers build is checked in ``__post_init__`` where a mistake would otherwise surface only on
the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, cast

import msgspec

__all__ = ["Variant", "Wire", "short_repr"]

# What a repr shows of a long value: enough to recognise it, never a whole batch.
_MAX_TEXT = 200
_MAX_ITEMS = 8


class Wire(msgspec.Struct, kw_only=True, frozen=True):
    """Base of the frozen structs of the protocol."""

    # Fields whose value a repr must not show: keys, tokens and signed URLs.
    _secret_fields: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Every field, the long ones cut and the secret ones hidden."""
        fields = ", ".join(
            f"{name}={'<redacted>' if name in self._secret_fields and value else short_repr(value)}"
            for name, value in _shown(self)
        )
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich, which shortens by itself."""
        return [
            (name, "<redacted>" if name in self._secret_fields and value else value)
            for name, value in _shown(self)
        ]


class Variant(Wire, kw_only=True, frozen=True, tag_field="type"):
    """Base of the members of a union that the field ``type`` tells apart."""

    @property
    def type(self) -> str:
        """Which member it is, as on the wire."""
        return cast("str", self.__struct_config__.tag)


def _shown(struct: Wire) -> Iterable[tuple[str, object]]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        # Fields that the type does not know come last, and only when there are any.
        if name != "_extra":
            yield name, value
    if extra := getattr(struct, "_extra", None):
        yield "extra", dict(extra)


def short_repr(value: object, max_items: int = _MAX_ITEMS) -> str:
    """The repr of a value with long texts, lists and mappings cut, shorter the deeper they are."""
    if isinstance(value, str | bytes):
        if len(value) <= _MAX_TEXT:
            return repr(value)
        return f"{value[:_MAX_TEXT]!r}... <{len(value)} in all>"
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        texts = [short_repr(item, max_items // 2) for item in items[:max_items]]
        if isinstance(value, tuple):
            return f"({_joined(texts, len(items))}{',' if len(items) == 1 else ''})"
        return f"[{_joined(texts, len(items))}]"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        first = islice(pairs.items(), max_items)
        texts = [f"{key!r}: {short_repr(item, max_items // 2)}" for key, item in first]
        return f"{{{_joined(texts, len(pairs))}}}"
    return repr(value)


def _joined(texts: list[str], n_items: int) -> str:
    return ", ".join(texts if len(texts) == n_items else [*texts, f"... <{n_items} in all>"])
