"""Models as they are sampled from: where their weights lie, and the few that are held in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinker_lite.local.adapted import AdaptedModel, ModelSnapshot, base_snapshot
from tinker_lite.local.base_models import load_base_model
from tinker_lite.local.records import lora_spec
from tinker_lite.local.store import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from tinker_lite.types import LoraConfig

__all__ = ["Snapshots", "Weights"]


@dataclass(frozen=True)
class Weights:
    """Where weights lie.

    Attributes:
        base_model: The base model.
        lora: The adapter's configuration, or None for the bare base model.
        files: The folder with the adapter, or None for the bare base model.
    """

    base_model: str
    lora: LoraConfig | None = None
    files: Path | None = None


class Snapshots:
    """The models most recently sampled from; safe for many threads.

    A training loop makes a new sampler at every step, and each snapshot is a whole set of merged
    weights, so that keeping all of them would fill the memory.

    Args:
        max_kept: How many are held.
    """

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._kept: OrderedDict[Weights, ModelSnapshot] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, weights: Weights, snapshot: ModelSnapshot) -> None:
        """Hold a snapshot whose weights have just been written."""
        with self._lock:
            self._kept[weights] = snapshot
            self._kept.move_to_end(weights)
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)

    def get(self, weights: Weights) -> ModelSnapshot:
        """Return the snapshot of some weights, read now if it is not held.

        Raises:
            OSError: The files are gone.
        """
        with self._lock:
            snapshot = self._kept.get(weights)
        if snapshot is None:
            snapshot = _read(weights)
        self.put(weights, snapshot)
        return snapshot

    def drop(self, weights: Weights) -> None:
        """Let go of a snapshot."""
        with self._lock:
            self._kept.pop(weights, None)


def _read(weights: Weights) -> ModelSnapshot:
    base = load_base_model(weights.base_model)
    if weights.lora is None or weights.files is None:
        return base_snapshot(base)
    model = AdaptedModel(base, lora_spec(weights.lora))
    model.load_state_dict(
        read_state(weights.files, include_optimizer=False), include_optimizer=False
    )
    return model.snapshot()
