"""Section S7: what every single call may change."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

import tinker_lite as tl
from tests.acceptance.tapes import NOWHERE, blocking, nonblocking
from tinker_lite.clients.endpoints import Endpoints
from tinker_lite.clients.faces import Operation, Resource
from tinker_lite.clients.verbs import Verb
from tinker_lite.engine import options
from tinker_lite.engine.options import CallOptions, Omit
from tinker_lite.errors import APITimeoutError
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer

OPTIONS = {"extra_headers", "extra_query", "extra_body", "idempotency_key", "timeout"}
SESSION = {"sdk_version": "x"}
CREATED = FakeReply({"session_id": "s"})
PLACE = "/api/v1/anything"

Call = Callable[[Any], Any]


def plain(_: Request) -> FakeReply:
    """Answer every call."""
    return FakeReply({"session_id": "s", "status": "ok"})


async def asked(call: Call, **settings: Any) -> Request:
    """The request that a call comes to, which is the same in both colours."""
    transport, async_transport = FakeTransport(plain), AsyncFakeTransport(plain)
    call(blocking(transport, **settings))
    await call(nonblocking(async_transport, **settings))
    [request], [async_request] = transport.requests, async_transport.requests
    assert (request.method, request.url) == (async_request.method, async_request.url)
    assert request.body == async_request.body
    assert shown(request) == shown(async_request)
    return request


def shown(request: Request) -> dict[str, str]:
    """The headers of a request by name, without the key that is drawn."""
    headers = {name.lower(): value for name, value in request.headers}
    if headers.get("x-idempotency-key", "").startswith("tinker-lite-"):
        del headers["x-idempotency-key"]
    return headers


def sent(request: Request) -> Any:
    """The JSON of a request."""
    assert isinstance(request.body, bytes)
    return msgspec.json.decode(request.body)


def create(**extras: Any) -> Call:
    """A call of a resource method."""
    return lambda client: client.service.create_session(SESSION, **extras)


async def test_s7_1_extra_headers() -> None:
    """S7.1: the service sees an extra header."""
    request = await asked(create(extra_headers={"X-Mine": "1"}))
    assert request.headers.get_all("x-mine") == ["1"]


async def test_s7_2_extra_query() -> None:
    """S7.2: the service sees extra parameters, nested ones too, in each format of lists."""
    request = await asked(create(extra_query={"a": 1}))
    assert request.url == f"{NOWHERE}/api/v1/create_session?a=1"
    nested = create(extra_query={"a": {"b": [True, 2]}, "c": None})
    for array_format, query in [
        ("comma", "a%5Bb%5D=true%2C2"),
        ("repeat", "a%5Bb%5D=true&a%5Bb%5D=2"),
        ("brackets", "a%5Bb%5D%5B%5D=true&a%5Bb%5D%5B%5D=2"),
    ]:
        request = await asked(nested, array_format=array_format)
        assert request.url.partition("?")[2] == query


async def test_s7_3_extra_body() -> None:
    """S7.3: an extra key is in the body; a key that is there is replaced whole."""
    session = {"sdk_version": "x", "user_metadata": {"a": "1", "b": "2"}}
    request = await asked(
        lambda client: client.service.create_session(
            session, extra_body={"new": [1], "user_metadata": {"a": "3"}}
        )
    )
    assert sent(request) == {"sdk_version": "x", "new": [1], "user_metadata": {"a": "3"}}
    request = await asked(lambda client: client.post(PLACE, cast_to=object, extra_body={"a": 1}))
    assert sent(request) == {"a": 1}
    rule = " ".join((options.__doc__ or "").split())
    assert "a key of it replaces that key's whole value, however deep" in rule


async def test_s7_4_idempotency_key() -> None:
    """S7.4: a key of one's own is sent; otherwise a fresh one, the same in each attempt."""
    request = await asked(create(idempotency_key="mine"))
    assert request.headers.get_all("x-idempotency-key") == ["mine"]
    busy = FakeReply(status=503, headers=(("retry-after-ms", "1"),))
    replies = iter([busy, busy, CREATED, CREATED])
    transport = FakeTransport(lambda _: next(replies))
    client = blocking(transport)
    client.service.create_session(SESSION)
    client.service.create_session(SESSION)
    keys = [request.headers.get("x-idempotency-key") for request in transport.requests]
    assert keys[0] == keys[1] == keys[2]
    assert None not in keys
    assert keys[3] not in keys[:3]


async def test_s7_5_timeout() -> None:
    """S7.5: a limit of a tenth of a second ends a call that the service keeps waiting."""
    ended: list[bool] = []

    def silent(peer: Peer) -> None:
        ended.append(peer.wait_for_end())

    with Adversary(silent) as server:
        with (
            tl.Tinker(base_url=server.url(""), max_retries=0) as client,
            pytest.raises(APITimeoutError, match=r"the \w+ limit of 0\.1 s ran out"),
        ):
            client.service.health_check(timeout=0.1)
        async with tl.AsyncTinker(base_url=server.url("")) as async_client:
            with pytest.raises(APITimeoutError, match=r"the \w+ limit of 0\.1 s ran out"):
                await async_client.service.health_check(timeout=0.1, max_retries=0)
    assert ended == [True, True]


def resources_of(client: Resource[Any]) -> dict[str, Resource[Any]]:
    """The resources of a client, by name."""
    names = [name for name, value in vars(Endpoints).items() if isinstance(value, property)]
    found = {name: getattr(client, name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, Resource)}


def methods_of(resource: Resource[Any]) -> Iterator[str]:
    """The names of a resource's methods."""
    return (name for name, value in vars(type(resource)).items() if isinstance(value, Operation))


def test_s7_6_every_method() -> None:
    """S7.6: every method of every resource takes the options, in both colours and each view."""
    clients: list[Any] = [
        blocking(FakeTransport(plain)),
        nonblocking(AsyncFakeTransport(plain)),
    ]
    n_methods = 0
    for client in clients:
        for view in (client, client.with_raw_response, client.with_streaming_response):
            for resource in resources_of(view).values():
                for name in methods_of(resource):
                    signature = inspect.signature(getattr(resource, name))
                    assert {*OPTIONS, "max_retries"} <= set(signature.parameters), name
                    n_methods += 1
    assert n_methods >= 6 * 49
    assert set(CallOptions.__annotations__) == {*OPTIONS, "max_retries"}


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
async def test_s7_7_verbs(verb: str) -> None:
    """S7.7: the same options on calls that the table does not have."""
    request = await asked(
        lambda client: getattr(client, verb)(
            PLACE,
            cast_to=object,
            extra_headers={"X-Mine": "1"},
            extra_query={"a": 1},
            extra_body={"b": 2},
            idempotency_key="mine",
            timeout=3.5,
        )
    )
    assert request.method == verb.upper()
    assert request.url == f"{NOWHERE}{PLACE}?a=1"
    assert (request.headers.get("x-mine"), sent(request)) == ("1", {"b": 2})
    assert request.headers.get("x-idempotency-key") == "mine"
    assert request.timeout.total_s == 3.5
    signature = inspect.signature(Verb.__call__)
    assert "options" in signature.parameters


async def test_s7_8_above_the_defaults() -> None:
    """S7.8: what a call says stands above what its client says; the rest survives."""
    request = await asked(
        create(extra_headers={"X-A": "2"}, extra_query={"q": 2}),
        default_headers={"X-A": "1", "X-B": "1"},
        default_query={"q": 1, "r": 1},
    )
    assert request.headers.get_all("x-a") == ["2"]
    assert request.headers.get_all("x-b") == ["1"]
    assert request.url.endswith("?q=2&r=1")


async def test_s7_9_query_of_the_path() -> None:
    """S7.9: extra parameters replace those of the path, by name."""
    request = await asked(
        lambda client: client.get(
            "/api/v1/anything?limit=5", cast_to=object, extra_query={"limit": 6, "x": 1}
        )
    )
    assert request.url == f"{NOWHERE}/api/v1/anything?limit=6&x=1"
    request = await asked(
        lambda client: client.get("/a?limit=5&b=1", cast_to=object, extra_query={"limit": None})
    )
    assert request.url == f"{NOWHERE}/a?b=1"


async def test_s7_10_unknown_parameters() -> None:
    """S7.10: a parameter that this library has never heard of, beside typed arguments."""
    request = await asked(
        lambda client: client.with_raw_response.training_runs.list(
            5, project_id="p", extra_query={"weird": "yes", "limit": 7}
        )
    )
    assert request.url.endswith(
        "/training_runs?limit=7&offset=0&access_scope=owned&project_id=p&weird=yes"
    )
    request = await asked(create(extra_body={"weird": {"a": None}}))
    assert sent(request)["weird"] == {"a": None}


async def test_x7_1_omit() -> None:
    """X7.1: a header can be removed, the library's own and the idempotency key too."""
    names = ["X-A", "user-agent", "X-API-Key", "X-Idempotency-Key"]
    request = await asked(
        create(extra_headers=dict.fromkeys(names, Omit())),
        default_headers={"x-a": "1"},
        api_key="tml-key",
    )
    assert [name for name in names if name in request.headers] == []
    with pytest.raises(TypeError, match=r"The header 'X-A' is a int"):
        blocking(FakeTransport(plain)).service.health_check(extra_headers={"X-A": 1})  # type: ignore[dict-item]  # the check


@pytest.mark.parametrize("body", [b"bytes", [1, 2]])
async def test_x7_2_no_object(body: object) -> None:
    """X7.2: a body that is no object takes no extra fields, and nothing is sent."""
    transport, async_transport = FakeTransport(plain), AsyncFakeTransport(plain)
    with pytest.raises(TypeError, match="extra_body is laid over the fields of a body"):
        blocking(transport).post(PLACE, cast_to=object, body=body, extra_body={"a": 1})
    with pytest.raises(TypeError, match="extra_body is laid over the fields of a body"):
        await nonblocking(async_transport).post(
            PLACE, cast_to=object, body=body, extra_body={"a": 1}
        )
    assert transport.requests == async_transport.requests == []


async def test_x7_3_names_of_headers() -> None:
    """X7.3: names of headers are compared without regard to case, on every level."""
    request = await asked(
        create(extra_headers={"x-team": "c", "ACCEPT": "text/plain"}),
        default_headers={"X-Team": "b"},
    )
    assert request.headers.get_all("x-team") == ["c"]
    assert request.headers.get_all("accept") == ["text/plain"]


async def test_x7_4_headers_of_retries() -> None:
    """X7.4: headers about retries that the caller sets are kept, in every attempt."""
    extra = {
        "x-stainless-retry-count": "42",
        "x-stainless-read-timeout": "7",
        "X-Idempotency-Key": "mine",
    }
    replies = iter([FakeReply(status=503, headers=(("retry-after-ms", "1"),)), CREATED])
    transport = FakeTransport(lambda _: next(replies))
    blocking(transport).service.create_session(SESSION, extra_headers=extra)
    assert len(transport.requests) == 2
    for request in transport.requests:
        assert {name: request.headers.get_all(name) for name in extra} == {
            name: [value] for name, value in extra.items()
        }


def test_x7_5_high_level_clients() -> None:
    """X7.5: the high-level clients take no options of single calls, and refuse them by name."""
    methods: list[Callable[..., Awaitable[Any] | Any]] = [
        tl.ServiceClient.create_lora_training_client,
        tl.TrainingClient.forward_backward,
        tl.SamplingClient.sample,
        tl.RestClient.list_training_runs,
    ]
    for method in methods:
        parameters = inspect.signature(method).parameters
        assert OPTIONS.isdisjoint(parameters), method
        assert "extra_headers" not in parameters
    rest = tl.RestClient(base_url=NOWHERE, transport=AsyncFakeTransport(plain))
    with pytest.raises(TypeError, match="unexpected keyword argument 'extra_headers'"):
        rest.list_training_runs(extra_headers={})  # type: ignore[call-arg]  # the check
