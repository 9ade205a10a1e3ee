"""JSON bodies: structs to bytes by the protocol's rules, and back with errors that say where.

What is sent leaves out fields that are None, sends every other field, defaults included, and keeps
nulls inside free-form mappings (protocol section 1.7). Types that are not structs, or are sent
otherwise, take part through ``to_wire`` and ``from_wire``.

What is read passes a strict decoder, which is fast. An answer that it refuses may only be newer or
older than the types, and is read again by the rules of ``tinker_lite.types.reading``.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

import msgspec

from tinker_lite.errors import DecodeError
from tinker_lite.types.answers import Answer, Extra, UnknownValue
from tinker_lite.types.reading import read_foreign, read_leniently

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["bounded_nesting", "decode_json", "encode_json", "is_flat", "to_plain"]

T = TypeVar("T")

# How msgspec ends the text of an error.
_PATH = re.compile(r" - at `\$([^`]*)`")
_STEP = re.compile(r"\.[^.[]+|\[[^]]*\]")
_SCALARS = frozenset({int, float, str, bool, type(None)})


@runtime_checkable
class _WireForm(Protocol):
    def to_wire(self) -> object: ...


def encode_json(value: object) -> bytes:
    """The JSON bytes of a struct or of plain values.

    Raises:
        TypeError: A value inside has no JSON form.
        ValueError: A number is not finite, the text holding its path; or it is nested too deeply.
    """
    with bounded_nesting():
        plain = to_plain(value)
        try:
            raw = msgspec.json.encode(plain, enc_hook=_encode_foreign)
        except TypeError:
            _search(plain, "$", _refuse_foreign)
            raise
    # msgspec writes null for a number that is not finite. Nulls are rare in what is sent, so that
    # only few bodies are searched for one, which costs more than encoding them did.
    if b"null" in raw:
        _search(plain, "$", _refuse_non_finite)
    return raw


def _search(plain: object, path: str, refuse: Callable[[object, str], None]) -> None:
    """Look at everything in plain values that holds no more of them."""
    if isinstance(plain, dict):
        for key, item in cast("dict[object, object]", plain).items():
            _search(item, f"{path}.{key}", refuse)
    elif isinstance(plain, list | tuple):
        for i, item in enumerate(cast("Sequence[object]", plain)):
            _search(item, f"{path}[{i}]", refuse)
    else:
        refuse(plain, path)


def _refuse_non_finite(value: object, path: str) -> None:
    if isinstance(value, int | str | None):
        return
    if not math.isfinite(cast("float", value) if hasattr(value, "__float__") else 0):
        raise ValueError(f"{value!r} at `{path}` is not finite; JSON has no form for it.")


def _refuse_foreign(value: object, path: str) -> None:
    try:
        msgspec.json.encode(value, enc_hook=_encode_foreign)
    except TypeError as error:
        raise TypeError(f"{error} It stands at `{path}`.") from None


def to_plain(value: Any) -> Any:
    """Structs as mappings without their None fields, all the way down; other values as they are."""
    if isinstance(value, str | int | float | None):
        return value
    # Not by isinstance with the protocol, which looks through the whole class each time.
    to_wire = getattr(value, "to_wire", None)
    if to_wire is not None:
        return to_plain(to_wire())
    if isinstance(value, msgspec.Struct):
        return _struct_fields(value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[object, object]", value).items()
        return {key: to_plain(item) for key, item in fields}
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return items if is_flat(items) else [to_plain(item) for item in items]
    return value


def _struct_fields(value: msgspec.Struct) -> dict[str, object]:
    config = value.__struct_config__
    plain: dict[str, object] = {}
    if config.tag_field is not None:
        plain[config.tag_field] = config.tag
    for name, wire_name in zip(
        value.__struct_fields__, value.__struct_encode_fields__, strict=True
    ):
        item = getattr(value, name)
        if item is not None and not isinstance(item, Extra):
            plain[wire_name] = to_plain(item)
    # Unknown fields come last, and name the member of a union that is not known either.
    if isinstance(value, Answer):
        plain.update(value.extra)
    return plain


@contextmanager
def bounded_nesting() -> Generator[None]:
    """Turn the failure of going down without end into an error that says what was wrong."""
    try:
        yield
    except RecursionError:
        raise ValueError("The body is nested too deeply, or holds itself.") from None


def is_flat(items: Sequence[object]) -> bool:
    """Whether a list holds nothing but numbers and texts, and so is plain as it is."""
    if items and type(items[0]) in {int, float}:
        # Long lists are token ids or numbers. Adding them up fails at anything else, and takes a
        # quarter of the time of looking at their types.
        try:
            sum(cast("Sequence[int]", items))
        except (TypeError, ValueError, ArithmeticError, RuntimeError):
            pass
        else:
            return True
    return _SCALARS.issuperset(map(type, items))


def _encode_foreign(value: object) -> object:
    """Words not known here, and numbers of other libraries, such as numpy scalars among tokens."""
    if isinstance(value, _WireForm):
        return to_plain(value)
    if isinstance(value, UnknownValue):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return cast("Any", value).item()
    raise TypeError(f"{type(value).__name__} has no JSON form; give numbers, texts or lists.")


def decode_json(raw: bytes, type_: type[T]) -> T:
    """Read JSON bytes as ``type_``.

    Raises:
        DecodeError: The bytes are not JSON, or do not fit; the text holds the path of the wrong
            value.
    """
    try:
        try:
            return cast("T", _decoder(cast("Any", type_)).decode(raw))
        except msgspec.ValidationError:
            return read_leniently(msgspec.json.decode(raw), type_)
    # RecursionError: a body may be nested without end.
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        name = getattr(type_, "__name__", str(type_))
        text = _with_keys(_with_one_path(str(error)), raw, type_)
        raise DecodeError(f"Not a valid {name}: {text}") from error


def _with_keys(text: str, raw: bytes, type_: type[Any]) -> str:
    """Put a key in place of each ``[...]``, which is all that msgspec says of it."""
    said, *paths = _PATH.split(text)
    if "[...]" not in "".join(paths):
        return text
    place: Any = msgspec.json.decode(raw)
    whole, path = place, ""
    try:
        for step in _STEP.findall(paths[0]):
            if step == "[...]":
                key = _blamed(text, place, whole, type_)
                path, place = f"{path}.{key}", place[key]
            else:
                path += step
                place = place[int(step[1:-1]) if step.startswith("[") else step[1:]]
    except (LookupError, TypeError, AttributeError):  # what was read is not all as it came
        return text
    return f"{said} - at `${path}`"


def _blamed(text: str, fields: dict[str, object], whole: object, type_: type[Any]) -> str:
    """The key that a complaint is about, found by leaving out half of them again and again."""
    items = list(fields.items())
    while len(items) > 1:
        half = items[: len(items) // 2]
        fields.clear()
        fields.update(half)
        items = half if _complaint(whole, type_) == text else items[len(half) :]
    fields.clear()
    fields.update(items)
    return items[0][0]


def _complaint(plain: object, type_: type[Any]) -> str:
    """What is wrong with plain values, or ""."""
    try:
        read_leniently(plain, type_)
    except (ValueError, TypeError) as error:
        return _with_one_path(str(error))
    return ""


def _with_one_path(text: str) -> str:
    """Join the paths that nested ``from_wire`` calls left, innermost first, into one."""
    said, *paths = _PATH.split(text)
    return f"{said} - at `${''.join(reversed(paths[::2]))}`" if paths else text


@functools.cache
def _decoder(type_: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_, dec_hook=read_foreign)
