"""Where a request goes: the origin to connect to, and what the request line and Host say.

Pure. Strict on purpose: ``urllib.parse`` silently drops tabs and newlines, which would let two
readers of one URL disagree.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from tinker_lite.errors import InvalidRequest

__all__ = ["UNIX_SCHEME", "Origin", "Target", "parse_target", "public_url"]

DEFAULT_PORTS = {"http": 80, "https": 443}
UNIX_SCHEME = "http+unix"
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]")


def public_url(url: str) -> str:
    """The URL without user info, query and fragment, fit for logs and error texts."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an error text must not fail over the very URL it is about
        return "<malformed URL>"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class Origin(NamedTuple):
    """Scheme, host without brackets, and port: what a connection belongs to.

    For a unix socket the host is the socket's path and the port is 0.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a CONNECT request names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.scheme == UNIX_SCHEME:
            return f"{self.scheme}://{quote(self.host, safe='')}"
        return f"{self.scheme}://{self.authority}"


class Target(NamedTuple):
    """One URL, split into what HTTP/1.1 needs."""

    origin: Origin
    path: str
    host_header: str


def parse_target(url: str) -> Target:
    """Split an absolute URL.

    ``http+unix://%2Frun%2Fservice.sock/path`` reaches a service behind a unix socket: the socket's
    path stands, percent-encoded, in the place of the host.

    Raises:
        InvalidRequest: It is not an absolute http, https or http+unix URL in ASCII, or it holds
            user info.
    """
    if _NOT_IN_A_URL.search(url):
        raise _refused(url, "it holds a space, a control character or a character outside ASCII; "
                       "percent-encode paths, and write host names in their xn-- form")  # fmt: skip
    try:
        parts = urlsplit(url)
        port = None if parts.scheme == UNIX_SCHEME else parts.port
    except ValueError as error:
        raise _refused(url, str(error)) from error
    if "@" in parts.netloc:
        raise _refused(url, "user info does not belong in a URL; send a header instead")
    if parts.scheme == UNIX_SCHEME and parts.netloc:
        return Target(Origin(UNIX_SCHEME, unquote(parts.netloc), 0), _path(parts), "localhost")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise _refused(url, "it must start with http:// or https:// and name a host")
    default = DEFAULT_PORTS[parts.scheme]
    origin = Origin(parts.scheme, parts.hostname, default if port is None else port)
    return Target(origin, _path(parts), _host_header(origin, default))


def _path(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _host_header(origin: Origin, default_port: int) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == default_port else f"{host}:{origin.port}"


def _refused(url: str, reason: str) -> InvalidRequest:
    try:
        shown = public_url(url)
    except ValueError:
        shown = "the URL"
    return InvalidRequest(f"Cannot send to {shown!r}: {reason}.", may_have_arrived=False)
