"""Section S11: types hold what servers send, whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

import tinker_lite as tl
from tests.types.catalogue import FIELDS
from tests.types.replies import CHECKPOINT, NEW, REPLIES, TRAINING_RUN, with_new
from tests.types.structs import REQUESTS
from tests.types.test_catalogue import fields_of
from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.testing import FakeReply, FakeTransport
from tinker_lite.wire.json import decode_json, encode_json

EVERY = [pytest.param(*row, id=row[0].__name__) for row in REPLIES]
BATCH = ["events", "platform", "sdk_version", "session_id", "process_uuid"]


def telemetry() -> t.TelemetrySendRequest:
    """A batch of one event."""
    start = t.SessionStartEvent(
        event_id="e",
        event_session_index=0,
        severity="INFO",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return t.TelemetrySendRequest(
        events=[start], platform="Linux", sdk_version="0.38.0", session_id="S", process_uuid="u"
    )


def read(plain: object, type_: type[Any]) -> Any:
    """What a type makes of a reply."""
    return decode_json(json.dumps(plain).encode(), type_)


def test_s11_1_full_capabilities() -> None:
    """S11.1: decoded and encoded again, the JSON equals the input."""
    plain = {"supported_models": [{"model_name": "B", "max_context_length": 1, "x": [None]}]}
    assert json.loads(encode_json(read(plain, t.GetServerCapabilitiesResponse))) == plain


def test_s11_2_telemetry_batch_is_rigid() -> None:
    """S11.2: exactly the five fields; another one is refused."""
    assert list(t.TelemetryBatch.__struct_fields__) == BATCH
    fields: dict[str, Any] = {name: getattr(telemetry(), name) for name in BATCH}
    assert t.TelemetryBatch(**fields).session_id == "S"
    types: list[Any] = [t.TelemetryBatch, t.TelemetrySendRequest]
    for type_ in types:
        with pytest.raises(TypeError, match=r"[Uu]nexpected keyword argument 'user'"):
            type_(**fields, user="u")
    with pytest.raises(ValueError, match=r"events has 0; a batch has 1 to 100"):
        types[0](**(fields | {"events": []}))


def test_s11_3_metadata_at_the_top_level() -> None:
    """S11.3: what is posted has the batch's fields at its top level."""
    transport = FakeTransport(lambda _: FakeReply({"status": "accepted"}))
    with tl.Tinker(
        base_url="http://127.0.0.1:9", api_key="tml-0123456789", transport=transport
    ) as raw:
        assert raw.telemetry.send(telemetry()) == t.TelemetryResponse(status="accepted")
    posted = json.loads(bytes(transport.requests[0].body))  # type: ignore[arg-type]  # whole by then
    assert set(posted) == set(BATCH)
    assert (posted["platform"], posted["session_id"]) == ("Linux", "S")
    assert posted["events"] == [
        {
            "event": "SESSION_START",
            "event_id": "e",
            "event_session_index": 0,
            "severity": "INFO",
            "timestamp": "2026-01-01T00:00:00Z",
        }
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_s11_4_object_graph(name: str) -> None:
    """S11.4: each type has the fields of the official one, of 0.6.3 and of 0.38 together."""
    assert fields_of(getattr(t, name)) == FIELDS[name]


def test_s11_5_times_are_datetimes() -> None:
    """S11.5: aware, also where a text has no zone (UTC then); a bad text is an error."""
    for written in ("2026-11-23T12:48:47.934777Z", "2026-11-23T12:48:47.934777"):
        run = read({**TRAINING_RUN, "last_request_time": written}, t.TrainingRun)
        assert run.last_request_time == datetime(2026, 11, 23, 12, 48, 47, 934777, UTC)
        assert run.last_request_time.tzinfo is not None
    with pytest.raises(DecodeError, match=r"RFC3339.* - at `\$\.last_request_time`"):
        read({**TRAINING_RUN, "last_request_time": "soon"}, t.TrainingRun)


@pytest.mark.parametrize(("type_", "plain"), EVERY)
def test_s11_6_fields_added_later_are_kept(type_: type[Any], plain: dict[str, Any]) -> None:
    """S11.6: in every object of every reply: reachable, and in the JSON again."""
    newer = with_new(plain)
    value = read(newer, type_)
    assert value.extra["new"] == NEW
    assert json.loads(encode_json(value)) == newer


@pytest.mark.parametrize(("type_", "plain"), EVERY)
def test_s11_7_nothing_is_simplified(type_: type[Any], plain: dict[str, Any]) -> None:
    """S11.7: decoded and encoded again, a reply of every type equals the input."""
    assert json.loads(encode_json(read(plain, type_))) == plain


def test_x11_1_missing_and_null_fields() -> None:
    """X11.1: an optional field may be missing or null, also one whose default is not null."""
    required = {
        key: CHECKPOINT[key] for key in ("checkpoint_id", "checkpoint_type", "time", "tinker_path")
    }
    nulls = dict.fromkeys(("size_bytes", "public", "user_metadata", "expires_at"))
    checkpoint = read({**required, **nulls}, t.Checkpoint)
    assert checkpoint == read(required, t.Checkpoint)
    assert (checkpoint.public, checkpoint.expires_at) == (False, None)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 + 1, -(2**53) - 1])
def test_x11_2_large_integers(number: int) -> None:
    """X11.2: exact, in fields and in what is not known, both ways."""
    checkpoint = read({**CHECKPOINT, "size_bytes": number, "n": [number]}, t.Checkpoint)
    assert (checkpoint.size_bytes, checkpoint.extra["n"]) == (number, [number])
    assert encode_json(checkpoint).count(str(number).encode()) == 2


@pytest.mark.parametrize("type_", [pytest.param(cls, id=cls.__name__) for cls in REQUESTS])
def test_x11_3_requests_refuse_unknown_keywords(type_: Any) -> None:
    """X11.3: a misspelt field is an error where it is written; sampling settings alone pass."""
    with pytest.raises(TypeError, match=r"[Uu]nexpected keyword argument 'no_such_field'"):
        type_(no_such_field=1)
    assert t.SamplingParams(no_such_field=1) == t.SamplingParams()
