from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.service_driver import TINY, Driver, datum, sample_body
from tinker_lite import types as t
from tinker_lite.http import Headers
from tinker_lite.local import LocalService, ServiceSettings
from tinker_lite.local.exchange import Call
from tinker_lite.local.jobs import perform
from tinker_lite.local.promises import Promise
from tinker_lite.local.service import HANDLERS
from tinker_lite.local.state import State
from tinker_lite.local.store import Store
from tinker_lite.local.turns import Turns
from tinker_lite.protocol.endpoints import BY_NAME
from tinker_lite.wire.json import encode_json


@given(st.permutations(range(1, 9)), st.sets(st.integers(1, 8)))
def test_any_arrival_runs_in_order(order: list[int], refused: set[int]) -> None:
    """Whatever the order of arrival and whichever are refused, jobs run once, by number."""
    turns: Turns[int] = Turns()
    ran: list[int] = []
    for number in order:
        ran += turns.refuse(number) if number in refused else turns.arrive(number, number)
    assert ran == [number for number in range(1, 9) if number not in refused]
    assert not turns.is_waiting


@given(st.lists(st.integers(1, 12), unique=True, min_size=1))
def test_giving_up_loses_no_job(arriving: list[int]) -> None:
    """With numbers missing, giving up often enough runs every job once, by number."""
    turns: Turns[int] = Turns()
    ran: list[int] = []
    for number in arriving:
        ran += turns.arrive(number, number)
    while turns.is_waiting:
        ran += turns.give_up()
    assert ran == sorted(arriving)
    assert turns.give_up() == []
    missing = [number for number in range(1, max(arriving)) if number not in arriving]
    assert [turns.is_used(number) for number in missing] == [False] * len(missing)
    assert [turns.arrive(number, number) for number in missing] == [[n] for n in missing]
    assert all(turns.is_used(number) for number in range(1, max(arriving) + 1))


def test_a_number_given_up_may_still_be_refused() -> None:
    """Refusing a number whose turn has passed holds nothing up."""
    turns: Turns[str] = Turns()
    turns.arrive(2, "two")
    assert turns.give_up() == ["two"]
    assert turns.refuse(1) == []
    assert turns.arrive(3, "three") == ["three"]


def test_a_fault_of_ours_is_not_the_users(caplog: pytest.LogCaptureFixture) -> None:
    """A failure that is not about the request is logged, and called the server's."""

    def broken() -> object:
        raise OSError("the disk is full")

    promise = Promise("r-1", None, b"")
    with caplog.at_level(logging.ERROR, "tinker_lite.local"):
        perform(promise, broken)
    assert promise.reply().body == (b'{"error":"OSError: the disk is full","category":"server"}')
    assert "Request r-1 failed" in caplog.text


def test_a_cancelled_sample_is_not_drawn(tmp_path: Path) -> None:
    """A sample that nobody wants fails as cancelled, and its work is not begun."""
    state = State(ServiceSettings(), Store(tmp_path, is_lasting=False))
    promise = state.ledger.promise(None, b"")
    name = promise.request_id
    promise.submission = t.UntypedAPIFuture(request_id=name, sample_sequence_ids=[f"{name}:0"])
    cancel = Call(
        endpoint=BY_NAME["futures.cancel"],
        values={},
        query={},
        headers=Headers(),
        body=encode_json({"request_id": name}),
        base_url="",
    )
    HANDLERS["futures.cancel"](state, cancel)
    begun: list[str] = []
    perform(promise, lambda: begun.append("drawn"))
    assert begun == []
    assert promise.reply().body == b'{"error":"The request was cancelled.","category":"user"}'


def test_cancelling_is_harmless_otherwise() -> None:
    """Training goes on, for it has no cancel; a sample that is there stays."""
    with LocalService() as service:
        driver = Driver(service)
        step = driver.step(driver.model(), 1)
        sample = driver.post("/asample", sample_body(None, base_model=TINY))
        drawn = driver.result(sample)
        for submission in (step, sample):
            assert driver.post("/cancel_future", {"request_id": submission["request_id"]}) == {}
        assert "metrics" in driver.result(step)
        assert driver.result(sample) == drawn
        assert "'nobody'" in driver.refused(404, "/cancel_future", {"request_id": "nobody"})


ENDING = """
import sys
from tests.local.service_driver import Driver, datum
from tinker_lite.local import open_service

driver = Driver(open_service())
model_id = driver.model()
for _ in range(50):
    driver.forward_backward(model_id, None, *[datum(b"x" * 250)] * 32)
print(driver.service.data_dir)
"""


def test_a_process_may_end_amid_training() -> None:
    """Ending with work in the queue says nothing on stderr and leaves no folder behind."""
    ran = subprocess.run(
        [sys.executable, "-c", ENDING],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not Path(ran.stdout.strip()).exists()


def test_the_service_can_be_asked_without_a_transport() -> None:
    """``handle`` answers in one call, and holds a poll only as long as the service does."""
    with LocalService(settings=ServiceSettings(poll_s=0.01)) as service:
        assert service.handle("GET", "/api/v1/healthz").body == b'{"status":"ok"}'
        driver = Driver(service)
        model_id = driver.model()
        poll = encode_json({"request_id": driver.step(model_id, 2)["request_id"]})
        pending = service.handle("POST", "/api/v1/retrieve_future", body=poll)
        assert pending.status == 408
        driver.step(model_id, 1)
        assert "metrics" in driver.result(driver.step(model_id, 2))


def test_a_model_that_cannot_be_made_says_why(driver: Driver) -> None:
    """If the checkpoint is gone when its turn comes, the creation and what follows fail."""
    session_id = driver.session()
    path = driver.save(driver.model(session_id), 1, "ck")["path"]
    for folder in driver.service.data_dir.glob("runs/*/weights/*/"):
        shutil.rmtree(folder)
    body = {"path": path, "optimizer": False, "session_id": session_id, "model_seq_id": 1}
    submission = driver.post("/load_weights", body)
    failed = driver.result(submission)
    assert failed["category"] == "user"
    assert "was deleted meanwhile" in failed["error"]
    later = driver.result(driver.step(submission["model_id"], 1))
    assert "was deleted meanwhile" in later["error"]
    sampled = driver.sample(None, model_path=path)
    assert "were deleted" in sampled["error"]


def test_a_diverged_model_is_not_sampled(driver: Driver) -> None:
    """Weights that overflowed fail as the user's error, in training and in sampling."""
    model_id = driver.model()
    driver.forward_backward(model_id, 1, datum(b"the quick brown fox"))
    driver.result(driver.step(model_id, 2, learning_rate=1e30))
    saved = driver.save_for_sampler(model_id, 3, sampling_session_seq_id=0)
    sampled = driver.sample(saved["sampling_session_id"])
    assert sampled["category"] == "user"
    assert "diverged" in sampled["error"]


def test_what_waits_for_a_number_runs_when_the_session_ends() -> None:
    """At the end of a session nothing more can come, so held requests are done at once."""
    settings = ServiceSettings(poll_s=0.2, gap_patience_s=3600)
    with LocalService(settings=settings) as service:
        driver = Driver(service)
        session_id = driver.session()
        held = driver.step(driver.model(session_id), 3)
        driver.post(f"/sessions/{session_id}/finish", {"reason": {"type": "success"}})
        assert "metrics" in driver.result(held)


def test_a_forgotten_model_is_not_made_again() -> None:
    """Creation repeated after its result was forgotten is refused, not done a second time."""
    settings = ServiceSettings(min_kept_results=1, max_kept_results=1)
    with LocalService(settings=settings) as service:
        driver = Driver(service)
        session_id = driver.session()
        body = t.CreateModelRequest(
            session_id=session_id,
            model_seq_id=0,
            base_model=TINY,
            lora_config=t.LoraConfig(rank=4),
        )
        model_id = driver.result(driver.post("/create_model", body))["model_id"]
        driver.result(driver.step(model_id, 1))
        assert model_id in driver.refused(410, "/create_model", body)
