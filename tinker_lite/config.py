"""Settings, and the one place that reads environment variables.

Resolution order is argument, environment, default (protocol section 1.1); an empty string counts as
not set. ``resolve`` takes the environment as a mapping, so that it is a function of its arguments.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

import msgspec

from tinker_lite._version import PROTOCOL_VERSION
from tinker_lite.errors import ConfigError
from tinker_lite.http import Headers, Timeout
from tinker_lite.proxies import NO_PROXIES, ProxyRules, proxies_from_environ
from tinker_lite.safety import (
    MAX_RESPONSE_BYTES,
    Secret,
    check_base_url,
    check_credentials,
    is_sendable,
)
from tinker_lite.tls import TLSSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.proxies import ProxiesTypes, Proxy
    from tinker_lite.tls import CertTypes, VerifyTypes

__all__ = ["Config", "RetryConfig", "Secret", "WireChoice", "checked", "resolve"]

WireChoice: TypeAlias = Literal["auto", "json", "protobuf"]

DEFAULT_BASE_URL = "https://tinker.thinkingmachines.dev/services/tinker-prod"
LOCAL_SCHEME = "local:"


class RetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How failed calls are repeated.

    Attributes:
        max_retries: Repeats after the first attempt.
        delay_base_s: First delay, in seconds; doubles each time.
        delay_max_s: Longest delay chosen by this client, in seconds.
        jitter: Share of a delay that is taken off at random, 0 to 1.
        total_s: Seconds after which no further attempt starts.

    Raises:
        ConfigError: A number is negative or none at all, or the jitter above 1.

    Source: protocol sections 5.1 and 5.2.
    """

    max_retries: int = 10
    delay_base_s: float = 0.5
    delay_max_s: float = 10.0
    jitter: float = 0.25
    total_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no schedule."""
        for name in self.__struct_fields__:
            number, kind = getattr(self, name), int if name == "max_retries" else int | float
            if not (isinstance(number, kind) and number >= 0):
                what = "a whole number" if kind is int else "a number"
                raise ConfigError(
                    f"RetryConfig.{name} is {number!r}; it must be {what}, 0 or more."
                )
        if self.jitter > 1:
            raise ConfigError(f"RetryConfig.jitter is {self.jitter}; it must be 0 to 1.")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a client needs to know before its first call.

    Attributes:
        base_url: Where the service is, or ``local:`` / ``local:PATH`` for the embedded one.
        api_key: The credential, or None where none is needed.
        project_id: Project of new sessions.
        tags: Tags of new sessions.
        default_headers: Sent with every call, above the library's own.
        timeout: Limits of one attempt; None means each endpoint's own.
        retry: How failed calls are repeated.
        proxies: Which proxies the default transport uses.
        tls: Whom the default transport trusts.
        wire: How training passes and large results travel: in protobuf where the server takes it
            and in JSON otherwise, learnt from its answers; or always in one of them.
        sdk_version: The generation of the protocol that the client says it speaks.
        max_response_bytes: Largest body that is read whole, as it comes and as it unpacks.
    """

    base_url: str
    api_key: Secret | None = None
    project_id: str | None = None
    tags: tuple[str, ...] = ()
    default_headers: Headers = Headers()
    timeout: Timeout | None = None
    retry: RetryConfig = RetryConfig()
    proxies: ProxyRules = NO_PROXIES
    tls: TLSSettings = msgspec.field(default_factory=TLSSettings)
    wire: WireChoice = "auto"
    sdk_version: str = PROTOCOL_VERSION
    max_response_bytes: int = MAX_RESPONSE_BYTES

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.wire not in get_args(WireChoice):
            raise ConfigError(f"wire is {self.wire!r}; it must be 'auto', 'json' or 'protobuf'.")
        if not self.sdk_version or not is_sendable(self.sdk_version):
            raise ConfigError(
                f"sdk_version is {self.sdk_version!r}; it must be a version that a header can "
                f"carry, such as {PROTOCOL_VERSION!r}."
            )
        for name, value in self.default_headers:
            if not isinstance(cast("object", value), str):
                kind = type(value).__name__
                raise ConfigError(f"default_headers[{name!r}] is a {kind}; it must be a text.")
        largest = cast("object", self.max_response_bytes)
        if not (isinstance(largest, int) and largest > 0):
            raise ConfigError(
                f"max_response_bytes is {largest!r}; it must be a number of bytes above 0."
            )

    @property
    def is_local(self) -> bool:
        """Whether the embedded service answers."""
        return self.base_url.startswith(LOCAL_SCHEME)

    @property
    def local_data_dir(self) -> str | None:
        """Where the embedded service keeps its store; None is a temporary place."""
        return self.base_url[len(LOCAL_SCHEME) :] or None


def resolve(
    environ: Mapping[str, str] | None = None,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    project_id: str | None = None,
    default_headers: Mapping[str, str] | None = None,
    timeout: float | Timeout | None = None,
    max_retries: int | None = None,
    proxy: str | Proxy | None = None,
    proxies: ProxiesTypes | None = None,
    trust_env: bool = True,
    verify: VerifyTypes = True,
    cert: CertTypes | None = None,
    wire: WireChoice = "auto",
    sdk_version: str = PROTOCOL_VERSION,
    max_response_bytes: int = MAX_RESPONSE_BYTES,
    has_transport: bool = False,
) -> Config:
    """Settings from arguments, environment and defaults.

    Args:
        environ: The environment; None is the process's own.
        base_url: See ``Config``; ``TINKER_BASE_URL`` when not given.
        api_key: ``TINKER_API_KEY`` when not given.
        project_id: ``TINKER_PROJECT_ID`` when not given.
        default_headers: Extra headers for every call.
        timeout: Seconds, or a ``Timeout``; None keeps each endpoint's own.
        max_retries: Repeats after the first attempt.
        proxy: One proxy for everything.
        proxies: Proxies by scheme or ``scheme://host[:port]``; ``HTTP_PROXY``, ``HTTPS_PROXY``,
            ``ALL_PROXY`` and ``NO_PROXY`` when neither is given.
        trust_env: Whether those four variables count.
        verify: Whom to trust; see ``TLSSettings``.
        cert: The client's own certificate; see ``TLSSettings``.
        wire: See ``Config``.
        sdk_version: See ``Config``.
        max_response_bytes: See ``Config``.
        has_transport: The caller brings a transport, which has its own proxies and trust.

    Raises:
        ConfigError: A setting is missing or cannot work; the text names it.
    """
    if has_transport:
        _refuse_idle(proxy=proxy, proxies=proxies, verify=None if verify is True else verify,
                     cert=cert)  # fmt: skip
        trust_env = False
    env = os.environ if environ is None else environ
    # Values from files and shells often end in a newline, which no URL and no header may hold.
    url = _first(base_url, env.get("TINKER_BASE_URL")) or DEFAULT_BASE_URL
    is_local = url.startswith(LOCAL_SCHEME)
    url = url if is_local else url.rstrip("/")
    key = _first(api_key, env.get("TINKER_API_KEY"))
    config = Config(
        base_url=url,
        api_key=None if key is None else Secret(key),
        project_id=_first(project_id, env.get("TINKER_PROJECT_ID")),
        tags=_tags(env.get("TINKER_TAGS", "")),
        default_headers=Headers(_access_headers(env)).merged((default_headers or {}).items()),
        timeout=_timeout(timeout),
        retry=RetryConfig() if max_retries is None else RetryConfig(max_retries=max_retries),
        proxies=_proxies(proxy, proxies, env if trust_env and not is_local else {}),
        tls=TLSSettings(verify, cert),
        wire=wire,
        sdk_version=sdk_version,
        max_response_bytes=max_response_bytes,
    )
    return checked(config, env)


def checked(config: Config, environ: Mapping[str, str] | None = None) -> Config:
    """The settings themselves, if the base URL can be called and may see what would go there.

    Raises:
        ConfigError: It cannot, or may not; the text names the setting.
    """
    env = os.environ if environ is None else environ
    if not config.is_local:
        check_base_url(config.base_url)
        check_credentials(
            config.base_url,
            None if config.api_key is None else config.api_key.reveal(),
            (name for name, _ in config.default_headers),
            is_hosted=config.base_url == DEFAULT_BASE_URL,
            allow_http=env.get("TINKER_LITE_ALLOW_HTTP") == "1",
        )
    return config


def _refuse_idle(**settings: object) -> None:
    """Refuse settings that would do nothing."""
    for name, value in settings.items():
        if value is not None:
            raise ConfigError(
                f"{name} goes with the default transport; give it to the transport that you bring."
            )


def _proxies(
    proxy: str | Proxy | None, proxies: ProxiesTypes | None, env: Mapping[str, str]
) -> ProxyRules:
    if proxy is not None and proxies is not None:
        raise ConfigError("Give proxy, one for everything, or proxies, not both.")
    chosen = proxies if proxy is None else proxy
    return proxies_from_environ(env) if chosen is None else ProxyRules.of(chosen)


def _first(*values: str | None) -> str | None:
    """The first value that is more than white space, without the space around it."""
    for value in values:
        if value is not None and not isinstance(value, str):
            raise ConfigError(
                f"base_url, api_key and project_id are texts; one of them is a "
                f"{type(value).__name__}."
            )
    return next((value.strip() for value in values if value and value.strip()), None)


def _tags(text: str) -> tuple[str, ...]:
    """Comma-separated tags, first occurrence of each, in order."""
    return tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))


def _access_headers(env: Mapping[str, str]) -> list[tuple[str, str]]:
    names = {
        "CF-Access-Client-Id": "CLOUDFLARE_ACCESS_CLIENT_ID",
        "CF-Access-Client-Secret": "CLOUDFLARE_ACCESS_CLIENT_SECRET",
    }
    return [(header, env[name]) for header, name in names.items() if env.get(name)]


def _timeout(value: float | Timeout | None) -> Timeout | None:
    try:
        return None if value is None else Timeout.of(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"timeout is {value!r}; it must be a positive number of seconds."
        ) from None
