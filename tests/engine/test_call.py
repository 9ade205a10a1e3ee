from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from tests.engine.scripted import BASE_URL, ScriptedService, refusal, run_virtual
from tinker_lite import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    AsyncTinker,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from tinker_lite.errors import ConnectError, ConnectionLost, TransportError, TransportTimeout
from tinker_lite.http import Request
from tinker_lite.protocol.replies import Reply
from tinker_lite.testing import AsyncFakeTransport, FakeReply
from tinker_lite.types import CreateSessionResponse

HEALTH = "/healthz"
CREATE = "/create_session"
BODY = {"sdk_version": "x"}


class Clocked(ScriptedService):
    """A scripted service that also keeps when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def __call__(self, request: Request) -> FakeReply | Awaitable[FakeReply]:
        """Note the time and answer."""
        self.times.append(anyio.current_time())
        return super().__call__(request)

    def pauses(self) -> list[float]:
        """Seconds between one request and the next."""
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def ask(
    service: ScriptedService,
    name: str = "service.create_session",
    body: object = BODY,
    **options: float,
) -> Callable[[], Awaitable[Reply]]:
    """One raw call."""

    async def main() -> Reply:
        client = AsyncTinker(
            base_url=BASE_URL,
            transport=AsyncFakeTransport(service),
            max_retries=int(options.get("max_retries", 10)),
            timeout=options.get("timeout"),
        )
        return await client.reply(name, body)

    return main


def test_a_rate_limit_is_waited_out_as_asked() -> None:
    """``retry-after`` decides the pause, exactly."""
    service = Clocked()
    service.script(CREATE, FakeReply(status=429, headers=(("retry-after", "7"),)))
    service.script(CREATE, FakeReply(status=429, headers=(("retry-after-ms", "2500"),)))
    reply = run_virtual(ask(service))
    assert reply.ok
    assert reply.n_retries == 2
    assert service.pauses() == [pytest.approx(7.0), pytest.approx(2.5)]


def test_a_busy_service_is_asked_again_with_growing_pauses() -> None:
    """503 backs off from half a second, doubling, less a quarter at most at random."""
    service = Clocked()
    service.script(CREATE, *[refusal(503)] * 4)
    assert run_virtual(ask(service)).n_retries == 4
    for pause, longest in zip(service.pauses(), [0.5, 1.0, 2.0, 4.0], strict=True):
        assert 0.75 * longest - 1e-6 <= pause <= longest + 1e-6


def test_a_lost_connection_is_tried_again() -> None:
    """A failure below HTTP is repeated like a busy service."""
    service = Clocked()
    service.script(CREATE, ConnectError("refused"), ConnectionLost("gone", may_have_arrived=True))
    assert run_virtual(ask(service)).n_retries == 2
    assert min(service.pauses()) > 0.3


@pytest.mark.parametrize(
    "name", ["service.create_session", "service.session_heartbeat"], ids=["standard", "once"]
)
def test_a_dead_kept_connection_is_repeated_at_once(name: str) -> None:
    """Also for calls that are otherwise made once: the peer had hung up already."""
    service = Clocked()
    path = CREATE if name == "service.create_session" else "/session_heartbeat"
    stale = ConnectionLost("closed", may_have_arrived=True, reused_connection=True)
    service.script(path, stale)
    assert run_virtual(ask(service, name)).n_retries == 1
    assert service.pauses() == [0.0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, BadRequestError), (404, NotFoundError)],
    ids=["bad request", "not found"],
)
def test_a_refusal_is_final(status: int, kind: type[Exception]) -> None:
    """The first 4xx ends the call and says what was asked and why it was refused."""
    service = Clocked()
    service.script(CREATE, refusal(status, "field x is wrong"))
    with pytest.raises(kind, match=f"{status} - field x is wrong .*POST {BASE_URL}/api/v1{CREATE}"):
        run_virtual(ask(service))
    assert len(service.requests) == 1


def test_retries_end_with_the_last_answer() -> None:
    """When all retries are used, the error tells how many there were."""
    service = Clocked()
    service.script(CREATE, *[refusal(500)] * 3)
    with pytest.raises(InternalServerError, match="after 2 retries"):
        run_virtual(ask(service, max_retries=2))
    service.script(CREATE, *[refusal(429)] * 2)
    with pytest.raises(RateLimitError, match="after 1 retries"):
        run_virtual(ask(service, max_retries=1))


def test_a_server_can_forbid_the_retry() -> None:
    """``x-should-retry: false`` makes any status final."""
    service = Clocked()
    service.script(CREATE, FakeReply(status=503, headers=(("x-should-retry", "false"),)))
    with pytest.raises(InternalServerError, match="503"):
        run_virtual(ask(service))
    assert len(service.requests) == 1


def test_retries_end_after_five_minutes() -> None:
    """No attempt starts later, however many retries are left."""
    service = Clocked()
    service.script(CREATE, *[FakeReply(status=503, headers=(("retry-after", "59"),))] * 9)
    with pytest.raises(InternalServerError, match="after 5 retries"):
        run_virtual(ask(service))
    assert sum(service.pauses()) < 300


TRANSPORT_ERRORS: list[tuple[TransportError, type[APIConnectionError]]] = [
    (ConnectError("refused"), APIConnectionError),
    (TransportTimeout("slow", phase="read", may_have_arrived=True), APITimeoutError),
]


@pytest.mark.parametrize(("error", "kind"), TRANSPORT_ERRORS, ids=["connection", "timeout"])
def test_a_final_transport_error_becomes_an_api_error(
    error: TransportError, kind: type[APIConnectionError]
) -> None:
    """The cause is the transport's own error, and whether it may have arrived is kept."""
    service = Clocked()
    service.script(CREATE, error)
    with pytest.raises(kind, match=r"no answer .* in 1 attempt") as caught:
        run_virtual(ask(service, max_retries=0))
    assert caught.value.__cause__ is error
    assert caught.value.may_have_arrived is error.may_have_arrived


def test_the_idempotency_key_belongs_to_the_call() -> None:
    """One key for all attempts of a call, another for the next call, none for GET."""
    service = Clocked()
    service.script(CREATE, refusal(503), ConnectError("refused"))
    run_virtual(ask(service))
    run_virtual(ask(service))
    keys = [request.headers.get("x-idempotency-key") for request in service.requests]
    assert keys[0] is not None
    assert keys[:3] == [keys[0]] * 3
    assert keys[3] not in {None, keys[0]}
    run_virtual(ask(service, "service.health_check", None))
    assert "x-idempotency-key" not in service.requests[-1].headers


def test_headers_and_limits_of_a_request() -> None:
    """Credential, kind of body and User-Agent are there; the time limit is the caller's."""

    async def main() -> None:
        client = AsyncTinker(
            base_url=f"{BASE_URL}/pre/fix/",
            api_key="tml-secret",
            transport=AsyncFakeTransport(service),
            timeout=12.5,
            default_headers={"X-Team": "blue", "User-Agent": "mine"},
        )
        await client.reply("service.health_check", headers={"X-Team": "red"})
        await client.reply("service.create_session", BODY)

    service = Clocked()
    run_virtual(main)
    get, post = service.requests
    assert get.url == f"{BASE_URL}/pre/fix/api/v1{HEALTH}"
    assert get.headers.get("x-api-key") == "tml-secret"
    assert get.headers.get_all("x-team") == ["red"]
    assert get.headers.get_all("user-agent") == ["mine"]
    assert "content-type" not in get.headers
    assert post.headers.get_all("content-type") == ["application/json"]
    assert post.headers.get_all("x-team") == ["blue"]
    assert (post.timeout.total_s, post.timeout.read_s) == (12.5, 12.5)


def test_an_answer_that_does_not_fit_is_not_repeated() -> None:
    """The error names the call and the place in the body."""

    async def main() -> None:
        client = AsyncTinker(base_url=BASE_URL, transport=AsyncFakeTransport(service))
        await client.call("service.create_session", CreateSessionResponse, BODY)

    service = Clocked()
    service.script(CREATE, FakeReply({"session_id": 3}))
    with pytest.raises(
        APIResponseValidationError, match=r"service.create_session: .* at `\$.session_id`"
    ):
        run_virtual(main)
    assert len(service.requests) == 1
