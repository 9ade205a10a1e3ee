"""A custom loss as one operation: forward, the caller's function on a thread, backward."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from msgspec.structs import replace

from tinker_lite.protocol.custom_loss import (
    backward_batch,
    combined_metrics,
    forward_batch,
    logprobs_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinker_lite.engine.gradients import LossGradients
    from tinker_lite.engine.training import TrainingOperations, Turn
    from tinker_lite.types import Datum, ForwardBackwardOutput, TensorData

__all__ = ["custom_pass"]


async def custom_pass(
    operations: TrainingOperations,
    turn: Turn,
    data: list[Datum],
    differentiate: Callable[[list[Datum], Sequence[TensorData]], LossGradients],
) -> ForwardBackwardOutput:
    """Train on a loss that the service does not know.

    Args:
        operations: The training client's operations.
        turn: The turn of this call.
        data: The examples, as the caller gave them.
        differentiate: Runs the caller's loss; called once, on a worker thread.

    Raises:
        ValueError: Gradients and examples do not fit together.
    """
    forward_data = forward_batch(data)
    found: list[LossGradients] = []

    async def second(output: ForwardBackwardOutput) -> list[Datum]:
        logprobs = logprobs_of(output, len(data))
        operations.holding_queue()
        # A limiter of its own: a slow loss must not keep files or the embedded service waiting.
        gradients = await anyio.to_thread.run_sync(
            partial(differentiate, data, logprobs),
            abandon_on_cancel=True,
            limiter=anyio.CapacityLimiter(1),
        )
        found.append(gradients)
        return backward_batch(forward_data, gradients.gradients)

    output = await operations.two_passes(turn, forward_data, second)
    metrics = combined_metrics(output.metrics, found[0].loss, found[0].metrics)
    return replace(output, metrics=metrics)
