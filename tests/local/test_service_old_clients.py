"""What clients up to 0.25 send (protocol sections 1.7 and 12.1): bodies without defaults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.service_driver import TINY, Driver

TOKENS = [104, 101, 108, 108]
TEXT: dict[str, Any] = {"tokens": TOKENS}


def batch(chunk: object) -> dict[str, Any]:
    """A batch of one example, as 0.6.3 writes it when it was told no more than it must be."""
    targets = {"data": [101, 108, 108, 111], "dtype": "int64", "shape": None}
    weights = {"data": [1.0] * 4, "dtype": "float32", "shape": [4]}
    inputs = {"target_tokens": targets, "weights": weights}
    datum = {"loss_fn_inputs": inputs, "model_input": {"chunks": [chunk]}}
    return {"data": [datum], "loss_fn": "cross_entropy", "loss_fn_config": None}


def model(driver: Driver) -> str:
    """The id of a model that 0.6.3 made."""
    session: dict[str, Any] = {"tags": [], "user_metadata": None, "sdk_version": "0.6.3"}
    body = {
        "session_id": driver.post("/create_session", session)["session_id"],
        "model_seq_id": 0,
        "base_model": TINY,
        "user_metadata": None,
        "lora_config": {"rank": 4, "seed": None},
    }
    made: str = driver.result(driver.post("/create_model", body))["model_id"]
    return made


def test_an_old_client_trains_and_samples(driver: Driver) -> None:
    """A whole program of 0.6.3 is understood: every body is the least that it sends."""
    model_id = model(driver)
    assert driver.post("/get_info", {"model_id": model_id})["model_data"]["model_name"] == TINY
    losses: list[float] = []
    for seq_id in (1, 4):
        body = {"forward_backward_input": batch(TEXT), "model_id": model_id, "seq_id": seq_id}
        passed = driver.result(driver.post("/forward_backward", body))
        losses.append(passed["metrics"]["loss:sum"])
        step = {"adam_params": {"learning_rate": 0.01}, "model_id": model_id, "seq_id": seq_id + 1}
        assert "metrics" in driver.result(driver.post("/optim_step", step))
        body = {"forward_input": batch(TEXT), "model_id": model_id, "seq_id": seq_id + 2}
        after = driver.result(driver.post("/forward", body))
        assert after["metrics"]["loss:sum"] < losses[-1]
    saved = {"model_id": model_id, "path": "old", "seq_id": 7}
    path = driver.result(driver.post("/save_weights", saved))["path"]
    assert driver.post("/weights_info", {"tinker_path": path})["base_model"] == TINY
    loaded = {"model_id": model(driver), "path": path, "seq_id": 1, "optimizer": True}
    assert driver.result(driver.post("/load_weights", loaded))["path"] == path
    ephemeral = {"model_id": model_id, "sampling_session_seq_id": 0, "seq_id": 8}
    sampler = driver.result(driver.post("/save_weights_for_sampler", ephemeral))
    sample = {
        "num_samples": 1,
        "prompt": {"chunks": [TEXT]},
        "sampling_params": {"max_tokens": 3, "stop": None, "seed": None},
        "sampling_session_id": sampler["sampling_session_id"],
        "seq_id": 0,
        "prompt_logprobs": None,
    }
    result = driver.result(driver.post("/asample", sample))
    assert len(result["sequences"][0]["tokens"]) == 3


@pytest.mark.parametrize(
    "chunk",
    [TEXT, {**TEXT, "type": None}, {**TEXT, "type": "encoded_text"}],
    ids=["missing", "null", "given"],
)
def test_a_text_chunk_is_told_by_its_tokens(driver: Driver, chunk: dict[str, Any]) -> None:
    """The type of a chunk may be missing or null."""
    body = {"forward_input": batch(chunk), "model_id": model(driver), "seq_id": 1}
    assert "loss:sum" in driver.result(driver.post("/forward", body))["metrics"]


@pytest.mark.parametrize(
    "chunk",
    [
        {"data": "eA==", "format": "png", "expected_tokens": None},
        {"location": "s3://x", "format": "jpeg", "expected_tokens": 4},
        {"dmel": "AAEE"},
    ],
    ids=["image", "image_asset_pointer", "dmel"],
)
def test_other_chunks_are_told_by_their_fields(driver: Driver, chunk: dict[str, Any]) -> None:
    """They are understood, and refused for what they are."""
    body = {"forward_input": batch(chunk), "model_id": model(driver), "seq_id": 1}
    assert "text only" in driver.refused(400, "/forward", body)
    sample = {"prompt": {"chunks": [chunk]}, "sampling_params": {}, "base_model": TINY}
    assert "text only" in driver.refused(400, "/asample", sample)


@pytest.mark.parametrize("chunk", [{}, {"tokens": [1], "location": "x", "format": "png"}])
def test_a_chunk_of_no_kind_is_refused(driver: Driver, chunk: dict[str, Any]) -> None:
    """A chunk without a type whose fields do not tell it is named by its path."""
    body = {"forward_input": batch(chunk), "model_id": "m", "seq_id": 1}
    assert ".model_input.chunks[0]" in driver.refused(422, "/forward", body)


def test_an_unloaded_model_is_gone(driver: Driver) -> None:
    """What was accepted before is still done, what comes after is told; twice is harmless."""
    model_id = model(driver)
    step = driver.step(model_id, 1)
    unload = driver.post("/unload_model", {"model_id": model_id})
    assert driver.result(unload)["model_id"] == model_id
    assert "metrics" in driver.result(step)
    failed = driver.result(driver.step(model_id, 2))
    assert failed["category"] == "user"
    assert "was unloaded" in failed["error"]
    again = driver.post("/unload_model", {"model_id": model_id})
    assert driver.result(again)["model_id"] == model_id
    assert "'nobody'" in driver.refused(404, "/unload_model", {"model_id": "nobody"})
