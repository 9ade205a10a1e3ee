from __future__ import annotations

import pytest

from tinker_lite.attempt import TunnelRefused
from tinker_lite.http import parse_target
from tinker_lite.proxies import Proxy
from tinker_lite.routes import Route, check_tunnel

PLAIN = Proxy("http", "p", 3128)
WITH_CREDENTIALS = Proxy("http", "p", 3128, "Aladdin", "open sesame")
SOCKS = Proxy("socks5", "p", 1080)


@pytest.mark.parametrize(
    ("url", "proxy", "asked"),
    [
        ("http://a/x?y", None, "/x?y"),
        ("http://a/x?y", PLAIN, "http://a/x?y"),
        ("http://a:80/", PLAIN, "http://a/"),
        ("http://a:8080", PLAIN, "http://a:8080/"),
        ("http://[::1]:8080/x", PLAIN, "http://[::1]:8080/x"),
        ("https://a/x", PLAIN, "/x"),
        ("http://a/x", SOCKS, "/x"),
    ],
)
def test_what_the_request_line_names(url: str, proxy: Proxy | None, asked: str) -> None:
    """The whole URL where an HTTP proxy reads it, else the path (RFC 9112 section 3.2)."""
    target = parse_target(url)
    assert Route(target.origin, proxy).request_target(target) == asked


@pytest.mark.parametrize(
    ("url", "proxy", "forwarded", "tunnelled"),
    [
        ("http://a", None, False, False),
        ("https://a", None, False, False),
        ("http://a", PLAIN, True, False),
        ("https://a", PLAIN, False, True),
        ("http://a", SOCKS, False, False),
        ("https://a", SOCKS, False, False),
    ],
)
def test_which_way(url: str, proxy: Proxy | None, forwarded: bool, tunnelled: bool) -> None:
    """An HTTP proxy forwards http and tunnels https; a SOCKS proxy is a way of connecting."""
    route = Route(parse_target(url).origin, proxy)
    assert (route.is_forwarded, route.is_tunnelled) == (forwarded, tunnelled)


def test_credentials_go_with_forwarded_requests_only() -> None:
    """In a tunnel the origin would get them."""
    http, https = parse_target("http://a").origin, parse_target("https://a").origin
    assert Route(http, WITH_CREDENTIALS).forward_authorization == WITH_CREDENTIALS.authorization
    assert Route(https, WITH_CREDENTIALS).forward_authorization is None
    assert Route(http, PLAIN).forward_authorization is None
    assert Route(http).forward_authorization is None


@pytest.mark.parametrize(
    ("url", "proxy", "head"),
    [
        ("https://a", PLAIN, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        ("https://[::1]:8443", PLAIN, b"CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"),
        ("https://a", WITH_CREDENTIALS, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n"
         b"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"),
    ],
)  # fmt: skip
def test_how_a_tunnel_is_asked_for(url: str, proxy: Proxy, head: bytes) -> None:
    """Host and port, IPv6 in brackets, and the proxy's credentials (RFC 9110 section 9.3.6)."""
    assert Route(parse_target(url).origin, proxy).tunnel_request() == head


@pytest.mark.parametrize(
    ("status", "n_after", "reason"),
    [(407, 0, "407: it wants a user name"), (502, 9, "answered 502"), (200, 1, "bytes behind")],
)
def test_what_is_no_tunnel(status: int, n_after: int, reason: str) -> None:
    """A refusal, or bytes that the origin cannot have sent."""
    with pytest.raises(TunnelRefused, match=reason):
        check_tunnel(status, n_after)


def test_any_success_is_a_tunnel() -> None:
    """RFC 9110 section 9.3.6 asks for a 2xx."""
    check_tunnel(200, 0)
    check_tunnel(204, 0)


def test_connections_of_one_route_are_alike() -> None:
    """Routes are keys: equal where origin and proxy, credentials included, are equal."""
    origin = parse_target("https://a").origin
    assert {Route(origin, PLAIN): 1}[Route(origin, Proxy("http", "p", 3128))] == 1
    assert Route(origin, PLAIN) != Route(origin, WITH_CREDENTIALS)
