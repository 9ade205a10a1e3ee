"""What of an exchange is secret, and what goes into a file in its place.

Three rules, and no guess beyond them: by name (headers, query parameters, fields of JSON); by value
(what a secret header of this recording has held, wherever it turns up again, and texts that are as
a whole an API key or a token); and signed URLs, whose query is the credential. Names and values of
training data are left alone: a field is secret only by its whole name, and only as text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeGuard, cast
from urllib.parse import parse_qsl, quote_plus, urlsplit, urlunsplit

from tinker_lite.safety import CREDENTIAL, is_secret
from tinker_lite.testing.captured import API_ROOT
from tinker_lite.testing.differences import ANYTHING

if TYPE_CHECKING:
    from tinker_lite.headers import Headers

__all__ = ["Redactor"]

# In a query these also show that the URL is signed; X-Amz-... and X-Goog-... are the two clouds'.
_SIGNING_NAMES = frozenset({"awsaccesskeyid", "googleaccessid", "keypairid", "key", "policy", "se"})
_SIGNING_STARTS = ("xamz", "xgoog")

_URL = re.compile(r"https?://\S+")

# Shorter values would be found by chance in what is no secret.
_MIN_LEARNED = 8


class Redactor:
    """Takes the secrets out of one recording.

    Args:
        names: Further names of headers, query parameters and fields that are secret.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = {_folded(name) for name in names}
        self._learned: set[str] = set()

    def learn(self, headers: Headers) -> None:
        """Remember the values of secret headers."""
        for name, value in headers:
            if self._is_secret(name):
                words = {value, value.partition(" ")[2]}  # "Bearer abc" is known by "abc" too
                self._learned |= {word for word in words if len(word) >= _MIN_LEARNED}

    def header(self, name: str, value: str) -> str:
        """The value of a header."""
        if self._is_secret(name):
            return ANYTHING
        if name.lower() in {"location", "content-location"}:
            parts = urlsplit(value)
            host = parts.netloc.rpartition("@")[2]
            query = self.query(parts.query, parts.path)
            return urlunsplit(parts._replace(netloc=host, query=query))
        return self.text(value)

    def query(self, query: str, path: str) -> str:
        """The query of a URL; outside the API every value is taken for part of a signature."""
        pairs = parse_qsl(query, keep_blank_values=True)
        hides_all = API_ROOT + "/" not in path or any(_is_signing(name) for name, _ in pairs)
        return "&".join(
            f"{quote_plus(name)}={self._parameter(name, value, is_secret=hides_all)}"
            for name, value in pairs
        )

    def _parameter(self, name: str, value: str, *, is_secret: bool) -> str:
        return ANYTHING if is_secret or self._is_secret(name) else quote_plus(self.text(value))

    def text(self, text: str) -> str:
        """A text without the secrets that are known by value."""
        for secret in self._learned:
            text = text.replace(secret, ANYTHING)
        return text

    def raw(self, raw: bytes) -> bytes:
        """Bytes without the secrets that are known by value."""
        for secret in self._learned:
            raw = raw.replace(secret.encode(), ANYTHING.encode())
        return raw

    def plain(self, value: object, name: str = "") -> object:
        """A JSON value without its secrets; ``name`` is the field that holds it."""
        if _is_mapping(value):
            if self._is_secret(name):
                return ANYTHING
            return {key: self.plain(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item, name) for item in cast("list[object]", value)]
        if not isinstance(value, str) or not value:
            return value
        if self._is_secret(name) or CREDENTIAL.fullmatch(value):
            return ANYTHING
        return self._signed_url(value) if _URL.fullmatch(value) else value

    def _signed_url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:  # a text that only begins like a URL
            return url
        host = parts.netloc.rpartition("@")[2]
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        if host == parts.netloc and not any(
            _is_signing(name) or self._is_secret(name) for name, _ in pairs
        ):
            return url
        query = "&".join(f"{quote_plus(name)}={ANYTHING}" for name, _ in pairs)
        return urlunsplit(parts._replace(netloc=host, query=query))

    def _is_secret(self, name: str) -> bool:
        return is_secret(name) or _folded(name) in self._names


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_signing(name: str) -> bool:
    folded = _folded(name)
    return (
        folded in _SIGNING_NAMES
        or folded in {"sig", "signature"}
        or folded.startswith(_SIGNING_STARTS)
    )


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)
