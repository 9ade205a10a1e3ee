from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tinker_lite.local.records import CheckpointRecord, RunRecord
from tinker_lite.local.store import Store, read_state
from tinker_lite.types import LoraConfig

RUN = "s1:train:0"
LORA = LoraConfig(rank=4)
STATE = {
    "adapter.m.lora_a": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
    "adapter.m.lora_b": np.array([[np.float32(1e-45), np.float32(3e38)]]).T,
    "optimizer.step": np.array(3, np.int64),
}


def new_store(root: Path) -> Store:
    """A store with one run in it."""
    store = Store(root, is_lasting=True)
    now = datetime.now(UTC)
    store.put_run(
        RunRecord(
            training_run_id=RUN,
            base_model="b",
            lora=LORA,
            created_at=now,
            last_request_time=now,
        )
    )
    return store


def record(name: str = "ck", **more: object) -> CheckpointRecord:
    """A checkpoint to be saved."""
    plain = CheckpointRecord(
        training_run_id=RUN,
        kind="weights",
        name=name,
        base_model="b",
        lora=LORA,
        created_at=datetime.now(UTC),
    )
    return msgspec.structs.replace(plain, **more)


def test_arrays_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Shapes, dtypes and every bit survive, also of a number and of a transposed array."""
    store = new_store(tmp_path)
    saved = store.save(record(), STATE, overwrite=False)
    state = read_state(store.files(saved), include_optimizer=True)
    assert sorted(state) == sorted(STATE)
    for name, array in STATE.items():
        assert (state[name].shape, state[name].dtype) == (array.shape, array.dtype)
        assert state[name].tobytes() == array.tobytes()
    assert "optimizer.step" not in read_state(store.files(saved), include_optimizer=False)


def test_a_record_is_filled_in(tmp_path: Path) -> None:
    """Size and contents are what was written."""
    store = new_store(tmp_path)
    saved = store.save(record(), STATE, overwrite=False)
    sizes = [path.stat().st_size for path in store.files(saved).glob("*.safetensors")]
    assert saved.size_bytes == sum(sizes)
    assert saved.has_optimizer
    bare = store.save(record("bare"), {"adapter.x": np.ones(1)}, overwrite=False)
    assert not bare.has_optimizer


def test_a_reopened_store_knows_everything(tmp_path: Path) -> None:
    """Runs and checkpoints are read again; so is the latest of an overwritten one."""
    store = new_store(tmp_path)
    store.save(record(), STATE, overwrite=False)
    latest = store.save(record(user_metadata={"v": "2"}), STATE, overwrite=True)
    again = Store(tmp_path, is_lasting=True)
    assert again.runs() == store.runs()
    assert again.checkpoints() == [latest]
    assert sorted(read_state(again.files(latest), include_optimizer=True)) == sorted(STATE)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    """Without overwrite the first checkpoint stays as it was."""
    store = new_store(tmp_path)
    first = store.save(record(), STATE, overwrite=False)
    with pytest.raises(ValueError, match="exists already"):
        store.save(record(), STATE, overwrite=False)
    assert store.find(RUN, "weights", "ck") == first
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interrupted_save_leaves_nothing(tmp_path: Path) -> None:
    """Files without a record are no checkpoint, and are cleared away when the store opens."""
    store = new_store(tmp_path)
    saved = store.save(record(), STATE, overwrite=False)
    kind = store.files(saved).parent
    (kind / "orphan").mkdir()
    (kind / "orphan" / "adapter.safetensors").write_bytes(b"half")
    (tmp_path / "tmp" / "half").mkdir()
    again = Store(tmp_path, is_lasting=True)
    assert again.checkpoints() == [saved]
    assert sorted(path.name for path in kind.iterdir()) == sorted([saved.files, "ck.json"])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interrupted_overwrite_keeps_one_version(tmp_path: Path) -> None:
    """If the new record was not written, the old checkpoint is still whole."""
    store = new_store(tmp_path)
    first = store.save(record(), STATE, overwrite=False)
    pointer = store.files(first).parent / "ck.json"
    old = pointer.read_bytes()
    files = {path.name: path.read_bytes() for path in store.files(first).iterdir()}
    store.save(record(), STATE, overwrite=True)
    pointer.write_bytes(old)
    store.files(first).mkdir()
    for name, content in files.items():
        (store.files(first) / name).write_bytes(content)
    again = Store(tmp_path, is_lasting=True)
    assert again.checkpoints() == [first]
    assert sorted(read_state(again.files(first), include_optimizer=True)) == sorted(STATE)


def test_a_damaged_record_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store opens without it and says which file it is; its files are not touched."""
    store = new_store(tmp_path)
    saved = store.save(record(), STATE, overwrite=False)
    pointer = store.files(saved).parent / "ck.json"
    pointer.write_text("{")
    with caplog.at_level(logging.WARNING, "tinker_lite.local"):
        again = Store(tmp_path, is_lasting=True)
    assert again.checkpoints() == []
    assert str(pointer) in caplog.text
    assert store.files(saved).exists()


def test_an_expired_checkpoint_is_gone(tmp_path: Path) -> None:
    """Once its time is over a checkpoint is neither found nor listed, and its files go."""
    store = new_store(tmp_path)
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = store.save(record("old", expires_at=past), STATE, overwrite=False)
    kept = store.save(record("new", expires_at=past + timedelta(days=1)), STATE, overwrite=False)
    assert store.checkpoints() == [kept]
    assert store.find(RUN, "weights", "old") is None
    assert not store.files(expired).exists()


def test_ephemeral_weights_end_with_the_store(tmp_path: Path) -> None:
    """Weights without a name are gone when the store is opened again."""
    folder = new_store(tmp_path).save_ephemeral(STATE)
    assert sorted(read_state(folder, include_optimizer=False)) == [
        "adapter.m.lora_a",
        "adapter.m.lora_b",
    ]
    Store(tmp_path, is_lasting=True)
    assert not folder.exists()
