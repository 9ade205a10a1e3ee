"""Training passes and their results through the raw clients, in either form."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

import tinker_lite as tl
from tests.engine.generations import PROTOBUF, Generation, read_pass
from tests.engine.scripted import BASE_URL, ScriptedService, example, refusal
from tinker_lite.protocol import endpoints as rows
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.types import ForwardBackwardInput, ForwardBackwardRequest, ForwardRequest

PASS = ForwardBackwardRequest(
    forward_backward_input=ForwardBackwardInput(data=[example(1, 2)], loss_fn="cross_entropy"),
    model_id="M",
    seq_id=1,
)
FORWARD = ForwardRequest(forward_input=PASS.forward_backward_input, model_id="M", seq_id=2)


def with_raw(service: ScriptedService, call: Callable[[tl.Tinker], object]) -> object:
    """What a call with a raw client over this server gives."""
    with tl.Tinker(base_url=BASE_URL, transport=FakeTransport(service)) as client:
        return call(client)


def test_raw_passes_are_offered_too() -> None:
    """The same search in the raw client, in every view, and shared by its copies."""
    service = Generation("json", gives="json")

    def calls(client: tl.Tinker) -> None:
        client.training.forward_backward(PASS)
        client.with_options(timeout=3).training.forward(FORWARD)
        client.with_raw_response.training.forward_backward(PASS)
        with client.with_streaming_response.training.forward_backward(PASS) as response:
            assert response.parse().request_id

    with_raw(service, calls)
    assert service.forms() == ["protobuf", "json", "json", "json", "json"]


@pytest.mark.anyio
async def test_raw_passes_async() -> None:
    """The same in the other colour."""
    service = Generation("json", gives="json")
    transport = AsyncFakeTransport(service)
    async with tl.AsyncTinker(base_url=BASE_URL, transport=transport) as client:
        future = await client.training.forward_backward(PASS)
        output = await client.result(rows.TRAINING_FORWARD_BACKWARD, future)
        await client.training.forward(FORWARD)
    assert service.forms() == ["protobuf", "json", "json"]
    assert output.loss_fn_outputs[0]["logprobs"].tolist() == [-0.5, -0.5]


def test_each_server_is_learnt_of_by_itself() -> None:
    """A copy with another base URL knows nothing of the new server."""
    service = Generation("json", gives="json")

    def calls(client: tl.Tinker) -> None:
        client.training.forward_backward(PASS)
        other = client.with_options(base_url="http://127.0.0.1:8")
        other.training.forward_backward(PASS)
        client.training.forward_backward(PASS)

    with_raw(service, calls)
    assert service.forms() == ["protobuf", "json", "protobuf", "json", "json"]


def test_plain_values_are_sent_as_they_are_given() -> None:
    """A mapping, or a body with additions, is JSON: nothing else can hold unknown fields."""
    service = Generation("json", "protobuf")
    fields = msgspec.json.decode(msgspec.json.encode({"model_id": "M", "any": 1}))
    service.script("/forward_backward", *[FakeReply({"request_id": "r"})] * 2)

    def calls(client: tl.Tinker) -> None:
        client.training.forward_backward(fields)
        client.training.forward_backward(PASS, extra_body={"more": 1})

    with_raw(service, calls)
    assert service.forms() == ["json", "json"]
    assert service.bodies("/forward_backward")[1]["more"] == 1


def test_one_poll_reads_either_form() -> None:
    """A raw poll names the kind of result, asks for protobuf, and gives a struct if it comes so."""
    service = Generation("protobuf")

    def call(client: tl.Tinker) -> object:
        future = client.training.forward_backward(PASS)
        return client.futures.retrieve({"request_id": future.request_id}, "ForwardBackward")

    output = with_raw(service, call)
    assert isinstance(output, tl.ForwardBackwardOutput)
    assert service.accepted("ForwardBackward") == [PROTOBUF]


def test_large_passes_are_sent_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a bound the message is not joined; its length is told, and it can be sent again."""
    monkeypatch.setattr("tinker_lite.engine.bodies.MAX_JOINED_BYTES", 100)
    service = Generation("protobuf")
    data = [example(*range(100))]
    large = msgspec.structs.replace(
        PASS, forward_backward_input=ForwardBackwardInput(data=data, loss_fn="cross_entropy")
    )
    service.script("/forward_backward", refusal(503), FakeReply({"request_id": "r"}))

    def call(client: tl.Tinker) -> None:
        client.with_options(max_retries=1).training.forward_backward(large)

    with_raw(service, call)
    first, second = service.to("/forward_backward")
    assert first.body == second.body
    assert isinstance(first.body, bytes)
    assert first.headers.get("content-length") == str(len(first.body))
    assert read_pass(first.body) == large
