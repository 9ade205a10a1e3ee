from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec
import pytest
from safetensors.numpy import load

from tests.local.service_driver import TINY, Driver, datum, request
from tinker_lite import types as t
from tinker_lite.http import Headers
from tinker_lite.local import LocalService, ServiceSettings

TEXT = b"she sells sea shells"


def load_body(path: str, session_id: str, model_seq_id: int, **more: object) -> object:
    """The body of a load that is a model's creation."""
    return {
        "path": path,
        "optimizer": False,
        "session_id": session_id,
        "model_seq_id": model_seq_id,
        **more,
    }


def trained(driver: Driver) -> tuple[str, str, str]:
    """A session, a model trained in it, and the path of its checkpoint ``ck``."""
    session_id = driver.session()
    model_id = driver.model(session_id)
    driver.train(model_id, 1, TEXT)
    path = driver.save(model_id, 3, "ck")["path"]
    return session_id, model_id, path


@pytest.mark.parametrize("with_optimizer", [False, True])
def test_a_loaded_model_is_the_saved_one(driver: Driver, *, with_optimizer: bool) -> None:
    """A model created from a checkpoint gives bit-equal logprobs, and trains on as it should."""
    session_id, model_id, path = trained(driver)
    assert path == f"tinker://{model_id}/weights/ck"
    body = load_body(path, session_id, 1, optimizer=with_optimizer)
    loaded = driver.result(driver.post("/load_weights", body))
    assert loaded["model_id"] == f"{session_id}:train:1"
    before = driver.forward(model_id, 4, datum(TEXT))
    assert driver.forward(loaded["model_id"], 1, datum(TEXT)) == before
    driver.train(model_id, 5, TEXT)
    driver.train(loaded["model_id"], 2, TEXT)
    after, other = (
        driver.forward(model_id, 7, datum(TEXT)),
        driver.forward(loaded["model_id"], 4, datum(TEXT)),
    )
    assert (after == other) is with_optimizer


def test_loading_into_a_model(driver: Driver) -> None:
    """A model there is takes over a checkpoint of its own shape, in the order of its requests."""
    session_id, model_id, path = trained(driver)
    at_save = driver.forward(model_id, 4, datum(TEXT))
    driver.train(model_id, 5, TEXT)
    body = {"path": path, "optimizer": True, "model_id": model_id, "seq_id": 7}
    assert driver.result(driver.post("/load_weights", body))["path"] == path
    assert driver.forward(model_id, 8, datum(TEXT)) == at_save
    other = driver.model(session_id, model_seq_id=1, rank=8)
    wrong = {**body, "model_id": other, "seq_id": 1}
    assert "rank 4" in driver.refused(400, "/load_weights", wrong)


def test_sampler_weights_can_be_trained_on(driver: Driver) -> None:
    """Weights saved for sampling make a model too, but hold no optimiser state."""
    session_id, model_id, _ = trained(driver)
    path = driver.save_for_sampler(model_id, 4, path="s")["path"]
    body = load_body(path, session_id, 1)
    loaded = driver.result(driver.post("/load_weights", body))["model_id"]
    assert driver.forward(loaded, 1, datum(TEXT)) == driver.forward(model_id, 5, datum(TEXT))
    wrong = load_body(path, session_id, 2, optimizer=True)
    assert "no optimizer state" in driver.refused(400, "/load_weights", wrong)


def test_a_load_must_say_what_it_loads_into(driver: Driver) -> None:
    """Missing addresses, unknown paths and other base models are refused."""
    session_id, _, path = trained(driver)
    text = driver.refused(400, "/load_weights", {"path": path, "optimizer": False})
    assert "needs model_id, or session_id and model_seq_id" in text
    missing = path.replace("/ck", "/none")
    assert missing in driver.refused(404, "/load_weights", load_body(missing, session_id, 1))
    other = load_body(path, session_id, 1, base_model="tinker-lite/english-bytes")
    assert "base_model" in driver.refused(400, "/load_weights", other)


def test_a_taken_name_fails_as_the_users_error(driver: Driver) -> None:
    """A name is used once unless the caller overwrites; then the new weights are there."""
    _, model_id, path = trained(driver)
    failed = driver.save(model_id, 4, "ck")
    assert failed["category"] == "user"
    assert "exists already" in failed["error"]
    driver.train(model_id, 5, TEXT)
    driver.save(model_id, 7, "ck", overwrite=True, user_metadata={"a": "b"})
    [checkpoint] = driver.get(f"/training_runs/{model_id}/checkpoints")["checkpoints"]
    assert checkpoint["user_metadata"] == {"a": "b"}
    sampled = driver.sample(None, model_path=path, prompt=TEXT, prompt_logprobs=True)
    passed = driver.forward(model_id, 8, datum(TEXT))["loss_fn_outputs"][0]["logprobs"]["data"]
    assert sampled["prompt_logprobs"][1:] == [pytest.approx(score) for score in passed]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"path": "a/b"}, "path"),
        ({"path": ".hidden"}, "path"),
        ({"path": "x" * 129}, "path"),
        ({"path": "ok", "ttl_seconds": 10}, "ttl_seconds"),
    ],
)
def test_an_impossible_save_is_refused(driver: Driver, more: dict[str, object], text: str) -> None:
    """A name that cannot be a file's, or a lifetime out of range, is refused by field."""
    body = {"model_id": driver.model(), "seq_id": 1, **more}
    assert text in driver.refused(400, "/save_weights", body)


def test_a_sampler_save_needs_a_target(driver: Driver) -> None:
    """Neither a name nor a session number is an error, at once."""
    body = {"model_id": driver.model(), "seq_id": 1}
    assert "sampling_session_seq_id" in driver.refused(400, "/save_weights_for_sampler", body)


def test_what_a_checkpoint_holds(driver: Driver) -> None:
    """The information on weights is what a model must be made with to take them."""
    _, _, path = trained(driver)
    assert driver.post("/weights_info", {"tinker_path": path}) == {
        "base_model": TINY,
        "is_lora": True,
        "lora_rank": 4,
        "train_unembed": True,
        "train_mlp": True,
        "train_attn": True,
        "optimizer_config": {"type": "adamw"},
    }
    driver.refused(404, "/weights_info", {"tinker_path": path + "x"})


def test_runs_are_listed_newest_first(driver: Driver) -> None:
    """Pages have a cursor; a run knows its latest checkpoints."""
    session_id, model_id, path = trained(driver)
    driver.save_for_sampler(model_id, 4, path="s")
    newer = driver.model(session_id, model_seq_id=1)
    page = driver.get("/training_runs?limit=1&offset=0&access_scope=owned")
    assert [run["training_run_id"] for run in page["training_runs"]] == [newer]
    assert page["cursor"] == {"offset": 0, "limit": 1, "total_count": 2}
    run = msgspec.convert(driver.get(f"/training_runs/{model_id}"), t.TrainingRun)
    assert run.last_checkpoint is not None
    assert run.last_checkpoint.tinker_path == path
    assert run.last_sampler_checkpoint is not None
    assert run.last_sampler_checkpoint.checkpoint_type == "sampler"
    driver.refused(404, "/training_runs/nobody", method="GET")
    assert "limit" in driver.refused(400, "/training_runs?limit=-1", method="GET")


def test_checkpoints_are_listed_and_deleted(driver: Driver) -> None:
    """Of all runs newest first, and by any form of their id."""
    _, model_id, _ = trained(driver)
    driver.save_for_sampler(model_id, 4, path="ck")
    _, other_id, _ = trained(driver)
    page = driver.get("/checkpoints?limit=2")
    assert [c["checkpoint_id"] for c in page["checkpoints"]] == ["weights/ck", "sampler_weights/ck"]
    assert page["cursor"]["total_count"] == 3
    checkpoints = f"/training_runs/{model_id}/checkpoints"
    assert "ambiguous" in driver.refused(400, f"{checkpoints}/ck", method="DELETE")
    for form in ("weights/ck", "ck"):
        assert driver.ask("DELETE", f"{checkpoints}/{form}")[0] == 200
    assert driver.get(checkpoints)["checkpoints"] == []
    driver.refused(404, f"{checkpoints}/ck", method="DELETE")
    encoded = f"/training_runs/{other_id.replace(':', '%3A')}/checkpoints/weights%2Fck"
    assert driver.ask("DELETE", encoded)[0] == 200


def archive(driver: Driver, model_id: str) -> str:
    """The URL at which the archive of checkpoint ``ck`` is to be had."""
    response = driver.send("GET", f"/training_runs/{model_id}/checkpoints/weights/ck/archive")
    assert response.status == 302
    assert str(response.headers.get("expires")).endswith("GMT")
    return str(response.headers.get("location"))


def test_an_archive_holds_the_checkpoint(driver: Driver) -> None:
    """The redirect leads to a tar of announced size with weights, optimiser state and record."""
    _, model_id, _ = trained(driver)
    url = archive(driver, model_id)
    response = driver.send("GET", url)
    assert response.status == 200
    content = response.read()
    assert response.headers.get("content-length") == str(len(content))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {name: tar.extractfile(name) for name in tar.getnames()}
        assert sorted(files) == [
            "adapter.safetensors",
            "checkpoint.json",
            "optimizer.safetensors",
        ]
        adapter = files["adapter.safetensors"]
        assert adapter is not None
        assert all(name.startswith("adapter.") for name in load(adapter.read()))
    assert driver.send("GET", archive(driver, model_id)).read() == content


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=600-1999", 600, 1999), ("bytes=3000-", 3000, -1), ("bytes=-700", -700, -1)],
)
def test_a_part_of_an_archive(driver: Driver, asked: str, first: int, last: int) -> None:
    """A range is answered with exactly its bytes, wherever the files in the tar begin."""
    _, model_id, _ = trained(driver)
    url = archive(driver, model_id)
    whole = driver.send("GET", url)
    content, size = whole.read(), int(whole.headers.get("content-length", "0"))
    ranged = driver.transport.send(request("GET", url, headers=Headers([("Range", asked)])))
    first, last = first % size, last % size
    assert ranged.status == 206
    assert ranged.headers.get("content-range") == f"bytes {first}-{last}/{size}"
    assert ranged.read() == content[first : last + 1]


def test_ranges_that_cannot_be_had(driver: Driver) -> None:
    """Beyond the end is 416; for another version than the present one, the whole is sent."""
    _, model_id, _ = trained(driver)
    url = archive(driver, model_id)
    beyond = Headers([("Range", "bytes=99999999-")])
    assert driver.transport.send(request("GET", url, headers=beyond)).status == 416
    changed = Headers([("Range", "bytes=0-9"), ("If-Range", '"another"')])
    assert driver.transport.send(request("GET", url, headers=changed)).status == 200


def test_an_archive_link_expires() -> None:
    """A link that is too old, or was never made, is not found."""
    with LocalService(settings=ServiceSettings(archive_s=0.0)) as service:
        driver = Driver(service)
        _, model_id, _ = trained(driver)
        assert "expired" in driver.refused(404, archive(driver, model_id), method="GET")


def test_a_deleted_checkpoint_cannot_be_had(driver: Driver) -> None:
    """A link to a checkpoint that was deleted says so; a stream under way goes on to its end."""
    _, model_id, path = trained(driver)
    url = archive(driver, model_id)
    response = driver.send("GET", url)
    chunks = response.iter_bytes()
    received = len(next(chunks))
    driver.ask("DELETE", f"/training_runs/{model_id}/checkpoints/weights/ck")
    received += sum(map(len, chunks))
    assert received == int(response.headers.get("content-length", "0"))
    assert "deleted" in driver.refused(404, url, method="GET")
    driver.refused(404, "/weights_info", {"tinker_path": path})


def test_a_restarted_service_knows_its_checkpoints(tmp_path: Path) -> None:
    """Runs and checkpoints outlive the service: they are listed, sampled from and loaded."""
    with LocalService(tmp_path) as service:
        driver = Driver(service)
        _, model_id, path = trained(driver)
        before = driver.forward(model_id, 4, datum(TEXT))
        sampled = driver.sample(None, model_path=path)["sequences"][0]["tokens"]
    with LocalService(tmp_path) as service:
        driver = Driver(service)
        assert driver.get(f"/training_runs/{model_id}")["last_checkpoint"]["tinker_path"] == path
        assert driver.sample(None, model_path=path)["sequences"][0]["tokens"] == sampled
        body = load_body(path, driver.session(), 0, optimizer=True)
        loaded = driver.result(driver.post("/load_weights", body))["model_id"]
        assert driver.forward(loaded, 1, datum(TEXT)) == before
        gone = {"model_id": model_id}
        assert "a checkpoint of an earlier one" in driver.refused(404, "/get_info", gone)
