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

import base64
import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from tinker_lite.errors import ConfigError
from tinker_lite.safety import Discreet, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.http import Origin

__all__ = ["NO_PROXIES", "ProxiesTypes", "Proxy", "ProxyRules", "proxies_from_environ"]

_SOCKS_PORT = 1080
_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": _SOCKS_PORT,
    "socks4a": _SOCKS_PORT,
    "socks5": _SOCKS_PORT,
    "socks5h": _SOCKS_PORT,
}
_PROXIED = frozenset({"http", "https"})  # a unix socket is reached directly
_NOT_IN_A_URL = re.compile(r"[^\x21-\x7e]")


class Proxy(Discreet, frozen=True):
    """One proxy.

    Attributes:
        scheme: How to talk to it: ``http``, ``https``, or SOCKS as ``socks5`` (names are looked up
            here), ``socks5h`` (names are looked up by the proxy), ``socks4`` or ``socks4a``.
        host: Its host, without brackets.
        port: Its port.
        username: User name, or None.
        password: Password, or None.

    Raises:
        ConfigError: The scheme or the port is none.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no connection could be made to."""
        if self.scheme not in _PORTS:
            raise ConfigError(f"proxy: the scheme {self.scheme!r} is none of {', '.join(_PORTS)}.")
        if not 0 < self.port < 2**16:
            raise ConfigError(f"proxy: the port {self.port} is not one from 1 to 65535.")

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """A proxy from ``scheme://[user:password@]host[:port]``; without a scheme it is http.

        Raises:
            ConfigError: The URL has an unknown scheme, no host, a port that is none, or more than
                these parts. The text shows no part of the URL that may be secret.
        """
        parts = _split(url if "://" in url else f"http://{url}")
        if parts.scheme not in _PORTS:
            raise ConfigError(f"proxy: the scheme {parts.scheme!r} is none of {', '.join(_PORTS)}.")
        if not parts.hostname:
            raise ConfigError("proxy: the URL of the proxy names no host.")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ConfigError("proxy: the URL of a proxy ends after its host and port.")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=_PORTS[parts.scheme] if parts.port is None else parts.port,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.scheme.startswith("socks")

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization``, or None without a user name (RFC 7617)."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

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
            raise TypeError("A Proxy with a user name cannot be pickled or copied.")
        return Proxy, (self.scheme, self.host, self.port)


# What callers may give: one proxy for everything, or proxies by scheme or by ``scheme://host[:port]``
# (``all`` stands for every scheme; None means directly).
ProxiesTypes: TypeAlias = "str | Proxy | Mapping[str, str | Proxy | None]"


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
    def of(cls, proxies: ProxiesTypes | ProxyRules | None) -> ProxyRules:
        """Rules from what a caller gave; None is no proxy.

        Raises:
            ConfigError: A key or a proxy is malformed; the text names the key.
        """
        if isinstance(proxies, ProxyRules):
            return proxies
        if proxies is None:
            return NO_PROXIES
        if isinstance(proxies, str | Proxy):
            return cls({"all": _proxy(proxies)})
        return cls({_origin_key(key): _named(key, value) for key, value in proxies.items()})

    def for_origin(self, origin: Origin) -> Proxy | None:
        """The proxy for requests to ``origin``, or None to go there directly."""
        if not self.by_origin or origin.scheme not in _PROXIED:
            return None
        host = origin.host.rstrip(".").lower()
        if self._excepted(host, origin.port):
            return None
        where = _bracketed(host)
        for scheme in (origin.scheme, "all"):
            for key in (f"{scheme}://{where}:{origin.port}", f"{scheme}://{where}"):
                if key in self.by_origin:
                    return self.by_origin[key]
        return self.by_origin.get(origin.scheme, self.by_origin.get("all"))

    @property
    def use_socks(self) -> bool:
        """Whether any of the proxies speaks SOCKS."""
        return any(proxy is not None and proxy.is_socks for proxy in self.by_origin.values())

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
    if not by_origin:
        return NO_PROXIES
    exceptions = re.split(r"[,\s]+", _variable(environ, "no_proxy")[1])
    return ProxyRules(by_origin, tuple(filter(None, exceptions)), from_environ=True)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable's name as found and its value; lower case wins."""
    for spelling in (name, name.upper()):
        if spelling in environ:
            return spelling, environ[spelling]
    return name, ""


def _named(name: str, value: str | Proxy | None) -> Proxy | None:
    try:
        return _proxy(value)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None


def _proxy(value: object) -> Proxy | None:
    if isinstance(value, str):
        return Proxy.parse(value)
    if value is None or isinstance(value, Proxy):
        return value
    raise ConfigError(f"proxy: a {type(value).__name__} is neither a URL, a Proxy nor None.")


def _split(url: str) -> SplitResult:
    """The parts of a URL; an error shows none of them, since one may be a password."""
    reason = "it holds a space, a control character or a character outside ASCII"
    try:
        if not _NOT_IN_A_URL.search(url):
            parts = urlsplit(url)
            reason = "its port is not a number from 1 to 65535"
            _ = parts.port
            return parts
    except ValueError:
        pass
    raise ConfigError(f"proxy: the URL of the proxy is malformed: {reason}.")


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
    # These names are this machine's too, if not for certain; a proxy could not reach them.
    return is_loopback(host) or host.endswith((".localhost", "localhost.localdomain"))
