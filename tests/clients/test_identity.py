from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.test_resources import CALLS, method_of
from tests.engine.scripted import BASE_URL, PATIENCE_S, ScriptedService, example, threaded_client
from tinker_lite import AdamParams, AsyncTinker, ServiceClient, Tinker, __version__
from tinker_lite.http import Request
from tinker_lite.protocol.endpoints import PROTOCOL_VERSION
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

OUR_NAME = (
    f"tinker-lite/{__version__} {platform.python_implementation()}/{platform.python_version()}"
)


def check_named(requests: list[Request]) -> None:
    """Requests say once who sends them, and nothing in the name of another library."""
    assert requests
    for request in requests:
        assert request.headers.get_all("user-agent") == [OUR_NAME]
        names = {name.lower() for name, _ in request.headers}
        assert not {name for name in names if name.startswith(("x-stainless", "x-sdk"))}


@pytest.mark.parametrize("name", CALLS)
async def test_every_endpoint_is_told_who_calls(name: str) -> None:
    """In both colours."""
    transport, async_transport = FakeTransport(answer), AsyncFakeTransport(answer)
    client = Tinker(base_url=BASE_URL, transport=transport).with_raw_response
    method_of(client, name)(*CALLS[name][0])
    async_client = AsyncTinker(base_url=BASE_URL, transport=async_transport).with_raw_response
    await method_of(async_client, name)(*CALLS[name][0])
    check_named([*transport.requests, *async_transport.requests])


def answer(request: Request) -> FakeReply:
    """A success of no meaning."""
    assert request.method
    return FakeReply()


def test_the_calls_of_a_session_say_it_too() -> None:
    """Those of the background too."""
    service = ScriptedService()
    with threaded_client(service) as client:
        train(client)
    assert {"/create_session", "/optim_step", "/retrieve_future"} <= set(service.paths())
    check_named(service.requests)


def train(client: ServiceClient) -> None:
    """A step of training."""
    training = client.create_lora_training_client("b")
    training.forward_backward([example()], "cross_entropy").result(PATIENCE_S)
    training.optim_step(AdamParams()).result(PATIENCE_S)


def test_a_callers_own_name_wins() -> None:
    """Of the client, and above that of the call."""
    transport = FakeTransport(answer)
    client = Tinker(
        base_url=BASE_URL, transport=transport, default_headers={"user-agent": "mine"}
    ).with_raw_response
    client.service.health_check()
    client.service.health_check(extra_headers={"User-Agent": "this call's"})
    names = [request.headers.get_all("user-agent") for request in transport.requests]
    assert names == [["mine"], ["this call's"]]


@pytest.mark.parametrize(
    ("options", "version"), [({}, PROTOCOL_VERSION), ({"sdk_version": "0.25.0"}, "0.25.0")]
)
def test_the_generation_of_the_protocol_is_told(options: dict[str, Any], version: str) -> None:
    """To those two endpoints that ask for it; what the library itself is stands in User-Agent."""
    service = ScriptedService()
    with threaded_client(service, **options) as client:
        train(client)
    told = [*service.bodies("/client/config"), *service.bodies("/create_session")]
    assert [body["sdk_version"] for body in told] == [version, version]


@pytest.mark.parametrize("make", [Tinker, AsyncTinker, ServiceClient, ServiceClient.open])
def test_all_clients_have_the_setting(make: Callable[..., object]) -> None:
    """It may be any version that a header can carry."""
    fake = AsyncFakeTransport(answer) if make is AsyncTinker else FakeTransport(answer)
    for version in ("", "0 38", "0.38\r\n", "é"):
        with pytest.raises(ValueError, match=r"sdk_version is .*such as '0\.38\.0'"):
            make(base_url=BASE_URL, transport=fake, sdk_version=version)
