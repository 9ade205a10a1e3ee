from __future__ import annotations

import re
from string import Formatter

import msgspec
import pytest

from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.protocol import endpoints
from tinker_lite.protocol.endpoints import BY_NAME, ENDPOINTS, PROTOCOL_VERSION, Endpoint
from tinker_lite.types import UntypedAPIFuture
from tinker_lite.wire.json import decode_json

SUBMISSIONS = [row for row in ENDPOINTS if row.response is UntypedAPIFuture]


# Protocol section 2, written down apart from the table.
PLACES = """
GET /healthz
GET /get_server_capabilities
POST /client/config
POST /client/dynamic_config
POST /auth/token
POST /create_session
POST /session_heartbeat
POST /sessions/{session}/finish
GET /sessions
GET /sessions/{session}
POST /sessions/search
PUT /sessions/{session}/project
GET /sessions/{session}/trace_export
POST /create_model
POST /get_info
POST /unload_model
POST /forward
POST /forward_backward
POST /optim_step
POST /create_custom_loss
POST /load_weights
POST /save_weights
POST /save_weights_for_sampler
POST /save_weights_external
POST /copy_weights
POST /weights_info
POST /create_sampling_session
POST /join_sampling_session
GET /samplers/{sampler}
POST /asample
POST /retrieve_future
POST /retrieve_futures
POST /cancel_future
GET /training_runs
GET /training_runs/{run}
GET /training_runs/{run}/checkpoints
DELETE /training_runs/{run}/checkpoints/{checkpoint}
POST /training_runs/{run}/checkpoints/{checkpoint}/publish
DELETE /training_runs/{run}/checkpoints/{checkpoint}/publish
PUT /training_runs/{run}/checkpoints/{checkpoint}/ttl
GET /training_runs/{run}/checkpoints/{checkpoint}/archive
GET /training_runs/{run}/checkpoints/{checkpoint}/external_weights_urls
GET /checkpoints
GET /audit
GET /billing/usage/events
GET /billing/usage/checkpoints/current
POST /telemetry
GET /auth/apikey/me
DELETE /auth/apikey/me
""".strip().splitlines()


def name_of(row: object) -> str:
    """The id of a row."""
    assert isinstance(row, Endpoint)
    return row.name


def test_names_and_places_are_unique() -> None:
    """A name finds one row, and a method with a path too."""
    assert len(BY_NAME) == len(ENDPOINTS)
    assert len({(row.method, row.path) for row in ENDPOINTS}) == len(ENDPOINTS)
    assert {row.name: row for row in ENDPOINTS} == BY_NAME


@pytest.mark.parametrize("row", ENDPOINTS, ids=name_of)
def test_a_row_is_complete(row: Endpoint) -> None:
    """Name and path are well formed, bodies fit the method, limits are positive."""
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", row.name)
    assert row.path.startswith("/")
    assert not row.path.endswith("/")
    fields = [name for _, name, _, _ in Formatter().parse(row.path) if name is not None]
    assert all(name.isidentifier() for name in fields)
    assert len(fields) == len(set(fields))
    assert row.method in {"POST", "PUT"} or row.request is None
    assert 0 < row.timeout_s <= 60


def test_every_row_is_a_constant_named_after_it() -> None:
    """A row can be imported by the name it goes by, and none is left out of the table."""
    constants = {
        name: value for name, value in vars(endpoints).items() if isinstance(value, Endpoint)
    }
    assert {name: row.name for name, row in constants.items()} == {
        row.name.upper().replace(".", "_"): row.name for row in ENDPOINTS
    }


def test_the_table_is_that_of_the_protocol() -> None:
    """Every place of protocol section 2 is there, and no other."""
    assert {f"{row.method} {row.path}" for row in ENDPOINTS} == set(PLACES)
    assert len(PLACES) == len(ENDPOINTS)


def test_old_rows_say_who_calls_them() -> None:
    """What newer clients no longer call stays, marked; most rows are for all."""
    versions = {row.name: row.versions for row in ENDPOINTS}
    assert versions["training.forward"] == "0.6.3 in JSON, all later ones in protobuf"
    assert versions["models.unload"] == versions["checkpoints.archive"] == "0.25 and earlier"
    assert versions["sessions.search"] == "after 0.25"
    assert versions["sampling.asample"] == "all"


def test_redirects_mean_something_to_two_rows_only() -> None:
    """The audit log lies in a storage; the place of an archive is the answer itself."""
    assert [row.name for row in ENDPOINTS if row.leads_to_storage] == ["audit.log"]
    assert [row.name for row in ENDPOINTS if row.answers_by_redirect] == ["checkpoints.archive"]


@pytest.mark.parametrize("row", ENDPOINTS, ids=name_of)
def test_the_types_of_a_row_decode(row: Endpoint) -> None:
    """A decoder can be made for each, and broken bytes are its own error, not a mistake of ours."""
    for type_ in (row.request, row.response, row.result):
        if type_ is not None:
            with pytest.raises(DecodeError, match=type_.__name__):
                decode_json(b"[", type_)
            with pytest.raises(DecodeError, match=f"{type_.__name__}: Expected `object`"):
                decode_json(b"[]", type_)


@pytest.mark.parametrize("row", SUBMISSIONS, ids=name_of)
def test_a_submission_says_what_it_will_give(row: Endpoint) -> None:
    """Its result has a type, and polls have a name for it (protocol section 4.1)."""
    assert row.method == "POST"
    assert row.request is not None
    assert row.result is not None
    assert row.retry in {"standard", "paced"}


def test_polls_name_the_operations_of_the_protocol() -> None:
    """Each submission has a request type of its own, spelt as the protocol spells it."""
    known = {
        "CreateModel", "LoadWeights", "ForwardBackward", "Forward", "OptimStep", "SaveWeights",
        "SaveWeightsForSampler", "SaveWeightsExternal", "Sample", "CreateCustomLoss", "UnloadModel",
    }  # fmt: skip
    assert {row.request_type for row in SUBMISSIONS} == known
    assert len(SUBMISSIONS) == len(known)
    others = [row for row in ENDPOINTS if row not in SUBMISSIONS]
    assert {(row.result, row.request_type) for row in others} == {(None, "")}


def test_retries_are_left_to_the_loops_that_repeat_by_themselves() -> None:
    """Heartbeats and polls get one attempt; sampling obeys back-pressure by itself."""
    assert {row.name: row.retry for row in ENDPOINTS if row.retry != "standard"} == {
        "service.session_heartbeat": "once",
        "sampling.asample": "paced",
        "futures.retrieve": "poll",
        "futures.retrieve_multi": "poll",
        "api_keys.get": "once",
        "api_keys.revoke": "once",
    }
    assert BY_NAME["futures.retrieve_multi"].timeout_s == 45
    assert BY_NAME["futures.cancel"].timeout_s == 30
    assert BY_NAME["telemetry.send"].timeout_s == 5
    assert BY_NAME["futures.retrieve"].timeout_s == 45
    assert BY_NAME["service.session_heartbeat"].timeout_s == 10
    assert BY_NAME["service.client_dynamic_config"].timeout_s == 10
    assert BY_NAME["training.forward_backward"].timeout_s == 60


def test_requests_name_their_own_kind() -> None:
    """The constant ``type`` of a body is the last part of its path, where there is one."""
    kinds = {
        row.path.rsplit("/", 1)[-1]: msgspec.inspect.type_info(row.request)
        for row in ENDPOINTS
        if row.request is not None
    }
    for path, info in kinds.items():
        assert isinstance(info, msgspec.inspect.StructType)
        for field in info.fields:
            if field.name == "type" and path != "asample":
                assert field.default == path
    assert t.SampleRequest.__struct_defaults__[-1] == "sample"


def test_the_generation_is_the_one_of_the_document() -> None:
    """It travels as ``sdk_version`` and looks like a version."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROTOCOL_VERSION)
