from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.testing.both import API, get, post
from tinker_lite import Datum, ModelInput
from tinker_lite.errors import DecodeError
from tinker_lite.http import Headers, Request
from tinker_lite.protocol.endpoints import BY_NAME, ENDPOINTS
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport, capture
from tinker_lite.types import (
    FinishSessionRequest,
    ForwardBackwardInput,
    ForwardBackwardRequest,
    ForwardRequest,
    SessionHeartbeatRequest,
)
from tinker_lite.wire.protobuf import encode_forward_backward_request
from tinker_lite.wire.urls import render_path


def test_a_captured_call_has_row_values_query_and_struct() -> None:
    """Everything that the URL and the body say, decoded."""
    body = b'{"reason": {"type": "success"}, "detail": null}'
    call = capture(post("/sessions/a%20b/finish?x=1&x=2&y=", body))
    assert call.endpoint is BY_NAME["service.finish_session"]
    assert (call.path_values, call.query) == ({"session": "a b"}, {"x": "2", "y": ""})
    assert isinstance(call.body, FinishSessionRequest)
    assert call.body.reason.type == "success"
    assert call.fields() == {
        "x": "2",
        "y": "",
        "session": "a b",
        "reason": {"type": "success"},
        "detail": None,
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda row: row.name)
def test_every_row_is_found_by_its_own_path(endpoint: Any) -> None:
    """Also below a base URL that has a path, and with an id that holds a slash."""
    ids = {"run": "s:train:0", "session": "s", "sampler": "s:sample:1", "checkpoint": "weights/a"}
    for root in (API, "https://h/tinker/api/v1"):
        url = root + render_path(endpoint.path, **ids)
        bare = Request(method=endpoint.method, url=url)
        if endpoint.request is None:
            assert capture(bare).name == endpoint.name
            continue
        with pytest.raises(DecodeError, match=f"sent to {endpoint.name} does not fit"):
            capture(bare)


@pytest.mark.parametrize(
    ("request_", "name", "body"),
    [
        pytest.param(get("/nowhere"), "GET /api/v1/nowhere", None, id="an unknown path"),
        pytest.param(
            post("/healthz"), "POST /api/v1/healthz", {}, id="a known path's other method"
        ),
        pytest.param(
            Request(method="PUT", url="https://store/f?sig=a", body=b"\x00"),
            "PUT /f",
            b"\x00",
            id="another host's file",
        ),
        pytest.param(
            get("/healthz", body=b"[1]"), "service.health_check", [1], id="a row, no type"
        ),
    ],
)
def test_what_has_no_type_is_plain(request_: Request, name: str, body: object) -> None:
    """A URL that is no endpoint's is named by itself; its body is JSON if it can be."""
    call = capture(request_)
    assert (call.name, call.body) == (name, body)


async def test_fakes_show_what_they_captured() -> None:
    """In order and decoded, and the requests themselves as they were."""
    request = post("/session_heartbeat", iter([b'{"session', b'_id": "s"}']))
    fake = FakeTransport(lambda _: FakeReply())
    fake.send(request)
    fake.send(get("/healthz"))
    assert [call.name for call in fake.captured] == [
        "service.session_heartbeat",
        "service.health_check",
    ]
    assert fake.captured[0].body == SessionHeartbeatRequest(session_id="s")
    assert fake.captured[0].request is fake.requests[0]
    nonblocking = AsyncFakeTransport(lambda _: FakeReply())
    await nonblocking.send(post("/session_heartbeat", b'{"session_id": 1}'))
    with pytest.raises(DecodeError, match=r"service\.session_heartbeat.*`\$\.session_id`"):
        _ = nonblocking.captured


BATCH = ForwardBackwardInput(
    data=[Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3]})], loss_fn="cross_entropy"
)
PASSES = [
    (
        "training.forward_backward",
        ForwardBackwardRequest(forward_backward_input=BATCH, model_id="M", seq_id=1),
    ),
    ("training.forward", ForwardRequest(forward_input=BATCH, model_id="M", seq_id=1)),
]


@pytest.mark.parametrize("coding", [None, "gzip"])
@pytest.mark.parametrize(("name", "sent"), PASSES)
def test_passes_in_protobuf_are_read_as_those_in_json(
    name: str, sent: ForwardBackwardRequest | ForwardRequest, coding: str | None
) -> None:
    """The row is that of the pass, though both kinds go to one path, and packed bodies are read."""
    raw = bytes(encode_forward_backward_request(sent))
    headers = [("Content-Type", "application/x-protobuf")]
    if coding is not None:
        raw, headers = gzip.compress(raw), [*headers, ("Content-Encoding", coding)]
    call = capture(
        Request(method="POST", url=f"{API}/forward_backward", headers=Headers(headers), body=raw)
    )
    assert call.name == name
    assert call.body == sent


def test_what_is_no_pass_names_the_endpoint() -> None:
    """Bytes that are no message are the client's mistake."""
    headers = Headers([("Content-Type", "application/x-protobuf")])
    request = Request(method="POST", url=f"{API}/forward_backward", headers=headers, body=b"\xff")
    with pytest.raises(DecodeError, match=r"sent to training.forward_backward does not fit"):
        capture(request)
