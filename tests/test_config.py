from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tinker_lite.config import DEFAULT_BASE_URL, Config, RetryConfig, Secret, resolve
from tinker_lite.errors import ConfigError
from tinker_lite.http import Headers, Timeout, parse_target
from tinker_lite.proxies import NO_PROXIES, Proxy

KEY = {"TINKER_API_KEY": "tml-env"}
LOCAL = "http://127.0.0.1:8000"


def key_of(config: Config) -> str | None:
    """The credential of a configuration."""
    return None if config.api_key is None else config.api_key.reveal()


# Where a setting comes from


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [
        pytest.param("https://a", "https://e", "https://a", id="the argument wins"),
        pytest.param(None, "https://e", "https://e", id="then the environment"),
        pytest.param(None, None, DEFAULT_BASE_URL, id="then the default"),
        pytest.param("", "https://e", "https://e", id="an empty argument counts as not given"),
        pytest.param(" ", "", DEFAULT_BASE_URL, id="white space counts as not set"),
        pytest.param("https://a/p/", None, "https://a/p", id="the slash at the end goes"),
        pytest.param(" https://a\n", None, "https://a", id="space around it goes"),
    ],
)
def test_the_base_url_comes_from(argument: str | None, variable: str | None, expected: str) -> None:
    """Argument, then ``TINKER_BASE_URL``, then the hosted service (protocol section 1.1)."""
    environ = KEY if variable is None else {**KEY, "TINKER_BASE_URL": variable}
    assert resolve(environ, base_url=argument).base_url == expected


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [
        pytest.param("tml-a", "tml-e", "tml-a", id="the argument wins"),
        pytest.param(None, "tml-e", "tml-e", id="then the environment"),
        pytest.param("", "tml-e", "tml-e", id="an empty argument counts as not given"),
        pytest.param(None, "tml-e\n", "tml-e", id="the line break of a file goes"),
        pytest.param(None, "", None, id="an empty variable counts as not set"),
    ],
)
def test_the_key_comes_from(argument: str | None, variable: str, expected: str | None) -> None:
    """Argument, then ``TINKER_API_KEY``; a server on this machine needs none."""
    config = resolve({"TINKER_API_KEY": variable}, base_url=LOCAL, api_key=argument)
    assert key_of(config) == expected


def test_the_project_comes_from_argument_or_environment() -> None:
    """The argument wins; an empty variable means no project."""
    environ = {"TINKER_PROJECT_ID": "e", "TINKER_BASE_URL": LOCAL}
    assert resolve(environ, project_id="a").project_id == "a"
    assert resolve(environ).project_id == "e"
    assert resolve({**environ, "TINKER_PROJECT_ID": ""}).project_id is None


def test_without_a_mapping_the_process_environment_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one reader of environment variables reads the real ones by default."""
    monkeypatch.setenv("TINKER_BASE_URL", LOCAL)
    assert resolve().base_url == LOCAL


def test_tags_are_kept_once_and_in_order() -> None:
    """``TINKER_TAGS`` is a comma list; blanks go and the order stays."""
    environ = {"TINKER_TAGS": "b, a,,b , ", "TINKER_BASE_URL": LOCAL}
    assert resolve(environ).tags == ("b", "a")
    assert resolve({"TINKER_BASE_URL": LOCAL}).tags == ()


def test_access_headers_come_from_the_environment_and_give_way() -> None:
    """Cloudflare's headers are sent when set; a caller's header of the same name replaces one."""
    environ = {
        "TINKER_BASE_URL": LOCAL,
        "CLOUDFLARE_ACCESS_CLIENT_ID": "id",
        "CLOUDFLARE_ACCESS_CLIENT_SECRET": "hush",
    }
    config = resolve(environ, default_headers={"X-Mine": "1", "cf-access-client-id": "mine"})
    assert config.default_headers == Headers(
        [("CF-Access-Client-Secret", "hush"), ("X-Mine", "1"), ("cf-access-client-id", "mine")]
    )
    assert "hush" not in repr(config)
    empty = {"TINKER_BASE_URL": LOCAL, "CLOUDFLARE_ACCESS_CLIENT_ID": ""}
    assert resolve(empty).default_headers == Headers()


# What cannot work


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("example.com", "is not a URL", id="no scheme"),
        pytest.param("ftp://example.com", "is not a URL", id="another scheme"),
        pytest.param("https://", "is not a URL", id="no host"),
        pytest.param("https://h:port", "is not a URL.*Port", id="a port that is no number"),
        pytest.param("https://h:99999", "is not a URL.*0-65535", id="a port out of range"),
        pytest.param("http://[::1", "is not a URL.*IPv6", id="half an IPv6 address"),
        pytest.param("https://h/?token=hush", "query or a fragment", id="a query"),
        pytest.param("https://h#hush", "query or a fragment", id="a fragment"),
        pytest.param("https://me:hush@h", "user name or password", id="user info"),
        pytest.param("me:hush@h", "user name or password", id="user info without a scheme"),
        pytest.param("http://me:hu/sh@h", "user name or password", id="user info with a slash"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused(url: str, text: str) -> None:
    """The text says what is wrong with it, and shows nothing that may be secret."""
    with pytest.raises(ConfigError, match=text) as caught:
        resolve(KEY, base_url=url)
    assert "base_url" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "hu/sh" not in str(caught.value)


def test_a_key_in_the_place_of_the_base_url_is_not_shown() -> None:
    """What has no scheme may be anything."""
    with pytest.raises(ConfigError, match="is not a URL") as caught:
        resolve({}, base_url="tml-hush", api_key="https://h")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "key", "text"),
    [
        pytest.param(None, None, 'TINKER_API_KEY.*base_url="local:"', id="no key anywhere"),
        pytest.param("https://h", None, "No API key for https://h", id="no key for a server"),
        pytest.param(None, "sk-hush", "begin with 'tml-'", id="the key of another service"),
        pytest.param("http://h", "tml-hush", "unencrypted.*ALLOW_HTTP=1", id="plain http"),
        pytest.param("https://h", "tml-hu sh", "space, a line break", id="a space inside"),
        pytest.param("https://h", "tml-hush\nx", "space, a line break", id="a line break inside"),
        pytest.param("https://h", "tml-hushé", "outside ASCII", id="a letter beyond ASCII"),
        pytest.param(LOCAL, "hu\tsh", "space, a line break", id="a tab, even on this machine"),
    ],
)
def test_a_key_that_cannot_work_is_refused(url: str | None, key: str | None, text: str) -> None:
    """The text says which variable to set or check, and never shows the key."""
    with pytest.raises(ConfigError, match=text) as caught:
        resolve({}, base_url=url, api_key=key)
    assert key is None or key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        pytest.param("http://localhost:1", None, id="this machine by name"),
        pytest.param("http://127.0.0.1", "anything", id="this machine by number"),
        pytest.param("http://[::1]:8/p", None, id="this machine by IPv6"),
        pytest.param("https://other", "sk-x", id="a key of another server's form"),
        pytest.param(None, "tml-x", id="an API key"),
        pytest.param(None, "eyJx", id="a token"),
        pytest.param("HTTPS://H", "k", id="a scheme in capitals"),
        pytest.param("http://trusted", None, id="plain http where no key can leak"),
    ],
)
def test_what_can_work_is_taken(url: str | None, key: str | None) -> None:
    """Keys of other servers have other forms, and this machine needs neither key nor TLS."""
    assert key_of(resolve({}, base_url=url, api_key=key)) == key


def test_plain_http_can_be_allowed() -> None:
    """A trusted network is the user's decision."""
    environ = {**KEY, "TINKER_LITE_ALLOW_HTTP": "1"}
    assert resolve(environ, base_url="http://h").base_url == "http://h"


@pytest.mark.parametrize(
    ("url", "folder"), [("local:", None), ("local:/tmp/a/", "/tmp/a/"), ("local:a", "a")]
)
def test_the_embedded_service_needs_nothing(url: str, folder: str | None) -> None:
    """``local:`` is a temporary store and ``local:PATH`` a lasting one; no key, no host."""
    config = resolve({"TINKER_BASE_URL": url})
    assert (config.is_local, config.local_data_dir, config.api_key) == (True, folder, None)
    assert resolve({}, base_url=LOCAL).is_local is False


# Timeouts and retries


def test_seconds_and_timeouts_are_taken() -> None:
    """A number is a ``Timeout``; None leaves each endpoint its own."""
    environ = {"TINKER_BASE_URL": LOCAL}
    assert resolve(environ).timeout is None
    assert resolve(environ, timeout=3).timeout == Timeout.of(3)
    mine = Timeout(read_s=1)
    assert resolve(environ, timeout=mine).timeout is mine
    with pytest.raises(ConfigError, match="timeout is -1; it must be a positive number"):
        resolve(environ, timeout=-1)


def test_retries_are_numbers_that_make_a_schedule() -> None:
    """Negative numbers and a jitter above the whole are refused by name."""
    environ = {"TINKER_BASE_URL": LOCAL}
    assert resolve(environ).retry == RetryConfig()
    assert resolve(environ, max_retries=0).retry.max_retries == 0
    with pytest.raises(ConfigError, match=r"RetryConfig\.max_retries is -1"):
        resolve(environ, max_retries=-1)
    with pytest.raises(ConfigError, match=r"RetryConfig\.delay_base_s is nan"):
        RetryConfig(delay_base_s=float("nan"))
    with pytest.raises(ConfigError, match=r"RetryConfig\.jitter is 1\.5; it must be 0 to 1"):
        RetryConfig(jitter=1.5)


# Secrets


def test_a_secret_shows_itself_only_when_asked() -> None:
    """No text form, pickle or copy of it or of a configuration holds the value."""
    secret = Secret("tml-hush")
    config = resolve({}, api_key="tml-hush")
    assert secret.reveal() == "tml-hush"
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr(config)):
        assert "hush" not in shown
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            travel(secret)


# Proxies and trust


def test_proxies_come_from_the_environment() -> None:
    """Unless the argument says otherwise, or the switch is off, or the service is embedded."""
    environ = {**KEY, "HTTPS_PROXY": "http://p:1", "NO_PROXY": "b"}
    target = parse_target("https://a").origin
    excepted = parse_target("https://b").origin
    assert resolve(environ).proxies.for_origin(target) == Proxy("http", "p", 1)
    assert resolve(environ).proxies.for_origin(excepted) is None
    assert resolve(environ, trust_env=False).proxies == NO_PROXIES
    assert resolve(environ, base_url="local:").proxies.for_origin(target) is None


@pytest.mark.parametrize(
    "options", [{"proxy": "http://q:2"}, {"proxies": {"https": "http://q:2"}}], ids=["one", "some"]
)
def test_an_argument_wins_over_the_environment(options: dict[str, Any]) -> None:
    """All of it: NO_PROXY belongs to the environment's proxies."""
    environ = {**KEY, "HTTPS_PROXY": "http://p:1", "NO_PROXY": "a"}
    proxies = resolve(environ, **options).proxies
    assert proxies.for_origin(parse_target("https://a").origin) == Proxy("http", "q", 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"proxy": "http://p", "proxies": {}}, "proxy, one for everything, or proxies, not both"),
        ({"proxy": "ftp://p"}, "the scheme 'ftp'"),
        ({"proxy": "http://p:99999"}, "port"),
        ({"verify": "/nowhere.pem"}, "verify: there is no file"),
        ({"proxy": "http://p", "has_transport": True}, "proxy goes with the default transport"),
        ({"proxies": {}, "has_transport": True}, "proxies goes with the default transport"),
        ({"verify": False, "has_transport": True}, "verify goes with the default transport"),
        ({"cert": "c.pem", "has_transport": True}, "cert goes with the default transport"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any], reason: str) -> None:
    """At once, by name; also what an injected transport would never hear of."""
    with pytest.raises(ConfigError, match=reason):
        resolve(KEY, **options)


def test_a_transport_of_ones_own_is_not_told_of_the_environment() -> None:
    """Not even of what is malformed there."""
    environ = {**KEY, "HTTPS_PROXY": "ftp://p"}
    assert resolve(environ, has_transport=True).proxies == NO_PROXIES
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        resolve(environ)


def test_a_configuration_shows_no_credentials_of_a_proxy() -> None:
    """Nor the password of a key."""
    assert "hunter2" not in repr(resolve(KEY, proxy="http://user:hunter2@p"))


# Unix sockets


def test_a_unix_socket_is_this_machine() -> None:
    """It needs no key, and may get one."""
    url = "http+unix://%2Frun%2Ftinker.sock"
    assert resolve({}, base_url=url).base_url == url
    assert key_of(resolve(KEY, base_url=f"{url}/api/")) == "tml-env"
