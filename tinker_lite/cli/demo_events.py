"""What the demo tells while it runs, as values; who shows them is not its business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Compared",
    "Downloaded",
    "Event",
    "Loss",
    "Measured",
    "Outcome",
    "Prepared",
    "Sampled",
    "Saved",
    "Stepped",
    "When",
]

When: TypeAlias = Literal["before", "after"]
Loss: TypeAlias = Literal["cross entropy", "focal loss"]


@dataclass(frozen=True)
class Prepared:
    """The model exists and the text is split into tokens."""

    base_model: str
    n_train_tokens: int
    n_held_out_tokens: int
    n_vocab: int


@dataclass(frozen=True)
class Measured:
    """The loss on the held-out text, in nats per token."""

    when: When
    loss: float


@dataclass(frozen=True)
class Sampled:
    """What the model writes: the prompt, and what it went on with."""

    when: When
    prompt: str
    continuation: str


@dataclass(frozen=True)
class Stepped:
    """An optimiser step is done; ``loss_per_token`` is that of its batch, in nats."""

    loss: Loss
    step: int
    n_steps: int
    loss_per_token: float
    n_tokens: int


@dataclass(frozen=True)
class Saved:
    """A checkpoint is saved under this ``tinker://`` path."""

    path: str


@dataclass(frozen=True)
class Downloaded:
    """So many bytes of the checkpoint's archive are on this disk; ``size_bytes`` may be unknown."""

    n_bytes: int
    size_bytes: int | None


@dataclass(frozen=True)
class Compared:
    """Largest difference between the logprobs of two models, in nats."""

    what: str
    difference: float


Event: TypeAlias = Prepared | Measured | Sampled | Stepped | Saved | Downloaded | Compared


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        loss_before: On the held-out text before training, in nats per token.
        loss_after: The same after training.
        difference: Largest difference between the trained and a loaded model's logprobs, in nats.
        state_path: The checkpoint to train on from.
        sampler_path: The checkpoint to sample from.
    """

    loss_before: float
    loss_after: float
    difference: float
    state_path: str
    sampler_path: str

    @property
    def fall(self) -> float:
        """The share of the loss that training took away."""
        return 1 - self.loss_after / self.loss_before
