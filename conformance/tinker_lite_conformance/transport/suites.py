"""The cases as two classes to inherit from: one for each form of a transport."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from .bench import Kit
from .cases.connections import ConnectionCases
from .cases.framing import FramingCases
from .cases.sending import SendingCases
from .cases.streaming import StreamingCases
from .cases.timeouts import TimeoutCases
from .cases.tls import TLSCases
from .certificates import Certificates, make_certificates
from .forms import AsyncSubject, BlockingSubject
from .subject import drive

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine
    from typing import TypeAlias

    from tinker_lite.http import AsyncTransport, Transport

    MakeTransport: TypeAlias = Callable[[ssl.SSLContext | None, int | None], Transport]
    MakeAsyncTransport: TypeAlias = Callable[[ssl.SSLContext | None, int | None], AsyncTransport]

__all__ = ["AsyncTransportCases", "TransportCases"]


class _AllCases(
    StreamingCases, SendingCases, FramingCases, ConnectionCases, TimeoutCases, TLSCases
):
    @pytest.fixture
    def certificates(self) -> Certificates:
        """Certificates, made once a run."""
        return make_certificates()


class AsyncTransportCases(_AllCases):
    """Every case for an async transport, on asyncio and trio.

    Supply one fixture, and the cases run with pytest and anyio's plugin::

        class TestMine(AsyncTransportCases):
            @pytest.fixture
            def make_transport(self):
                return lambda ssl_context, max_connections: MyTransport(...)
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_transport(self) -> MakeAsyncTransport:
        """Supply this: makes a transport from an SSL context and a bound, None for its own."""
        raise NotImplementedError

    @pytest.fixture
    def kit(self, make_transport: MakeAsyncTransport) -> Kit:
        """What the cases work with."""
        return Kit(lambda trust, most: AsyncSubject(make_transport(trust, most)))


class TransportCases(_AllCases):
    """Every case for a blocking transport.

    Supply one fixture, and the cases run with pytest::

        class TestMine(TransportCases):
            @pytest.fixture
            def make_transport(self):
                return lambda ssl_context, max_connections: MyTransport(...)
    """

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        """Supply this: makes a transport from an SSL context and a bound, None for its own."""
        raise NotImplementedError

    @pytest.fixture
    def kit(self, make_transport: MakeTransport) -> Kit:
        """What the cases work with."""
        return Kit(lambda trust, most: BlockingSubject(make_transport(trust, most)))


def _without_a_loop(case: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(case)
    def run(*args: object, **kwargs: object) -> None:
        drive(case(*args, **kwargs))

    return run


for _name, _case in inspect.getmembers(_AllCases, inspect.iscoroutinefunction):
    setattr(TransportCases, _name, _without_a_loop(_case))
