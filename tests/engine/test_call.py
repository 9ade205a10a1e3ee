from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.engine.scripted import BASE_URL, ScriptedService, refusal, run_virtual
from tinker_lite import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncTinker,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from tinker_lite.clients.responses import AsyncAPIResponse
from tinker_lite.errors import ConnectError, ConnectionLost, TransportError, TransportTimeout
from tinker_lite.http import AsyncResponse, Request, Timeout
from tinker_lite.testing import AsyncFakeTransport, FakeReply

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
    method: str = "create_session",
    body: object = BODY,
    **options: float,
) -> Callable[[], Awaitable[AsyncAPIResponse[Any]]]:
    """One raw call."""

    async def main() -> AsyncAPIResponse[Any]:
        client = AsyncTinker(
            base_url=BASE_URL,
            transport=AsyncFakeTransport(service),
            max_retries=int(options.get("max_retries", 10)),
            timeout=options.get("timeout"),
        )
        call = getattr(client.with_raw_response.service, method)
        response: AsyncAPIResponse[Any] = await (call() if body is None else call(body))
        return response

    return main


def test_a_rate_limit_is_waited_out_as_asked() -> None:
    """``retry-after`` decides the pause, exactly."""
    service = Clocked()
    service.script(CREATE, FakeReply(status=429, headers=(("retry-after", "7"),)))
    service.script(CREATE, FakeReply(status=429, headers=(("retry-after-ms", "2500"),)))
    reply = run_virtual(ask(service))
    assert reply.retries_taken == 2
    assert service.pauses() == [pytest.approx(7.0), pytest.approx(2.5)]


def test_a_busy_service_is_asked_again_with_growing_pauses() -> None:
    """503 backs off from half a second, doubling, less a quarter at most at random."""
    service = Clocked()
    service.script(CREATE, *[refusal(503)] * 4)
    assert run_virtual(ask(service)).retries_taken == 4
    for pause, longest in zip(service.pauses(), [0.5, 1.0, 2.0, 4.0], strict=True):
        assert 0.75 * longest - 1e-6 <= pause <= longest + 1e-6


def test_a_lost_connection_is_tried_again() -> None:
    """A failure below HTTP is repeated like a busy service."""
    service = Clocked()
    service.script(CREATE, ConnectError("refused"), ConnectionLost("gone", may_have_arrived=True))
    assert run_virtual(ask(service)).retries_taken == 2
    assert min(service.pauses()) > 0.3


@pytest.mark.parametrize("name", ["create_session", "session_heartbeat"], ids=["standard", "once"])
def test_a_dead_kept_connection_is_repeated_at_once(name: str) -> None:
    """Also for calls that are otherwise made once: the peer had hung up already."""
    service = Clocked()
    path = CREATE if name == "create_session" else "/session_heartbeat"
    stale = ConnectionLost("closed", may_have_arrived=True, reused_connection=True)
    service.script(path, stale)
    assert run_virtual(ask(service, name)).retries_taken == 1
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
    run_virtual(ask(service, "health_check", None))
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
        plain = client.with_raw_response.service
        await plain.health_check(extra_headers={"X-Team": "red"})
        await plain.create_session(BODY)

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
        await client.service.create_session(BODY)

    service = Clocked()
    service.script(CREATE, FakeReply({"session_id": 3}))
    with pytest.raises(
        APIResponseValidationError, match=r"service.create_session: .* at `\$.session_id`"
    ):
        run_virtual(main)
    assert len(service.requests) == 1


# Redirects and content codings


def moved(location: str, status: int = 307) -> FakeReply:
    """An answer that points elsewhere."""
    return FakeReply(status=status, headers=(("Location", location),))


def test_a_redirect_within_the_origin_is_followed() -> None:
    """Method, body, key and idempotency key go along where the status says so."""
    service = ScriptedService()
    service.script(CREATE, moved("/api/v1/create_session?again=1"))
    reply = run_virtual(ask(service))
    first, second = service.requests
    assert reply.status_code == 200
    assert second.url == f"{BASE_URL}/api/v1/create_session?again=1"
    assert (second.method, second.body) == (first.method, first.body)
    assert second.headers == first.headers


def test_a_redirect_elsewhere_is_an_error_that_says_where() -> None:
    """The key stays here; the query of the place may be a secret."""
    service = ScriptedService()
    service.script(CREATE, moved("https://elsewhere.example/x?signature=s"))
    with pytest.raises(APIStatusError, match=r"sends elsewhere, to https://elsewhere\.example/x;"):
        run_virtual(ask(service))
    assert len(service.requests) == 1


def test_redirects_in_a_circle_end() -> None:
    """After a handful the answer counts as it is."""
    service = ScriptedService()
    service.script(CREATE, *[moved("/api/v1/create_session")] * 10)
    with pytest.raises(APIStatusError, match="307"):
        run_virtual(ask(service))
    assert len(service.requests) == 6


def packed(body: bytes, coding: str = "gzip") -> FakeReply:
    """An answer with a content coding."""
    return FakeReply(body, headers=(("Content-Encoding", coding),))


def test_a_packed_answer_is_unpacked() -> None:
    """What is asked for can be read."""
    service = ScriptedService()

    async def read() -> bytes:
        return await (await ask(service)()).read()

    service.script(CREATE, packed(gzip.compress(b'{"session_id": "s"}')))
    assert run_virtual(read) == b'{"session_id": "s"}'
    assert "gzip" in (service.requests[0].headers.get("accept-encoding") or "")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (packed(gzip.compress(b"x" * 99)[:-1]), "ends before its end"),
        (packed(b"nonsense"), "not valid gzip"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_no_answer(reply: FakeReply, reason: str) -> None:
    """It may have been damaged on the way, so it is asked for again; then the error says why."""
    service = ScriptedService()
    service.script(CREATE, reply, reply)
    with pytest.raises(APIConnectionError, match=reason):
        run_virtual(ask(service, max_retries=1))


class Dripping:
    """A transport whose answers go on for ever, a byte each second."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = headers
        self.requests: list[Request] = []
        self.n_closed = 0

    async def send(self, request: Request) -> AsyncResponse:
        """Answer with a failure."""
        self.requests.append(request)
        body = self._body()

        async def close() -> None:
            self.n_closed += 1
            await body.aclose()

        return AsyncResponse(500, self.headers, body, close=close)

    async def _body(self) -> AsyncGenerator[bytes]:
        while True:
            await anyio.sleep(1)
            yield b"a"

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("headers", "text"), [((), "aaaaa"), ((("Content-Encoding", "gzip"),), "(empty body)")]
)
def test_a_refusal_of_an_open_call_is_read_for_a_while(
    headers: tuple[tuple[str, str], ...], text: str
) -> None:
    """Its body may go on for ever, since limits given as a number bound the silence only."""
    transport = Dripping(*headers)

    async def main() -> float:
        client = AsyncTinker(base_url=BASE_URL, transport=transport, timeout=5, max_retries=0)
        with pytest.raises(InternalServerError) as caught:
            async with client.with_streaming_response.get("/x", cast_to=object):
                pass
        assert text in str(caught.value)
        return anyio.current_time()

    assert run_virtual(main) == 5.0
    assert transport.n_closed == 1


@pytest.mark.parametrize(
    ("of_client", "of_call", "total_s"),
    [
        (5.0, {}, None),
        (Timeout(total_s=7), {}, 7),
        (5.0, {"timeout": Timeout(total_s=7)}, 7),
        (Timeout(total_s=7), {"timeout": 5.0}, None),
    ],
)
def test_a_whole_limit_is_kept_where_it_was_given(
    of_client: Any, of_call: Any, total_s: float | None
) -> None:
    """A number bounds the silence of an open answer; a ``Timeout`` says what it says."""
    service = ScriptedService()
    transport = AsyncFakeTransport(service)

    async def main() -> None:
        client = AsyncTinker(base_url=BASE_URL, transport=transport, timeout=of_client)
        opened = client.with_streaming_response.get("/api/v1/x", cast_to=object, **of_call)
        async with opened:
            pass

    run_virtual(main)
    [request] = service.requests
    assert request.timeout.total_s == total_s
