"""Transports that do to another one what networks do, and the plans that say when."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import msgspec

from tinker_lite.errors import TransportClosed
from tinker_lite.http import Request, public_url
from tinker_lite.testing.faults import (
    ConnectionRefused,
    Delayed,
    Duplicated,
    Fault,
    GarbledHead,
    ResetAfterArrival,
    ResetBeforeArrival,
    Stalled,
    Truncated,
)
from tinker_lite.testing.forms import AsyncForm, BlockingForm, Form, R, drive

if TYPE_CHECKING:
    from tinker_lite.http import AsyncResponse, AsyncTransport, Response, Transport

__all__ = ["MIXED_RATES", "AsyncFaultyTransport", "FaultPlan", "FaultyTransport", "Injected"]

_MENDABLE: tuple[Fault, ...] = (
    ConnectionRefused(),
    ResetBeforeArrival(),
    ResetBeforeArrival(reused_connection=True),
    ResetAfterArrival(),
    Stalled(),
    Stalled(after_bytes=10),
    Truncated(after_bytes=10),
    Delayed(delay_s=0.01),
    Duplicated(),
    GarbledHead(),
)

# Every fault that a client can get over by asking again, three requests in a hundred each.
MIXED_RATES: Mapping[Fault, float] = dict.fromkeys(_MENDABLE, 0.03)


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as a plan sees it.

    Attributes:
        request: The request; its body may be one that can be read only once.
        number: Its place among all requests, from 1.
        kind_number: Its place among those with its method and path, from 1.
        n_in_a_row: How many of those just before it were spoiled.
        injected: What has been injected so far, in any request.
    """

    request: Request
    number: int
    kind_number: int
    n_in_a_row: int
    injected: Sequence[Injected]


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that was injected, for the test to print."""

    number: int
    request: Request
    fault: Fault

    def __str__(self) -> str:
        url = public_url(self.request.url)
        return f"request {self.number}, {self.request.method} {url}: {self.fault}"


class FaultPlan:
    """Says which request meets which fault. A plan is a value: it may serve several transports.

    Args:
        decide: From an occasion to a fault, or None to leave the request alone.
    """

    def __init__(self, decide: Callable[[Occasion], Fault | None]) -> None:
        self.decide = decide

    @classmethod
    def at(cls, faults: Mapping[int, Fault]) -> FaultPlan:
        """Faults by the number of the request, from 1."""
        return cls(lambda occasion: faults.get(occasion.number))

    @classmethod
    def when(
        cls, predicate: Callable[[Request], bool], fault: Fault, *, times: int = 1
    ) -> FaultPlan:
        """A fault for the first requests that fit, ``times`` of them."""

        def decide(occasion: Occasion) -> Fault | None:
            met = [
                past
                for past in occasion.injected
                if past.fault is fault and predicate(past.request)
            ]
            return fault if len(met) < times and predicate(occasion.request) else None

        return cls(decide)

    @classmethod
    def seeded(
        cls,
        seed: int,
        rates: Mapping[Fault, float] = MIXED_RATES,
        *,
        only: Callable[[Request], bool] = lambda _: True,
        max_in_a_row: int = 2,
    ) -> FaultPlan:
        """Faults by chance: the same ones for the same seed.

        What a request meets depends on the seed, its method and path, and how many of that kind
        came before it; not on what other threads or tasks send meanwhile.

        Args:
            seed: The seed.
            rates: How likely each fault is, for one request.
            only: Leaves all other requests alone.
            max_in_a_row: Longest run of spoiled requests of one kind, so that as many retries get
                through.

        Raises:
            ValueError: The rates are no probabilities.
        """
        if min(rates.values(), default=0.0) < 0 or sum(rates.values()) > 1:
            raise ValueError(f"rates must be 0 or more and add up to 1 at most: {dict(rates)}")

        def decide(occasion: Occasion) -> Fault | None:
            if occasion.n_in_a_row >= max_in_a_row or not only(occasion.request):
                return None
            kind = _kind(occasion.request)
            # A text is hashed in the same way in every process.
            drawn = random.Random(f"{seed} {kind} {occasion.kind_number}").random()
            for fault, rate in rates.items():
                drawn -= rate
                if drawn < 0:
                    return fault
            return None

        return cls(decide)

    def __or__(self, other: FaultPlan) -> FaultPlan:
        """Both plans; where both have a fault, this one's counts."""
        return FaultPlan(lambda occasion: self.decide(occasion) or other.decide(occasion))


def _kind(request: Request) -> str:
    return f"{request.method} {urlsplit(request.url).path}"


class FaultyTransport:
    """A blocking transport that spoils some of the exchanges of another one.

    Args:
        inner: The transport that sends; it is closed with this one.
        plan: Which requests meet which faults.
        sleep: Waits, in seconds; a test gives one that does not wait.

    Attributes:
        injected: The faults so far, in the order of their requests; print them when a test fails.
    """

    def __init__(
        self, inner: Transport, plan: FaultPlan, *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._inner = inner
        self._form = BlockingForm(inner, sleep)
        self._faults = _Faults(plan)
        self.injected = self._faults.injected

    def send(self, request: Request) -> Response:
        """Send one request, or spoil it."""
        return drive(self._faults.exchange(self._form, request))

    def close(self) -> None:
        """Close the inner transport."""
        self._faults.is_closed = True
        self._inner.close()


class AsyncFaultyTransport:
    """The async form of ``FaultyTransport``; same arguments, with an awaitable ``sleep``."""

    def __init__(
        self,
        inner: AsyncTransport,
        plan: FaultPlan,
        *,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._inner = inner
        self._form = AsyncForm(inner, sleep)
        self._faults = _Faults(plan)
        self.injected = self._faults.injected

    async def send(self, request: Request) -> AsyncResponse:
        """Async form of ``FaultyTransport.send``."""
        return await self._faults.exchange(self._form, request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        self._faults.is_closed = True
        await self._inner.aclose()


class _Faults:
    """Counts requests and asks the plan; thread-safe."""

    def __init__(self, plan: FaultPlan) -> None:
        self.injected: list[Injected] = []
        self.is_closed = False
        self._plan = plan
        self._n_requests = 0
        self._n_of_kind: dict[str, int] = {}
        self._n_in_a_row: dict[str, int] = {}
        self._lock = threading.Lock()

    async def exchange(self, form: Form[R], request: Request) -> R:
        """Make one exchange, spoiled if the plan says so."""
        if self.is_closed:
            raise TransportClosed("The transport is closed.", may_have_arrived=False)
        fault = self._next(request)
        return await (form.send(request) if fault is None else fault.inject(form, request))

    def _next(self, request: Request) -> Fault | None:
        kind = _kind(request)
        with self._lock:
            self._n_requests += 1
            self._n_of_kind[kind] = self._n_of_kind.get(kind, 0) + 1
            fault = self._plan.decide(
                Occasion(
                    request=request,
                    number=self._n_requests,
                    kind_number=self._n_of_kind[kind],
                    n_in_a_row=self._n_in_a_row.get(kind, 0),
                    injected=self.injected,
                )
            )
            self._n_in_a_row[kind] = 0 if fault is None else self._n_in_a_row.get(kind, 0) + 1
            if fault is not None:
                self.injected.append(
                    Injected(number=self._n_requests, request=request, fault=fault)
                )
        return fault
