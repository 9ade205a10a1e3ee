"""What a newer or an older server sends beside what the types name."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.types.replies import CHECKPOINT, NEW, REPLIES, STATUSES, SUMMARIES, USES, with_new
from tinker_lite import types as t
from tinker_lite.errors import DecodeError
from tinker_lite.wire.json import decode_json, encode_json

EVERY = [pytest.param(*row, id=row[0].__name__) for row in REPLIES]


def read(plain: object, type_: type[Any]) -> Any:
    """What a type makes of a reply."""
    return decode_json(json.dumps(plain).encode(), type_)


def sent(value: object) -> Any:
    """What is sent of a value."""
    return json.loads(encode_json(value))


# Unknown fields


@pytest.mark.parametrize(("type_", "plain"), EVERY)
def test_a_known_reply_has_nothing_extra(type_: type[Any], plain: dict[str, Any]) -> None:
    """An empty mapping, so that callers can look without asking first."""
    value = read(plain, type_)
    assert value.extra == {}
    assert "new" not in value.extra
    assert "extra" not in repr(value)


def test_extra_is_a_mapping_that_does_not_change() -> None:
    """It belongs to a value that may be shared; it survives pickling and copying."""
    cursor = read({"offset": 0, "limit": 1, "total_count": 2, "new": NEW, "_extra": 5}, t.Cursor)
    assert dict(cursor.extra) == {"new": NEW, "_extra": 5}
    assert (cursor.extra["new"]["a"], len(cursor.extra)) == (1, 2)
    with pytest.raises(TypeError, match="item assignment"):
        cursor.extra["x"] = 1
    assert pickle.loads(pickle.dumps(cursor)) == copy.deepcopy(cursor) == cursor
    assert cursor != t.Cursor(offset=0, limit=1, total_count=2)
    assert hash(cursor) == hash(copy.copy(cursor))
    assert "extra={'new': {'a': 1}, '_extra': 5}" in repr(cursor).replace('"', "'")


def test_a_tensor_keeps_unknown_fields_too() -> None:
    """It is no struct, and no exception."""
    plain = {"data": [1], "dtype": "int64", "scale": 2}
    tensor = read(plain, t.TensorData)
    assert tensor.extra == {"scale": 2}
    assert sent(tensor) == sent(pickle.loads(pickle.dumps(tensor))) == plain
    assert tensor != t.TensorData([1], "int64")


# Unknown words and members of unions


@pytest.mark.parametrize(
    ("type_", "plain", "field"),
    [
        (t.Checkpoint, CHECKPOINT, "checkpoint_type"),
        (t.SampledSequence, {"stop_reason": "x", "tokens": [], "sequence_id": ""}, "stop_reason"),
        (t.TraceExportResponse, {"status": "ready"}, "status"),
        (t.ClientSessionFinishReason, {"type": "success"}, "type"),
        (t.SessionFailed, STATUSES[-1], "category"),
    ],
)
def test_an_unknown_word_is_an_unknown_value(
    type_: type[Any], plain: dict[str, Any], field: str
) -> None:
    """Equal to its text and told apart by its class; sent again as it came."""
    newer = {**plain, field: "half-open"}
    value = read(newer, type_)
    word = getattr(value, field)
    assert word == "half-open"
    assert isinstance(word, t.UnknownValue)
    assert repr(word) == "UnknownValue('half-open')"
    assert sent(value) == newer
    assert pickle.loads(pickle.dumps(value)) == value
    assert not isinstance(
        getattr(read({**plain, field: _known(field)}, type_), field), t.UnknownValue
    )


def _known(field: str) -> str:
    known = {"checkpoint_type": "sampler", "stop_reason": "stop", "status": "pending"}
    return known.get(field, {"type": "errored", "category": "user"}.get(field, ""))


@pytest.mark.parametrize(
    ("type_", "plain", "field", "unknown"),
    [
        (t.SessionSummary, SUMMARIES[0], "status", t.UnknownSessionStatus),
        (t.SessionFailed, STATUSES[-1], "reason", t.UnknownSessionFailedReason),
    ],
)
def test_an_unknown_member_of_a_union_keeps_its_fields(
    type_: type[Any], plain: dict[str, Any], field: str, unknown: type[Any]
) -> None:
    """It says which it is, and is sent again as it came."""
    newer = {**plain, field: {"type": "frozen", "since": 5, "why": None}}
    member = getattr(read(newer, type_), field)
    assert isinstance(member, unknown)
    assert (member.type, member.extra["since"]) == ("frozen", 5)
    assert sent(read(newer, type_)) == newer
    assert "frozen" in repr(member)


def test_unknown_members_of_lists_of_unions_are_kept() -> None:
    """One among known ones, also where another field than ``type`` names them."""
    plain = {
        "completions": [{"state": "failed", "request_id": "1"}, {"state": "paused", "n": 1}],
        "cursor": 2,
    }
    answer = read(plain, t.FuturesRetrieveResponse)
    assert answer.completions[0] == t.FutureFailed(request_id="1")
    assert isinstance(answer.completions[1], t.UnknownFutureCompletion)
    assert (answer.completions[0].state, answer.completions[1].state) == ("failed", "paused")
    assert sent(answer) == plain


@pytest.mark.parametrize("use", USES)
def test_members_are_told_apart(use: dict[str, Any]) -> None:
    """Each by its ``type``, also with a field that is new."""
    event = {"bucket_start": CHECKPOINT["time"], "bucket_end": CHECKPOINT["time"]}
    for info in (use, {**use, "new": NEW}):
        read_info = read({**event, "event_info": info}, t.BillingUsageEvent).event_info
        assert read_info.type == use["type"]
        assert not isinstance(read_info, t.UnknownBillingEvent)
        assert sent(read_info) == info


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param({"detail": "x"}, "missing required field `type`", id="no name"),
        pytest.param({"reason": {"type": "success"}}, "field `type`", id="no name, but a reason"),
        pytest.param({"type": 5}, "Expected `str`", id="a name that is no text"),
        pytest.param({"type": "failed"}, "missing required field `category`", id="a field less"),
    ],
)
def test_a_member_without_its_fields_is_an_error(status: dict[str, Any], text: str) -> None:
    """It is no newer member, but a broken one."""
    with pytest.raises(DecodeError, match=rf"{text}.* - at `\$\.status"):
        read({**SUMMARIES[0], "status": status}, t.SessionSummary)


# Missing fields and nulls


@pytest.mark.parametrize(("type_", "plain"), EVERY)
def test_optional_fields_may_be_missing_or_null(type_: type[Any], plain: dict[str, Any]) -> None:
    """A null where there is a default is the default; a required field must be there."""
    fields = [field for field in msgspec.structs.fields(type_) if field.name != "_extra"]
    required = {field.name for field in fields if field.required}
    optional = {field.name for field in fields} - required
    bare = {name: value for name, value in plain.items() if name in required}
    assert read({**bare, **dict.fromkeys(optional)}, type_) == read(bare, type_)
    for name in required:
        with pytest.raises(DecodeError, match=f"missing required field `{name}`"):
            read({key: value for key, value in plain.items() if key != name}, type_)


# Times


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-23T12:48:47.934777Z", datetime(2026, 11, 23, 12, 48, 47, 934777, UTC)),
        ("2026-11-23T12:48:47+00:00", datetime(2026, 11, 23, 12, 48, 47, 0, UTC)),
        ("2026-11-23T14:48:47+02:00", datetime(2026, 11, 23, 12, 48, 47, 0, UTC)),
        ("2026-11-23T12:48:47", datetime(2026, 11, 23, 12, 48, 47, 0, UTC)),
        ("2026-11-23T12:48:47.000001", datetime(2026, 11, 23, 12, 48, 47, 1, UTC)),
        (1795438127, datetime(2026, 11, 23, 12, 48, 47, 0, UTC)),
        (1795438127.5, datetime(2026, 11, 23, 12, 48, 47, 500000, UTC)),
    ],
)
def test_every_time_has_a_zone(written: object, moment: datetime) -> None:
    """A text without one is UTC, and a number counts seconds since 1970."""
    time = read({**CHECKPOINT, "time": written}, t.Checkpoint).time
    assert time == moment
    assert time.utcoffset() is not None


def test_a_zone_is_kept() -> None:
    """Nothing is converted: what came with an offset is sent with it."""
    newer = {**CHECKPOINT, "time": "2026-11-23T14:48:47+02:00"}
    checkpoint = read(newer, t.Checkpoint)
    assert checkpoint.time.utcoffset() == timedelta(hours=2)
    assert sent(checkpoint) == newer


@pytest.mark.parametrize("written", ["yesterday", "", "2026-13-01T00:00:00", True, [], 1e300])
def test_what_is_no_time_is_an_error(written: object) -> None:
    """It names its path, and stays no text."""
    with pytest.raises(DecodeError, match=r" - at `\$\.checkpoints\[1\]\.time`"):
        read(
            {"checkpoints": [CHECKPOINT, {**CHECKPOINT, "time": written}]},
            t.CheckpointsListResponse,
        )


# Errors beside unknown parts


def test_a_wrong_value_beside_unknown_parts_names_its_path() -> None:
    """The unknown parts are not what the error speaks of."""
    bad = with_new({**CHECKPOINT, "checkpoint_type": "odd", "size_bytes": "big"})
    with pytest.raises(DecodeError) as caught:
        read({"checkpoints": [CHECKPOINT, bad]}, t.CheckpointsListResponse)
    assert str(caught.value) == (
        "Not a valid CheckpointsListResponse: Expected `int | null`, got `str`"
        " - at `$.checkpoints[1].size_bytes`"
    )


def test_other_words_stay_closed() -> None:
    """Where one answer alone is right, another one is an error (protocol sections 2.1 and 7)."""
    for type_ in (t.HealthResponse, t.TelemetryResponse):
        with pytest.raises(DecodeError, match=r"'x' - at `\$\.status`"):
            read({"status": "x"}, type_)
