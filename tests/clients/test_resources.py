from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from tests.engine.scripted import BASE_URL
from tinker_lite import AsyncTinker, Tinker
from tinker_lite import types as t
from tinker_lite.clients.endpoints import Endpoints
from tinker_lite.clients.faces import Operation, Resource
from tinker_lite.engine.preparation import Args
from tinker_lite.http import Request
from tinker_lite.protocol.endpoints import BY_NAME, ENDPOINTS
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.testing.captured import capture

RUN = "/training_runs/S:train:0"
CHECKPOINT = f"{RUN}/checkpoints/weights/a"
DAY = dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)
CHECKPOINT_IDS = ("S:train:0", "weights/a")

# Names that the official client has for rows which are methods of other resources here.
OFFICIAL = {
    "weights.list": "checkpoints.list_for_run",
    "weights.delete_checkpoint": "checkpoints.delete",
    "weights.get_checkpoint_archive_url": "checkpoints.archive",
    "weights.get_external_weights_urls": "checkpoints.external_weights_urls",
}

BODY = {"any": "fields"}
# Per method: its arguments, and the target of its request after the method of the row.
CALLS: dict[str, tuple[tuple[Any, ...], str]] = {
    "service.health_check": ((), "/healthz"),
    "service.get_server_capabilities": ((), "/get_server_capabilities"),
    "service.client_config": ((BODY,), "/client/config"),
    "service.client_dynamic_config": ((BODY,), "/client/dynamic_config"),
    "service.auth_token": ((), "/auth/token"),
    "service.create_session": ((BODY,), "/create_session"),
    "service.session_heartbeat": ((BODY,), "/session_heartbeat"),
    "service.finish_session": (("S", BODY), "/sessions/S/finish"),
    "service.create_sampling_session": ((BODY,), "/create_sampling_session"),
    "service.join_sampling_session": ((BODY,), "/join_sampling_session"),
    "service.create_custom_loss": ((BODY,), "/create_custom_loss"),
    "sessions.list": ((), "/sessions?limit=20&offset=0&access_scope=owned"),
    "sessions.get": (("S",), "/sessions/S?access_scope=owned"),
    "sessions.search": ((BODY,), "/sessions/search"),
    "sessions.set_project": (("S", BODY), "/sessions/S/project"),
    "sessions.trace_export": (("S",), "/sessions/S/trace_export"),
    "models.create": ((BODY,), "/create_model"),
    "models.get_info": ((BODY,), "/get_info"),
    "models.unload": ((BODY,), "/unload_model"),
    "models.copy_weights": ((BODY, "secret"), "/copy_weights"),
    "training.forward": ((BODY,), "/forward"),
    "training.forward_backward": ((BODY,), "/forward_backward"),
    "training.optim_step": ((BODY,), "/optim_step"),
    "weights.save": ((BODY,), "/save_weights"),
    "weights.save_for_sampler": ((BODY,), "/save_weights_for_sampler"),
    "weights.save_external": ((BODY,), "/save_weights_external"),
    "weights.load": ((BODY,), "/load_weights"),
    "weights.info": ((BODY,), "/weights_info"),
    "weights.list": (("S:train:0",), f"{RUN}/checkpoints"),
    "weights.delete_checkpoint": (CHECKPOINT_IDS, CHECKPOINT),
    "weights.get_checkpoint_archive_url": (CHECKPOINT_IDS, f"{CHECKPOINT}/archive"),
    "weights.get_external_weights_urls": (CHECKPOINT_IDS, f"{CHECKPOINT}/external_weights_urls"),
    "sampling.asample": ((BODY,), "/asample"),
    "sampling.get_sampler": (("S:sample:0",), "/samplers/S:sample:0"),
    "futures.retrieve": ((BODY, "OptimStep"), "/retrieve_future"),
    "futures.retrieve_multi": ((BODY,), "/retrieve_futures"),
    "futures.cancel": ((BODY,), "/cancel_future"),
    "training_runs.list": ((), "/training_runs?limit=20&offset=0&access_scope=owned"),
    "training_runs.get": (("S:train:0",), f"{RUN}?access_scope=owned"),
    "checkpoints.list": ((), "/checkpoints?limit=100&offset=0"),
    "checkpoints.list_for_run": (("S:train:0",), f"{RUN}/checkpoints"),
    "checkpoints.delete": (CHECKPOINT_IDS, CHECKPOINT),
    "checkpoints.publish": (CHECKPOINT_IDS, f"{CHECKPOINT}/publish"),
    "checkpoints.unpublish": (CHECKPOINT_IDS, f"{CHECKPOINT}/publish"),
    "checkpoints.set_ttl": ((*CHECKPOINT_IDS, BODY), f"{CHECKPOINT}/ttl"),
    "checkpoints.archive": (CHECKPOINT_IDS, f"{CHECKPOINT}/archive"),
    "checkpoints.external_weights_urls": (CHECKPOINT_IDS, f"{CHECKPOINT}/external_weights_urls"),
    "audit.log": (("all", DAY.date()), "/audit?event_type=all&day=2026-01-02"),
    "billing.usage_events": (
        (DAY, DAY.replace(tzinfo=None, hour=5)),
        "/billing/usage/events?starting_on=2026-01-02T03%3A00%3A00Z"
        "&ending_before=2026-01-02T05%3A00%3A00Z",
    ),
    "billing.checkpoint_storage": (("p",), "/billing/usage/checkpoints/current?project_id=p"),
    "api_keys.get": ((), "/auth/apikey/me"),
    "api_keys.revoke": ((), "/auth/apikey/me"),
    "telemetry.send": ((BODY,), "/telemetry"),
}
HEADERS = {
    "models.copy_weights": ("X-Tinker-Weights-Access-Token", "secret"),
    "sampling.asample": ("X-Tinker-Sampling-Backpressure", "1"),
    "futures.retrieve": ("X-Tinker-Request-Type", "OptimStep"),
}


def operations() -> Iterator[tuple[str, Operation[..., Any]]]:
    """Every method of every resource, by ``resource.method``."""
    client = Tinker(base_url=BASE_URL, transport=FakeTransport(lambda _: FakeReply()))
    for name, value in vars(Endpoints).items():
        resource: object = getattr(client, name) if isinstance(value, property) else None
        if isinstance(resource, Resource):
            for method, operation in vars(type(cast("object", resource))).items():
                if isinstance(operation, Operation):
                    yield f"{name}.{method}", operation


def method_of(client: Any, name: str) -> Any:
    """A method of a client, by ``resource.method``."""
    resource, method = name.split(".")
    return getattr(getattr(client, resource), method)


def test_every_row_is_a_method_under_its_own_name() -> None:
    """The table and the resources say the same; four rows have an official name besides."""
    names = {name for name, _ in operations()}
    assert names == {row.name for row in ENDPOINTS} | set(OFFICIAL)
    assert names == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_a_method_sends_what_its_row_says(name: str) -> None:
    """In both colours: method, path, query, body and headers."""
    row = BY_NAME[OFFICIAL.get(name, name)]
    arguments, target = CALLS[name]
    transport = FakeTransport(lambda _: FakeReply())
    async_transport = AsyncFakeTransport(lambda _: FakeReply())
    client = Tinker(base_url=BASE_URL, transport=transport)
    method_of(client.with_raw_response, name)(*arguments)
    async_client = AsyncTinker(base_url=BASE_URL, transport=async_transport)
    await method_of(async_client.with_raw_response, name)(*arguments)
    for request in (*transport.requests, *async_transport.requests):
        assert request.method == row.method
        assert request.url == f"{BASE_URL}/api/v1{target}"
        assert sent(request) == expected_body(name, arguments)
        header = HEADERS.get(name)
        assert header is None or request.headers.get_all(header[0]) == [header[1]]
        assert request.timeout.total_s == row.timeout_s


def sent(request: Request) -> object:
    """The JSON of a request, or None."""
    body = cast("bytes", request.body)
    return msgspec.json.decode(body) if body else None


def expected_body(name: str, arguments: tuple[Any, ...]) -> object:
    """What a method sends."""
    return {} if name == "service.auth_token" else next((a for a in arguments if a is BODY), None)


@pytest.mark.parametrize(("name", "operation"), list(operations()))
def test_a_method_says_what_its_row_says(name: str, operation: Operation[..., Any]) -> None:
    """Its request and its answer have the types of the row."""
    row = BY_NAME[OFFICIAL.get(name, name)]
    signature = inspect.signature(operation.function)
    answer = "None" if row.response is None else f"t.{row.response.__name__}"
    special = {
        "futures.retrieve": "object",
        "checkpoints.archive": "t.CheckpointArchiveUrlResponse",
    }
    wanted = special.get(row.name, answer)
    assert signature.return_annotation == f"Args[{wanted}]"
    if "request" in signature.parameters:
        assert row.request is not None
        assert f"t.{row.request.__name__}" in signature.parameters["request"].annotation
    else:
        assert row.request in {None, t.AuthTokenRequest}
    assert operation.__doc__


def test_a_struct_is_sent_as_it_is_and_a_mapping_by_its_type() -> None:
    """Both give the same bytes, and what a service reads is the struct."""
    transport = FakeTransport(lambda _: FakeReply({"request_id": "r"}))
    client = Tinker(base_url=BASE_URL, transport=transport)
    request = t.CreateModelRequest(
        session_id="S", model_seq_id=0, base_model="m", lora_config=t.LoraConfig(rank=2)
    )
    client.models.create(request)
    plain = msgspec.json.decode(cast("bytes", transport.requests[0].body))
    client.models.create(request=plain)
    struct, mapping = transport.requests
    assert sent(struct) == sent(mapping)
    assert capture(mapping).body == request


def test_the_place_of_an_archive_is_read_from_the_redirect() -> None:
    """It is not followed, also within the origin."""
    reply = FakeReply(b"", status=302, headers=(("Location", "/api/v1/archives/x"),))
    transport = FakeTransport(lambda _: reply)
    with Tinker(base_url=BASE_URL, transport=transport) as client:
        found = client.checkpoints.archive(*CHECKPOINT_IDS)
    assert found.url == f"{BASE_URL}/api/v1/archives/x"
    assert len(transport.requests) == 1


def test_the_audit_log_is_fetched_from_its_storage_without_the_key() -> None:
    """The one row that leads to another origin."""

    def answer(request: Request) -> FakeReply:
        if request.url.startswith(BASE_URL):
            return FakeReply(status=302, headers=(("Location", "https://storage.test/log?s=1"),))
        return FakeReply({"entries": []})

    transport = FakeTransport(answer)
    with Tinker(base_url=BASE_URL, api_key="tml-key", transport=transport) as client:
        assert client.audit.log().entries == []
    assert transport.requests[1].url == "https://storage.test/log?s=1"
    assert "x-api-key" not in transport.requests[1].headers


def test_a_method_is_what_it_looks_like() -> None:
    """Name, text and signature are those of the function, with the options one by one."""
    client = Tinker(base_url=BASE_URL, transport=FakeTransport(lambda _: FakeReply()))
    method = client.training_runs.get
    signature = inspect.signature(method)
    assert list(signature.parameters) == [
        "training_run_id",
        "access_scope",
        "extra_headers",
        "extra_query",
        "extra_body",
        "idempotency_key",
        "timeout",
        "max_retries",
    ]
    unbound = type(client.training_runs).get
    assert list(inspect.signature(unbound).parameters) == ["self", *signature.parameters]
    assert method.__name__ == unbound.__name__ == "get"
    assert method.__doc__ == "One training run."
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        method()  # type: ignore[call-arg]  # the check


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("billing.usage_events", ("2026-01-01", DAY), "starting_on is '2026-01-01'; it must be a"),
        ("billing.usage_events", (DAY, DAY.date()), "ending_before is datetime.date"),
        ("audit.log", ("all", "2026-01-01"), "day is '2026-01-01'; it must be a date"),
        ("training_runs.get", (5,), r"\{run\} of /training_runs/\{run\} is 5; it must be a plain"),
        ("sessions.get", ("",), r"\{session\} of /sessions/\{session\} is ''; it must be"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(
    name: str, arguments: tuple[Any, ...], text: str
) -> None:
    """Before anything is sent."""
    transport = FakeTransport(lambda _: FakeReply({}))
    client = Tinker(base_url=BASE_URL, transport=transport)
    resource, _, method = name.partition(".")
    with pytest.raises((TypeError, ValueError), match=text):
        getattr(getattr(client, resource), method)(*arguments)
    assert not transport.requests


def test_a_call_is_a_value() -> None:
    """The function behind a method only says what is to be sent."""
    args = dict(operations())["sessions.get"].function(None, "S", timeout=3)
    assert (type(args), args.row.name) == (Args, "sessions.get")
    assert (args.path, args.options) == ({"session": "S"}, {"timeout": 3})
