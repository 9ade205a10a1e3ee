"""Paths and query strings, by the protocol's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["QueryValue", "join_url", "render_path", "render_query"]

QueryValue: TypeAlias = str | int | float | bool | None

# Run ids hold colons and checkpoint ids a slash, and both travel unescaped (protocol section 2).
_PATH_SAFE = ":/@!$&'()*+,;=-._~"


def render_path(template: str, **values: str) -> str:
    """Fill a path template such as ``/training_runs/{run}``.

    Raises:
        ValueError: A value is empty or would climb out of its place.
    """
    for name, value in values.items():
        if not value or not {".", ".."}.isdisjoint(value.split("/")):
            raise ValueError(f"{name} is {value!r}; it must be a plain, non-empty identifier.")
    return template.format_map({name: quote(v, safe=_PATH_SAFE) for name, v in values.items()})


def render_query(parameters: Mapping[str, QueryValue]) -> str:
    """A query string with its ``?``, or ""; booleans are ``true`` or ``false``.

    Parameters that are None or empty are dropped (protocol section 2.12).
    """
    pairs = [(name, _text(value)) for name, value in parameters.items() if value not in {None, ""}]
    return f"?{urlencode(pairs)}" if pairs else ""


def _text(value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def join_url(base_url: str, path: str, query: str = "") -> str:
    """The URL of an endpoint below a base URL, which may have a path of its own (protocol 1.1)."""
    return f"{base_url.rstrip('/')}/api/v1{path}{query}"
