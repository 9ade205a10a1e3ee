from __future__ import annotations

from typing import Any

import pytest

from tinker_lite.config import DEFAULT_BASE_URL, Config, RetryConfig, resolve
from tinker_lite.errors import ConfigError
from tinker_lite.http import Headers, Timeout, parse_target
from tinker_lite.protocol.endpoints import PROTOCOL_VERSION
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
    text: Any = "5"
    with pytest.raises(ConfigError, match="timeout is '5'; it must be a positive number"):
        resolve(environ, timeout=text)


@pytest.mark.parametrize("value", [None, 5, b"x"])
def test_a_header_that_is_no_text_is_named(value: Any) -> None:
    """At construction, not at the first call."""
    with pytest.raises(ConfigError, match=r"default_headers\['X-A'\] is a \w+; it must be a text"):
        resolve({"TINKER_BASE_URL": LOCAL}, default_headers={"X-A": value})


def test_retries_are_numbers_that_make_a_schedule() -> None:
    """Negative numbers and a jitter above the whole are refused by name."""
    environ = {"TINKER_BASE_URL": LOCAL}
    assert resolve(environ).retry == RetryConfig()
    assert resolve(environ, max_retries=0).retry.max_retries == 0
    with pytest.raises(ConfigError, match=r"RetryConfig\.max_retries is -1"):
        resolve(environ, max_retries=-1)
    wrong: Any = 1.5
    with pytest.raises(ConfigError, match=r"max_retries is 1\.5; it must be a whole number"):
        RetryConfig(max_retries=wrong)
    with pytest.raises(ConfigError, match=r"RetryConfig\.delay_base_s is nan"):
        RetryConfig(delay_base_s=float("nan"))
    with pytest.raises(ConfigError, match=r"RetryConfig\.jitter is 1\.5; it must be 0 to 1"):
        RetryConfig(jitter=1.5)


# How one talks


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"wire": "xml"}, "wire is 'xml'; it must be 'auto', 'json' or 'protobuf'"),
        ({"wire": None}, "wire is None"),
        ({"sdk_version": ""}, r"sdk_version is ''; it must be a version .* such as '0\.38\.0'"),
        ({"sdk_version": "0.38\n"}, "sdk_version is '0.38.n'"),
        ({"max_response_bytes": "5"}, "max_response_bytes is '5'; it must be a number of bytes"),
        (
            {"max_response_bytes": 0},
            "max_response_bytes is 0; it must be a number of bytes above 0",
        ),
    ],
)
def test_a_way_of_talking_that_there_is_not_is_refused(
    options: dict[str, Any], reason: str
) -> None:
    """By name."""
    with pytest.raises(ConfigError, match=reason):
        resolve({}, base_url=LOCAL, **options)


def test_ways_of_talking_have_defaults() -> None:
    """The server is asked what it takes, in the newest generation of the protocol."""
    config = resolve({}, base_url=LOCAL)
    assert (config.wire, config.sdk_version) == ("auto", PROTOCOL_VERSION)


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
