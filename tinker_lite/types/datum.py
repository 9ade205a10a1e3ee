"""``Datum``: one training example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from tinker_lite.types._base import Wire, read_fields
from tinker_lite.types.model_input import ModelInput
from tinker_lite.types.tensor_data import TensorData, TensorDtype, TensorLike, shape_of

__all__ = ["Datum", "LossFnInputs", "LossFnOutput"]

LossFnInputs = dict[str, TensorData]
LossFnOutput = dict[str, TensorData]

# Only plain lists use this table: arrays and tensors bring their own dtype (protocol section 3.2).
_LIST_DTYPES: dict[str, TensorDtype] = {
    "target_tokens": "int64",
    "weights": "float32",
    "advantages": "float32",
    "logprobs": "float32",
    "clip_low_threshold": "float32",
    "clip_high_threshold": "float32",
    "sequence_ratio_mask": "float32",
}


class Datum:
    """One training example: what the model reads and what the loss needs.

    Args:
        model_input: The input, T tokens.
        loss_fn_inputs: Tensors by name, for example ``target_tokens`` int64 (T,) or (T, K) and
            ``weights`` float32 of the same shape. Lists, numpy arrays and torch tensors are copied
            into ``TensorData``.

    Raises:
        TypeError: A value cannot be a tensor, or ``model_input`` is not a ``ModelInput``.
        KeyError: A plain list under a name whose dtype is not known.
        ValueError: A ragged list, or values that are no numbers; the text names the key.

    Source: protocol sections 3.3 and 3.7.
    """

    __slots__ = ("loss_fn_inputs", "model_input")

    def __init__(
        self,
        model_input: ModelInput,
        loss_fn_inputs: Mapping[str, TensorLike] | None = None,
    ) -> None:
        if not isinstance(model_input, ModelInput):
            raise TypeError(
                f"Datum.model_input must be a ModelInput, not {type(model_input).__name__}."
            )
        self.model_input = model_input
        self.loss_fn_inputs: LossFnInputs = {
            name: _tensor(name, value) for name, value in (loss_fn_inputs or {}).items()
        }

    def to_wire(self) -> dict[str, object]:
        """The JSON form of protocol section 3.3."""
        return {"loss_fn_inputs": self.loss_fn_inputs, "model_input": self.model_input}

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any]) -> Datum:
        """Read the JSON form.

        Raises:
            ValueError: A field is missing or does not fit.
        """
        checked = read_fields(fields, _DatumFields)
        inputs = checked.loss_fn_inputs or {}
        return cls(checked.model_input, {n: _read_tensor(n, inputs[n]) for n in inputs})

    def __eq__(self, other: object) -> bool:
        """Equal if input and tensors are."""
        if not isinstance(other, Datum):
            return NotImplemented
        return self.model_input == other.model_input and self.loss_fn_inputs == other.loss_fn_inputs

    __hash__ = None  # type: ignore[assignment]  # by value, like the dict it holds

    def __repr__(self) -> str:
        """Chunks and tensors, both short."""
        return f"Datum(model_input={self.model_input!r}, loss_fn_inputs={self.loss_fn_inputs!r})"


class _DatumFields(Wire, frozen=True, kw_only=True):
    model_input: ModelInput
    loss_fn_inputs: dict[str, dict[str, Any]] | None = None


def _read_tensor(name: str, fields: dict[str, Any]) -> TensorData:
    try:
        return TensorData.from_wire(fields)
    except ValueError as error:
        path = f"$.loss_fn_inputs.{name}"
        raise ValueError(f"{error} - at `{path}`") from error


def _tensor(name: str, value: Any) -> TensorData:
    if isinstance(value, TensorData):
        return value
    try:
        return _converted(name, value)
    except ValueError as error:
        raise ValueError(f"Datum.loss_fn_inputs[{name!r}]: {error}") from error


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _converted(name: str, value: Any) -> TensorData:
    if _is_list(value):
        if name not in _LIST_DTYPES:
            raise KeyError(
                f"Datum.loss_fn_inputs[{name!r}]: the dtype of a plain list under this name is "
                f"not known; pass a TensorData. Known names: {', '.join(_LIST_DTYPES)}."
            )
        return TensorData(value, _LIST_DTYPES[name], shape_of(value))
    if hasattr(value, "detach"):
        return TensorData.from_torch(value)
    if hasattr(value, "astype"):
        return TensorData.from_numpy(value)
    raise TypeError(
        f"Datum.loss_fn_inputs[{name!r}] is a {type(value).__name__}; give a TensorData, a list, "
        "a numpy array or a torch tensor."
    )
