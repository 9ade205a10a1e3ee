"""Whether a redirect is followed, and with what.

Generic HTTP clients forward headers they do not know to wherever a server points, and the key of
this protocol travels in such a header. So a redirect is followed within one origin only; the one
exception are rows of the table that are known to lead to a storage, which gets no secret at all.
"""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

import msgspec

from tinker_lite.errors import InvalidRequest
from tinker_lite.http import Headers, parse_target

__all__ = ["MAX_REDIRECTS", "Follow", "follow"]

MAX_REDIRECTS = 5

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SEES_OTHER = 303
_KEEP_METHOD = frozenset({307, 308})
_READING = frozenset({"GET", "HEAD"})


class Follow(msgspec.Struct, frozen=True):
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


def follow(
    method: str,
    url: str,
    status: int,
    headers: Headers,
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
        headers: The answer's headers.
        n_redirects: How many have been followed already.
        leads_to_storage: The endpoint is known to point at another origin.

    Source: RFC 9110 section 15.4.
    """
    location = headers.get("location")
    next_method = _next_method(method, status)
    if location is None or next_method is None or n_redirects >= MAX_REDIRECTS:
        return None
    try:
        target = urldefrag(urljoin(url, location)).url
        here, there = parse_target(url).origin, parse_target(target).origin
    except (ValueError, InvalidRequest):  # it is malformed
        return None
    if here == there:
        return Follow(next_method, target, status in _KEEP_METHOD, with_secrets=True)
    is_safe = there.scheme == "https" or (there.scheme == "http" and there.host in _LOOPBACK)
    if leads_to_storage and next_method in _READING and is_safe:
        return Follow(next_method, target, with_body=False, with_secrets=False)
    return None


def _next_method(method: str, status: int) -> str | None:
    if status == _SEES_OTHER:
        return method if method in _READING else "GET"
    if status in _KEEP_METHOD or (status in {301, 302} and method in _READING):
        return method
    return None
