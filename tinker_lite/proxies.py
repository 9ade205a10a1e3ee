"""Which proxy a request goes through, as a value; part of the configuration.

The rules for ``NO_PROXY``, which no standard fixes:

* Entries are separated by commas or spaces; case and a trailing dot do not matter; ``*`` means all.
* A name matches itself and everything below it; a leading dot changes nothing.
* An IP address matches that address, a network in CIDR form every address in it, IPv4 and IPv6.
* ``:port`` after an entry limits it to that port; IPv6 addresses with a port stand in brackets.

Lower-case variables win over upper-case ones, ``HTTP_PROXY`` is ignored where ``REQUEST_METHOD`` is
set (a CGI program's clients could set it), and a proxy from the environment is never used for a
loopback host: a server on this machine is not behind a proxy.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from tinker_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_PROXIES", "Proxy", "ProxyRules", "ProxyTypes", "proxies_from_environ"]

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain"})


class Proxy(msgspec.Struct, frozen=True):
    """One proxy.

    Attributes:
        scheme: How to talk to the proxy: ``http``, ``https``, ``socks5`` or ``socks5h``.
        host: Its host, without brackets.
        port: Its port.
        username: User name, or None.
        password: Password, or None.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """A proxy from ``scheme://[user:password@]host[:port]``; without a scheme it is http.

        Raises:
            ConfigError: The URL has an unknown scheme, no host, or a port that is no port.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            raise ConfigError("proxy: the port of the proxy URL is not a port number.") from None
        if parts.scheme not in _PORTS:
            raise ConfigError(
                f"proxy: the scheme {parts.scheme!r} is not one of {', '.join(_PORTS)}."
            )
        if not parts.hostname:
            raise ConfigError("proxy: the proxy URL names no host.")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=_PORTS[parts.scheme] if port is None else port,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def __repr__(self) -> str:
        """Scheme, host and port; never the credentials."""
        return f"Proxy({self})"

    def __str__(self) -> str:
        """Scheme, host and port; never the credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse pickling a proxy that holds credentials: they must not travel by accident."""
        if self.username is not None:
            raise TypeError("A Proxy with credentials cannot be pickled or copied.")
        return Proxy, (self.scheme, self.host, self.port)


# What callers may give: one proxy for everything, or proxies by scheme or by ``scheme://host[:port]``
# (``all`` stands for every scheme; None means directly).
ProxyTypes: TypeAlias = "str | Proxy | Mapping[str, str | Proxy | None]"


class ProxyRules(msgspec.Struct, frozen=True):
    """Proxies by where a request goes.

    Attributes:
        by_origin: Proxies by ``scheme`` or ``scheme://host[:port]``; the most specific is taken.
        exceptions: Where no proxy of ``by_origin`` is used, as entries of ``NO_PROXY``.
        from_environ: Whether they come from the environment, and so never apply to loopback hosts.
    """

    by_origin: dict[str, Proxy | None] = msgspec.field(default_factory=dict[str, "Proxy | None"])
    exceptions: tuple[str, ...] = ()
    from_environ: bool = False

    @classmethod
    def of(cls, proxies: ProxyTypes) -> ProxyRules:
        """Rules from what a caller gave.

        Raises:
            ConfigError: A key or a proxy URL is malformed.
        """
        if isinstance(proxies, str | Proxy):
            return cls({"all": _proxy(proxies)})
        return cls({_origin_key(key): _proxy(value) for key, value in proxies.items()})

    def for_url(self, url: str) -> Proxy | None:
        """The proxy for a request to ``url``, or None to go there directly."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if self._excepted(host, port):
            return None
        for scheme in (parts.scheme, "all"):
            for key in (f"{scheme}://{_bracketed(host)}:{port}", f"{scheme}://{_bracketed(host)}"):
                if key in self.by_origin:
                    return self.by_origin[key]
        return self.by_origin.get(parts.scheme, self.by_origin.get("all"))

    def _excepted(self, host: str, port: int) -> bool:
        if self.from_environ and _is_loopback(host):
            return True
        return any(_matches(entry, host, port) for entry in self.exceptions)


NO_PROXIES = ProxyRules()


def proxies_from_environ(environ: Mapping[str, str]) -> ProxyRules:
    """The rules that an environment states; an empty variable means no proxy.

    Raises:
        ConfigError: A proxy URL is malformed; the text names the variable.
    """
    by_origin: dict[str, Proxy | None] = {}
    for scheme in ("http", "https", "all"):
        name, value = _variable(environ, f"{scheme}_proxy")
        if scheme == "http" and name.isupper() and "REQUEST_METHOD" in environ:
            continue
        if value:
            by_origin[scheme] = _named(name, value)
    exceptions = re.split(r"[,\s]+", _variable(environ, "no_proxy")[1])
    return ProxyRules(by_origin, tuple(filter(None, exceptions)), from_environ=True)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable's name as found and its value; lower case wins."""
    for spelling in (name, name.upper()):
        if spelling in environ:
            return spelling, environ[spelling]
    return name, ""


def _named(variable: str, url: str) -> Proxy:
    try:
        return Proxy.parse(url)
    except ConfigError as error:
        raise ConfigError(f"{variable}: {error}") from None


def _proxy(value: str | Proxy | None) -> Proxy | None:
    return Proxy.parse(value) if isinstance(value, str) else value


def _origin_key(key: str) -> str:
    scheme, found, rest = key.partition("://")
    if scheme not in {"http", "https", "all"} or "/" in rest:
        raise ConfigError(
            f"proxies: the key {key!r} is not http, https, all or one of these with ://host[:port]."
        )
    return f"{scheme}://{rest.rstrip('.').lower()}" if found and rest else scheme


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    wanted, wanted_port = _split_port(entry.lower())
    if wanted_port is not None and wanted_port != port:
        return False
    address = _address(host)
    if address is not None:
        return _in_network(address, wanted)
    name = wanted.strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """An entry and its port; the colons of a bare IPv6 address are no port."""
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", entry)
    if bracketed is not None:
        return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdigit():
        return name, int(port)
    return entry, None


_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: _Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host in _LOOPBACK_NAMES or host.endswith(".localhost")
