"""What one call may change: its headers, query, body, key, limits and retries. Pure.

The rules of merging, for every call alike:

* Headers: those of the call stand above the client's, and those above the library's own. Names are
  compared without regard to case; a value ``Omit()`` removes what would be sent otherwise.
* Query: parameters of the call replace those of the client, and both replace what a path brings in
  its own query, by name. None removes one.
* Body: ``extra_body`` is laid over the top level of a body that is an object: a key of it replaces
  that key's whole value, however deep, and adds it where there is none. A call without a body sends
  the extra one alone. A body that is no object cannot take any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

from tinker_lite.http import Headers, Timeout
from tinker_lite.wire.json import bounded_nesting, to_plain
from tinker_lite.wire.not_given import NOT_GIVEN

if TYPE_CHECKING:
    from tinker_lite.wire.files import RequestFiles
    from tinker_lite.wire.not_given import NotGiven
    from tinker_lite.wire.urls import QueryValue

__all__ = [
    "CallOptions",
    "HeaderValue",
    "Omit",
    "VerbOptions",
    "check_names",
    "check_options",
    "merged_body",
    "merged_headers",
    "merged_query",
]


class Omit:
    """As the value of a header: send no such header, whatever the defaults are."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Omit()"


HeaderValue: TypeAlias = str | Omit


class CallOptions(TypedDict, total=False):
    """What every method of the raw clients takes besides its own arguments.

    Attributes:
        extra_headers: Headers above the client's own; ``Omit()`` removes one.
        extra_query: Query parameters above the client's own and the method's; None removes one.
        extra_body: Fields laid over the top level of the body.
        idempotency_key: The same for all attempts of the call; drawn if not given.
        timeout: Seconds for one attempt, a ``Timeout``, or None for no limit; the client's if not
            given.
        max_retries: Repeats after the first attempt; the client's if None.
    """

    extra_headers: Mapping[str, HeaderValue] | None
    extra_query: Mapping[str, QueryValue] | None
    extra_body: Mapping[str, object] | None
    idempotency_key: str | None
    timeout: float | Timeout | NotGiven | None
    max_retries: int | None


class VerbOptions(CallOptions, total=False):
    """What verbs take besides a path; see ``Verb``."""

    cast_to: Any
    body: object
    files: RequestFiles | None
    stream: bool
    stream_cls: Any


_MAPPING = (Mapping, "a mapping")
# Limits and retries are checked by what they are made into.
_KINDS: dict[str, tuple[type, str]] = {
    "extra_headers": _MAPPING,
    "extra_query": _MAPPING,
    "extra_body": _MAPPING,
    "idempotency_key": (str, "a text"),
}
_ANY = (object, "anything")


def check_names(options: Mapping[str, object], known: type) -> None:
    """Refuse an option that a type of options does not have.

    Raises:
        TypeError: There is one; the text names it.
    """
    for name in options:
        if name not in known.__annotations__:
            names = ", ".join(known.__annotations__)
            raise TypeError(f"unexpected keyword argument {name!r}; there are {names}.")


def check_options(options: Mapping[str, object]) -> None:
    """Refuse options of a call that there are not, or that could not be merged.

    Raises:
        TypeError: There is one; the text names it.
    """
    check_names(options, CallOptions)
    for name, value in options.items():
        kind, what = _KINDS.get(name, _ANY)
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is a {type(value).__name__}; it must be {what}.")


def merged_headers(headers: Headers, extra: Mapping[str, HeaderValue]) -> Headers:
    """Headers with others above them.

    Raises:
        TypeError: A value is neither text nor ``Omit()``; the text names the header.
    """
    for name, value in cast("Mapping[str, object]", extra).items():
        if not isinstance(value, str | Omit):
            kind = type(value).__name__
            raise TypeError(f"The header {name!r} is a {kind}; it must be a text, or Omit().")
    names = {name.lower() for name in extra}
    kept = [pair for pair in headers if pair[0].lower() not in names]
    return Headers([*kept, *((n, v) for n, v in extra.items() if isinstance(v, str))])


def merged_query(*layers: Mapping[str, QueryValue] | None) -> dict[str, QueryValue]:
    """Query parameters, later ones above earlier ones."""
    return {name: value for layer in layers for name, value in (layer or {}).items()}


def merged_body(body: object, extra: Mapping[str, object] | None) -> object:
    """A body with more fields on its top level.

    Raises:
        TypeError: There are more fields, but the body has none to lay them over.
        ValueError: The body is nested too deeply.
    """
    if not extra:
        return body
    with bounded_nesting():
        plain: object = {} if body is None or body is NOT_GIVEN else to_plain(body)
    if not isinstance(plain, Mapping):
        raise TypeError(
            f"extra_body is laid over the fields of a body, but this one is a "
            f"{type(body).__name__}; give the whole body instead."
        )
    return {**cast("Mapping[str, object]", plain), **extra}
