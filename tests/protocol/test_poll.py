from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite import errors
from tinker_lite.errors import ConnectError, RequestFailedError, ResultExpiredError, RetrievalError
from tinker_lite.http import HeaderPairs, Headers
from tinker_lite.protocol.poll import (
    Ask,
    Failed,
    Finished,
    PollState,
    after_error,
    after_reply,
)
from tinker_lite.protocol.replies import Reply
from tinker_lite.types import QueueState

JSON = (("Content-Type", "application/json"),)
PROTOBUF = (("content-type", "application/x-protobuf; v=1"),)
START = PollState()


def reply(status: int, body: object = b"", headers: HeaderPairs = JSON) -> Reply:
    """An answer; what is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=Headers(headers), body=raw)


def after(state: PollState, answer: Reply | errors.TransportError) -> Ask | Finished | Failed:
    """What follows for the operation of these tests."""
    if isinstance(answer, Reply):
        return after_reply(state, answer, request_id="r-1", operation="training.forward")
    return after_error(state, answer, request_id="r-1", operation="training.forward")


def asked(state: PollState, answer: Reply | errors.TransportError) -> Ask:
    """What follows, which must be another poll."""
    step = after(state, answer)
    assert isinstance(step, Ask)
    return step


def failure(state: PollState, answer: Reply | errors.TransportError) -> RetrievalError:
    """What follows, which must be an error that names the operation and the request."""
    step = after(state, answer)
    assert isinstance(step, Failed)
    assert step.error.operation == "training.forward"
    assert step.error.request_id == "r-1"
    assert "training.forward" in str(step.error)
    return step.error


# Not yet


@pytest.mark.parametrize(
    ("answer", "queue_state", "reason"),
    [
        pytest.param(reply(408), None, None, id="408 without a body"),
        pytest.param(reply(408, b"<html>"), None, None, id="408 with a body that is no JSON"),
        pytest.param(reply(408, [1]), None, None, id="408 with a list"),
        pytest.param(
            reply(408, {"queue_state": "active", "queue_state_reason": None}),
            QueueState.ACTIVE,
            None,
            id="408 while working",
        ),
        pytest.param(
            reply(408, {"queue_state": "paused_capacity", "queue_state_reason": "busy"}),
            QueueState.PAUSED_CAPACITY,
            "busy",
            id="408 while waiting for capacity",
        ),
        pytest.param(
            reply(408, {"queue_state": "on_fire"}), QueueState.UNKNOWN, None, id="a new state"
        ),
        pytest.param(
            reply(408, {"queue_state": 7, "queue_state_reason": 8}),
            QueueState.UNKNOWN,
            "8",
            id="a state that is no word",
        ),
        pytest.param(
            reply(200, {"type": "try_again", "request_id": "r", "queue_state": "active"}),
            QueueState.ACTIVE,
            None,
            id="200 that says try again",
        ),
        pytest.param(
            reply(200, {"type": "try_again", "queue_state": ["x"], "status": 5}),
            QueueState.UNKNOWN,
            None,
            id="200 that says try again, with strange fields",
        ),
        pytest.param(
            reply(200, {"type": "try_again"}, [("content-type", "text/plain")]),
            None,
            None,
            id="200 that says try again under another content type",
        ),
        pytest.param(
            reply(200, {"type": "try_again"}, ()), None, None, id="or under no content type"
        ),
    ],
)
def test_not_yet_is_asked_again_at_once(
    answer: Reply, queue_state: QueueState | None, reason: str | None
) -> None:
    """The server has held the request already; what it says of its queue is passed on."""
    worn = PollState(iteration=4, n_backoffs=3, n_bad_requests=2, whole=True)
    step = asked(worn, answer)
    assert (step.delay_s, step.queue_state, step.reason) == (0.0, queue_state, reason)
    assert step.state == PollState(iteration=5, whole=True), "a proper answer clears the counters"


# The result


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(200, {"path": "p"}), id="JSON"),
        pytest.param(reply(204, b""), id="nothing at all"),
        pytest.param(reply(200, {"type": "sample", "error": None}), id="an error that is null"),
        pytest.param(reply(200, {"status": "ok"}), id="another status"),
        pytest.param(reply(200, [1, 2]), id="a list"),
        pytest.param(reply(200, b"<html>"), id="no JSON, which decoding will tell"),
        pytest.param(reply(200, b'{"type":"try_again"}', PROTOBUF), id="protobuf, not looked at"),
        pytest.param(reply(200, b"\x08\x01", PROTOBUF), id="protobuf"),
    ],
)
def test_another_success_is_the_result(answer: Reply) -> None:
    """The machine hands the body over as it came."""
    assert after(START, answer) == Finished(reply=answer)


def test_a_large_result_is_asked_for_whole_once() -> None:
    """The first announcement is followed at once; a second one would go on for ever."""
    large = reply(200, {"status": "complete_metadata", "response_payload_size": 10**9})
    step = asked(PollState(n_backoffs=2), large)
    assert step == Ask(state=PollState(iteration=1, whole=True))
    assert "does not give it when asked for the whole" in str(failure(step.state, large))
    assert after(step.state, reply(200, {})) == Finished(reply=reply(200, {}))


# Failed operations


@pytest.mark.parametrize(
    ("answer", "text", "category"),
    [
        (reply(200, {"error": "bad", "category": "user"}), r"\(user error\): bad", "user"),
        (reply(200, {"error": "bad", "category": "server"}), r"\(server error\): bad", "server"),
        (reply(200, {"error": "bad"}), r"\(unknown error\): bad", "unknown"),
        (reply(200, {"error": "", "category": 3}), r"\(unknown error\): ", "unknown"),
        (reply(200, {"error": {"code": 1}, "category": "new"}), r"\{'code': 1\}", "unknown"),
        (reply(400, {"detail": "bad", "category": "user"}), r"\(user error\): bad", "user"),
        (reply(400, {"detail": [{"msg": "x"}]}), r"\(unknown error\): \[\{'msg'", "unknown"),
    ],
    ids=["user", "server", "no category", "odd category", "no text", "400 detail", "400 list"],
)
def test_a_failed_operation_is_final(answer: Reply, text: str, category: str) -> None:
    """Whether told with 200, or with a 400 and a detail as self-hosted servers do (12.3)."""
    error = failure(START, answer)
    assert isinstance(error, RequestFailedError)
    assert error.category == category
    with pytest.raises(ValueError, match=f"training.forward failed on the server .*{text}"):
        raise error


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (302, errors.APIStatusError),
        (401, errors.AuthenticationError),
        (402, errors.BillingError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.APIStatusError),
        (422, errors.UnprocessableEntityError),
        (425, errors.APIStatusError),
    ],
)
def test_other_refusals_are_final(status: int, cls: type[errors.APIStatusError]) -> None:
    """The error says what was asked and what came back; the status error is its cause."""
    error = failure(START, reply(status, {"detail": "no"}))
    assert type(error) is (ResultExpiredError if status == 410 else RetrievalError)
    assert f'request r-1 was answered with {status}: {{"detail": "no"}}' in str(error)
    assert type(error.__cause__) is cls


# What passes


@pytest.mark.parametrize("answer", [reply(400, b""), reply(400, b"<html>"), reply(400, {})])
def test_a_bad_request_gets_three_more_tries(answer: Reply) -> None:
    """It may come from a proxy on the way; they follow at once, and then it is final."""
    state = PollState(n_backoffs=4)
    for n in range(1, 4):
        step = asked(state, answer)
        assert step == Ask(state=PollState(iteration=n, n_bad_requests=n))
        state = step.state
    assert isinstance(failure(state, answer).__cause__, errors.BadRequestError)
    fresh = asked(state, reply(408)).state
    assert asked(fresh, answer).state.n_bad_requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply(429),
        reply(500),
        reply(503, {"detail": "no"}),
        reply(529, b"<html>"),
        ConnectError("refused"),
        errors.TransportTimeout("late", phase="read", may_have_arrived=True),
        errors.TruncatedBody("cut", may_have_arrived=True),
    ],
    ids=["429", "500", "503", "529", "refused", "timeout", "truncated"],
)
def test_what_passes_is_waited_out(answer: Reply | errors.TransportError) -> None:
    """1, 2, 4 ... 30 s, for as long as the caller waits."""
    state, delays = START, list[float]()
    for _ in range(7):
        step = asked(state, answer)
        state = step.state
        delays.append(step.delay_s)
    assert delays == [1, 2, 4, 8, 16, 30, 30]
    assert (state.iteration, state.n_backoffs) == (7, 7)
    assert asked(msgspec.structs.replace(state, n_backoffs=10**6), answer).delay_s == 30


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest("the URL is malformed", may_have_arrived=False),
        errors.TransportClosed("closed", may_have_arrived=False),
        errors.LimitExceeded("too large", may_have_arrived=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_repeat_can_mend_is_final(error: errors.TransportError) -> None:
    """The transport's own error is the cause."""
    found = failure(START, error)
    assert f"result of request r-1 cannot be fetched: {error}" in str(found)
    assert found.__cause__ is error


# Any conversation

ODD: list[object] = ["try_again", "complete_metadata", "active", "user", None, 1, [], {}]
BODIES: st.SearchStrategy[object] = st.one_of(
    st.binary(max_size=20),
    st.dictionaries(
        st.sampled_from(
            ["type", "status", "error", "category", "detail", "queue_state", "queue_state_reason"]
        ),
        st.sampled_from(ODD),
        max_size=4,
    ),
)
ANSWERS = st.one_of(
    st.builds(
        reply,
        st.sampled_from([200, 204, 302, 400, 401, 404, 408, 410, 429, 500, 503]),
        BODIES,
        st.sampled_from([JSON, PROTOBUF, ()]),
    ),
    st.sampled_from([ConnectError("refused"), errors.ProtocolError("?", may_have_arrived=True)]),
)


@given(st.lists(ANSWERS, max_size=30))
def test_any_interleaving_ends_in_at_most_one_result_or_error(
    answers: list[Reply | errors.TransportError],
) -> None:
    """Polls are counted, delays bounded, and nothing follows a result or an error."""
    state = START
    n_at_once = 0
    for n, answer in enumerate(answers, 1):
        step = after(state, answer)
        if not isinstance(step, Ask):
            assert isinstance(step, Finished) or isinstance(step.error, ValueError)
            break
        assert step.state.iteration == n
        assert step.state.whole >= state.whole, "a whole result stays asked for"
        assert 0 <= step.delay_s <= 30
        held = isinstance(answer, Reply) and (answer.status == 408 or b"try_again" in answer.body)
        n_at_once = 0 if step.delay_s or held else n_at_once + 1
        # Three tries after a 400, before and after the one for a large result.
        assert n_at_once <= 3 + 1 + 3, "only a server that holds polls is asked without a pause"
        state = step.state
