"""A batch for custom losses, and what a scripted service answers and is sent for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.engine.scripted import ScriptedService, example
from tinker_lite import Datum, ModelInput, TensorData


def batch() -> list[Datum]:
    """One flat example with inputs of its own, one of shape (3, 2)."""
    wide = TensorData([[1, 2], [3, 4], [5, 6]], "int64", [3, 2])
    return [
        example(1, 2, 3, advantages=TensorData([1.0, 2.0, 3.0], "float32", [3])),
        Datum(ModelInput.from_ints([1, 2, 3]), {"target_tokens": wide}),
    ]


def promised(*rows: Sequence[float]) -> dict[str, object]:
    """A pass that gives these logprobs."""
    shapes = [[3], [3, 2]]
    records = [
        {"logprobs": {"data": list(row), "dtype": "float32", "shape": shape}}
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return {"loss_fn_outputs": records, "metrics": {"loss:sum": 9.0, "tokens:sum": 9.0}}


LOGPROBS = ([-1.0, -2.0, -3.0], [-0.1, -0.2, -0.3, -0.4, -0.5, -0.6])


def sent_weights(service: ScriptedService) -> list[dict[str, Any]]:
    """The weights of the backward pass, per example."""
    (body,) = service.bodies("/forward_backward")
    data = body["forward_backward_input"]["data"]
    return [datum["loss_fn_inputs"]["weights"] for datum in data]
