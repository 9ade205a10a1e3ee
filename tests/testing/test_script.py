from __future__ import annotations

import msgspec
import pytest

from tests.testing.both import Kit, ask, get, post, shut
from tinker_lite.errors import ConnectionLost, TransportClosed, TruncatedBody
from tinker_lite.testing import (
    AsyncScriptedTransport,
    CapturedCall,
    FakeReply,
    ScriptedTransport,
)
from tinker_lite.testing.script import Check
from tinker_lite.types import (
    HealthResponse,
    OptimStepResponse,
    QueueState,
    RequestFailedResponse,
    WeightsInfoResponse,
)

STEP = b'{"adam_params": {"learning_rate": 0.5}, "model_id": "m", "seq_id": 3}'
BEAT = b'{"session_id": "s"}'
INFO = {"base_model": "org/m", "is_lora": True}


def raise_if(error: Exception | None) -> None:
    """Fail with an error, if there is one."""
    if error:
        raise error


def is_third(call: CapturedCall) -> bool:
    """Whether a step is number 3."""
    return bool(call.body.seq_id == 3)


def is_fourth(call: CapturedCall) -> bool:
    """Whether a step is number 4; it never is."""
    return not is_third(call)


def poll(request_id: str) -> bytes:
    """The body of a poll."""
    return msgspec.json.encode({"request_id": request_id})


async def test_calls_are_answered_in_the_order_expected(kit: Kit) -> None:
    """By a struct, plain values, another status, or nothing where there is nothing to say."""
    script = kit.scripted()
    script.expect("service.health_check", HealthResponse(status="ok"))
    script.expect("weights.info", INFO, times=2)
    script.expect("training_runs.get", FakeReply({"detail": "gone"}, status=404))
    script.expect("checkpoints.delete")
    assert (await ask(script, get("/healthz"))).body == b'{"status":"ok"}'
    for _ in range(2):
        answer = await ask(script, post("/weights_info", b'{"tinker_path": "tinker://x"}'))
        assert msgspec.json.decode(answer.body, type=WeightsInfoResponse).base_model == "org/m"
    assert (await ask(script, get("/training_runs/r"))).status == 404
    delete = msgspec.structs.replace(get("/training_runs/r/checkpoints/c"), method="DELETE")
    assert (await ask(script, delete)).body == b"{}"
    script.assert_done()
    names = [call.name for call in script.captured]
    assert names == ["service.health_check", "weights.info", "weights.info",
                     "training_runs.get", "checkpoints.delete"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "script", "text"),
    [
        pytest.param("models.make", {}, "no endpoint 'models.make'", id="no such endpoint"),
        pytest.param("a.create_session", {}, r"are service\.create_session\.", id="a near one"),
        pytest.param(
            "service.health_check",
            {"reply": {"status": "bad"}},
            r"service\.health_check cannot have this answer: .*'bad' - at `\$\.status`",
            id="a wrong value",
        ),
        pytest.param(
            "training_runs.get",
            {"reply": FakeReply({"base_model": "m"})},
            r"training_runs\.get cannot .*missing required field `training_run_id`",
            id="a missing field",
        ),
        pytest.param(
            "models.get_info",
            {"reply": FakeReply(b"<html>")},
            r"models\.get_info cannot have this answer: Not a valid GetInfoResponse",
            id="no JSON",
        ),
        pytest.param(
            "checkpoints.delete",
            {"reply": {"x": float("nan")}},
            r"checkpoints\.delete cannot have this answer: nan at `\$\.x`",
            id="nothing that JSON has",
        ),
        pytest.param(
            "models.create",
            {"reply": {}},
            r"models\.create cannot .*UntypedAPIFuture: .*`request_id`",
            id="no future",
        ),
        pytest.param(
            "models.create",
            {"result": {"model_id": 3}},
            r"models\.create cannot have this result: .*CreateModelResponse.*`\$\.model_id`",
            id="a result of another type",
        ),
        pytest.param(
            "models.create",
            {"result": {"error": 3}},
            r"models\.create cannot .*RequestFailedResponse.*`\$\.error`",
            id="a wrong failure",
        ),
        pytest.param(
            "service.health_check", {"result": {}}, "at once and has no result", id="no result"
        ),
        pytest.param(
            "training_runs.get", {}, r"training_runs\.get needs a reply: TrainingRun", id="no reply"
        ),
        pytest.param(
            "models.create", {}, r"models\.create needs a result: CreateModelResponse", id="neither"
        ),
        pytest.param(
            "checkpoints.delete", {"pending": 1}, "lead to a result, and there is none", id="polls"
        ),
    ],
)  # fmt: skip
def test_a_reply_that_could_not_be_is_refused_where_it_is_scripted(
    name: str, script: dict[str, object], text: str
) -> None:
    """The error names the endpoint and the field; always() is no exception."""
    for scripted in (ScriptedTransport().expect, ScriptedTransport().always):
        with pytest.raises(ValueError, match=text):
            scripted(name, **script)  # type: ignore[arg-type]  # a table of wrong arguments


async def test_a_result_comes_after_its_polls(kit: Kit) -> None:
    """Polls need no expectation of their own, and a fetched result can be fetched again."""
    script = kit.scripted()
    script.expect("training.optim_step", result=OptimStepResponse(metrics={"a": 1.0}), pending=2)
    script.expect(
        "training.optim_step",
        {"request_id": "mine"},
        result={},
        pending=[
            QueueState.PAUSED_CAPACITY,
            FakeReply(b"", status=408),
            ConnectionLost("cut", may_have_arrived=True),
        ],
    )
    promised = msgspec.json.decode((await ask(script, post("/optim_step", STEP))).body)
    assert promised == {"request_id": "training.optim_step-1"}
    promised = msgspec.json.decode((await ask(script, post("/optim_step", STEP))).body)
    assert promised == {"request_id": "mine"}
    said = [await ask(script, post("/retrieve_future", poll("mine"))) for _ in range(2)]
    assert [answer.status for answer in said] == [200, 408]
    assert msgspec.json.decode(said[0].body) == {
        "request_id": "mine",
        "queue_state": "paused_capacity",
        "type": "try_again",
    }
    with pytest.raises(AssertionError, match=r"result of training\.optim_step-1 was never") as left:
        script.assert_done()
    assert "result of mine was never" in str(left.value)
    with pytest.raises(ConnectionLost, match="cut"):
        await ask(script, post("/retrieve_future", poll("mine")))
    bodies = [
        (await ask(script, post("/retrieve_future", poll(request_id)))).body
        for request_id in ("training.optim_step-1",) * 4 + ("mine",)
    ]
    assert [b"try_again" in body for body in bodies] == [True, True, False, False, False]
    assert bodies[2] == bodies[3] == b'{"metrics":{"a":1.0}}'
    script.assert_done()


async def test_a_result_may_be_a_failure(kit: Kit) -> None:
    """An operation that failed, a result that is gone, or a poll that breaks."""
    failures = [
        RequestFailedResponse(error="no", category="user"),
        {"error": "no"},
        FakeReply({"detail": "gone"}, status=410),
        TruncatedBody("cut", may_have_arrived=True),
    ]
    script = kit.scripted()
    for failure in failures:
        script.expect("training.optim_step", result=failure)
        await ask(script, post("/optim_step", STEP))
    polls = [post("/retrieve_future", poll(f"training.optim_step-{i + 1}")) for i in range(4)]
    for request in polls[:2]:
        assert b'"error":"no"' in (await ask(script, request)).body
    assert (await ask(script, polls[2])).status == 410
    for _ in range(2):
        with pytest.raises(TruncatedBody, match="cut"):
            await ask(script, polls[3])
    script.assert_done()


async def test_a_transport_error_is_raised(kit: Kit) -> None:
    """A copy each time, with the fields it was scripted with."""
    error = ConnectionLost("cut", may_have_arrived=True, reused_connection=True)
    script = kit.scripted()
    script.expect("service.health_check", error, times=2)
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="cut") as caught:
            await ask(script, get("/healthz"))
        assert caught.value is not error
        assert (caught.value.may_have_arrived, caught.value.reused_connection) == (True, True)


async def test_a_body_that_breaks_off_need_not_be_whole(kit: Kit) -> None:
    """What was sent of it is given, then the error."""
    script = kit.scripted()
    error = TruncatedBody("cut", may_have_arrived=True)
    script.expect("service.health_check", FakeReply(b'{"sta', broken_by=error))
    with pytest.raises(TruncatedBody, match="cut"):
        await ask(script, get("/healthz"))


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        pytest.param({"model_id": "m", "adam_params": {"beta1": 0.9}}, "", id="some fields"),
        pytest.param(
            {"adam_params": {"learning_rate": 1.0}},
            "training.optim_step: `$.adam_params.learning_rate`: expected 1.0, came 0.5",
            id="a wrong field",
        ),
        pytest.param({"x": "1"}, "", id="a query parameter"),
        pytest.param(is_third, "", id="a function"),
        pytest.param(
            is_fourth,
            "training.optim_step: is_fourth refuses it",
            id="a function that refuses",
        ),
    ],
)  # fmt: skip
async def test_a_request_may_be_checked(kit: Kit, check: Check, complaint: str) -> None:
    """By some of its fields or by a function; a mismatch says what differs."""
    script = kit.scripted()
    script.expect("training.optim_step", {"request_id": "r"}, request=check)
    if not complaint:
        await ask(script, post("/optim_step?x=1", STEP))
        script.assert_done()
        return
    with pytest.raises(AssertionError, match="is not what the script expects") as caught:
        await ask(script, post("/optim_step?x=1", STEP))
    assert str(caught.value).endswith(f"(1 of 1):\n  {complaint}")


async def test_a_check_may_assert_for_itself(kit: Kit) -> None:
    """Its own text is what the test shows."""

    def is_later(call: CapturedCall) -> bool:
        assert call.body.seq_id == 4, "the fourth step was to come"
        return True

    script = kit.scripted()
    script.expect("training.optim_step", {"request_id": "r"}, request=is_later)
    with pytest.raises(AssertionError, match="the fourth step was to come"):
        await ask(script, post("/optim_step", STEP))


async def test_a_call_out_of_order_is_a_mistake(kit: Kit) -> None:
    """Told where it was sent and again at the end, where what never came is named too."""
    script = kit.scripted()
    script.expect("service.health_check", {"status": "ok"})
    script.expect("weights.info", INFO)
    script.expect("checkpoints.delete", times=2)
    await ask(script, get("/healthz"))
    with pytest.raises(AssertionError, match=r"script expects \(2 of 4\)") as caught:
        await ask(script, post("/optim_step", STEP))
    assert str(caught.value).splitlines()[1:] == [
        "  expected weights.info",
        "  came     training.optim_step",
    ]
    with pytest.raises(AssertionError, match="script expects") as at_the_end:
        script.assert_done()
    assert str(at_the_end.value) == (
        f"{caught.value}\n3 of 4 calls did not come:\n"
        "  weights.info\n  checkpoints.delete\n  checkpoints.delete"
    )


async def test_what_no_service_could_read_is_a_mistake(kit: Kit) -> None:
    """A body that does not fit its endpoint, and a URL that belongs to none."""
    script = kit.scripted()
    script.expect("training.optim_step", result={})
    with pytest.raises(AssertionError, match=r"sent to training\.optim_step does not fit"):
        await ask(script, post("/optim_step", b'{"model_id": "m"}'))
    with pytest.raises(AssertionError, match=r"came     GET /api/v1/nowhere"):
        await ask(script, get("/nowhere"))
    nothing = kit.scripted()
    with pytest.raises(AssertionError, match=r"nothing more, but GET /api/v1/nowhere came"):
        await ask(nothing, get("/nowhere"))


async def test_standing_answers_are_out_of_order(kit: Kit) -> None:
    """The latest that fits counts; the next expectation comes before them."""
    script = kit.scripted()
    script.always("service.health_check", FakeReply(status=503))
    script.always("service.health_check", {"status": "ok"}, request={"x": "1"})
    script.expect("weights.info", INFO)
    script.expect("service.health_check", FakeReply(status=500))
    said = [(await ask(script, get(path))).status for path in ("/healthz?x=1", "/healthz")]
    await ask(script, post("/weights_info", b'{"tinker_path": "tinker://x"}'))
    said += [(await ask(script, get(path))).status for path in ("/healthz", "/healthz?x=1")]
    assert said == [200, 503, 500, 200]
    script.assert_done()


async def test_a_standing_submission_promises_anew_each_time(kit: Kit) -> None:
    """Nobody has to fetch its results."""
    script = kit.scripted()
    script.always("training.optim_step", result={})
    ids = [
        msgspec.json.decode((await ask(script, post("/optim_step", STEP))).body)["request_id"]
        for _ in range(2)
    ]
    assert ids == ["training.optim_step-1", "training.optim_step-2"]
    assert (await ask(script, post("/retrieve_future", poll(ids[0])))).body == b"{}"
    script.assert_done()


async def test_an_answer_may_be_made_from_the_call(kit: Kit) -> None:
    """And is held against the table when it is made."""
    script = kit.scripted()
    script.always("training.optim_step", result=lambda call: {"metrics": {"n": call.body.seq_id}})
    script.always("training_runs.get", lambda call: {"id": call.path_values["run"]})
    await ask(script, post("/optim_step", STEP))
    assert (
        b'"n":3'
        in (await ask(script, post("/retrieve_future", poll("training.optim_step-1")))).body
    )
    with pytest.raises(ValueError, match=r"training_runs\.get cannot .*required field"):
        await ask(script, get("/training_runs/r"))
    with pytest.raises(AssertionError, match=r"training_runs\.get cannot"):
        script.assert_done()


async def test_what_clients_ask_by_themselves_needs_no_script(kit: Kit) -> None:
    """Unless it is scripted, or the script is to see everything."""
    script = kit.scripted()
    script.expect("service.session_heartbeat", FakeReply(status=410))
    script.expect("service.health_check", {"status": "ok"})
    beats = [(await ask(script, post("/session_heartbeat", BEAT))).status for _ in range(2)]
    assert beats == [410, 200]
    await ask(script, get("/healthz"))
    script.assert_done()
    with pytest.raises(AssertionError, match=r"but service\.session_heartbeat came"):
        await ask(kit.scripted(background=False), post("/session_heartbeat", BEAT))


async def test_a_block_ends_with_the_check(kit: Kit) -> None:
    """Closed and checked; an error of the block's own is not covered up."""
    script = kit.scripted()
    script.expect("service.health_check", {"status": "ok"})

    async def fill(error: Exception | None) -> None:
        if isinstance(script, AsyncScriptedTransport):
            async with script:
                raise_if(error)
        else:
            with script:
                raise_if(error)

    with pytest.raises(KeyError, match="own"):
        await fill(KeyError("own"))
    with pytest.raises(
        AssertionError, match=r"1 of 1 calls did not come:\n  service\.health_check"
    ):
        await fill(None)
    with pytest.raises(TransportClosed, match="closed"):
        await ask(script, get("/healthz"))
    await shut(script)
