"""Training passes and their results through the raw clients, in either form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


FIELDS: dict[str, Any] = {
    "forward_backward_input": {
        "data": [
            {
                "model_input": {"chunks": [{"tokens": [1, 2], "type": "encoded_text"}]},
                "loss_fn_inputs": {"target_tokens": {"data": [1, 2], "dtype": "int64"}},
            }
        ],
        "loss_fn": "cross_entropy",
        "loss_fn_config": None,
    },
    "model_id": "M",
    "seq_id": 1,
}


def test_plain_values_are_a_pass_too() -> None:
    """A mapping of a pass's fields is offered like the pass itself."""
    service = Generation("protobuf")
    with_raw(service, lambda client: client.training.forward_backward(FIELDS))
    assert service.forms() == ["protobuf"]
    raw = service.passes()[0].body
    assert isinstance(raw, bytes)
    [datum] = read_pass(raw).forward_backward_input.data
    assert datum.loss_fn_inputs["target_tokens"].tolist() == [1, 2]


UNKNOWN: list[Any] = [
    ({**FIELDS, "more": 1}, {}),
    ({**FIELDS, "forward_backward_input": {**FIELDS["forward_backward_input"], "new": 1}}, {}),
    ({"model_id": "M"}, {}),
    (FIELDS, {"extra_body": {"more": 1}}),
    (PASS, {"extra_body": {"more": 1}}),
]


@pytest.mark.parametrize(("body", "options"), UNKNOWN)
def test_what_protobuf_has_no_place_for_is_json(body: Any, options: Any) -> None:
    """Unknown fields, at any depth, and additions are sent as they are given."""
    service = Generation("json", "protobuf")
    service.script("/forward_backward", FakeReply({"request_id": "r"}))
    with_raw(service, lambda client: client.training.forward_backward(body, **options))
    assert service.forms() == ["json"]


@pytest.mark.parametrize(("body", "options"), UNKNOWN)
def test_protobuf_alone_cannot_carry_it(body: Any, options: Any) -> None:
    """Where protobuf was chosen, such a body is a mistake, and nothing is sent."""
    service = Generation("protobuf")

    def call(client: tl.Tinker) -> None:
        with pytest.raises(TypeError, match="with wire='protobuf' the body must be"):
            client.with_options(wire="protobuf").training.forward_backward(body, **options)

    with_raw(service, call)
    assert service.requests == []


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


def test_a_call_says_how_often_trouble_is_repeated() -> None:
    """``max_retries`` of the call counts at a first contact too; other forms are no repeats."""
    service = Generation("protobuf")
    service.script("/forward_backward", *[refusal(500)] * 9)

    def call(client: tl.Tinker) -> None:
        with pytest.raises(tl.InternalServerError):
            client.training.forward_backward(PASS, max_retries=0)

    with_raw(service, call)
    assert service.forms() == ["protobuf", "json"]


def test_each_form_has_one_key() -> None:
    """All attempts in one form share a key, and the answer says how many there were."""
    service = Generation("protobuf")
    service.script("/forward_backward", *[refusal(500)] * 2)

    def call(client: tl.Tinker) -> int:
        return client.with_raw_response.training.forward_backward(PASS).retries_taken

    assert with_raw(service, call) == 2
    keys = [request.headers.get("x-idempotency-key") for request in service.passes()]
    assert keys[0] == keys[2] != keys[1]


def test_what_describes_a_message_is_the_librarys_to_say() -> None:
    """A Content-Type among a client's default headers must not relabel protobuf."""
    service = Generation("protobuf")
    headers = {"Content-Type": "application/json"}

    def call(client: tl.Tinker) -> None:
        client.with_options(default_headers=headers).training.forward_backward(PASS)

    with_raw(service, call)
    assert service.forms() == ["protobuf"]


def test_polls_have_the_query_of_the_client() -> None:
    """``result`` sends what every call of the client sends."""
    service = Generation("protobuf")

    def call(client: tl.Tinker) -> None:
        copy = client.with_options(default_query={"tenant": "a"})
        copy.result(rows.TRAINING_FORWARD_BACKWARD, copy.training.forward_backward(PASS))

    with_raw(service, call)
    assert all(request.url.endswith("?tenant=a") for request in service.requests)


def test_a_web_page_teaches_nothing() -> None:
    """A result that cannot be read says nothing of what the server speaks."""
    service = Generation("protobuf")
    page = FakeReply(b"<html>", headers=(("Content-Type", "text/html"),))
    service.script("/retrieve_future", page)

    def call(client: tl.Tinker) -> None:
        future = client.training.forward_backward(PASS)
        with pytest.raises(tl.RetrievalError, match="<html>"):
            client.result(rows.TRAINING_FORWARD_BACKWARD, future)
        client.result(rows.TRAINING_FORWARD_BACKWARD, future)

    with_raw(service, call)
    assert service.accepted("ForwardBackward") == [PROTOBUF, PROTOBUF]
