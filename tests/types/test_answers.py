from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite import types as t
from tinker_lite.types import (
    GetServerCapabilitiesResponse,
    ParsedCheckpointTinkerPath,
    QueueState,
    RequestErrorCategory,
    SupportedModel,
)
from tinker_lite.wire.json import decode_json, encode_json

# Capabilities


def test_models_may_be_named_by_bare_strings_and_nulls() -> None:
    """Older servers give names alone; nulls are passed over."""
    raw = b'{"supported_models":["a",null,{"model_name":"b","trainable":true},{}]}'
    capabilities = decode_json(raw, GetServerCapabilitiesResponse)
    assert capabilities.supported_models == [
        SupportedModel(model_name="a"),
        SupportedModel(model_name="b", trainable=True),
        SupportedModel(),
    ]
    assert capabilities.model_names == ["a", "b"]


def test_capabilities_are_values() -> None:
    """Equal, picklable, sent and read again; not hashable, like the list they hold."""
    one = GetServerCapabilitiesResponse(supported_models=[SupportedModel(model_name="a")])
    assert pickle.loads(pickle.dumps(one)) == one
    assert decode_json(encode_json(one), GetServerCapabilitiesResponse) == one
    assert one != GetServerCapabilitiesResponse(supported_models=[])
    assert "model_name='a'" in repr(one)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


# Checkpoint paths: protocol section 10


@pytest.mark.parametrize(
    ("path", "run", "kind", "checkpoint"),
    [
        ("tinker://S:train:0/weights/ck", "S:train:0", "training", "weights/ck"),
        ("tinker://r/sampler_weights/a b", "r", "sampler", "sampler_weights/a b"),
        ("tinker://r/external_weights/x%2F", "r", "external", "external_weights/x%2F"),
        ("tinker:///weights/", "", "training", "weights/"),
    ],
)
def test_a_checkpoint_path_is_taken_apart(path: str, run: str, kind: str, checkpoint: str) -> None:
    """Three segments, nothing decoded; colons belong to the run; empty parts pass."""
    parsed = ParsedCheckpointTinkerPath.from_tinker_path(path)
    assert parsed.tinker_path == path
    assert (parsed.training_run_id, parsed.checkpoint_type, parsed.checkpoint_id) == (
        run,
        kind,
        checkpoint,
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "ck",
        "tinker://r",
        "tinker://r/ck",
        "tinker://r/weights/a/b",
        "tinker://r/other/ck",
        "Tinker://r/weights/ck",
        "http://r/weights/ck",
        "tinker:r/weights/ck",
    ],
)
def test_another_path_is_refused(path: str) -> None:
    """The error shows the path and the form it should have."""
    with pytest.raises(ValueError, match=r"is not a checkpoint path.*tinker://<run>/<kind>/<name>"):
        ParsedCheckpointTinkerPath.from_tinker_path(path)


# Words that may grow


@given(st.text())
def test_unknown_words_become_unknown(word: str) -> None:
    """A newer server's queue state or category is not an error."""
    assert QueueState(word) == (word if word in set(QueueState) else "unknown")
    known = set(RequestErrorCategory)
    assert RequestErrorCategory(word) == (word if word in known else "unknown")


def test_categories_have_two_spellings() -> None:
    """Ours and the official one name the same members, which are plain strings."""
    ours = [RequestErrorCategory.UNKNOWN, RequestErrorCategory.SERVER, RequestErrorCategory.USER]
    official = [
        RequestErrorCategory.Unknown,
        RequestErrorCategory.Server,
        RequestErrorCategory.User,
    ]
    assert ours == official == list(RequestErrorCategory)
    assert [f"{category}" for category in official] == ["unknown", "server", "user"]


@pytest.mark.parametrize("word", ["active", "paused_rate_limit", "paused_capacity", "unknown"])
def test_known_queue_states_are_plain_strings(word: str) -> None:
    """Equal to the word and printed as it."""
    state = QueueState(word)
    assert state == word
    assert f"{state}" == word


# Answers


def test_times_keep_their_zone_and_microseconds() -> None:
    """What is read as UTC is sent with ``Z`` (protocol section 1.7)."""
    raw = (
        b'{"checkpoint_id":"weights/a","checkpoint_type":"training","tinker_path":"p",'
        b'"time":"2026-11-23T12:48:47.934777Z","expires_at":null}'
    )
    checkpoint = decode_json(raw, t.Checkpoint)
    assert checkpoint.time == datetime(2026, 11, 23, 12, 48, 47, 934777, UTC)
    assert checkpoint.expires_at is None
    assert b'"time":"2026-11-23T12:48:47.934777Z"' in encode_json(checkpoint)


def test_metrics_are_a_plain_dict_of_each_answers_own() -> None:
    """Callers write into it; an answer without metrics gets an empty one."""
    one, two = (decode_json(b'{"loss_fn_outputs":[]}', t.ForwardBackwardOutput) for _ in range(2))
    one.metrics["mine"] = 1.0
    assert two.metrics == {}
    assert decode_json(b"{}", t.OptimStepResponse).metrics is None


def test_reprs_hide_what_is_long_or_secret() -> None:
    """Tokens and outputs are counted; a signed URL and an access token are not shown."""
    sequence = t.SampledSequence(stop_reason="stop", tokens=list(range(500)))
    assert repr(sequence) == "SampledSequence(stop_reason='stop', <500 tokens>)"
    assert repr(t.SampleResponse(sequences=[sequence])) == f"SampleResponse(sequences=[{sequence}])"
    output = t.ForwardBackwardOutput(loss_fn_outputs=[{}], metrics={"a:sum": 1.0})
    assert repr(output) == "ForwardBackwardOutput(<1 outputs>, metrics={'a:sum': 1.0})"
    load = t.LoadWeightsRequest(path="p", optimizer=True, weights_access_token="hush")
    archive = t.CheckpointArchiveUrlResponse(url="http://h/?sig=hush", expires=datetime.now(UTC))
    assert "hush" not in repr(load) + repr(archive)
