"""Both transports pass every case of the kit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinker_lite_conformance.transport import AsyncTransportCases, TransportCases
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


class TestUrllib3(TransportCases):
    """The blocking transport."""

    @pytest.fixture
    def make_transport(self) -> Callable[[ssl.SSLContext | None, int | None], Urllib3Transport]:
        """One transport for each case."""
        return lambda ssl_context, most: Urllib3Transport(
            ssl_context=ssl_context, max_connections_per_host=most
        )


class TestH11(AsyncTransportCases):
    """The async transport, on asyncio and trio."""

    @pytest.fixture
    def make_transport(self) -> Callable[[ssl.SSLContext | None, int | None], H11Transport]:
        """One transport for each case."""
        return lambda ssl_context, most: H11Transport(
            ssl_context=ssl_context, max_connections_per_host=most
        )
