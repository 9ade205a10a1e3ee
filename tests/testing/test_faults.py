from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.testing.both import Kit, ask, get, post, shut
from tinker_lite.errors import (
    ConnectError,
    ConnectionLost,
    ProtocolError,
    TransportClosed,
    TransportError,
    TransportTimeout,
    TruncatedBody,
)
from tinker_lite.http import Request, Response, Timeout
from tinker_lite.testing import (
    MIXED_RATES,
    Answered,
    AsyncFakeTransport,
    ConnectionRefused,
    Delayed,
    Duplicated,
    FakeReply,
    FakeTransport,
    Fault,
    FaultPlan,
    FaultyTransport,
    GarbledBody,
    GarbledHead,
    ResetAfterArrival,
    ResetBeforeArrival,
    Stalled,
    Truncated,
)

BODY = b'{"a": 12345}'
LIMITS = Timeout(read_s=7.0, total_s=90.0)


def echoing(kit: Kit) -> FakeTransport | AsyncFakeTransport:
    """A fake service that always answers the same."""
    return kit.fake(lambda _: FakeReply(BODY))


@pytest.mark.parametrize(
    ("fault", "kind", "fields", "n_arrived", "slept"),
    [
        pytest.param(ConnectionRefused(), ConnectError, (False, False), 0, [], id="refused"),
        pytest.param(ResetBeforeArrival(), ConnectionLost, (True, False), 0, [], id="reset before"),
        pytest.param(
            ResetBeforeArrival(reused_connection=True), ConnectionLost, (True, True), 0, [], id="o"
        ),
        pytest.param(ResetAfterArrival(), ConnectionLost, (True, False), 1, [], id="reset after"),
        pytest.param(Stalled(), TransportTimeout, (True, False), 1, [7.0], id="stalled head"),
        pytest.param(
            Stalled(after_bytes=3), TransportTimeout, (True, False), 1, [7.0], id="stalled body"
        ),
        pytest.param(Truncated(after_bytes=3), TruncatedBody, (True, False), 1, [], id="truncated"),
        pytest.param(Truncated(after_bytes=99), TruncatedBody, (True, False), 1, [], id="at end"),
        pytest.param(GarbledHead(), ProtocolError, (True, False), 1, [], id="garbled head"),
        pytest.param(
            Delayed(delay_s=8.0), TransportTimeout, (True, False), 1, [7.0], id="too late"
        ),
    ],
)  # fmt: skip
async def test_each_fault_raises_what_the_seam_promises(
    kit: Kit,
    fault: Fault,
    kind: type[TransportError],
    fields: tuple[bool, bool],
    n_arrived: int,
    slept: list[float],
) -> None:
    """The right class and fields; the service got it or not; no time is spent by the test."""
    waited: list[float] = []
    inner = echoing(kit)
    faulty = kit.faulty(inner, FaultPlan.at({1: fault}), sleep=kit.sleep(waited))
    with pytest.raises(kind, match=r"GET http://127\.0\.0\.1:9/api/v1/x: .*injected") as caught:
        await ask(faulty, get("/x?secret=1", timeout=LIMITS))
    assert (caught.value.may_have_arrived, caught.value.reused_connection) == fields
    if isinstance(caught.value, TransportTimeout):
        assert caught.value.phase == "read"
    assert (len(inner.requests), waited) == (n_arrived, slept)
    assert (await ask(faulty, get("/x"))).body == BODY


@pytest.mark.parametrize(
    ("fault", "status", "body", "n_arrived", "slept"),
    [
        pytest.param(Delayed(delay_s=2.0), 200, BODY, 1, [2.0], id="delayed"),
        pytest.param(Duplicated(), 200, BODY, 2, [], id="duplicated"),
        pytest.param(Answered(status=502, body=b"proxy"), 502, b"proxy", 0, [], id="answered"),
    ],
)
async def test_some_faults_end_in_an_answer(
    kit: Kit, fault: Fault, status: int, body: bytes, n_arrived: int, slept: list[float]
) -> None:
    """Late, after arriving twice with the same body, or by somebody on the way."""
    waited: list[float] = []
    inner = echoing(kit)
    faulty = kit.faulty(inner, FaultPlan.at({1: fault}), sleep=kit.sleep(waited))
    answer = await ask(faulty, post("/x", iter([b"a", b"b"]), timeout=LIMITS))
    assert (answer.status, answer.body) == (status, body)
    assert [request.body for request in inner.requests] == [b"ab"] * n_arrived
    assert waited == slept


async def test_a_garbled_body_has_its_length_and_no_sense(kit: Kit) -> None:
    """A transport cannot tell; whoever decodes it can."""
    faulty = kit.faulty(echoing(kit), FaultPlan.at({1: GarbledBody()}))
    answer = await ask(faulty, get("/x"))
    assert len(answer.body) == len(BODY)
    with pytest.raises(UnicodeDecodeError, match="invalid start byte"):
        answer.body.decode()


async def test_a_stall_uses_the_limit_that_runs_out_first(kit: Kit) -> None:
    """The total one too; without any it would never end, and the test is told."""
    waited: list[float] = []
    plan = FaultPlan(lambda _: Stalled())
    faulty = kit.faulty(echoing(kit), plan, sleep=kit.sleep(waited))
    with pytest.raises(TransportTimeout, match="nothing came for 3 s") as caught:
        await ask(faulty, get("/x", timeout=Timeout(read_s=None, total_s=3.0)))
    assert (caught.value.phase, waited) == ("total", [3.0])
    with pytest.raises(AssertionError, match="no read or total limit"):
        await ask(faulty, get("/x", timeout=Timeout.of(None)))


@pytest.mark.parametrize(
    "fault",
    [
        ResetAfterArrival(),
        Stalled(),
        Stalled(after_bytes=0),
        Stalled(after_bytes=2),
        Truncated(),
        Truncated(after_bytes=2),
        GarbledHead(),
        GarbledBody(),
        Duplicated(),
    ],
)
def test_every_response_of_the_inner_transport_is_closed(fault: Fault) -> None:
    """Its connection is not lost, however the exchange ends, and what came before still comes."""
    closed: list[bool] = []

    class Inner:
        def __init__(self) -> None:
            self.n_sent = 0

        def send(self, request: Request) -> Response:
            self.n_sent += 1
            return Response(200, (), iter([b"a", b"b", b"c"]), close=lambda: closed.append(True))

        def close(self) -> None:
            return None

    inner = Inner()
    faulty = FaultyTransport(inner, FaultPlan.at({1: fault}), sleep=lambda _: None)
    received: list[bytes] = []
    try:
        for chunk in faulty.send(get("/x")).iter_bytes():
            received.append(chunk)  # noqa: PERF402  what came before the error counts
    except TransportError:
        assert b"".join(received) == b"abc"[: getattr(fault, "after_bytes", 0) or 0]
    assert len(closed) == inner.n_sent


def asked(plan: FaultPlan, requests: Iterator[Request]) -> list[tuple[int, Fault]]:
    """Which requests a plan spoils, and how."""
    faulty = FaultyTransport(FakeTransport(lambda _: FakeReply()), plan, sleep=lambda _: None)
    for request in requests:
        try:
            faulty.send(request).read()
        except TransportError:
            continue
    return [(spoiled.number, spoiled.fault) for spoiled in faulty.injected]


def mixed(n: int) -> Iterator[Request]:
    """Requests to three endpoints in turn."""
    return (get(f"/{'abc'[i % 3]}") for i in range(n))


def test_the_same_seed_gives_the_same_faults() -> None:
    """A plan is a value that can be used again; another seed gives other faults."""
    plan = FaultPlan.seeded(7)
    spoiled = asked(plan, mixed(200))
    assert spoiled == asked(plan, mixed(200)) == asked(FaultPlan.seeded(7), mixed(200))
    assert spoiled != asked(FaultPlan.seeded(8), mixed(200))
    assert 30 < len(spoiled) < 90
    assert len({fault for _, fault in spoiled}) > 7


def test_what_others_send_meanwhile_changes_no_fault() -> None:
    """The n-th request to an endpoint meets the same, whatever comes between."""
    alone = asked(FaultPlan.seeded(7), (get("/a") for _ in range(50)))
    among = asked(FaultPlan.seeded(7), mixed(150))
    assert [(number - 1) * 3 + 1 for number, _ in alone] == [
        number for number, _ in among if number % 3 == 1
    ]


def test_rates_say_how_often_and_runs_are_bounded() -> None:
    """Even at a rate of one, so that a client with two retries gets through."""
    plan = FaultPlan.seeded(1, {ConnectionRefused(): 1.0})
    assert [number for number, _ in asked(plan, (get("/a") for _ in range(7)))] == [1, 2, 4, 5, 7]
    only_b = FaultPlan.seeded(
        1,
        {ConnectionRefused(): 1.0},
        only=lambda request: request.url.endswith("b"),
        max_in_a_row=9,
    )
    assert [number for number, _ in asked(only_b, mixed(9))] == [2, 5, 8]
    assert asked(FaultPlan.seeded(1, {}), mixed(9)) == []
    assert sum(MIXED_RATES.values()) < 1
    wrong: list[dict[Fault, float]] = [{Stalled(): -0.1}, {Stalled(): 0.6, GarbledHead(): 0.6}]
    for rates in wrong:
        with pytest.raises(ValueError, match="add up to 1 at most"):
            FaultPlan.seeded(1, rates)


def test_plans_are_scripted_by_number_or_by_request_and_combined() -> None:
    """Where two have a fault, the first counts."""
    to_b: Callable[[Request], bool] = lambda request: request.url.endswith("b")  # noqa: E731
    refused, reset, garbled = ConnectionRefused(), ResetAfterArrival(), GarbledHead()
    plan = FaultPlan.at({2: refused, 3: refused}) | FaultPlan.when(to_b, reset, times=2)
    assert asked(plan | FaultPlan.when(to_b, garbled), mixed(12)) == [
        (2, refused),
        (3, refused),
        (5, reset),
        (8, reset),
        (11, garbled),
    ]


async def test_faults_are_logged_for_people(kit: Kit) -> None:
    """Which request, and what was done to it; no secret of its URL."""
    faulty = kit.faulty(echoing(kit), FaultPlan.at({2: Truncated(after_bytes=1)}))
    await ask(faulty, get("/a"))
    with pytest.raises(TruncatedBody, match="after 1 bytes"):
        await ask(faulty, get("/b?sig=secret"))
    assert [str(spoiled) for spoiled in faulty.injected] == [
        "request 2, GET http://127.0.0.1:9/api/v1/b: Truncated(after_bytes=1)"
    ]


async def test_a_closed_transport_refuses_whatever_the_plan(kit: Kit) -> None:
    """And the inner one is closed with it."""
    inner = echoing(kit)
    faulty = kit.faulty(inner, FaultPlan(lambda _: ConnectionRefused()))
    await shut(faulty)
    with pytest.raises(TransportClosed, match="closed") as caught:
        await ask(faulty, get("/x"))
    assert (inner.closed, caught.value.may_have_arrived, faulty.injected) == (True, False, [])


def test_a_blocking_transport_needs_a_blocking_sleep() -> None:
    """An async one would never be awaited; the error says so."""

    class Async:
        def send(self, request: Request) -> Response:
            return Response(200)

        def close(self) -> None:
            return None

    class Suspending(Fault, frozen=True):
        async def inject(self, form: Any, request: Request) -> Any:
            await _Never()

    faulty = FaultyTransport(Async(), FaultPlan.at({1: Suspending()}))
    with pytest.raises(RuntimeError, match="came upon something async"):
        faulty.send(get("/x"))


class _Never:
    def __await__(self) -> Generator[None]:
        yield
