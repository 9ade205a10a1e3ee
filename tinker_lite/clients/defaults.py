"""What a raw client's calls begin with, and a copy of it with some things changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from msgspec.structs import replace

from tinker_lite.config import LOCAL_SCHEME, Config, checked, resolve
from tinker_lite.engine.options import check_names, merged_query
from tinker_lite.engine.preparation import Defaults
from tinker_lite.errors import ConfigError
from tinker_lite.http import Headers, Timeout, public_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.config import WireChoice
    from tinker_lite.wire.urls import ArrayFormat, QueryValue

__all__ = ["ClientOptions", "changed"]


class ClientOptions(TypedDict, total=False):
    """What a copy of a client may have otherwise; what is left out, or None, stays as it is.

    Attributes:
        api_key: The credential.
        base_url: Where the service is.
        timeout: Seconds for one attempt, or a ``Timeout``.
        max_retries: Repeats after the first attempt.
        default_headers: Headers above those there are.
        set_default_headers: Headers in place of those there are.
        default_query: Query parameters above those there are.
        set_default_query: Query parameters in place of those there are.
        array_format: How lists stand in a query.
        wire: How training passes and large results travel.
        sdk_version: The generation of the protocol that the client says it speaks.
        max_response_bytes: Largest body that is read whole.
    """

    api_key: str | None
    base_url: str | None
    timeout: float | Timeout | None
    max_retries: int | None
    default_headers: Mapping[str, str] | None
    set_default_headers: Mapping[str, str] | None
    default_query: Mapping[str, QueryValue] | None
    set_default_query: Mapping[str, QueryValue] | None
    array_format: ArrayFormat | None
    wire: WireChoice | None
    sdk_version: str | None
    max_response_bytes: int | None


def changed(defaults: Defaults, **changes: Unpack[ClientOptions]) -> Defaults:
    """Defaults with some things changed.

    Raises:
        TypeError: There is no such setting.
        ValueError: Headers, or the query, are both to be added to and replaced.
        ConfigError: A new setting cannot work.
    """
    check_names(changes, ClientOptions)
    for name in ("headers", "query"):
        adding, replacing = f"default_{name}", f"set_default_{name}"
        if changes.get(adding) is not None and changes.get(replacing) is not None:
            raise ValueError(f"Give {adding}, which adds, or {replacing}, which replaces.")
    query = changes.get("set_default_query")
    return Defaults(
        config=_changed_config(defaults.config, changes),
        query=merged_query(
            defaults.query if query is None else query, changes.get("default_query")
        ),
        arrays=changes.get("array_format") or defaults.arrays,
        servers=defaults.servers,
    )


def _changed_config(config: Config, changes: ClientOptions) -> Config:
    base_url, api_key = changes.get("base_url"), changes.get("api_key")
    if base_url is not None and base_url.startswith(LOCAL_SCHEME) != config.is_local:
        raise ConfigError(
            f"with_options(base_url={public_url(base_url)!r}): the transport of this client cannot "
            "go there, since only one of the two is the embedded service; make a new client."
        )
    if base_url is not None or api_key is not None:
        own_key = None if config.api_key is None else config.api_key.reveal()
        given = resolve(
            base_url=base_url or config.base_url, api_key=api_key or own_key, has_transport=True
        )
        config = replace(config, base_url=given.base_url, api_key=given.api_key)
    if (timeout := changes.get("timeout")) is not None:
        config = replace(config, timeout=Timeout.of(timeout))
    if (max_retries := changes.get("max_retries")) is not None:
        config = replace(config, retry=replace(config.retry, max_retries=max_retries))
    if (headers := changes.get("set_default_headers")) is not None:
        config = replace(config, default_headers=Headers(headers.items()))
    if (headers := changes.get("default_headers")) is not None:
        merged = config.default_headers.merged(headers.items())
        config = replace(config, default_headers=merged)
    plain = {name: changes.get(name) for name in ("wire", "sdk_version", "max_response_bytes")}
    given_plain = {name: value for name, value in plain.items() if value is not None}
    return checked(replace(config, **given_plain))
