from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.engine.scripted import (
    BASE_URL,
    PATIENCE_S,
    ScriptedService,
    refusal,
    threaded_client,
)
from tinker_lite import NotFoundError, RestClient
from tinker_lite.testing import FakeReply, FakeTransport

PATH = "tinker://S:train:0/weights/a"
ARCHIVE = "/training_runs/S:train:0/checkpoints/weights/a/archive"
RUN: dict[str, object] = {
    "training_run_id": "S:train:0",
    "base_model": "m",
    "model_owner": "me",
    "is_lora": True,
    "lora_rank": 4,
    "corrupted": False,
    "last_request_time": "2026-01-01T00:00:00Z",
}
CURSOR = {"offset": 5, "limit": 2, "total_count": 9}


def test_looking_at_things_makes_no_session() -> None:
    """A REST client made by itself asks only what it is asked."""
    service = ScriptedService()
    service.script("/training_runs", FakeReply({"training_runs": [RUN], "cursor": CURSOR}))
    rest = RestClient(base_url=BASE_URL, api_key="tml-k", transport=FakeTransport(service))
    page = rest.list_training_runs(limit=2, offset=5, project_id="p").result(PATIENCE_S)
    assert page.training_runs[0].training_run_id == "S:train:0"
    (request,) = service.requests
    assert request.method == "GET"
    assert request.headers.get("x-api-key") == "tml-k"
    query = request.url.partition("?")[2].split("&")
    assert sorted(query) == ["access_scope=owned", "limit=2", "offset=5", "project_id=p"]


def test_what_is_none_is_left_out_of_the_query() -> None:
    """No project means no parameter."""
    service = ScriptedService()
    service.script("/training_runs", FakeReply({"training_runs": [], "cursor": CURSOR}))
    with threaded_client(service) as client:
        client.create_rest_client().list_training_runs().result(PATIENCE_S)
    assert "project_id" not in service.requests[0].url


def test_paths_name_runs_and_checkpoints() -> None:
    """A ``tinker://`` path is taken apart into run and checkpoint."""
    service = ScriptedService()
    service.script("/training_runs/S:train:0", FakeReply(RUN))
    service.script("/weights_info", FakeReply({"base_model": "m", "is_lora": True, "lora_rank": 4}))
    with threaded_client(service) as client:
        rest = client.create_rest_client()
        assert rest.get_training_run_by_tinker_path(PATH).result(PATIENCE_S).base_model == "m"
        assert rest.delete_checkpoint_from_tinker_path(PATH).result(PATIENCE_S) is None
        assert rest.get_weights_info_by_tinker_path(PATH).result(PATIENCE_S).lora_rank == 4
    assert [(r.method, r.url.partition("/api/v1")[2]) for r in service.requests] == [
        ("GET", "/training_runs/S:train:0?access_scope=owned"),
        ("DELETE", "/training_runs/S:train:0/checkpoints/weights/a"),
        ("POST", "/weights_info"),
    ]


def test_a_malformed_path_is_refused_at_the_call() -> None:
    """ValueError, and nothing is sent."""
    service = ScriptedService()
    rest = RestClient(base_url=BASE_URL, transport=FakeTransport(service))
    for call in (
        rest.get_training_run_by_tinker_path,
        rest.delete_checkpoint_from_tinker_path,
        rest.get_checkpoint_archive_url_from_tinker_path,
    ):
        with pytest.raises(ValueError, match="tinker://"):
            call("S:train:0/weights/a")
    assert service.requests == []


@pytest.mark.parametrize("form", ["redirect", "json"])
def test_an_archive_url_comes_in_two_forms(form: str) -> None:
    """A redirect that is not followed, or a JSON body."""
    service = ScriptedService()
    url, expires = "https://storage.invalid/a?sig=1", "Thu, 01 Jan 2026 00:00:00 GMT"
    headers = (("Location", url), ("Expires", expires))
    body = {"url": url, "expires": "2026-01-01T00:00:00Z"}
    reply = FakeReply(status=302, headers=headers) if form == "redirect" else FakeReply(body)
    service.script(ARCHIVE, reply)
    rest = RestClient(base_url=BASE_URL, transport=FakeTransport(service))
    answer = rest.get_checkpoint_archive_url_from_tinker_path(PATH).result(PATIENCE_S)
    assert answer.url == url
    assert answer.expires == datetime(2026, 1, 1, tzinfo=UTC)
    assert len(service.requests) == 1


def test_errors_arrive_in_the_future() -> None:
    """An unknown run is not found, and the client goes on."""
    service = ScriptedService()
    service.script("/training_runs/x", refusal(404, "no such run"))
    with threaded_client(service) as client:
        rest = client.create_rest_client()
        with pytest.raises(NotFoundError, match="no such run"):
            rest.get_training_run("x").result(PATIENCE_S)
        rest.get_sampler("s").result(PATIENCE_S)
