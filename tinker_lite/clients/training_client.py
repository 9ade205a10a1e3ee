"""``TrainingClient``: train one model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from tinker_lite.clients.training_weights import TrainingWeights
from tinker_lite.engine import gradients as loss_gradients
from tinker_lite.engine.custom_loss import custom_pass
from tinker_lite.engine.future import APIFuture
from tinker_lite.engine.training import Loss, Turn
from tinker_lite.protocol import endpoints as rows
from tinker_lite.protocol.custom_loss import forward_batch
from tinker_lite.protocol.validation import checked_batch, checked_loss_fn
from tinker_lite.types.training import checked_optim_params, optim_step_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinker_lite.types import Datum, ForwardBackwardOutput, OptimParams, OptimStepResponse

__all__ = ["TrainingClient"]


class TrainingClient(TrainingWeights):
    """Trains one model; made by ``ServiceClient``, usable at once.

    Operations run on the service in the order in which the methods were called, from any thread.
    Training and saving methods return a future as soon as the call is queued, and their ``x_async``
    forms give that future when awaited; what asks or makes a client gives its value. A failed
    operation does not spoil the client.
    """

    def forward(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Queue a forward pass over a batch: logprobs and loss, no gradient.

        Args:
            data: The batch, 1 or more examples.
            loss_fn: Name of the loss, for example ``"cross_entropy"``.
            loss_fn_config: Settings of the loss.

        Returns:
            A future: per example, ``logprobs`` float32 of its targets' shape, in nats; and metrics.

        Raises:
            ValueError: The batch is empty or lengths do not match; nothing was sent.
            TypeError: A tensor has a dtype that cannot be right; nothing was sent.

        Source: endpoint row ``training.forward``.
        """
        return self._pass(data, loss_fn, loss_fn_config, forward_only=True)

    async def forward_async(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Async form of ``forward``; same arguments, result (a future) and errors."""
        return self._pass(data, loss_fn, loss_fn_config, forward_only=True)

    def forward_backward(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Queue a forward and backward pass over a batch; gradients add up until ``optim_step``.

        Args:
            data: The batch, 1 or more examples. Every tensor in ``loss_fn_inputs`` has shape (T,),
                or (T, K) with ``target_tokens``, T being the tokens of that example's
                ``model_input``.
            loss_fn: Name of the loss, for example ``"cross_entropy"``.
            loss_fn_config: Settings of the loss.

        Returns:
            A future: per example, ``logprobs`` float32 of its targets' shape, in nats; and metrics,
            ``loss:sum`` being the sum over all positions.

        Raises:
            ValueError: The batch is empty or lengths do not match; nothing was sent.
            TypeError: A tensor has a dtype that cannot be right; nothing was sent.

        Source: endpoint row ``training.forward_backward``.
        """
        return self._pass(data, loss_fn, loss_fn_config, forward_only=False)

    async def forward_backward_async(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Async form of ``forward_backward``; same arguments, result (a future) and errors."""
        return self._pass(data, loss_fn, loss_fn_config, forward_only=False)

    def _pass(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None,
        *,
        forward_only: bool,
    ) -> APIFuture[ForwardBackwardOutput]:
        operation = "forward" if forward_only else "forward_backward"
        batch = checked_batch(data, operation)
        loss = Loss(
            checked_loss_fn(loss_fn, operation),
            None if loss_fn_config is None else dict(loss_fn_config),
        )
        return self._operations.start(
            operation,
            partial(
                self._operations.forward_backward, data=batch, loss=loss, forward_only=forward_only
            ),
        )

    def forward_backward_custom(
        self,
        data: Sequence[Datum],
        loss_fn: loss_gradients.AutogradLoss | loss_gradients.ExplicitLoss,
        *,
        gradients: Literal["autograd", "returned"] = "autograd",
        loss_type_input: Literal["logprobs"] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Queue a pass with a loss of your own, computed on this machine from the logprobs.

        A forward pass gives the logprobs, ``loss_fn`` is called once with the whole batch on a
        worker thread, and a backward pass applies its gradient. Later operations wait for their
        turn.

        Args:
            data: The batch; each example needs ``target_tokens``. Other ``loss_fn_inputs`` stay
                here, for the loss to use.
            loss_fn: With ``gradients="autograd"``: from examples and torch logprobs (float32, of
                their targets' shape, requiring grad) to ``(scalar tensor, metrics)``. With
                ``gradients="returned"``: from examples and ``TensorData`` logprobs to ``(loss,
                dL/dlogprobs per example, metrics)``; needs no torch.
            gradients: Where the gradient comes from.
            loss_type_input: Accepted for compatibility; only ``"logprobs"`` exists.

        Returns: A future of the backward pass's output; ``loss:sum`` is your loss and your metrics
            are in.

        Raises:
            ImportError: torch is needed and not installed.
            ValueError: The batch is empty, or an example has no ``target_tokens``; nothing was
                sent.

        Source: protocol section 6.1.
        """
        return self._custom(data, loss_fn, gradients, loss_type_input)

    async def forward_backward_custom_async(
        self,
        data: Sequence[Datum],
        loss_fn: loss_gradients.AutogradLoss | loss_gradients.ExplicitLoss,
        *,
        gradients: Literal["autograd", "returned"] = "autograd",
        loss_type_input: Literal["logprobs"] | None = None,
    ) -> APIFuture[ForwardBackwardOutput]:
        """Async form of ``forward_backward_custom``; same arguments, result and errors."""
        return self._custom(data, loss_fn, gradients, loss_type_input)

    def _custom(
        self,
        data: Sequence[Datum],
        loss_fn: loss_gradients.AutogradLoss | loss_gradients.ExplicitLoss,
        gradients: str,
        loss_type_input: str | None,
    ) -> APIFuture[ForwardBackwardOutput]:
        if loss_type_input not in {None, "logprobs"}:
            raise ValueError(f"loss_type_input is {loss_type_input!r}; only 'logprobs' exists.")
        ways: dict[str, Any] = {
            "autograd": loss_gradients.by_autograd,
            "returned": loss_gradients.explicit,
        }
        if gradients not in ways:
            raise ValueError(f"gradients is {gradients!r}; it must be 'autograd' or 'returned'.")
        if gradients == "autograd":
            loss_gradients.need_torch()
        batch = checked_batch(data, "forward_backward_custom")
        forward_batch(batch)  # raises now for an example that has no targets

        async def work(turn: Turn) -> ForwardBackwardOutput:
            return await custom_pass(
                self._operations, turn, batch, partial(ways[gradients], loss_fn)
            )

        return self._operations.start("forward_backward_custom", work)

    def optim_step(
        self,
        optim_params: OptimParams | Mapping[str, Any] | None = None,
        *,
        adam_params: OptimParams | Mapping[str, Any] | None = None,
    ) -> APIFuture[OptimStepResponse]:
        """Queue one optimiser step over the gradients gathered since the last one.

        Args:
            optim_params: Settings of Adam, or a mapping of them; for a model of another family a
                mapping with that family's ``type``, such as ``DimuonParams``.
            adam_params: Another name for the same.

        Raises:
            TypeError: Neither is given, or a setting that Adam does not have.
            ValueError: Both are given, or a setting is not finite.

        Source: endpoint row ``training.optim_step``.
        """
        return self._optim_step(optim_params, adam_params)

    async def optim_step_async(
        self,
        optim_params: OptimParams | Mapping[str, Any] | None = None,
        *,
        adam_params: OptimParams | Mapping[str, Any] | None = None,
    ) -> APIFuture[OptimStepResponse]:
        """Async form of ``optim_step``; same arguments, result (a future) and errors."""
        return self._optim_step(optim_params, adam_params)

    def _optim_step(
        self,
        optim_params: OptimParams | Mapping[str, Any] | None,
        adam_params: OptimParams | Mapping[str, Any] | None,
    ) -> APIFuture[OptimStepResponse]:
        if optim_params is not None and adam_params is not None:
            raise ValueError("optim_step: give optim_params or adam_params, not both.")
        given = adam_params if optim_params is None else optim_params
        if given is None:
            raise TypeError("optim_step needs optim_params, for example AdamParams().")
        params = checked_optim_params(given)
        return self._simple(
            "optim_step",
            rows.TRAINING_OPTIM_STEP,
            lambda model_id, seq_id: optim_step_request(params, model_id, seq_id),
        )


APIFuture.register(TrainingClient)
