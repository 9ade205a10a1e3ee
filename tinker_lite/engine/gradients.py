"""Running a caller's loss and getting its gradient: by autograd, or from the caller."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from tinker_lite.types import Datum, TensorData

if TYPE_CHECKING:
    import torch

__all__ = ["AutogradLoss", "ExplicitLoss", "LossGradients", "by_autograd", "explicit", "need_torch"]

AutogradLoss: TypeAlias = (
    "Callable[[list[Datum], list[torch.Tensor]], tuple[torch.Tensor, Mapping[str, float]]]"
)
ExplicitLoss: TypeAlias = Callable[
    [list[Datum], list[TensorData]],
    tuple[float, Sequence[Any], Mapping[str, float]],
]


class LossGradients(msgspec.Struct, frozen=True):
    """A loss, its gradient with respect to the logprobs of every example, and metrics."""

    loss: float
    gradients: list[TensorData]
    metrics: Mapping[str, float]


def need_torch() -> None:
    """Fail early where torch is missing.

    Raises:
        ImportError: torch is not installed; the text says what to do.
    """
    if importlib.util.find_spec("torch") is None:
        raise ImportError(
            "forward_backward_custom with a torch loss needs torch, which is not installed. "
            "Install tinker-lite[torch], or pass gradients='returned' and let the loss return its "
            "own gradients."
        )


def by_autograd(
    loss_fn: AutogradLoss, data: list[Datum], logprobs: Sequence[TensorData]
) -> LossGradients:
    """Call a torch loss and differentiate it.

    Args:
        loss_fn: From examples and logprobs (float32 leaves that require grad, of their targets'
            shape) to a scalar tensor and metrics.
        data: The examples, as the caller gave them.
        logprobs: Per example, float32.

    Raises:
        ValueError: The loss does not depend on the logprobs of some example.
        TypeError: It did not return a tensor and a mapping.
    """
    import torch

    leaves = [values.to_torch().requires_grad_() for values in logprobs]
    loss, metrics = _parts(loss_fn(data, leaves), ("loss", "metrics"))
    if not isinstance(loss, torch.Tensor):
        raise TypeError(
            f"The custom loss returned a {type(loss).__name__} as its loss; it must be a tensor "
            "computed from the logprobs."
        )
    total = loss.sum()
    if not total.requires_grad:
        raise ValueError("The custom loss does not depend on the logprobs, so it has no gradient.")
    total.backward()  # type: ignore[no-untyped-call]  # torch types it only in part
    gradients = [_gradient(i, leaf) for i, leaf in enumerate(leaves)]
    return LossGradients(float(total.detach()), gradients, dict(metrics))


def _parts(returned: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    parts = tuple(cast("Iterable[Any]", returned)) if isinstance(returned, tuple) else ()
    if len(parts) != len(names):
        raise TypeError(f"This custom loss must return ({', '.join(names)}).")
    return parts


def _gradient(i: int, leaf: torch.Tensor) -> TensorData:
    if leaf.grad is None:
        raise ValueError(
            f"The custom loss never used the logprobs of data[{i}]; multiply them by 0 if that "
            "is meant."
        )
    return TensorData.from_torch(leaf.grad)


def explicit(
    loss_fn: ExplicitLoss, data: list[Datum], logprobs: Sequence[TensorData]
) -> LossGradients:
    """Call a loss that returns its own gradients; nothing but plain Python is needed.

    Args:
        loss_fn: From examples and logprobs to ``(loss, gradients, metrics)``, where ``gradients``
            holds dL/dlogprobs per example, each of its logprobs' size (list or array).
        data: The examples, as the caller gave them.
        logprobs: Per example, float32.

    Raises:
        TypeError: It did not return three values.
    """
    names = ("loss", "gradients", "metrics")
    loss, gradients, metrics = _parts(loss_fn(data, list(logprobs)), names)
    # Sizes are compared with the targets where the backward batch is made.
    tensors = [g if isinstance(g, TensorData) else TensorData(g, "float32") for g in gradients]
    return LossGradients(float(loss), tensors, dict(metrics))
