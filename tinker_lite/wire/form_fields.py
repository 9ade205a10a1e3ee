"""Nested values as the named fields of a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import msgspec

from tinker_lite.wire.json import to_plain
from tinker_lite.wire.not_given import NOT_GIVEN

__all__ = ["form_fields"]


def form_fields(fields: object) -> list[tuple[str, bytes]]:
    """Nested values as named fields: ``a[b]`` for a key, ``a[]`` for an element of a list.

    Booleans are ``true`` and ``false``, None and what was not given are left out, bytes stay as
    they are, and other scalars are the text that they are in JSON.

    Args:
        fields: A mapping or a struct, or None.

    Raises:
        TypeError: It is neither, or a value inside has no text.
        ValueError: A text has no UTF-8 form.

    Source: the official client, which writes names in this way.
    """
    plain: object = {} if fields is None else to_plain(fields)
    if not isinstance(plain, Mapping):
        raise TypeError(
            f"The fields of a form are a mapping or a struct, not a {type(fields).__name__}."
        )
    items = cast("Mapping[str, object]", plain).items()
    return [pair for key, value in items for pair in _flattened(str(key), value)]


def _flattened(name: str, value: object) -> Iterator[tuple[str, bytes]]:
    if value is None or value is NOT_GIVEN or value is msgspec.UNSET:
        return
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield from _flattened(f"{name}[{key}]", item)
    elif isinstance(value, list | tuple):
        for item in cast("Sequence[object]", value):
            yield from _flattened(f"{name}[]", item)
    else:
        yield name, _text(name, value)


def _text(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    try:
        plain: object = value if isinstance(value, str) else msgspec.to_builtins(value)
        if isinstance(plain, str | int | float):
            return str(plain).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"The field {name!r} has no UTF-8 form: {value!r}.") from error
    except TypeError:
        pass
    raise TypeError(f"The field {name!r} is a {type(value).__name__}, which has no text.")
