"""The transports that come along, as candidates for the kit's command.

In this folder::

    tinker-lite conformance transport bundled:urllib3
    tinker-lite conformance transport bundled:h11 --async
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from tinker_lite_conformance.transport import Options

LACKS = {"http2": "it speaks HTTP/1.1 only"}


def urllib3(options: Options) -> Urllib3Transport:
    """The blocking transport."""
    return Urllib3Transport(
        verify=True if options.verify is None else options.verify,
        proxy=options.proxy,
        max_connections_per_host=options.max_connections,
    )


def h11(options: Options) -> H11Transport:
    """The async transport."""
    return H11Transport(
        verify=True if options.verify is None else options.verify,
        proxy=options.proxy,
        max_connections_per_host=options.max_connections,
    )


vars(urllib3)["lacks"] = LACKS
vars(h11)["lacks"] = LACKS
