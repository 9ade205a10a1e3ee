"""The arithmetic of a custom loss: forward batch, the caller's gradients, backward batch.

The service only knows its own losses. A custom loss is applied by a trick (protocol section 6.1):
with ``weights = -dL/dlogprobs`` the service's cross entropy ``-sum(logprobs * weights)`` has
exactly the custom loss's gradient at this point.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from tinker_lite.types import Datum, ForwardBackwardOutput, TensorData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["backward_batch", "combined_metrics", "forward_batch", "logprobs_of"]


def forward_batch(data: Sequence[Datum]) -> list[Datum]:
    """The batch whose forward pass gives the logprobs: targets and weights only.

    Raises:
        ValueError: An example has no ``target_tokens``.
    """
    return [_forward_datum(i, datum) for i, datum in enumerate(data)]


def _forward_datum(i: int, datum: Datum) -> Datum:
    targets = datum.loss_fn_inputs.get("target_tokens")
    if targets is None:
        raise ValueError(
            f"data[{i}].loss_fn_inputs has no 'target_tokens'; a custom loss needs them, since the "
            "logprobs it works on are theirs."
        )
    weights = datum.loss_fn_inputs.get("weights")
    if weights is None:
        weights = _like(targets, [0.0] * len(targets))
    return _with_inputs(datum, targets, weights)


def _with_inputs(datum: Datum, targets: TensorData, weights: TensorData) -> Datum:
    """The example with these inputs alone; model input and provenance stay."""
    inputs = {"target_tokens": targets, "weights": weights}
    spans = (datum.model_input_spans, datum.loss_fn_input_spans)
    return Datum(datum.model_input, inputs, *spans)


def _like(targets: TensorData, values: list[float]) -> TensorData:
    layout = (targets.sparse_crow_indices, targets.sparse_col_indices)
    return TensorData(values, "float32", targets.shape, *layout)


def logprobs_of(output: ForwardBackwardOutput, n_data: int) -> list[TensorData]:
    """The logprobs of every example, in order.

    Raises:
        ValueError: The service did not give one per example.
    """
    records = output.loss_fn_outputs
    if len(records) != n_data:
        raise ValueError(f"The forward pass gave {len(records)} outputs for {n_data} examples.")
    missing = [i for i, record in enumerate(records) if "logprobs" not in record]
    if missing:
        raise ValueError(f"The forward pass gave no 'logprobs' for data[{missing[0]}].")
    return [record["logprobs"] for record in records]


def backward_batch(data: Sequence[Datum], gradients: Sequence[TensorData]) -> list[Datum]:
    """The batch whose cross entropy has the custom loss's gradient.

    Args:
        data: The forward batch.
        gradients: dL/dlogprobs per example, float32, each of its targets' size.

    Raises:
        ValueError: A gradient is missing, has the wrong size or is not finite.
    """
    if len(gradients) != len(data):
        raise ValueError(
            f"The custom loss gave {len(gradients)} gradients for {len(data)} examples."
        )
    return [_backward_datum(i, d, g) for i, (d, g) in enumerate(zip(data, gradients, strict=True))]


def _backward_datum(i: int, datum: Datum, gradient: TensorData) -> Datum:
    targets = datum.loss_fn_inputs["target_tokens"]
    dense = targets.to_dense()  # as the logprobs are, and so the gradient
    if len(gradient) != len(dense):
        raise ValueError(
            f"The custom loss gave {len(gradient)} gradient values for data[{i}], which has "
            f"{len(dense)} target tokens."
        )
    if not isfinite(sum(gradient.buffer)):
        raise ValueError(f"The gradient that the custom loss gave for data[{i}] is not finite.")
    weights = _like(dense, [-g for g in gradient.data])
    return _with_inputs(datum, targets, weights)


def combined_metrics(
    server: Mapping[str, float], loss: float, user: Mapping[str, float]
) -> dict[str, float]:
    """The result's metrics: the server's sum renamed, the caller's merged over, the caller's loss.

    Departure: a server that reports no ``loss:sum`` is accepted (protocol section 12.3).
    """
    metrics = dict(server)
    if "loss:sum" in metrics:
        metrics["surrogate_loss:sum"] = metrics.pop("loss:sum")
    metrics.update(user)
    metrics["loss:sum"] = loss
    return metrics
