"""The way to an origin: directly, through a proxy, or through a proxy's tunnel. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tinker_lite.attempt import TunnelRefused

if TYPE_CHECKING:
    from tinker_lite.http import Origin, Target
    from tinker_lite.proxies import Proxy

__all__ = ["Route", "check_tunnel"]


class Route(NamedTuple):
    """Where a connection leads and by which way; connections of one route are alike.

    Attributes:
        origin: The server that is meant.
        proxy: The proxy on the way, or None.
    """

    origin: Origin
    proxy: Proxy | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether an HTTP proxy reads the request and passes it on (RFC 9112 section 3.2.2)."""
        return self._has_http_proxy and self.origin.scheme == "http"

    @property
    def is_tunnelled(self) -> bool:
        """Whether an HTTP proxy passes bytes it cannot read (RFC 9110 section 9.3.6)."""
        return self._has_http_proxy and self.origin.scheme == "https"

    @property
    def _has_http_proxy(self) -> bool:
        return self.proxy is not None and not self.proxy.is_socks

    @property
    def forward_authorization(self) -> str | None:
        """The proxy's credentials where they go with each request; a tunnel's never do."""
        return self.proxy.authorization if self.proxy and self.is_forwarded else None

    def request_target(self, target: Target) -> str:
        """What the request line names: the path, or for a forwarding proxy the whole URL."""
        if self.is_forwarded:
            return f"{target.origin.scheme}://{target.host_header}{target.path}"
        return target.path

    def tunnel_request(self) -> bytes:
        """The head of the CONNECT request, with the proxy's credentials."""
        assert self.proxy is not None, "a tunnel has a proxy"
        authority = self.origin.authority
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if self.proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.proxy.authorization}")
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def check_tunnel(status: int, n_bytes_after_head: int) -> None:
    """Look at a proxy's answer to CONNECT.

    Raises:
        TunnelRefused: It is no success, or bytes follow it, which the origin cannot have sent: over
            TLS a client speaks first.
    """
    if status == 407:
        raise TunnelRefused(
            "the proxy answered 407: it wants a user name and password, which belong in its URL"
        )
    if not 200 <= status < 300:
        raise TunnelRefused(f"the proxy answered {status}")
    if n_bytes_after_head:
        raise TunnelRefused("the proxy sent bytes behind its answer")
