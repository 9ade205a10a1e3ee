"""Header pairs: ordered, looked up without regard to case, secrets never shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias, overload

from tinker_lite.safety import is_secret
from tinker_lite.target import public_url

__all__ = ["HeaderPairs", "Headers"]

HeaderPairs: TypeAlias = Iterable[tuple[str, str]]


class Headers:
    """An ordered list of header pairs whose look-up ignores case.

    Args:
        pairs: Name and value pairs, in sending order; names may repeat.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: HeaderPairs = ()) -> None:
        self._pairs = tuple((name, value) for name, value in pairs)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value under ``name``, or ``default``."""
        wanted = name.lower()
        return next((value for key, value in self._pairs if key.lower() == wanted), default)

    def __getitem__(self, name: str) -> str:
        """The first value under ``name``.

        Raises:
            KeyError: There is no such header.
        """
        if (value := self.get(name)) is None:
            raise KeyError(name)
        return value

    def get_all(self, name: str) -> list[str]:
        """Every value under ``name``, in order."""
        wanted = name.lower()
        return [value for key, value in self._pairs if key.lower() == wanted]

    def merged(self, pairs: HeaderPairs) -> Headers:
        """A copy in which ``pairs`` replace every header of the same name."""
        added = tuple(pairs)
        replaced = {name.lower() for name, _ in added}
        kept = tuple(pair for pair in self._pairs if pair[0].lower() not in replaced)
        return Headers(kept + added)

    def without_secrets(self) -> Headers:
        """A copy without the headers that carry credentials, and the queries of locations."""
        return Headers((name, _shown(name, text)) for name, text in self if not is_secret(name))

    def items(self) -> tuple[tuple[str, str], ...]:
        """The pairs in sending order."""
        return self._pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over the pairs in sending order."""
        return iter(self._pairs)

    def __contains__(self, name: object) -> bool:
        """Whether any header has this name."""
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        """Equal if the same values stand under the same names, in the same order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return _folded(self._pairs) == _folded(other._pairs)

    def __hash__(self) -> int:
        """Hash of the folded pairs."""
        return hash(_folded(self._pairs))

    def __repr__(self) -> str:
        """The pairs, without the values of secret headers and the queries of signed URLs."""
        return f"Headers({[(name, _shown(name, value)) for name, value in self._pairs]!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse pickling headers that hold credentials: they must not travel by accident."""
        if any(is_secret(name) for name, _ in self._pairs):
            raise TypeError("Headers with a credential cannot be pickled or copied.")
        return Headers, (self._pairs,)


def _shown(name: str, value: str) -> str:
    if is_secret(name):
        return "<redacted>"
    return public_url(value) if name.lower() in {"location", "content-location"} else value


def _folded(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in pairs)
