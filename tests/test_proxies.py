from __future__ import annotations

import pickle
import traceback

import pytest

from tinker_lite.errors import ConfigError
from tinker_lite.http import parse_target
from tinker_lite.proxies import NO_PROXIES, ProxiesTypes, Proxy, ProxyRules, proxies_from_environ

ANY = Proxy("http", "p", 3128)


def chosen(rules: ProxyRules, url: str) -> str | None:
    """The proxy for a URL, as text."""
    proxy = rules.for_origin(parse_target(url).origin)
    return None if proxy is None else str(proxy)


# One proxy


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://p:3128", ("http", "p", 3128, None, None)),
        ("http://p:3128/", ("http", "p", 3128, None, None)),
        ("p:3128", ("http", "p", 3128, None, None)),
        ("http://p", ("http", "p", 80, None, None)),
        ("https://p", ("https", "p", 443, None, None)),
        ("socks5://p", ("socks5", "p", 1080, None, None)),
        ("socks5h://p", ("socks5h", "p", 1080, None, None)),
        ("socks4a://p:1", ("socks4a", "p", 1, None, None)),
        ("http://[::1]:8080", ("http", "::1", 8080, None, None)),
        ("http://u:p%40ss@p:1", ("http", "p", 1, "u", "p@ss")),
        ("http://u@p:1", ("http", "p", 1, "u", None)),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, expected: tuple[object, ...]) -> None:
    """Scheme, host, port and credentials; the scheme has a port of its own, and may be left out."""
    proxy = Proxy.parse(url)
    assert (proxy.scheme, proxy.host, proxy.port, proxy.username, proxy.password) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://p", "the scheme 'ftp' is none of"),
        ("http://", "names no host"),
        ("http://p:port", "port"),
        ("http://p:70000", "port"),
        ("http://p:0", "port"),
        ("http://p/path", "ends after its host and port"),
        ("http://p?q", "ends after its host and port"),
        ("http://p q", "a space"),
        ("http://pröxy", "outside ASCII"),
        ("", "names no host"),
    ],
)
def test_what_is_no_proxy_is_refused(url: str, reason: str) -> None:
    """At once, with the reason."""
    with pytest.raises(ConfigError, match=reason):
        Proxy.parse(url)


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@p:99999", "ftp://user:hunter2@p", "http://user:hunter2@p /"]
)
def test_a_refusal_shows_no_credentials(url: str) -> None:
    """Neither in its text nor in the causes that a traceback shows."""
    with pytest.raises(ConfigError) as refused:
        Proxy.parse(url)
    shown = "".join(traceback.format_exception(refused.value))
    assert "hunter2" not in shown.replace(f'"{url}"', "")


def test_a_proxy_keeps_its_credentials_to_itself() -> None:
    """They are in no text of it, and it does not pickle with them."""
    proxy = Proxy.parse("http://user:hunter2@p:1")
    rules = ProxyRules.of(proxy)
    for shown in (repr(proxy), str(proxy), f"{proxy}", repr(rules)):
        assert "hunter2" not in shown
        assert "user" not in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(proxy)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(rules)
    assert pickle.loads(pickle.dumps(ANY)) == ANY


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://p", None),
        ("http://Aladdin:open%20sesame@p", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("http://u@p", "Basic dTo="),
        ("http://%C3%BC:x@p", "Basic w7w6eA=="),
    ],
)
def test_credentials_become_a_header(url: str, value: str | None) -> None:
    """Basic, in UTF-8 (RFC 7617, with its own example)."""
    assert Proxy.parse(url).authorization == value


# Which proxy


@pytest.mark.parametrize(
    ("proxies", "url", "expected"),
    [
        ("http://p:1", "http://a", "http://p:1"),
        ("http://p:1", "https://a", "http://p:1"),
        (Proxy("http", "p", 1), "https://a", "http://p:1"),
        ({}, "https://a", None),
        ({"https": "http://p:1"}, "https://a", "http://p:1"),
        ({"https": "http://p:1"}, "http://a", None),
        ({"all": "http://p:1"}, "http://a", "http://p:1"),
        ({"all": "http://p:1", "http": None}, "http://a", None),
        ({"all": "http://p:1", "https://a": "http://q:2"}, "https://a", "http://q:2"),
        ({"all": "http://p:1", "https://a": "http://q:2"}, "https://b", "http://p:1"),
        ({"all": "http://p:1", "https://a": "http://q:2"}, "https://b.a", "http://p:1"),
        ({"all": "http://p:1", "https://a:443": None}, "https://a", None),
        ({"all": "http://p:1", "https://a:444": None}, "https://a", "http://p:1"),
        ({"https://A.": "http://q:2"}, "https://a", "http://q:2"),
        ({"all://a": "http://q:2", "https": "http://p:1"}, "https://a", "http://q:2"),
        ({"https://[::1]:8443": "http://q:2"}, "https://[::1]:8443", "http://q:2"),
        ("http://p:1", "http+unix://%2Frun%2Fx", None),
    ],
)  # fmt: skip
def test_the_most_specific_proxy_is_taken(
    proxies: ProxiesTypes, url: str, expected: str | None
) -> None:
    """Host with port, then host, then scheme, then all; None is a way around the others."""
    assert chosen(ProxyRules.of(proxies), url) == expected


@pytest.mark.parametrize(
    ("proxies", "reason"),
    [
        ({"ftp": "http://p"}, "the key 'ftp'"),
        ({"https://a/b": "http://p"}, "the key 'https://a/b'"),
        ({"https": "ftp://p"}, "https: proxy: the scheme"),
        ({"https": 3128}, "https: proxy: a int"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(proxies: ProxiesTypes, reason: str) -> None:
    """The text names the key."""
    with pytest.raises(ConfigError, match=reason):
        ProxyRules.of(proxies)


def test_only_socks_needs_the_blocking_transport() -> None:
    """Rules say whether any of their proxies speaks SOCKS."""
    assert ProxyRules.of({"http": "socks5://p", "https": None}).use_socks
    assert not ProxyRules.of({"http": "http://p", "https": None}).use_socks
    assert not NO_PROXIES.use_socks


# The environment


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://a", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a", None),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "https://a", "http://p:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://q:2"}, "https://a", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://a", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a", "http://p:1"),
        ({"ALL_PROXY": "socks5h://p:1"}, "https://a", "socks5h://p:1"),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "https://a", "http://q:2"),
        ({"ALL_PROXY": "http://p:1"}, "http://127.0.0.1:8000", None),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]:8000", None),
        ({"ALL_PROXY": "http://p:1"}, "http://localhost:8000", None),
        ({"ALL_PROXY": "http://p:1"}, "http://a.localhost", None),
        ({"ALL_PROXY": "http://p:1"}, "http+unix://%2Frun%2Fx", None),
    ],
)  # fmt: skip
def test_the_environment_names_proxies(
    environ: dict[str, str], url: str, expected: str | None
) -> None:
    """Lower case wins, a CGI program's ``HTTP_PROXY`` is no setting, loopback is never proxied."""
    assert chosen(proxies_from_environ(environ), url) == expected


def test_a_malformed_variable_is_named() -> None:
    """The text says which variable to mend."""
    with pytest.raises(ConfigError, match=r"^HTTPS_PROXY: proxy: the scheme 'ftp'"):
        proxies_from_environ({"HTTPS_PROXY": "ftp://user:hunter2@p"})


DIRECT, PROXIED = None, "http://p:1"


@pytest.mark.parametrize(
    ("no_proxy", "url", "expected"),
    [
        # Everything, nothing
        ("*", "https://a", DIRECT),
        ("", "https://a", PROXIED),
        (" , ", "https://a", PROXIED),
        (".", "https://a", PROXIED),
        # Names and what is below them
        ("example.com", "https://example.com", DIRECT),
        ("example.com", "https://api.example.com", DIRECT),
        ("example.com", "https://notexample.com", PROXIED),
        ("example.com", "https://example.com.evil", PROXIED),
        (".example.com", "https://example.com", DIRECT),
        (".example.com", "https://api.example.com", DIRECT),
        ("api.example.com", "https://example.com", PROXIED),
        # Case and trailing dots
        ("EXAMPLE.com", "https://example.COM", DIRECT),
        ("example.com.", "https://example.com", DIRECT),
        ("example.com", "https://example.com./", DIRECT),
        # Lists
        ("a,b", "https://b", DIRECT),
        ("a, b", "https://b", DIRECT),
        ("a b", "https://b", DIRECT),
        # Ports
        ("example.com:443", "https://example.com", DIRECT),
        ("example.com:8443", "https://example.com", PROXIED),
        ("example.com:8443", "https://api.example.com:8443", DIRECT),
        # IPv4, alone and as networks
        ("10.1.2.3", "https://10.1.2.3", DIRECT),
        ("10.1.2.3", "https://10.1.2.4", PROXIED),
        ("10.0.0.0/8", "https://10.1.2.3", DIRECT),
        ("10.0.0.0/8", "https://11.1.2.3", PROXIED),
        ("10.1.2.3/8", "https://10.9.9.9", DIRECT),
        ("10.0.0.0/99", "https://10.1.2.3", PROXIED),
        ("10.1.2.3:443", "https://10.1.2.3", DIRECT),
        ("10.1.2.3:444", "https://10.1.2.3", PROXIED),
        ("0.0.0.0/0", "https://example.com", PROXIED),
        # IPv6, alone, in brackets, with a port, as networks
        ("2001:db8::1", "https://[2001:db8::1]", DIRECT),
        ("2001:DB8:0::1", "https://[2001:db8::1]", DIRECT),
        ("[2001:db8::1]", "https://[2001:db8::1]", DIRECT),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", DIRECT),
        ("[2001:db8::1]:444", "https://[2001:db8::1]", PROXIED),
        ("2001:db8::/32", "https://[2001:db8:ffff::1]", DIRECT),
        ("2001:db8::/32", "https://[2001:db9::1]", PROXIED),
        ("2001:db8::/32", "https://10.1.2.3", PROXIED),
    ],
)  # fmt: skip
def test_no_proxy(no_proxy: str, url: str, expected: str | None) -> None:
    """The rules at the top of tinker_lite/proxies.py, one by one."""
    rules = proxies_from_environ({"ALL_PROXY": "http://p:1", "NO_PROXY": no_proxy})
    assert chosen(rules, url) == expected


def test_no_proxy_in_lower_case_wins() -> None:
    """As for the other variables."""
    environ = {"ALL_PROXY": "http://p:1", "NO_PROXY": "a", "no_proxy": "b"}
    assert chosen(proxies_from_environ(environ), "https://a") == PROXIED
    assert chosen(proxies_from_environ(environ), "https://b") == DIRECT
