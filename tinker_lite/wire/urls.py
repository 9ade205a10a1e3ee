"""Paths and query strings, by the protocol's rules.

A query is a mapping. Values of it may be nested: ``{"a": {"b": 1}}`` becomes ``a[b]=1``. A list is
joined by commas, or repeats its name (``a=1&a=2``), or does so with brackets (``a[]=1&a[]=2``).
What is None or empty is left out, at any depth (protocol section 2.12).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import parse_qsl, quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ArrayFormat", "QueryValue", "join_url", "render_path", "render_query", "with_query"]

QueryValue: TypeAlias = (
    "str | int | float | dt.date | Sequence[QueryValue] | Mapping[str, QueryValue] | None"
)
ArrayFormat: TypeAlias = Literal["comma", "repeat", "brackets"]

# Run ids hold colons and checkpoint ids a slash, and both travel unescaped (protocol section 2).
_PATH_SAFE = ":/@!$&'()*+,;=-._~"


def render_path(template: str, **values: str) -> str:
    """Fill a path template such as ``/training_runs/{run}``.

    Raises:
        ValueError: A value is empty or would climb out of its place.
    """
    for name, value in values.items():
        is_text = isinstance(cast("object", value), str)
        if not is_text or not value or not {".", ".."}.isdisjoint(value.split("/")):
            raise ValueError(
                f"{{{name}}} of {template} is {value!r}; it must be a plain, non-empty identifier."
            )
    return template.format_map({name: quote(v, safe=_PATH_SAFE) for name, v in values.items()})


def render_query(parameters: Mapping[str, QueryValue], arrays: ArrayFormat = "comma") -> str:
    """A query string with its ``?``, or "".

    Truth values are ``true`` or ``false``; times are RFC 3339, in UTC where they have a zone.

    Raises:
        TypeError: A value has no form in a query; the text names it.
        ValueError: There is no such format of lists.
    """
    pairs = _pairs(parameters, arrays)
    return f"?{urlencode(pairs)}" if pairs else ""


def with_query(
    path: str, parameters: Mapping[str, QueryValue], arrays: ArrayFormat = "comma"
) -> str:
    """A path or URL with more in its query, in place of what stands there under the same names.

    What is nested under a name (``a[b]`` under ``a``) is replaced with it. A parameter that is None
    or empty only takes away.

    Raises:
        TypeError: A value has no form in a query; the text names it.
        ValueError: There is no such format of lists.
    """
    if not parameters:
        return path
    pairs = _pairs(parameters, arrays)
    rest, hash_, fragment = path.partition("#")
    bare, _, query = rest.partition("?")
    there = parse_qsl(query, keep_blank_values=True)
    kept = [(n, v) for n, v in there if parameters.keys().isdisjoint((n, n.partition("[")[0]))]
    whole = urlencode([*kept, *pairs])
    return f"{bare}{'?' if whole else ''}{whole}{hash_}{fragment}"


def _pairs(parameters: Mapping[str, QueryValue], arrays: ArrayFormat) -> list[tuple[str, str]]:
    if arrays not in {"comma", "repeat", "brackets"}:
        raise ValueError(
            f"Lists in a query are written as 'comma', 'repeat' or 'brackets', not {arrays!r}."
        )
    return [pair for name, value in parameters.items() for pair in _named(name, value, arrays)]


def _named(name: str, value: QueryValue, arrays: ArrayFormat) -> Iterator[tuple[str, str]]:
    """The pairs of one value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(f"{name}[{key}]", item, arrays)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = [item for item in value if item is not None]
        if arrays == "comma":
            yield from _named(name, ",".join(_text(name, item) for item in items), arrays)
            return
        for item in items:
            is_scalar = not isinstance(item, Mapping)
            yield from _named(
                f"{name}[]" if arrays == "brackets" and is_scalar else name, item, arrays
            )
    elif value is not None and (text := _text(name, value)):
        yield name, text


def _text(name: str, value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return _moment(value)
    if isinstance(value, str | int | float | dt.date):
        return str(value)
    kind = type(cast("object", value)).__name__
    raise TypeError(
        f"The query parameter {name!r} holds a {kind}, which has no form there; give texts, "
        "numbers, times, lists of these, or mappings."
    )


def _moment(value: dt.datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def join_url(base_url: str, path: str, query: str = "") -> str:
    """The URL of an endpoint below a base URL, which may have a path of its own (protocol 1.1)."""
    return f"{base_url.rstrip('/')}/api/v1{path}{query}"
