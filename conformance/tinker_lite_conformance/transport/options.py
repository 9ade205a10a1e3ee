"""What a case asks of a transport when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

__all__ = ["Options"]


class Options(NamedTuple):
    """How to make the transport for one case; None stands for the transport's own choice.

    Attributes:
        verify: The TLS context for https, and for a proxy that is spoken to over TLS.
        max_connections: Most connections open to one host at once; further requests wait in turn.
        proxy: URL of the HTTP proxy for every request, with user and password where it wants them.
            Only for candidates that have the capability ``proxies``.
    """

    verify: ssl.SSLContext | None = None
    max_connections: int | None = None
    proxy: str | None = None
