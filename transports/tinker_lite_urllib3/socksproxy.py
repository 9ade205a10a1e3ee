"""SOCKS proxies, by PySocks, which urllib3's extra ``socks`` brings along."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from tinker_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from _typeshed import WriteableBuffer

    from tinker_lite.http import Origin
    from tinker_lite.proxies import Proxy, ProxyRules

__all__ = ["check_socks", "socks_sockets"]

# PySocks writes the length of a text as a character in UTF-8, which is one byte up to here.
MAX_TEXT_BYTES = 127


def check_socks(rules: ProxyRules) -> None:
    """Refuse rules with SOCKS proxies that cannot be spoken to.

    Raises:
        ConfigError: PySocks is not installed, or a user name or password is too long for it.
    """
    proxies = [proxy for proxy in rules.by_origin.values() if proxy is not None and proxy.is_socks]
    if not proxies:
        return
    _load_pysocks()
    for proxy in proxies:
        texts = [text for text in (proxy.username, proxy.password) if text]
        if any(len(text.encode()) > MAX_TEXT_BYTES for text in texts):
            raise ConfigError(
                f"proxy: user name and password of {proxy} may have {MAX_TEXT_BYTES} bytes each."
            )


def _load_pysocks() -> ModuleType:
    try:
        import socks
    except ImportError:
        raise ConfigError(
            "proxy: SOCKS proxies need PySocks; install it with: pip install 'tinker-lite[socks]'"
        ) from None
    return socks


def socks_sockets(
    proxy: Proxy, origin: Origin
) -> Callable[[socket.AddressFamily, socket.SocketKind, int], socket.socket]:
    """Makes sockets that are given the proxy's address to connect to, and then lead to the origin.

    Args:
        proxy: A SOCKS proxy, whose scheme says who looks the origin's name up.
        origin: Where to.
    """
    import socks

    kind = socks.SOCKS4 if proxy.scheme.startswith("socks4") else socks.SOCKS5
    proxy_looks_up = proxy.scheme in {"socks4a", "socks5h"}

    class SocksSocket(socks.socksocket):
        """Its timeout bounds connecting as a whole, however the proxy's bytes trickle in."""

        _end: float | None = None

        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]  # fewer
            seconds = self.gettimeout()
            self._end = None if seconds is None else time.monotonic() + seconds
            host, port, *_ = address
            self.set_proxy(kind, host, port, proxy_looks_up, proxy.username, proxy.password)
            try:
                _check_name(origin.host)
                super().connect((origin.host, origin.port), catch_errors=True)
            except UnicodeError:  # of the codec for international names
                raise _no_name() from None

        def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
            if self._end is not None:
                socket.socket.settimeout(self, max(self._end - time.monotonic(), 0.001))
            return super().recv_into(buffer, nbytes, flags)

    return SocksSocket


def _check_name(host: str) -> None:
    if len(host) > MAX_TEXT_BYTES:
        raise _no_name()


def _no_name() -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, "the proxy cannot be given a host name like this")
