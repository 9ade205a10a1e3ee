"""What can be known to be wrong with a batch before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan

from tinker_lite.types import Datum, TensorData

__all__ = ["check_name", "check_tinker_path", "checked_batch", "checked_loss_fn", "own_metadata"]

# Inputs that the built-in losses read position by position; others may have a shape of their own.
_PER_TARGET = (
    "weights",
    "logprobs",
    "advantages",
    "sequence_ratio_mask",
)


def checked_batch(data: Iterable[Datum], operation: str) -> list[Datum]:
    """A copy of the batch, each example with a dict of its own, after the checks.

    Raises:
        TypeError: ``data`` is no list, an element is not a ``Datum``, or a tensor has a dtype that
            cannot be right.
        ValueError: The batch is empty, lengths do not match, or a value is NaN; the text names the
            field.
    """
    if not isinstance(data, Iterable):
        raise TypeError(f"{operation}: data must be a list of Datum, not a {type(data).__name__}.")
    batch = list(data)
    if not batch:
        raise ValueError(f"{operation}: data is empty; give at least one Datum.")
    for i, datum in enumerate(batch):
        if not isinstance(datum, Datum):
            raise TypeError(f"{operation}: data[{i}] is a {type(datum).__name__}, not a Datum.")
        _check(datum, f"{operation}: data[{i}]")
    return [
        Datum(d.model_input, d.loss_fn_inputs, d.model_input_spans, d.loss_fn_input_spans)
        for d in batch
    ]


def _check(datum: Datum, where: str) -> None:
    for name, tensor in datum.loss_fn_inputs.items():
        if not isinstance(tensor, TensorData):
            raise TypeError(
                f"{where}.loss_fn_inputs[{name!r}] is a {type(tensor).__name__}; assign a "
                "TensorData, or make a new Datum."
            )
        # A sum is the quickest look at all values; infinities of both signs make it NaN as well.
        if tensor.dtype == "float32" and isnan(sum(tensor.buffer)):
            _check_no_nan(tensor, f"{where}.loss_fn_inputs[{name!r}]")
    targets = datum.loss_fn_inputs.get("target_tokens")
    if targets is None:
        return
    if targets.dtype != "int64":
        raise TypeError(
            f"{where}.loss_fn_inputs['target_tokens'] has dtype {targets.dtype}; "
            "token ids are int64."
        )
    _check_positions(datum, targets, where)
    for name in _PER_TARGET:
        values = datum.loss_fn_inputs.get(name)
        if values is not None:
            _check_like(values, targets, f"{where}.loss_fn_inputs[{name!r}]")


def _check_no_nan(tensor: TensorData, where: str) -> None:
    for i, value in enumerate(tensor.buffer):
        if isnan(value):
            raise ValueError(f"{where}[{i}] is NaN, which would make every weight NaN.")


def _check_positions(datum: Datum, targets: TensorData, where: str) -> None:
    """Position i of the input predicts target i, so there must be as many of both."""
    n_targets = targets.shape[0] if targets.shape else len(targets)
    try:
        n_inputs = datum.model_input.length
    except ValueError:
        return  # a picture whose tokens only the service can count
    if n_targets != n_inputs:
        raise ValueError(
            f"{where}: model_input has {n_inputs} tokens but target_tokens has {n_targets}; "
            "each input position predicts one target."
        )


def _check_like(tensor: TensorData, targets: TensorData, where: str) -> None:
    if tensor.dtype != "float32":
        raise TypeError(f"{where} has dtype {tensor.dtype}; it must be float32.")
    dense = tensor.sparse_col_indices is None and targets.sparse_col_indices is None
    if dense and len(tensor) != len(targets):
        raise ValueError(f"{where} has {len(tensor)} values but target_tokens has {len(targets)}.")


def checked_loss_fn(loss_fn: str, operation: str) -> str:
    """The name of a loss, which only the service can judge.

    Raises:
        TypeError: It is no text.
        ValueError: It is empty.
    """
    if not isinstance(loss_fn, str):
        raise TypeError(
            f"{operation}: loss_fn must be the name of a loss, not {type(loss_fn).__name__}; "
            "a loss of your own goes to forward_backward_custom."
        )
    if not loss_fn:
        raise ValueError(f"{operation}: loss_fn is empty; an example is 'cross_entropy'.")
    return loss_fn


def check_name(name: object, operation: str) -> None:
    """Refuse a checkpoint name that is no text or empty.

    Raises:
        ValueError: It is.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{operation}: name is {name!r}; give the checkpoint a name.")


def check_tinker_path(path: object, operation: str) -> None:
    """Refuse what cannot be a checkpoint path; what it names only the service knows.

    Raises:
        ValueError: It does not begin with ``tinker://``.
    """
    if not isinstance(path, str) or not path.startswith("tinker://"):
        raise ValueError(
            f"{operation}: path {path!r} is no checkpoint path; it must begin with 'tinker://'."
        )


def own_metadata(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    """A copy, since the request is made later than the call."""
    return None if metadata is None else dict(metadata)
