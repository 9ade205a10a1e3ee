"""The cases as two classes to inherit from: one for each form of a transport."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .adversary import WAIT_S
from .bench import Kit
from .capabilities import check_names, reason_to_skip
from .cases.bodies import BodyCases
from .cases.connections import ConnectionCases
from .cases.framing import FramingCases
from .cases.heads import HeadCases
from .cases.in_process import InProcessCases
from .cases.limits import LimitCases
from .cases.negotiation import NegotiationCases
from .cases.proxies import ProxyCases
from .cases.reuse import ReuseCases
from .cases.sending import SendingCases
from .cases.streaming import StreamingCases
from .cases.timeouts import TimeoutCases
from .cases.tls import TLSCases
from .cases.unix_sockets import UnixSocketCases
from .cases.uploads import UploadCases
from .certificates import Certificates, make_certificates
from .forms import AsyncSubject, BlockingSubject
from .prober import Prober
from .subject import drive

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import TypeAlias

    from tinker_lite.http import AsyncTransport, Request, Transport

    from .candidates import Candidate
    from .options import Options

    MakeTransport: TypeAlias = Callable[[Options], Transport]
    MakeAsyncTransport: TypeAlias = Callable[[Options], AsyncTransport]

__all__ = ["AsyncTransportCases", "TransportCases", "suite_for"]


class _AllCases(
    StreamingCases,
    SendingCases,
    FramingCases,
    ConnectionCases,
    TimeoutCases,
    TLSCases,
    ProxyCases,
    UnixSocketCases,
    NegotiationCases,
    HeadCases,
    BodyCases,
    ReuseCases,
    LimitCases,
    UploadCases,
    InProcessCases,
):
    """Every case, and what a candidate declares of itself.

    Attributes:
        lacks: Capabilities that the candidate lacks, with a reason each.
        probe: For a candidate without sockets: a request that it answers with a 2xx status and a
            body, the same each time.
        patience_s: How long to wait for what only a defect delays.
    """

    lacks: ClassVar[Mapping[str, str]] = {}
    probe: ClassVar[Request | None] = None
    patience_s: ClassVar[float] = WAIT_S

    def __init_subclass__(cls) -> None:
        """Refuse a declaration that would silently change what is tested."""
        super().__init_subclass__()
        check_names(cls.lacks)

    @pytest.fixture(autouse=True)
    def applicable(self, request: pytest.FixtureRequest) -> None:
        """Skip a case that needs what the candidate lacks."""
        reason = reason_to_skip(request.function, self.lacks)
        if reason is not None:
            pytest.skip(reason)

    @pytest.fixture
    def certificates(self) -> Certificates:
        """Certificates, made once a run."""
        return make_certificates()

    @pytest.fixture
    def prober(self, request: pytest.FixtureRequest) -> Prober:
        """What the cases without sockets work with."""
        return Prober(self._make_kit(request), self.probe if "sockets" in self.lacks else None)

    @pytest.fixture
    def kit(self, request: pytest.FixtureRequest) -> Kit:
        """What the cases work with."""
        return self._make_kit(request)

    def _make_kit(self, request: pytest.FixtureRequest) -> Kit:
        raise NotImplementedError


class AsyncTransportCases(_AllCases):
    """Every case for an async transport, on asyncio and trio.

    Supply one fixture, and the cases run with pytest and anyio's plugin::

        class TestMine(AsyncTransportCases):
            lacks = {"unix_sockets": "the library underneath knows none"}

            @pytest.fixture
            def make_transport(self):
                return lambda options: MyTransport(options.verify, options.max_connections)
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_transport(self) -> MakeAsyncTransport:
        """Supply this: makes a transport from ``Options``."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def backend_applicable(self, anyio_backend_name: str) -> None:
        """Skip trio for a candidate that cannot run on it."""
        if anyio_backend_name == "trio" and "trio" in self.lacks:
            pytest.skip(f"lacks trio: {self.lacks['trio']}")

    def _make_kit(self, request: pytest.FixtureRequest) -> Kit:
        make: MakeAsyncTransport = request.getfixturevalue("make_transport")
        return Kit(lambda options: AsyncSubject(make(options), self.patience_s), self.patience_s)


class TransportCases(_AllCases):
    """Every case for a blocking transport.

    Supply one fixture, and the cases run with pytest::

        class TestMine(TransportCases):
            lacks = {"unix_sockets": "the library underneath knows none"}

            @pytest.fixture
            def make_transport(self):
                return lambda options: MyTransport(options.verify, options.max_connections)
    """

    @pytest.fixture
    def make_transport(self) -> MakeTransport:
        """Supply this: makes a transport from ``Options``."""
        raise NotImplementedError

    def _make_kit(self, request: pytest.FixtureRequest) -> Kit:
        make: MakeTransport = request.getfixturevalue("make_transport")
        return Kit(lambda options: BlockingSubject(make(options), self.patience_s), self.patience_s)


def _without_a_loop(case: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(case)
    def run(*args: object, **kwargs: object) -> None:
        drive(case(*args, **kwargs))

    return run


for _name, _case in inspect.getmembers(_AllCases, inspect.iscoroutinefunction):
    setattr(TransportCases, _name, _without_a_loop(_case))


def suite_for(candidate: Candidate, *, is_async: bool, patience_s: float = WAIT_S) -> type:
    """The cases as a class for pytest, bound to a candidate.

    Args:
        candidate: What to prove.
        is_async: Its form.
        patience_s: How long to wait for what only a defect delays.
    """

    def make_transport(_self: object) -> Callable[[Options], Any]:
        return candidate.make

    return type(
        "TestCandidate",
        (AsyncTransportCases if is_async else TransportCases,),
        {
            "lacks": candidate.lacks,
            "probe": candidate.probe,
            "patience_s": patience_s,
            "make_transport": pytest.fixture(make_transport),
        },
    )
