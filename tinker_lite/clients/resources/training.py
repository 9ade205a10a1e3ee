"""Training: passes and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

from tinker_lite.clients.faces import (
    AsyncRaw,
    AsyncStreamed,
    BlockingRaw,
    BlockingStreamed,
    Operation,
    Resource,
    Views,
)
from tinker_lite.engine.preparation import Args
from tinker_lite.protocol import endpoints as rows

if TYPE_CHECKING:
    import tinker_lite.types as t
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["Training"]


class Training(Resource[F]):
    """Passes over data and steps of the optimizer; each answers with a future."""

    with_raw_response: Views[Training[BlockingRaw], Training[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Training[BlockingStreamed], Training[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def forward(
        self, request: t.ForwardRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """A pass without gradients; its future comes to a ``ForwardBackwardOutput``."""
        return Args(row=rows.TRAINING_FORWARD, body=request, options=options)

    @Operation
    def forward_backward(
        self, request: t.ForwardBackwardRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """A pass with gradients; its future comes to a ``ForwardBackwardOutput``."""
        return Args(row=rows.TRAINING_FORWARD_BACKWARD, body=request, options=options)

    @Operation
    def optim_step(
        self,
        request: t.OptimStepRequest | t.OptimizerStepRequest | Fields,
        **options: Unpack[CallOptions],
    ) -> Args[t.UntypedAPIFuture]:
        """A step of the optimizer; its future comes to an ``OptimStepResponse``."""
        return Args(row=rows.TRAINING_OPTIM_STEP, body=request, options=options)
