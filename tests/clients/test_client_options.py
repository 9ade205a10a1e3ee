from __future__ import annotations

import contextlib
import logging
import warnings
from typing import Any, cast

import pytest

from tests.engine.scripted import BASE_URL
from tinker_lite import (
    APIConnectionError,
    APIError,
    AsyncTinker,
    ConfigError,
    InternalServerError,
    Tinker,
)
from tinker_lite.engine.options import CallOptions
from tinker_lite.errors import ConnectError, ConnectionLost, TransportError
from tinker_lite.http import Request, Timeout
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

HEALTHY = FakeReply({"status": "ok"})


def client_of(transport: FakeTransport, **settings: Any) -> Tinker:
    """A blocking client with defaults of every kind."""
    return Tinker(
        base_url=BASE_URL,
        transport=transport,
        default_headers={"X-A": "1", "X-B": "1"},
        default_query={"q": 1, "r": [1, 2]},
        **settings,
    )


def test_a_copy_shares_the_transport_and_not_the_settings() -> None:
    """What is given adds or replaces; the original stays as it is, and owns the transport."""
    transport = FakeTransport(lambda _: HEALTHY)
    client = client_of(transport)
    client.copy(default_headers={"x-a": "2"}, default_query={"q": 2}).service.health_check()
    client.with_options(
        set_default_headers={"X-C": "3"}, set_default_query={"s": [1, 2]}, array_format="repeat"
    ).service.health_check(extra_query={"t": 1})
    client.service.health_check()
    added, replaced, original = transport.requests
    names = ("x-a", "x-b", "x-c")
    assert [added.headers.get(name) for name in names] == ["2", "1", None]
    assert [replaced.headers.get(name) for name in names] == [None, None, "3"]
    assert [original.headers.get(name) for name in names] == ["1", "1", None]
    assert added.url.endswith("?q=2&r=1%2C2")
    assert replaced.url.endswith("?s=1&s=2&t=1")
    assert original.url.endswith("?q=1&r=1%2C2")


def test_a_copy_may_have_another_service_key_limit_and_patience() -> None:
    """They are checked as those of a new client are."""
    transport = FakeTransport(lambda _: FakeReply(status=503))
    copy = client_of(transport, api_key="tml-a").with_options(
        base_url="https://other.test/x/", api_key="tml-b", timeout=3, max_retries=0
    )
    with pytest.raises(InternalServerError):
        copy.service.health_check()
    [request] = transport.requests
    assert request.url.startswith("https://other.test/x/api/v1/healthz?")
    assert request.headers.get("x-api-key") == "tml-b"
    assert request.timeout == Timeout.of(3)
    with pytest.raises(ConfigError, match="base_url"):
        copy.with_options(base_url="nonsense")
    with pytest.raises(ConfigError, match=r"RetryConfig\.max_retries is -1"):
        copy.with_options(max_retries=-1)


def test_a_copy_may_talk_otherwise() -> None:
    """Form, generation and the bound of answers; what is left out stays as it was."""
    client = client_of(FakeTransport(lambda _: HEALTHY), wire="json", max_response_bytes=99)
    copy: Any = client.with_options(sdk_version="0.25.0", max_response_bytes=3)
    config = copy._caller.defaults.config  # noqa: SLF001  # not all of it shows in a call
    assert (config.wire, config.sdk_version, config.max_response_bytes) == ("json", "0.25.0", 3)
    with pytest.raises(APIConnectionError, match="larger than the 3 bytes"):
        client.with_options(max_response_bytes=3, max_retries=0).service.health_check()
    assert client.service.health_check().status == "ok"
    with pytest.raises(ConfigError, match="wire is 'xml'"):
        client.with_options(**cast("Any", {"wire": "xml"}))


def test_a_copy_sends_no_secret_in_the_open() -> None:
    """Its headers are looked at as those of a new client are, wherever they come from."""
    transport = FakeTransport(lambda _: HEALTHY)
    client = Tinker(base_url="http://h", transport=transport)
    client.with_options(default_headers={"X-Mine": "1"}).service.health_check()
    with pytest.raises(ConfigError, match="the header Authorization unencrypted"):
        client.with_options(default_headers={"Authorization": "hush"})
    with pytest.raises(ConfigError, match="the API key unencrypted"):
        client.with_options(api_key="hush")
    assert len(transport.requests) == 1


@pytest.mark.parametrize("name", ["headers", "query"])
def test_adding_and_replacing_do_not_go_together(name: str) -> None:
    """The error names both arguments."""
    client: Any = client_of(FakeTransport(lambda _: HEALTHY))
    changes: dict[str, Any] = {f"default_{name}": {}, f"set_default_{name}": {}}
    with pytest.raises(ValueError, match=f"default_{name}, which adds, or set_default_{name}"):
        client.with_options(**changes)


def test_a_misspelt_option_is_refused() -> None:
    """Also where no type checker looks; nothing is sent."""
    transport = FakeTransport(lambda _: HEALTHY)
    client: Any = client_of(transport)
    for call in (
        client.service.health_check,
        client.with_streaming_response.service.health_check,
        client.with_options,
    ):
        with pytest.raises(TypeError, match="unexpected keyword argument 'extra_header'"):
            call(extra_header={})
    with pytest.raises(TypeError, match="unexpected keyword argument 'extra_header'"):
        client.get("/a", cast_to=object, extra_header={})
    assert not transport.requests


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"extra_headers": [("Authorization", "hush")]}, "extra_headers is a list; it must be a m"),
        ({"extra_query": "a=hush"}, "extra_query is a str; it must be a mapping"),
        ({"extra_body": [1]}, "extra_body is a list; it must be a mapping"),
        ({"idempotency_key": 5}, "idempotency_key is a int; it must be a text"),
    ],
)
def test_an_option_that_cannot_be_merged_is_refused(options: Any, text: str) -> None:
    """By its name, before anything is sent, and without what it holds."""
    transport = FakeTransport(lambda _: HEALTHY)
    client = client_of(transport)
    calls: list[Any] = [client.service.health_check, client.with_raw_response.training_runs.list]
    for call in calls:
        with pytest.raises(TypeError, match=text) as refused:
            call(**options)
        assert "hush" not in str(refused.value)
    assert not transport.requests


async def test_a_copy_of_an_async_client_is_one() -> None:
    """It closes nothing of its original."""
    transport = AsyncFakeTransport(lambda _: HEALTHY)
    async with AsyncTinker(base_url=BASE_URL, transport=transport) as client:
        async with client.copy(default_query={"a": True}) as copy:
            await copy.service.health_check()
        assert copy.is_closed()
        assert not client.is_closed()
        await client.service.health_check()
    assert client.is_closed()
    assert [request.url.partition("?")[2] for request in transport.requests] == ["a=true", ""]


def test_limits_and_retries_of_a_call_stand_above_those_of_the_client() -> None:
    """A number, a ``Timeout``, None for no limit; as many repeats as the call says."""
    busy = FakeReply(status=503, headers=(("retry-after-ms", "1"),))
    transport = FakeTransport(lambda _: busy)
    client = client_of(transport, timeout=9, max_retries=0)
    given = Timeout(read_s=1)
    for timeout in (4, given, None):
        with pytest.raises(InternalServerError):
            client.service.health_check(timeout=timeout, max_retries=1)
    with pytest.raises(InternalServerError):
        client.service.health_check()
    limits = [request.timeout for request in transport.requests]
    assert limits == [
        *[Timeout.of(4)] * 2, *[given] * 2, *[Timeout.of(None)] * 2, Timeout.of(9)
    ]  # fmt: skip


def test_who_reads_a_body_may_take_any_time_over_it() -> None:
    """On an unread answer a number bounds the silence; a ``Timeout`` means what it says."""
    transport = FakeTransport(lambda _: HEALTHY)
    streaming = client_of(transport).with_streaming_response.service
    given = Timeout(total_s=5)
    limits: list[CallOptions] = [{}, {"timeout": 4}, {"timeout": given}]
    for options in limits:
        with streaming.health_check(**options):
            pass
    plain, number, whole = (request.timeout for request in transport.requests)
    assert (plain.read_s, plain.total_s) == (60, None)
    assert (number.read_s, number.total_s) == (4, None)
    assert whole == given


# Deprecation


def deprecated(level: str | None) -> FakeTransport:
    """A service that says that an endpoint goes."""
    headers = (("x-deprecation-note", "use /ready"),)
    more = () if level is None else (("X-Deprecation-Level", level),)
    return FakeTransport(lambda _: FakeReply({"status": "ok"}, headers=(*headers, *more)))


def test_a_deprecation_note_is_a_warning_once_per_endpoint() -> None:
    """Its text names the endpoint and repeats the note; Python shows it without being asked to."""
    client = Tinker(base_url=BASE_URL, transport=deprecated(None))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.service.health_check()
        client.service.health_check()
        client.with_options(timeout=3).service.health_check()
        client.get("/other", cast_to=object)
        with client.with_streaming_response.get("/third", cast_to=object):
            pass
    assert {each.category for each in caught} == {FutureWarning}
    assert [str(each.message) for each in caught] == [
        f"{name} is deprecated: use /ready"
        for name in ("service.health_check", "get /other", "get /third")
    ]


def test_a_warning_that_is_an_error_leaves_no_answer_open() -> None:
    """Programs may turn warnings into errors; the connection is let go of."""
    client = Tinker(base_url=BASE_URL, transport=deprecated("warning"))
    with (
        pytest.raises(FutureWarning, match="use /ready"),
        client.with_streaming_response.service.health_check(),
    ):
        pytest.fail("the block must not be entered")


def test_a_deprecation_of_level_error_is_logged_as_one(caplog: pytest.LogCaptureFixture) -> None:
    """Once, and as no warning."""
    client = Tinker(base_url=BASE_URL, transport=deprecated("ERROR"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.service.health_check()
        client.service.health_check()
    [record] = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "tinker_lite")
    assert record.getMessage() == "service.health_check is deprecated: use /ready"


class OwnTinker(Tinker):
    """What a caller derives."""


class OwnAsyncTinker(AsyncTinker):
    """The same in the other colour."""


def test_copies_are_of_the_same_class() -> None:
    """A subclass keeps its methods."""
    assert type(OwnTinker(base_url=BASE_URL).copy()) is OwnTinker
    assert type(OwnAsyncTinker(base_url=BASE_URL).with_options(timeout=1)) is OwnAsyncTinker


@pytest.mark.anyio
async def test_a_closed_client_makes_no_calls() -> None:
    """Whoever the transport belongs to; its copies over the caller's own transport go on."""
    transport, async_transport = (
        FakeTransport(lambda _: HEALTHY),
        AsyncFakeTransport(lambda _: HEALTHY),
    )
    client = client_of(transport)
    copy = client.copy()
    client.close()
    with pytest.raises(RuntimeError, match=r"service.health_check: this client is closed"):
        client.service.health_check()
    with pytest.raises(RuntimeError, match="this client is closed"):
        client.with_raw_response.get("/x", cast_to=object)
    assert copy.service.health_check().status == "ok"
    async_client = AsyncTinker(base_url=BASE_URL, transport=async_transport)
    await async_client.aclose()
    with pytest.raises(RuntimeError, match="this client is closed"):
        await async_client.service.health_check()
    assert async_transport.requests == []


@pytest.mark.parametrize(("here", "there"), [("local:", BASE_URL), (BASE_URL, "local:")])
def test_a_copy_stays_on_its_side_of_the_embedded_service(here: str, there: str) -> None:
    """The transport that both share leads to one of the two only, and a key must not go astray."""
    with Tinker(base_url=here) as client, pytest.raises(ConfigError, match="make a new client"):
        client.with_options(base_url=there)


def once_lost(*failures: Any) -> FakeTransport:
    """A transport whose first answers are failures."""
    steps = [*failures, *[FakeReply({})] * 3]

    def answer(_: Request) -> FakeReply:
        step: FakeReply | TransportError = steps.pop(0)
        if isinstance(step, TransportError):
            raise step
        return step

    return FakeTransport(answer)


LOST = ConnectionLost("gone", may_have_arrived=True)
UNSENT = ConnectError("refused")
ELSEWHERE = "https://storage.example/x"


@pytest.mark.parametrize(
    ("method", "target", "failure", "n_sent"),
    [
        ("post", ELSEWHERE, LOST, 1),
        ("post", ELSEWHERE, FakeReply(status=500), 1),
        ("patch", ELSEWHERE, LOST, 1),
        ("post", ELSEWHERE, UNSENT, 2),
        ("post", ELSEWHERE, FakeReply(status=503), 2),
        ("put", ELSEWHERE, LOST, 2),
        ("delete", ELSEWHERE, LOST, 2),
        ("get", ELSEWHERE, LOST, 2),
        ("post", "/x", LOST, 2),
    ],
)
def test_what_has_no_key_is_not_applied_twice(
    method: str, target: str, failure: Any, n_sent: int
) -> None:
    """Another origin gets no key, so a call that may have arrived there is not made again."""
    transport = once_lost(failure)
    client = client_of(transport).with_options(max_retries=1)
    with contextlib.suppress(APIError):
        getattr(client, method)(target, cast_to=object)
    assert len(transport.requests) == n_sent


def test_a_key_of_the_callers_makes_a_repeat_safe() -> None:
    """It goes where it is sent to, so the other origin can tell a repeat."""
    transport = once_lost(LOST)
    client_of(transport).with_options(max_retries=1).post(
        ELSEWHERE, cast_to=object, idempotency_key="mine"
    )
    assert [r.headers.get("x-idempotency-key") for r in transport.requests] == ["mine"] * 2
