"""What a credential may be sent to, what is never shown, and how much of an answer is taken. Pure.

The rules, all of them held by one table of tests:

* A key goes to the base URL's origin and to no other, over https, to this machine, or over plain
  http where ``TINKER_LITE_ALLOW_HTTP=1`` says that the network is trusted.
* A redirect is followed within one origin. Generic clients forward headers they do not know to
  wherever a server points, and the key of this protocol travels in such a header. The one exception
  are rows of the table that are known to lead to a storage, which gets no header of the caller's,
  and never over plain http from https.
* Texts for people show no value of a secret header, no query and no user info of a URL, and nothing
  that looks like a key or a token.
* Heads and whole bodies are bounded; so is what a body unpacks to (``tinker_lite.wire.content``).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, final
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit

import msgspec

from tinker_lite.errors import ConfigError, InvalidRequest, LimitExceeded
from tinker_lite.target import UNIX_SCHEME, parse_target, public_url

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CREDENTIAL",
    "MAX_HEAD_BYTES",
    "MAX_REDIRECTS",
    "MAX_RESPONSE_BYTES",
    "Discreet",
    "Follow",
    "Secret",
    "check_base_url",
    "check_credentials",
    "check_size",
    "follow",
    "is_loopback",
    "is_no_downgrade",
    "is_public",
    "is_secret",
    "is_sendable",
    "without_credentials",
]

# h11 allows 16 KiB by default; signed-URL redirects and chatty proxies have been seen to need more,
# and 64 KiB is still nothing to hold.
MAX_HEAD_BYTES = 65_536
# A result is bounded by the batch that asked for it; this bound only stops a broken server.
MAX_RESPONSE_BYTES = 4 * 2**30
MAX_REDIRECTS = 5

# Compared in lower case and without separators, so that apiKey, api_key and X-Api-Key are one.
_SECRET_NAMES = frozenset(
    {
        "auth", "bearer", "cfaccessclientid", "credential", "credentials", "jwt", "passwd", "pjwt",
        "secret", "sig", "signature", "token",
    }
)  # fmt: skip
_SECRET_ENDINGS = (
    "accesskey", "accesstoken", "apikey", "apitoken", "authorization", "authtoken", "bearertoken",
    "clientsecret", "cookie", "idtoken", "password", "privatekey", "refreshtoken", "secretkey",
    "securitytoken", "sessiontoken",
)  # fmt: skip
# What another origin may see of a call; a caller's own headers may hold secrets under any name.
_PUBLIC_NAMES = frozenset({"accept", "accept-encoding", "user-agent"})

_KEY_PREFIXES = ("tml-", "eyJ")
# An API key as the service gives them out, or a JSON web token; from the beginning of a word only,
# since a server could otherwise make the search take for ever.
CREDENTIAL = re.compile(r"tml-[\w.-]{16,}|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*")

_SEES_OTHER = 303
_KEEP_METHOD = frozenset({307, 308})
_READING = frozenset({"GET", "HEAD"})


# What is never shown


@final
class Secret:
    """A credential that shows itself only when asked by name.

    Args:
        value: The credential's text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential's text."""
        return self._value

    def __repr__(self) -> str:
        """Never the value."""
        return "Secret(<redacted>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse pickling: a credential must not travel by accident."""
        raise TypeError("A Secret cannot be pickled or copied.")


class Discreet(msgspec.Struct, frozen=True):
    """Base of structs whose repr leaves something out: rich, which asks for fields, sees no more.

    Tracebacks with local variables and notebooks show objects through rich.
    """

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """What the repr shows between its brackets, under no name."""
        return [("", repr(self).partition("(")[2][:-1])]


def is_secret(name: str) -> bool:
    """Whether what stands under this name, of a header, parameter or field, is a credential."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    return folded in _SECRET_NAMES or folded.endswith(_SECRET_ENDINGS)


def is_public(header: str) -> bool:
    """Whether another origin may see this header of a call."""
    return header.lower() in _PUBLIC_NAMES


def without_credentials(text: str) -> str:
    """A text of somebody else's, for people: what looks like a key or a token is cut out."""
    return CREDENTIAL.sub("<redacted>", text)


# What a credential may be sent to


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for certain: ``localhost``, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_sendable(text: str) -> bool:
    """Whether a header can carry a text, as one word."""
    return text.isascii() and text.isprintable() and " " not in text


def check_base_url(url: str) -> None:
    """Refuse what cannot be called; a part that may be secret is never shown.

    Raises:
        ConfigError: It has user info, a query or a fragment, no host, or another scheme.
    """
    if "@" in url:
        raise ConfigError(
            "base_url holds an '@', and so a user name or password, which would end up in logs. "
            "Give the credential as api_key or in TINKER_API_KEY."
        )
    parts = _split(url)
    if parts.query or parts.fragment:
        raise ConfigError(
            f"base_url {public_url(url)!r} has a query or a fragment after it; paths are put "
            "behind the base URL, so it must end with its own path."
        )
    if parts.scheme not in {"http", "https", UNIX_SCHEME} or not parts.hostname:
        shown = "(it looks like an API key)" if url.startswith(_KEY_PREFIXES) else repr(url)
        raise ConfigError(
            f"base_url {shown} is not a URL the client can call. Give https://host[:port][/path], "
            "http:// for a server on this machine, http+unix://%2Fpath%2Fto%2Fsocket for one "
            "behind a unix socket, or local: for the embedded service "
            "(argument base_url or variable TINKER_BASE_URL)."
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port if parts.scheme != UNIX_SCHEME else None
    except ValueError as error:
        raise ConfigError(
            f"base_url {public_url(url)!r} is not a URL the client can call: {error}."
        ) from None
    return parts


def check_credentials(
    url: str, key: str | None, headers: Iterable[str], *, is_hosted: bool, allow_http: bool
) -> None:
    """Refuse to send credentials where they do not belong, and to go without where one is needed.

    Args:
        url: The base URL, checked.
        key: The API key.
        headers: The names of the headers of every call.
        is_hosted: It is the hosted service, whose keys have a form.
        allow_http: The user says that the network is trusted.

    Raises:
        ConfigError: The text says which setting to change, and shows no secret.
    """
    parts = urlsplit(url)
    if key is not None and not is_sendable(key):
        raise ConfigError(
            "The API key holds a space, a line break or a character outside ASCII, which no "
            "header can carry. Check TINKER_API_KEY or api_key=."
        )
    if parts.scheme == UNIX_SCHEME or is_loopback(parts.hostname or ""):
        return
    if parts.scheme == "http":  # a server of one's own, which may want no key
        sent = next(filter(is_secret, headers), None)
        what = f"the header {sent}" if key is None else "the API key"
        if not allow_http and (key is not None or sent is not None):
            raise ConfigError(
                f"base_url {url!r} would send {what} unencrypted. Use https://, or set "
                "TINKER_LITE_ALLOW_HTTP=1 if the network is trusted."
            )
    elif key is None:
        raise ConfigError(
            f"No API key for {url}. Set the variable TINKER_API_KEY or give api_key=. "
            'To try the library without an account use base_url="local:" (or the variable '
            "TINKER_BASE_URL=local:), which needs none."
        )
    if is_hosted and key is not None and not key.startswith(_KEY_PREFIXES):
        raise ConfigError(
            "The API key does not look like one of this service: it must begin with 'tml-' "
            "(or be a token beginning with 'eyJ'). Check TINKER_API_KEY or api_key=."
        )


class Follow(Discreet, frozen=True):
    """The request that a redirect leads to.

    Attributes:
        method: Its method.
        url: Where it goes.
        with_body: It carries the same body.
        with_secrets: It carries the same credentials.
    """

    method: str
    url: str
    with_body: bool
    with_secrets: bool

    def __repr__(self) -> str:
        """Method and public URL: the whole may be a signed one."""
        return f"Follow({self.method} {public_url(self.url)})"


def follow(
    method: str,
    url: str,
    status: int,
    location: str | None,
    *,
    n_redirects: int,
    leads_to_storage: bool = False,
) -> Follow | None:
    """The next request, or None when the answer is the final one.

    A body is sent again only where the status says so (307, 308), and 301 and 302 are followed only
    by requests that read: what should become of a POST then is not agreed upon.

    Args:
        method: Method of the request that was answered.
        url: Its URL.
        status: The answer's status.
        location: The answer's ``Location``.
        n_redirects: How many have been followed already.
        leads_to_storage: The endpoint is known to point at another origin.

    Source: RFC 9110 section 15.4.
    """
    next_method = _next_method(method, status)
    if location is None or next_method is None or n_redirects >= MAX_REDIRECTS:
        return None
    try:
        target = urldefrag(urljoin(url, location)).url
        is_ours = parse_target(url).origin == parse_target(target).origin
    except (ValueError, InvalidRequest):  # it is malformed
        return None
    if is_ours:
        return Follow(next_method, target, status in _KEEP_METHOD, with_secrets=True)
    if leads_to_storage and next_method in _READING and is_no_downgrade(url, target):
        return Follow(next_method, target, with_body=False, with_secrets=False)
    return None


def _next_method(method: str, status: int) -> str | None:
    if status == _SEES_OTHER:
        return method if method in _READING else "GET"
    if status in _KEEP_METHOD or (status in {301, 302} and method in _READING):
        return method
    return None


def is_no_downgrade(here: str, there: str) -> bool:
    """Whether a URL that came from another one may be fetched: https, or http where that was."""
    schemes = here.partition(":")[0].lower(), there.partition(":")[0].lower()
    return schemes[1] == "https" or (schemes[1] == "http" and schemes[0] != "https")


# How much of an answer is taken


def check_size(n_bytes: int, max_bytes: int | None) -> None:
    """Refuse a body of more bytes than are allowed; None allows any.

    Raises:
        LimitExceeded: There are more.
    """
    if max_bytes is not None and n_bytes > max_bytes:
        raise LimitExceeded(
            f"The response body is larger than the {max_bytes} bytes allowed for it "
            "(max_response_bytes of a client).",
            may_have_arrived=True,
        )
