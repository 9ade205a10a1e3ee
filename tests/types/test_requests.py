"""What requests refuse, and what their reprs show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tests.types.replies import REPLIES
from tinker_lite import types as t
from tinker_lite.wire.json import decode_json, encode_json


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: t.SessionSearchRequest(limit=0), r"limit is 0; it must be 1 to 200"),
        (lambda: t.SessionSearchRequest(limit=201), r"limit is 201"),
        (lambda: t.SessionSearchRequest(display_name=""), r"display_name is empty; None means any"),
        (lambda: t.SessionSearchRequest(statuses=[]), r"statuses is empty"),
        (lambda: t.UserSearchOwner(owner_urns=[]), r"owner_urns has 0; give 1 to 10"),
        (lambda: t.UserSearchOwner(owner_urns=["u"] * 11), r"owner_urns has 11"),
        (
            lambda: t.SaveWeightsExternalRequest(
                model_id="M", path="p", age_encryption_recipients=["a"] * 11
            ),
            r"age_encryption_recipients has 11; 10 at most",
        ),
    ],
)
def test_what_no_server_takes_is_refused(make: Any, text: str) -> None:
    """Where it is written, by the name of the field."""
    with pytest.raises(ValueError, match=text):
        make()


def test_a_cursor_is_given_back_as_it_came() -> None:
    """With fields that only the server knows."""
    raw = b'{"sessions":[],"next_cursor":{"last_created_at":"2026-01-01T00:00:00Z",'
    raw += b'"last_session_id":"S","shard":3}}'
    page = decode_json(raw, t.SessionSearchResponse)
    assert b'"shard":3' in encode_json(t.SessionSearchRequest(cursor=page.next_cursor))


def test_reasons_are_equal_however_they_were_made() -> None:
    """A class for each, and one for all."""
    made = [
        t.ClientSessionFinishSuccess(),
        t.ClientSessionFinishErrored(),
        t.ClientSessionFinishInterrupted(),
    ]
    words: list[Any] = ["success", "errored", "interrupted"]
    assert made == [t.ClientSessionFinishReason(type=word) for word in words]
    assert len({*made, *(t.ClientSessionFinishReason(type=word) for word in words)}) == 3
    assert t.ClientSessionFinishSuccess() != "success"


def test_events_say_what_they_are() -> None:
    """By the name they travel under."""
    event = t.SessionEndEvent(
        event_id="e",
        event_session_index=1,
        severity="ERROR",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        duration="0:00:01.5",
    )
    assert event.event == "SESSION_END"
    assert t.FutureFailed(request_id="1").state == "failed"
    assert t.OwnSearchOwner().type == "own"


def test_arrays_of_a_sample() -> None:
    """The official names for the fields as arrays."""
    sequence = t.SampledSequence(
        stop_reason="stop", tokens=[5], logprobs=[-0.5], topk_logprobs=[None]
    )
    sample = t.SampleResponse(
        sequences=[sequence], prompt_logprobs=[None, -1.0], topk_prompt_logprobs=[[(3, -0.5)]]
    )
    assert (sequence.tokens_np.dtype, sequence.tokens_np.tolist()) == (np.int32, [5])
    assert sequence.logprobs_np is not None
    assert (sequence.logprobs_np.dtype, sequence.logprobs_np.tolist()) == (np.float32, [-0.5])
    assert sequence.topk_logprobs_np is not None
    assert sequence.topk_logprobs_np.to_rows() == [None]
    assert sample.prompt_logprobs_np is not None
    np.testing.assert_array_equal(sample.prompt_logprobs_np, [np.nan, -1])
    assert sample.topk_prompt_logprobs_np is not None
    assert sample.topk_prompt_logprobs_np.to_rows() == [[(3, -0.5)]]
    bare = t.SampledSequence(stop_reason="stop", tokens=[])
    assert (bare.logprobs_np, bare.topk_logprobs_np) == (None, None)
    empty = t.SampleResponse(sequences=[])
    assert (empty.prompt_logprobs_np, empty.topk_prompt_logprobs_np) == (None, None)


# Reprs


@pytest.mark.parametrize(
    "value",
    [
        t.ListSessionsResponse(sessions=["x" * 10_000] * 10_000),
        t.CheckpointsListResponse(checkpoints=[]),
        t.RequestFailedResponse(error="x" * 10**6),
        t.BillingUsageSession(user_metadata={str(i): "y" * 999 for i in range(999)}),
        t.ModelInput.from_ints(range(10**6)),
        t.CustomLossNode(op="output", name="n", target="t", args=[[[1] * 999] * 999] * 999),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_of_much_is_short(value: object) -> None:
    """Long texts, lists and mappings are cut, and say how long they are."""
    assert len(repr(value)) < 3_000
    assert repr(value).startswith(f"{type(value).__name__}(")


def test_a_repr_of_little_is_whole() -> None:
    """Every field by name, as it could be written."""
    assert repr(t.Cursor(offset=0, limit=1, total_count=2)) == (
        "Cursor(offset=0, limit=1, total_count=2)"
    )
    assert repr(t.AuditLogResponse(entries=[])) == "AuditLogResponse(entries=[])"
    assert repr(t.CreateSessionRequest(sdk_version="v", tags=("a",))) == (
        "CreateSessionRequest(tags=('a',), user_metadata={}, sdk_version='v', project_id=None, "
        "display_name=None, type='create_session')"
    )


@pytest.mark.parametrize(("type_", "plain"), [pytest.param(*r, id=r[0].__name__) for r in REPLIES])
def test_secrets_do_not_show(type_: type[Any], plain: dict[str, Any]) -> None:
    """Tokens and signed URLs are replaced, also for rich."""
    text = str(plain)
    value = decode_json(encode_json(plain), type_)
    for shown in (repr(value), str(value.__rich_repr__())):
        assert "sig=" not in shown
        assert "eyJ" not in shown
        if "sig=" in text or "eyJ" in text:
            assert "<redacted>" in shown
