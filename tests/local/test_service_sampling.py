from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.local.service_driver import TINY, Driver, datum, sample_body
from tinker_lite import types as t
from tinker_lite.local import LocalService, ServiceSettings


def sampler(driver: Driver, session_id: str, seq_id: int = 0, **weights: object) -> str:
    """A new sampling session's id."""
    body = {"session_id": session_id, "sampling_session_seq_id": seq_id, **weights}
    made: str = driver.post("/create_sampling_session", body)["sampling_session_id"]
    return made


def targets(
    tokens: Sequence[int], shape: Sequence[int] | None = (8, 2), dtype: t.TensorDtype = "int64"
) -> t.TensorData:
    """Tokens to be scored along the prompt of nine."""
    return t.TensorData(tokens, dtype, shape)


def test_a_base_model_is_sampled(driver: Driver) -> None:
    """Every sequence has its id, its tokens and a logprob for each of them."""
    session_id = driver.session()
    sampler_id = sampler(driver, session_id, base_model=TINY)
    assert sampler_id == f"{session_id}:sample:0"
    submission = driver.post("/asample", sample_body(sampler_id, 0, num_samples=3))
    assert len(set(submission["sample_sequence_ids"])) == 3
    sequences = driver.result(submission)["sequences"]
    assert [s["sequence_id"] for s in sequences] == submission["sample_sequence_ids"]
    assert [len(s["tokens"]) for s in sequences] == [6, 6, 6]
    assert [len(s["logprobs"]) for s in sequences] == [6, 6, 6]


def test_a_seed_repeats_the_text(driver: Driver) -> None:
    """The same seed under another number gives the same tokens."""
    sampler_id = sampler(driver, driver.session(), base_model=TINY)
    first, second = (driver.sample(sampler_id, i)["sequences"][0] for i in range(2))
    assert first["tokens"] == second["tokens"]


def test_a_repeated_sample_is_the_same_request(driver: Driver) -> None:
    """Under one number a request is drawn once; another request under it is refused."""
    sampler_id = sampler(driver, driver.session(), base_model=TINY)
    first = driver.post("/asample", sample_body(sampler_id, 5))
    assert driver.post("/asample", sample_body(sampler_id, 5)) == first
    other = sample_body(sampler_id, 5, num_samples=2)
    assert "used for a different request" in driver.refused(400, "/asample", other)


def test_prompt_logprobs(driver: Driver) -> None:
    """Prompt tokens are scored like the targets of a forward pass; the first has no score."""
    model_id = driver.model()
    driver.train(model_id, 1)
    saved = driver.save_for_sampler(model_id, 3, sampling_session_seq_id=0)
    result = driver.sample(
        saved["sampling_session_id"], prompt_logprobs=True, topk_prompt_logprobs=2
    )
    passed = driver.forward(model_id, 4, datum(b"the quick"))
    scores = passed["loss_fn_outputs"][0]["logprobs"]["data"]
    assert result["prompt_logprobs"] == [None, *(pytest.approx(score) for score in scores)]
    assert result["topk_prompt_logprobs"][0] is None
    assert [len(row) for row in result["topk_prompt_logprobs"][1:]] == [2] * len(scores)


def test_only_the_last_prompt_logprobs(driver: Driver) -> None:
    """Earlier places are blank when only the last n are asked for."""
    result = driver.sample(None, base_model=TINY, prompt_logprobs=True, prompt_logprobs_last_n=2)
    assert [score is None for score in result["prompt_logprobs"]] == [True] * 7 + [False] * 2


def test_the_likeliest_tokens_of_what_is_sampled(driver: Driver) -> None:
    """Each sampled token has the likeliest ones at its place, which greedy sampling follows."""
    result = driver.sample(
        None, base_model=TINY, topk_sample_logprobs=2, params={"temperature": 0.0}
    )
    sequence = result["sequences"][0]
    assert [len(row) for row in sequence["topk_logprobs"]] == [2] * 6
    drawn = zip(sequence["tokens"], sequence["logprobs"], strict=True)
    assert [row[0] for row in sequence["topk_logprobs"]] == [list(pair) for pair in drawn]


def test_prompt_alternatives_are_the_likeliest_tokens(driver: Driver) -> None:
    """They come as two tensors, without the first place, and agree with the top k."""
    result = driver.sample(None, base_model=TINY, prompt_alt_tokens_k=3, topk_prompt_logprobs=3)
    tokens, logprobs = (
        t.TensorData(**result["prompt_alt_tokens"][name]) for name in ("tokens", "logprobs")
    )
    rows = result["topk_prompt_logprobs"][1:]
    assert (tokens.dtype, tokens.shape) == ("int64", [8, 3])
    assert tokens.tolist() == [[token for token, _ in row] for row in rows]
    assert (logprobs.dtype, logprobs.shape) == ("float32", [8, 3])
    assert logprobs.tolist() == [[logprob for _, logprob in row] for row in rows]


def test_any_token_of_a_prompt_can_be_scored(driver: Driver) -> None:
    """Targets are answered in their own layout, dense or sparse; the prompt's own are known."""
    prompt = b"the quick"
    own = driver.sample(None, base_model=TINY, prompt_logprobs=True)["prompt_logprobs"][1:]
    dense = targets([token for pair in zip(prompt[1:], b"abcdefgh", strict=True) for token in pair])
    sparse = t.TensorData([*prompt[3:]], "int64", [8, 2], [0, 0, 0, 1, 2, 3, 4, 5, 6], [1] * 6)
    scores = [
        driver.sample(None, base_model=TINY, target_prompt_logprobs=one)["target_prompt_logprobs"]
        for one in (dense, sparse)
    ]
    assert [score["dtype"] for score in scores] == ["float32"] * 2
    assert [score["shape"] for score in scores] == [[8, 2]] * 2
    assert scores[0]["data"][::2] == own
    assert scores[1]["data"] == own[2:]
    assert scores[1]["sparse_crow_indices"] == sparse.sparse_crow_indices
    assert scores[1]["sparse_col_indices"] == sparse.sparse_col_indices


def test_a_prompt_of_one_token_has_nothing_to_score(driver: Driver) -> None:
    """Lists then hold a blank place, and tensors no rows."""
    result = driver.sample(
        None,
        base_model=TINY,
        prompt=b"x",
        prompt_logprobs=True,
        topk_prompt_logprobs=2,
        prompt_alt_tokens_k=2,
        target_prompt_logprobs=targets([], [0, 2]),
    )
    assert (result["prompt_logprobs"], result["topk_prompt_logprobs"]) == ([None], [None])
    assert result["prompt_alt_tokens"]["tokens"]["shape"] == [0, 2]
    assert result["target_prompt_logprobs"]["data"] == []


def test_stop_and_length(driver: Driver) -> None:
    """A stop sequence ends a text and is part of it."""
    free = driver.sample(None, base_model=TINY)["sequences"][0]
    stopped = driver.sample(None, base_model=TINY, params={"stop": [free["tokens"][2]]})
    assert stopped["sequences"][0]["tokens"] == free["tokens"][:3]
    assert (free["stop_reason"], stopped["sequences"][0]["stop_reason"]) == ("length", "stop")


def test_a_snapshot_keeps_its_weights(driver: Driver) -> None:
    """An ephemeral sampler samples as the model was, whatever is trained later."""
    model_id = driver.model()
    driver.train(model_id, 1)
    old = driver.save_for_sampler(model_id, 3, sampling_session_seq_id=0)["sampling_session_id"]
    before = driver.sample(old, prompt_logprobs=True)
    driver.train(model_id, 4)
    new = driver.save_for_sampler(model_id, 6, sampling_session_seq_id=1)["sampling_session_id"]
    assert driver.sample(old, prompt_logprobs=True)["prompt_logprobs"] == before["prompt_logprobs"]
    assert driver.sample(new, prompt_logprobs=True)["prompt_logprobs"] != before["prompt_logprobs"]


def test_a_snapshot_read_from_disk_is_the_same() -> None:
    """A sampler that fell out of memory gives the same bits when it is read again."""
    with LocalService(settings=ServiceSettings(max_snapshots=1)) as service:
        driver = Driver(service)
        model_id = driver.model()
        driver.train(model_id, 1)
        saved = driver.save_for_sampler(model_id, 3, sampling_session_seq_id=0)
        sampler_id = saved["sampling_session_id"]
        before = driver.sample(sampler_id, prompt_logprobs=True)["prompt_logprobs"]
        driver.sample(None, base_model=TINY)
        assert driver.sample(sampler_id, prompt_logprobs=True)["prompt_logprobs"] == before


def test_inflight_samplers_follow_the_latest_weights(driver: Driver) -> None:
    """All inflight samplers of a model use the weights saved for them last."""
    model_id = driver.model()
    saved = [driver.save_for_sampler(model_id, 1, sampling_session_seq_id=0, kind="inflight")]
    driver.train(model_id, 2)
    saved += [driver.save_for_sampler(model_id, 4, sampling_session_seq_id=1, kind="inflight")]
    ids = [one["sampling_session_id"] for one in saved]
    first, second = (driver.sample(i, prompt_logprobs=True)["prompt_logprobs"] for i in ids)
    assert first == second


def test_an_ephemeral_save_is_repeated_under_another_session_number(driver: Driver) -> None:
    """A client that repeats such a save draws a new session number; the first one counts."""
    model_id = driver.model()
    first = driver.save_for_sampler(model_id, 1, sampling_session_seq_id=0)
    assert driver.save_for_sampler(model_id, 1, sampling_session_seq_id=1) == first


def test_a_session_number_is_used_once(driver: Driver) -> None:
    """An ephemeral save under the number of another sampler fails as the user's error."""
    session_id = driver.session()
    model_id = driver.model(session_id)
    sampler(driver, session_id, base_model=TINY)
    failed = driver.save_for_sampler(model_id, 1, sampling_session_seq_id=0)
    assert failed["category"] == "user"
    assert "sampling_session_seq_id" in failed["error"]


def test_a_sampler_says_what_it_is(driver: Driver) -> None:
    """A sampler of a checkpoint names its path and base model."""
    session_id = driver.session()
    model_id = driver.model(session_id)
    path = driver.save_for_sampler(model_id, 1, path="named")["path"]
    assert path == f"tinker://{model_id}/sampler_weights/named"
    sampler_id = sampler(driver, session_id, model_path=path)
    assert driver.get(f"/samplers/{sampler_id}") == {
        "sampler_id": sampler_id,
        "base_model": TINY,
        "model_path": path,
    }
    driver.refused(404, "/samplers/nobody", method="GET")


def test_a_sampler_is_made_once(driver: Driver) -> None:
    """The same sampler under a number again is the same; another one is refused."""
    session_id = driver.session()
    assert sampler(driver, session_id, base_model=TINY) == sampler(
        driver, session_id, base_model=TINY
    )
    path = driver.save_for_sampler(driver.model(session_id), 1, path="named")["path"]
    body = {"session_id": session_id, "sampling_session_seq_id": 0, "model_path": path}
    assert "other weights" in driver.refused(400, "/create_sampling_session", body)


def test_sampling_does_not_wait_for_training() -> None:
    """A sample is answered while the training queue is held up by a missing number."""
    with LocalService(settings=ServiceSettings(poll_s=0.2, gap_patience_s=3600)) as service:
        driver = Driver(service)
        driver.step(driver.model(), 2)
        assert driver.sample(None, base_model=TINY)["sequences"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"params": {"top_p": 0.0}}, "sampling_params.top_p"),
        ({"params": {"temperature": -1.0}}, "sampling_params.temperature"),
        ({"prompt": b""}, "prompt"),
        ({"prompt": b"x" * 256}, "context is 256"),
        ({"num_samples": 0}, "num_samples"),
        ({"topk_prompt_logprobs": 257}, "topk_prompt_logprobs"),
        ({"topk_sample_logprobs": -1}, "topk_sample_logprobs"),
        ({"prompt_alt_tokens_k": 257}, "prompt_alt_tokens_k"),
        ({"prompt_logprobs_last_n": -1}, "prompt_logprobs_last_n"),
        ({"target_prompt_logprobs": targets([7] * 16, [8, 2], "float32")}, "must be int64"),
        ({"target_prompt_logprobs": targets([7] * 18, [9, 2])}, "8 rows"),
        ({"target_prompt_logprobs": targets([7] * 8, None)}, "8 rows"),
        ({"target_prompt_logprobs": targets([256] * 8, [8, 1])}, "not in 0 to 255"),
        ({"base_model": "no/such"}, "'no/such'"),
        ({"base_model": None}, "base_model or model_path"),
        ({"base_model": None, "model_path": "tinker://a/b"}, "tinker://<run>/<kind>/<name>"),
    ],
)
def test_a_wrong_sample_is_refused_by_field(
    driver: Driver, change: dict[str, Any], text: str
) -> None:
    """What cannot be sampled is refused at once, naming the field."""
    body = sample_body(None, None, **{"base_model": TINY, **change})
    assert text in driver.refused(400, "/asample", body)


def test_pictures_and_huge_tokens_are_refused(driver: Driver) -> None:
    """A prompt that the model cannot read is the caller's mistake."""
    picture = t.ImageChunk(data=b"x", format="png", expected_tokens=1)
    for prompt in (t.ModelInput(chunks=[picture]), t.ModelInput.from_ints([2**70])):
        body = t.SampleRequest(prompt=prompt, sampling_params=t.SamplingParams(), base_model=TINY)
        driver.refused(400, "/asample", body)


def test_unknown_weights_are_not_found(driver: Driver) -> None:
    """A path without a checkpoint, and a sampler that never was, are named."""
    path = "tinker://nobody/weights/none"
    assert path in driver.refused(404, "/asample", sample_body(None, model_path=path))
    assert "'nobody'" in driver.refused(404, "/asample", sample_body("nobody"))
