from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.local.service_driver import TINY, Driver, datum, pass_body, step_body
from tinker_lite import types as t
from tinker_lite.local import LocalService, ServiceSettings
from tinker_lite.local.service import HANDLERS, NOT_SERVED
from tinker_lite.protocol.endpoints import ENDPOINTS

TEXT = b"the quick brown fox jumps"


def test_every_endpoint_is_served_or_named() -> None:
    """Each row of the table has a handler, or stands in the list of what is left out."""
    names = {endpoint.name for endpoint in ENDPOINTS}
    assert names - set(HANDLERS) == NOT_SERVED
    assert set(HANDLERS) - names == {"local.archive"}


def test_training_lowers_the_loss(driver: Driver) -> None:
    """Passes and steps queued without waiting are applied in order, and the loss falls."""
    model_id = driver.model()
    passes: list[Any] = []
    for i in range(5):
        passes.append(driver.forward_backward(model_id, 2 * i + 1, datum(TEXT)))
        driver.step(model_id, 2 * i + 2)
    losses = [driver.result(submission)["metrics"]["loss:sum"] for submission in passes]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


def test_the_same_program_gives_the_same_numbers() -> None:
    """Two services, told the same, answer the same to the last bit."""

    def program() -> object:
        with LocalService() as service:
            driver = Driver(service)
            model_id = driver.model()
            driver.train(model_id, 1, TEXT)
            return driver.forward(model_id, 3, datum(TEXT))

    assert program() == program()


def test_a_pass_answers_logprobs_of_the_targets_shape(driver: Driver) -> None:
    """For each example there is one logprob per target, also for K targets per place."""
    model_id = driver.model()
    soft = t.Datum(
        t.ModelInput.from_ints([1, 2, 3]),
        {
            "target_tokens": t.TensorData([5, 6, 7, 8, 9, 10], "int64", [3, 2]),
            "weights": t.TensorData([0.5] * 6, "float32", [3, 2]),
        },
    )
    outputs = driver.forward(model_id, 1, datum(TEXT), soft)["loss_fn_outputs"]
    assert [output["logprobs"]["shape"] for output in outputs] == [[len(TEXT) - 1], [3, 2]]


def test_a_forward_pass_leaves_the_gradient_alone(driver: Driver) -> None:
    """A step after a mere forward pass changes nothing."""
    model_id = driver.model()
    before = driver.forward(model_id, 1, datum(TEXT))
    driver.step(model_id, 2)
    assert driver.forward(model_id, 3, datum(TEXT)) == before


def test_a_later_number_waits_for_an_earlier_one(driver: Driver) -> None:
    """Chunk 2 arrives before chunk 1, as clients send them; the step after both uses both."""
    model_id, other_id = driver.model(), driver.model()
    second = driver.forward_backward(model_id, 2, datum(b"second"))
    status, body = driver.ask("POST", "/retrieve_future", {"request_id": second["request_id"]})
    assert (status, body["type"]) == (408, "try_again")
    driver.forward_backward(model_id, 1, datum(b"first!"))
    driver.step(model_id, 3)
    driver.forward_backward(other_id, 1, datum(b"first!"))
    driver.forward_backward(other_id, 2, datum(b"second"))
    driver.step(other_id, 3)
    assert driver.forward(model_id, 4, datum(TEXT)) == driver.forward(other_id, 4, datum(TEXT))
    assert "metrics" in driver.result(second)


def test_a_number_that_never_comes_is_given_up() -> None:
    """After the patience of the service the gap counts as used, and a late number still runs."""
    with LocalService(settings=ServiceSettings(gap_patience_s=0.01)) as service:
        driver = Driver(service)
        model_id = driver.model()
        assert "metrics" in driver.result(driver.step(model_id, 3))
        assert "metrics" in driver.result(driver.step(model_id, 4))
        assert "metrics" in driver.result(driver.step(model_id, 1))


def test_a_refused_number_counts_as_used() -> None:
    """What follows a refused request runs without waiting for its number."""
    with LocalService(settings=ServiceSettings(gap_patience_s=3600)) as service:
        driver = Driver(service)
        model_id = driver.model()
        empty = pass_body(model_id, 1)
        assert "data" in driver.refused(400, "/forward_backward", empty)
        assert "metrics" in driver.result(driver.step(model_id, 2))


def test_requests_without_numbers_run_as_they_come(driver: Driver) -> None:
    """A client that does not number its requests is served in order of arrival."""
    model_id = driver.model()
    before = driver.forward(model_id, None, datum(TEXT))
    driver.forward_backward(model_id, None, datum(TEXT))
    driver.step(model_id, None)
    assert driver.forward(model_id, None, datum(TEXT)) != before


def test_a_repeat_is_answered_with_the_same_request(driver: Driver) -> None:
    """A pass or step sent twice under one number is applied once."""
    model_id, other_id = driver.model(), driver.model()
    for _ in range(2):
        driver.forward_backward(model_id, 1, datum(TEXT))
    assert driver.step(model_id, 2) == driver.step(model_id, 2)
    driver.train(other_id, 1, TEXT)
    assert driver.forward(model_id, 3, datum(TEXT)) == driver.forward(other_id, 3, datum(TEXT))


def test_a_number_is_not_used_for_two_things(driver: Driver) -> None:
    """Another body, or another operation, under a used number is refused for good (400)."""
    model_id = driver.model()
    driver.step(model_id, 1)
    other = step_body(model_id, 1, learning_rate=0.5)
    assert "used for a different request" in driver.refused(400, "/optim_step", other)
    mixed = pass_body(model_id, 1, datum(TEXT))
    assert "used for a different request" in driver.refused(400, "/forward_backward", mixed)


def test_a_request_whose_result_is_forgotten_is_not_done_again() -> None:
    """Once results were fetched and forgotten, a poll and a repeat both get 410."""
    settings = ServiceSettings(min_kept_results=1, max_kept_results=1)
    with LocalService(settings=settings) as service:
        driver = Driver(service)
        model_id = driver.model()
        first = driver.step(model_id, 1)
        driver.result(first)
        driver.result(driver.step(model_id, 2))
        poll = {"request_id": first["request_id"]}
        assert "is gone" in driver.refused(410, "/retrieve_future", poll)
        assert "is gone" in driver.refused(410, "/optim_step", step_body(model_id, 1))


def test_an_unknown_request_is_not_found(driver: Driver) -> None:
    """A poll for a request that never was names it."""
    assert "'abc-1'" in driver.refused(404, "/retrieve_future", {"request_id": "abc-1"})


WRONG_BATCHES = [
    pytest.param("data[1].loss_fn_inputs['target_tokens']: missing", {}, id="no targets"),
    pytest.param("data[1].loss_fn_inputs['weights']", {"weights": [1.0]}, id="short weights"),
    pytest.param("token 256 is not in 0 to 255", {"target_tokens": [256] * 4}, id="large target"),
    pytest.param("'surprise'", {"surprise": t.TensorData([1.0], "float32")}, id="unknown input"),
    pytest.param(
        "must be floats", {"weights": t.TensorData([1, 1, 1, 1], "int64")}, id="integer weights"
    ),
]


@pytest.mark.parametrize(("text", "inputs"), WRONG_BATCHES)
def test_a_wrong_batch_is_refused_by_field(
    driver: Driver, text: str, inputs: dict[str, t.TensorLike]
) -> None:
    """A batch that cannot be used is refused at once, naming the example and the field."""
    targets: dict[str, t.TensorLike] = {"target_tokens": [1, 2, 3, 4]} if inputs else {}
    wrong = t.Datum(t.ModelInput.from_ints([1, 2, 3, 4]), {**targets, **inputs})
    body = pass_body(driver.model(), 1, datum(TEXT), wrong)
    detail = driver.refused(400, "/forward_backward", body)
    assert detail.startswith("data[1].")
    assert text in detail


WRONG_INPUTS = [
    pytest.param(t.ModelInput.from_ints([1, 300]), "token 300", id="token out of range"),
    pytest.param(t.ModelInput.from_ints([]), "is empty", id="no tokens"),
    pytest.param(t.ModelInput.from_ints([1] * 257), "context is 256", id="too long"),
    pytest.param(t.ModelInput.from_ints([2**70]), "model_input", id="beyond 64 bits"),
    pytest.param(
        t.ModelInput(chunks=[t.ImageChunk(data=b"x", format="png", expected_tokens=1)]),
        "text only",
        id="picture",
    ),
]


@pytest.mark.parametrize(("model_input", "text"), WRONG_INPUTS)
def test_an_unusable_input_is_refused(driver: Driver, model_input: t.ModelInput, text: str) -> None:
    """Input that the model cannot read is refused, naming the example."""
    body = pass_body(driver.model(), 1, t.Datum(model_input, {"target_tokens": [1]}))
    detail = driver.refused(400, "/forward_backward", body)
    assert detail.startswith("data[0].model_input: ")
    assert text in detail


def plain_pass_body(model_id: str, weights: object) -> dict[str, Any]:
    """A pass as it may come from any client, with one tensor that ours would not make."""
    example: dict[str, Any] = {
        "model_input": {"chunks": []},
        "loss_fn_inputs": {"weights": weights},
    }
    batch = {"data": [example], "loss_fn": "cross_entropy"}
    return {"forward_input": batch, "model_id": model_id, "seq_id": 1}


@pytest.mark.parametrize("column", [-1, 2])
def test_a_broken_sparse_tensor_is_refused(driver: Driver, column: int) -> None:
    """A column outside of a sparse tensor is the caller's mistake, not a crash."""
    sparse = {
        "data": [1.0],
        "dtype": "float32",
        "shape": [1, 2],
        "sparse_crow_indices": [0, 1],
        "sparse_col_indices": [column],
    }
    status, answer = driver.ask("POST", "/forward", plain_pass_body(driver.model(), sparse))
    assert status in {400, 422}  # wherever it is noticed first
    assert "sparse_col_indices" in answer["detail"]


def test_an_unknown_loss_is_refused(driver: Driver) -> None:
    """The refusal lists the losses there are."""
    body = pass_body(driver.model(), 1, datum(TEXT))
    batch = msgspec.structs.replace(body.forward_backward_input, loss_fn="magic")
    wrong = msgspec.structs.replace(body, forward_backward_input=batch)
    assert "cross_entropy" in driver.refused(400, "/forward_backward", wrong)


def test_a_wrong_body_names_its_path(driver: Driver) -> None:
    """A body that does not fit its type is 422 with the path of the wrong value."""
    model_id = driver.model()
    body: Any = {"adam_params": {"learning_rate": "fast"}, "model_id": model_id}
    assert "$.adam_params.learning_rate" in driver.refused(422, "/optim_step", body)
    assert "Not a valid" in driver.refused(422, "/optim_step", b"{")
    body = plain_pass_body(model_id, {"data": [2**70], "dtype": "int64"})
    assert "int64" in driver.refused(422, "/forward", body)


def test_an_unknown_base_model_is_refused_with_the_known_ones(driver: Driver) -> None:
    """Asking for a model that is not there names those that are."""
    body = t.CreateModelRequest(
        session_id=driver.session(),
        model_seq_id=0,
        base_model="no/such",
        lora_config=t.LoraConfig(rank=4),
    )
    detail = driver.refused(400, "/create_model", body)
    assert "'no/such'" in detail
    assert TINY in detail


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lora_config": None}, "lora_config: missing"),
        ({"lora_config": t.LoraConfig(rank=10_000)}, "lora_config.rank"),
        ({"optimizer_config": {"type": "dimuon"}}, "optimizer_config.type"),
    ],
)
def test_an_impossible_model_is_refused(
    driver: Driver, change: dict[str, object], text: str
) -> None:
    """What cannot be made is refused at once, naming the field."""
    body = t.CreateModelRequest(
        session_id=driver.session(),
        model_seq_id=0,
        base_model=TINY,
        lora_config=t.LoraConfig(rank=4),
    )
    wrong = msgspec.structs.replace(body, **change)
    assert text in driver.refused(400, "/create_model", wrong)


def test_a_model_is_made_once(driver: Driver) -> None:
    """Creating under the same number again returns the same model, unless it would differ."""
    session_id = driver.session()
    body = t.CreateModelRequest(
        session_id=session_id, model_seq_id=2, base_model=TINY, lora_config=t.LoraConfig(rank=4)
    )
    first = driver.post("/create_model", body)
    assert first["model_id"] == f"{session_id}:train:2"
    assert driver.post("/create_model", body) == first
    other = msgspec.structs.replace(body, lora_config=t.LoraConfig(rank=5))
    assert "used for a different" in driver.refused(400, "/create_model", other)


def test_a_model_says_what_it_is(driver: Driver) -> None:
    """The information on a model names base model, tokenizer and rank."""
    info = driver.post("/get_info", {"model_id": driver.model(rank=4)})
    assert info["model_data"]["model_name"] == TINY
    assert info["model_data"]["tokenizer_id"] == "tinker-lite/bytes"
    assert (info["is_lora"], info["lora_rank"]) == (True, 4)
    assert "'nobody'" in driver.refused(404, "/get_info", {"model_id": "nobody"})
