"""The raw clients against the requests that the protocol describes.

The files in ``requests`` are written from the protocol, not from what is sent. Each is named after
its row, and after its shape where the row has several.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.golden import record_calls, sampling_calls, service_calls, training_calls
from tests.golden.arguments import Arguments
from tests.golden.golden_request import (
    BASE_URL,
    FILES,
    KEY,
    check_always_sent,
    golden,
    golden_body,
    is_protobuf,
    sent,
)
from tinker_lite import AsyncTinker, Tinker
from tinker_lite.http import Request
from tinker_lite.protocol.endpoints import BY_NAME
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

CALLS = {
    **service_calls.CALLS,
    **training_calls.CALLS,
    **sampling_calls.CALLS,
    **record_calls.CALLS,
}


def row_name(name: str) -> str:
    """The row of a file."""
    return ".".join(name.split(".")[:2])


def method_of(client: Any, name: str) -> Any:
    """The method of a client that a file is about, answering with whatever comes."""
    resource, method = row_name(name).split(".")
    return getattr(getattr(client.with_raw_response, resource), method)


def options_for(name: str) -> dict[str, Any]:
    """The options of a client that makes a file's request."""
    form = {"wire": "json"} if ".json" in name else {}  # else as it comes: protobuf first
    return {"base_url": BASE_URL, "api_key": KEY, **form}


async def requests_of(name: str, arguments: Arguments) -> list[Request]:
    """What both colours send for one call."""
    transport = FakeTransport(lambda _: FakeReply())
    async_transport = AsyncFakeTransport(lambda _: FakeReply())
    client = Tinker(transport=transport, **options_for(name))
    method_of(client, name)(*arguments.positional, **arguments.named)
    async_client = AsyncTinker(transport=async_transport, **options_for(name))
    await method_of(async_client, name)(*arguments.positional, **arguments.named)
    assert (len(transport.requests), len(async_transport.requests)) == (1, 1)
    return [*transport.requests, *async_transport.requests]


def has_json_struct(name: str) -> bool:
    """Whether the call of a file has a struct that is sent as JSON."""
    return not is_protobuf(name) and any(
        isinstance(argument, msgspec.Struct) for argument in CALLS[name].positional
    )


def test_every_row_has_a_file_and_every_file_a_call() -> None:
    """Nothing that the table can send is unchecked, and no file is about nothing."""
    assert {row_name(name) for name in FILES} == set(BY_NAME)
    assert set(FILES) == set(CALLS)


@pytest.mark.parametrize("name", FILES)
async def test_both_colours_send_what_the_protocol_says(name: str) -> None:
    """Method, place, headers and body, with the types of its values, and nothing besides."""
    for request in await requests_of(name, CALLS[name]):
        assert sent(request) == golden(name)
        check_always_sent(request)


@pytest.mark.parametrize("name", [name for name in FILES if has_json_struct(name)])
async def test_the_same_fields_in_a_mapping_are_sent_alike(name: str) -> None:
    """A caller who has no struct, but what the protocol says, sends what the protocol says."""
    positional = CALLS[name].positional
    fields = msgspec.json.decode(golden_body(name))
    mapped = tuple(fields if isinstance(a, msgspec.Struct) else a for a in positional)
    for request in await requests_of(name, Arguments(mapped, CALLS[name].named)):
        assert sent(request) == golden(name)
