"""Every transport of ours passes every case of the kit that applies to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tinker_lite.http import Request
from tinker_lite.local import AsyncLocalTransport, LocalTransport, open_service
from tinker_lite_conformance.running import Plan, run_transport_cases
from tinker_lite_conformance.transport import AsyncTransportCases, Options, TransportCases
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinker_lite.local.service import LocalService

LACKS = {"http2": "it speaks HTTP/1.1 only"}
IN_PROCESS = {
    "sockets": "it answers in process",
    "bounded_pool": "it has no connections",
}
PROBE = Request(method="GET", url="http://local.invalid/api/v1/healthz")


class TestUrllib3(TransportCases):
    """The blocking transport."""

    lacks: ClassVar[Mapping[str, str]] = LACKS

    @pytest.fixture
    def make_transport(self) -> Callable[[Options], Urllib3Transport]:
        """One transport for each case."""
        return lambda options: Urllib3Transport(
            verify=options.verify or True,
            max_connections_per_host=options.max_connections,
            proxy=options.proxy,
        )


class TestH11(AsyncTransportCases):
    """The async transport, on asyncio and trio."""

    lacks: ClassVar[Mapping[str, str]] = LACKS

    @pytest.fixture
    def make_transport(self) -> Callable[[Options], H11Transport]:
        """One transport for each case."""
        return lambda options: H11Transport(
            verify=options.verify or True,
            max_connections_per_host=options.max_connections,
            proxy=options.proxy,
        )


SERVICES: list[LocalService] = []


@pytest.fixture
def service() -> Iterator[None]:
    """The service that the factories below lead to, while a test runs."""
    with open_service(None) as opened:
        SERVICES.append(opened)
        yield
        SERVICES.remove(opened)


def blocking(_options: Options) -> LocalTransport:
    """The embedded service behind the blocking seam."""
    return LocalTransport(SERVICES[0])


def asynchronous(_options: Options) -> AsyncLocalTransport:
    """The embedded service behind the async seam."""
    return AsyncLocalTransport(SERVICES[0])


for _factory in (blocking, asynchronous):
    _factory.__dict__["lacks"] = IN_PROCESS
    _factory.__dict__["probe"] = PROBE


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("factory", [blocking, asynchronous], ids=lambda one: one.__name__)
def test_the_embedded_service_in_process(factory: Callable[[Options], object]) -> None:
    """Behind either seam it passes every case that needs no socket."""
    target = f"{factory.__module__}:{factory.__name__}"
    report = run_transport_cases(Plan(target, is_async=factory is asynchronous))
    assert {one.case: one.reason for one in report.results if not one.outcome.is_good} == {}
    assert report.counts["passed"] >= 14
