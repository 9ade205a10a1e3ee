"""Files inside a request body: taken out by path patterns, and named as form fields name them.

A pattern is a sequence of keys; ``"<array>"`` stands for every element of a list. The pattern
``["docs", "<array>", "file"]`` finds the files of ``{"docs": [{"file": b"1"}, {"file": b"2"}]}``
and calls both ``docs[][file]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tinker_lite.wire.files import is_file
from tinker_lite.wire.not_given import NOT_GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinker_lite.wire.files import FileTypes

__all__ = ["ARRAY", "Extracted", "extract_files"]

ARRAY: Final = "<array>"

_TAKEN = object()  # stands where a file was


class Extracted(NamedTuple):
    """A body without its files, and the files with their field names, in the order of the body."""

    body: dict[str, object]
    files: list[tuple[str, FileTypes]]


def extract_files(body: Mapping[str, object], paths: Iterable[Sequence[str]]) -> Extracted:
    """Take the files at some paths out of a body.

    The body is left as it is; the rest shares with it whatever lies off the paths. A path that does
    not match the shape of the body finds nothing, and None where a file could be stays there.

    Args:
        body: The body.
        paths: Patterns of keys and ``"<array>"``.

    Raises:
        TypeError: At the end of a path is something that is no file; the text names the place.
    """
    files: list[tuple[str, FileTypes]] = []
    rest: object = dict(body)
    for path in paths:
        if not path or isinstance(path, str):
            raise TypeError(f"A path is a list of keys such as ['docs', '<array>'], not {path!r}.")
        rest = _take(rest, tuple(path), _Place("", ""), files)
    return Extracted(cast("dict[str, object]", rest), files)


class _Place(NamedTuple):
    """Where a value is: as a form field names it, and as a person would."""

    field: str
    path: str

    def key(self, key: str) -> _Place:
        if not self.field:
            return _Place(key, key)
        return _Place(f"{self.field}[{key}]", f"{self.path}.{key}")

    def element(self, i: int) -> _Place:
        return _Place(f"{self.field}[]", f"{self.path}[{i}]")


def _take(
    value: object, path: tuple[str, ...], place: _Place, files: list[tuple[str, FileTypes]]
) -> object:
    """What is left of a value; its files are added to ``files``."""
    if not path:
        return _take_file(value, place, files)
    if path[0] == ARRAY:
        if not isinstance(value, list | tuple):
            return value
        elements = cast("Sequence[object]", value)
        left = [_take(item, path[1:], place.element(i), files) for i, item in enumerate(elements)]
        return [item for item in left if item is not _TAKEN]
    if not isinstance(value, Mapping):
        return value
    mapping = dict(cast("Mapping[str, object]", value))
    if path[0] not in mapping:
        return mapping
    mapping[path[0]] = _take(mapping[path[0]], path[1:], place.key(path[0]), files)
    if mapping[path[0]] is _TAKEN:
        del mapping[path[0]]
    return mapping


def _take_file(value: object, place: _Place, files: list[tuple[str, FileTypes]]) -> object:
    if value is None or value is NOT_GIVEN:
        return value
    if not is_file(value):
        raise TypeError(
            f"{place.path} is a {type(value).__name__}, not a file: give bytes, a path, a file "
            "opened with mode 'rb', or a tuple of a name and one of these."
        )
    files.append((place.field, cast("FileTypes", value)))
    return _TAKEN
