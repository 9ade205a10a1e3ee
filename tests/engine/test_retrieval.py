from __future__ import annotations

import pytest

from tests.engine.scripted import ScriptedService, Step, body_of, open_client, refusal, run_virtual
from tinker_lite import (
    APIFuture,
    OptimStepResponse,
    RequestFailedError,
    ResultExpiredError,
    RetrievalError,
    TinkerError,
)
from tinker_lite.errors import ConnectionLost, TransportTimeout
from tinker_lite.http import Request
from tinker_lite.testing import FakeReply

RETRIEVE = "/retrieve_future"
PENDING = FakeReply({"type": "try_again", "queue_state": "active"}, status=408)


def step(service: ScriptedService, *polls: Step) -> OptimStepResponse:
    """Run one operation whose polls are answered in this way."""

    async def main() -> OptimStepResponse:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script(RETRIEVE, *polls)
            future: APIFuture[OptimStepResponse] = training.optim_step({})
            return await future

    return run_virtual(main)


def polls_of(service: ScriptedService, kind: str) -> list[Request]:
    """The polls for results of one kind."""
    polls = service.to(RETRIEVE)
    return [poll for poll in polls if poll.headers.get("x-tinker-request-type") == kind]


def test_polls_say_what_they_wait_for() -> None:
    """Type and number on every poll; the submission's round trip on the first one only."""
    service = ScriptedService()
    step(service, PENDING, FakeReply(status=500), ConnectionLost("gone", may_have_arrived=True))
    polls = polls_of(service, "OptimStep")
    assert [poll.headers.get("x-tinker-request-iteration") for poll in polls] == list("0123")
    trips = [poll.headers.get("x-tinker-create-promise-roundtrip-time") for poll in polls]
    assert trips[1:] == [None] * 3
    assert trips[0] is not None
    assert float(trips[0]) >= 0
    assert {body_of(poll)["request_id"] for poll in polls} == {"optim_step-2"}
    assert all(body_of(poll)["allow_metadata_only"] is True for poll in polls)


@pytest.mark.parametrize(
    ("call", "kind"),
    [("/create_model", "CreateModel"), ("/optim_step", "OptimStep")],
)
def test_every_submission_has_its_own_type(call: str, kind: str) -> None:
    """The header names the kind of operation."""
    service = ScriptedService()
    step(service)
    assert service.to(call)
    assert len(polls_of(service, kind)) == 1


def test_polls_keep_their_own_time_limit() -> None:
    """A short limit meant for other calls does not cut a long poll."""

    async def main() -> None:
        async with open_client(service, timeout=2.0) as client:
            await client.create_lora_training_client_async("m")

    service = ScriptedService()
    run_virtual(main)
    assert service.to("/create_model")[0].timeout.read_s == 2.0
    assert service.to(RETRIEVE)[0].timeout.read_s == 45.0


def test_a_large_result_is_asked_for_whole() -> None:
    """``complete_metadata`` is answered by a poll that insists on the result."""
    service = ScriptedService()
    step(service, FakeReply({"status": "complete_metadata", "response_payload_size": 10**9}))
    polls = polls_of(service, "OptimStep")
    assert [body_of(poll)["allow_metadata_only"] for poll in polls] == [True, False]


def test_an_old_style_pending_answer_is_polled_again() -> None:
    """200 with ``try_again`` means not yet."""
    service = ScriptedService()
    result = step(service, FakeReply({"type": "try_again", "request_id": "x"}))
    assert result.metrics == {"grad_norm:mean": 1.0}


def test_outages_while_polling_are_lived_through() -> None:
    """Time-outs, 5xx, 429 and a few odd 400s lose nothing."""
    service = ScriptedService()
    slow = TransportTimeout("slow", phase="read", may_have_arrived=True)
    polls: list[Step] = [
        slow,
        FakeReply(status=503),
        FakeReply(status=429),
        *[FakeReply(b"", 400)] * 3,
    ]
    assert step(service, *polls).metrics == {"grad_norm:mean": 1.0}


def test_a_failed_operation_says_whose_fault_it_is() -> None:
    """The error carries request id, category and the server's words; it is a ValueError too."""
    service = ScriptedService()
    with pytest.raises(RequestFailedError, match="too large") as caught:
        step(service, FakeReply({"error": "too large", "category": "user"}))
    assert isinstance(caught.value, TinkerError)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.request_id, caught.value.category) == ("optim_step-2", "user")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(410), ResultExpiredError),
        (refusal(404), RetrievalError),
        (refusal(400, "it failed"), RequestFailedError),
    ],
    ids=["gone", "unknown", "failed, as self-hosted servers say it"],
)
def test_final_answers_are_retrieval_errors(reply: FakeReply, kind: type[RetrievalError]) -> None:
    """Whatever ends the polling is a TinkerError and a ValueError with the request's id."""
    with pytest.raises(kind) as caught:
        step(ScriptedService(), reply)
    assert caught.value.request_id == "optim_step-2"
    assert isinstance(caught.value, ValueError)
