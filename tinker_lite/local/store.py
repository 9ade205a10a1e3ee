"""Runs and checkpoints on disk.

::

    runs/<run>/run.json
    runs/<run>/<kind>/<name>.json          a checkpoint's record; writing it is what makes it exist
    runs/<run>/<kind>/<folder>/            its files, under a name that is never used again
    ephemeral/<folder>/                    weights of sampling sessions, gone at the next start
    tmp/                                   what is being written

Files are written below ``tmp``, flushed, and moved into place before the record that names them is
replaced in one step. So a checkpoint is there whole or not at all, also when it overwrites another
and whenever the process is stopped.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from tinker_lite.errors import DecodeError
from tinker_lite.local.records import (
    ADAPTER_FILE,
    OPTIMIZER_FILE,
    CheckpointKind,
    CheckpointRecord,
    RunRecord,
)
from tinker_lite.wire.json import decode_json, encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Store", "read_state"]

logger = logging.getLogger("tinker_lite.local")

AnyArray = npt.NDArray[Any]
R = TypeVar("R", bound=msgspec.Struct)
KINDS: tuple[CheckpointKind, ...] = ("weights", "sampler_weights")
_RUN_FILE, _CHECKPOINT_FILE = "run.json", "checkpoint.json"


def read_state(files: Path, *, include_optimizer: bool) -> dict[str, AnyArray]:
    """Read the arrays of a checkpoint, bit for bit.

    Raises:
        OSError: The files are not there.
    """
    state: dict[str, AnyArray] = load((files / ADAPTER_FILE).read_bytes())
    if include_optimizer:
        state |= load((files / OPTIMIZER_FILE).read_bytes())
    return state


class Store:
    """The runs and checkpoints below a folder; safe for many threads.

    Args:
        root: The folder, made if it is not there.
        is_lasting: Whether what is written must survive a power cut.
    """

    def __init__(self, root: Path, *, is_lasting: bool) -> None:
        self.root, self._is_lasting = root, is_lasting
        self._lock = threading.RLock()
        self._runs: dict[str, RunRecord] = {}
        self._checkpoints: dict[tuple[str, str, str], CheckpointRecord] = {}
        for name in ("tmp", "ephemeral"):
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True)
        (root / "runs").mkdir(exist_ok=True)
        for folder in (root / "runs").iterdir():
            self._scan(folder)

    def _scan(self, folder: Path) -> None:
        run = _read_record(folder / _RUN_FILE, RunRecord)
        if run is None:
            return
        self._runs[run.training_run_id] = run
        for kind in KINDS:
            records = [
                _read_record(path, CheckpointRecord) for path in folder.glob(f"{kind}/*.json")
            ]
            kept = {record.files for record in records if record is not None}
            for record in filter(None, records):
                self._checkpoints[run.training_run_id, kind, record.name] = record
            # What an interrupted save or delete left behind.
            for path in folder.glob(f"{kind}/*/"):
                if path.name not in kept and None not in records:
                    shutil.rmtree(path, ignore_errors=True)

    # Runs.

    def put_run(self, run: RunRecord) -> None:
        """Add a run, or replace what is known of it."""
        with self._lock:
            self._runs[run.training_run_id] = run
            folder = self._folder(run.training_run_id)
            folder.mkdir(exist_ok=True)
            self._write(folder / _RUN_FILE, run)

    def run(self, run_id: str) -> RunRecord | None:
        """The run of this id."""
        with self._lock:
            return self._runs.get(run_id)

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run.created_at, reverse=True)

    # Checkpoints.

    def save(
        self, record: CheckpointRecord, state: Mapping[str, AnyArray], *, overwrite: bool
    ) -> CheckpointRecord:
        """Write a checkpoint.

        Args:
            record: What to keep about it; size, time and folder are filled in.
            state: Its arrays; ``optimizer.*`` goes into a file of its own.
            overwrite: Whether to replace one of the same name.

        Raises:
            ValueError: The name is taken.
        """
        if not overwrite:
            self._check_free(record)
        written = self.root / "tmp" / uuid.uuid4().hex
        written.mkdir()
        size_bytes = _write_state(written, state)
        record = msgspec.structs.replace(
            record,
            files=written.name,
            size_bytes=size_bytes,
            has_optimizer=any(name.startswith("optimizer.") for name in state),
            created_at=_now(),
        )
        self._write(written / _CHECKPOINT_FILE, record)
        self._flush(written)
        with self._lock:
            if not overwrite:
                self._check_free(record)
            self._publish(record, written)
        return record

    def _check_free(self, record: CheckpointRecord) -> None:
        if self.find(record.training_run_id, record.kind, record.name) is not None:
            raise ValueError(
                f"path: {record.tinker_path} exists already; choose another name, delete it, or "
                "save with overwrite"
            )

    def _publish(self, record: CheckpointRecord, written: Path) -> None:
        key = (record.training_run_id, record.kind, record.name)
        replaced = self._checkpoints.get(key)
        folder = self._folder(record.training_run_id) / record.kind
        folder.mkdir(parents=True, exist_ok=True)
        written.rename(folder / record.files)
        self._write(folder / f"{record.name}.json", record)
        self._checkpoints[key] = record
        if replaced is not None:
            shutil.rmtree(folder / replaced.files, ignore_errors=True)

    def find(self, run_id: str, kind: str, name: str) -> CheckpointRecord | None:
        """The checkpoint of this name, if there is one that has not expired."""
        with self._lock:
            record = self._checkpoints.get((run_id, kind, name))
            if record is not None and _has_expired(record):
                self.delete(record)
                return None
            return record

    def checkpoints(self, run_id: str | None = None) -> list[CheckpointRecord]:
        """The checkpoints of a run, or of all, newest first."""
        with self._lock:
            for expired in [r for r in self._checkpoints.values() if _has_expired(r)]:
                self.delete(expired)
            found = [
                record
                for record in reversed(self._checkpoints.values())
                if run_id is None or record.training_run_id == run_id
            ]
        return sorted(found, key=lambda record: record.created_at, reverse=True)

    def delete(self, record: CheckpointRecord) -> None:
        """Remove a checkpoint; harmless if it is gone."""
        with self._lock:
            key = (record.training_run_id, record.kind, record.name)
            if self._checkpoints.get(key) != record:
                return
            del self._checkpoints[key]
            folder = self._folder(record.training_run_id) / record.kind
            (folder / f"{record.name}.json").unlink(missing_ok=True)
            shutil.rmtree(folder / record.files, ignore_errors=True)

    def files(self, record: CheckpointRecord) -> Path:
        """The folder that holds a checkpoint's files."""
        return self._folder(record.training_run_id) / record.kind / record.files

    # Weights without a name.

    def save_ephemeral(self, state: Mapping[str, AnyArray]) -> Path:
        """Write arrays that last until the store is closed; return their folder."""
        folder = self.root / "ephemeral" / uuid.uuid4().hex
        folder.mkdir()
        _write_state(folder, state)
        return folder

    def delete_ephemeral(self, folder: Path) -> None:
        """Remove such arrays again; harmless if they are gone."""
        shutil.rmtree(folder, ignore_errors=True)

    # Writing.

    def _folder(self, run_id: str) -> Path:
        # The id stands in run.json; a colon cannot be part of a file's name everywhere.
        return self.root / "runs" / run_id.replace(":", "_")

    def _write(self, path: Path, record: msgspec.Struct) -> None:
        """Write or replace a record in one step."""
        written = self.root / "tmp" / uuid.uuid4().hex
        written.write_bytes(encode_json(record))
        self._flush(written)
        written.replace(path)
        self._flush(path.parent)

    def _flush(self, path: Path) -> None:
        """Bring a file, or a folder and the files in it, to the disk."""
        if not self._is_lasting:
            return
        for part in [*(path.iterdir() if path.is_dir() else ()), path]:
            if part.is_file() or os.name == "posix":  # other systems cannot open a folder
                _sync(part)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write_state(folder: Path, state: Mapping[str, AnyArray]) -> int:
    """Write arrays into a folder; return the size of the files in bytes."""
    return sum(
        (folder / file_name).write_bytes(save(part)) for file_name, part in _parts(state) if part
    )


def _parts(state: Mapping[str, AnyArray]) -> Iterator[tuple[str, dict[str, AnyArray]]]:
    for file_name, is_optimizer in ((ADAPTER_FILE, False), (OPTIMIZER_FILE, True)):
        yield (
            file_name,
            {
                name: np.asarray(array, order="C")
                for name, array in state.items()
                if name.startswith("optimizer.") is is_optimizer
            },
        )


def _read_record(path: Path, type_: type[R]) -> R | None:
    try:
        return decode_json(path.read_bytes(), type_)
    except (OSError, DecodeError) as error:
        logger.warning("Left out of the store: %s cannot be read: %s", path, error)
        return None


def _has_expired(record: CheckpointRecord) -> bool:
    return record.expires_at is not None and record.expires_at <= _now()


def _now() -> datetime:
    return datetime.now(UTC)
