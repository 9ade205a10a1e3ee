"""``Datum``: one training example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard

from tinker_lite.types._base import Wire
from tinker_lite.types.model_input import ModelInput
from tinker_lite.types.provenance import (
    PromptProvenanceSpan,
    ProvenanceSpans,
    SampledProvenanceSpan,
    SpanForm,
    checked_spans,
)
from tinker_lite.types.reading import read_fields
from tinker_lite.types.tensor_data import TensorData, TensorDtype, TensorLike, shape_of

__all__ = ["Datum", "LossFnInputs", "LossFnOutput"]

LossFnInputs = dict[str, TensorData]
LossFnOutput = dict[str, TensorData]
Span: TypeAlias = PromptProvenanceSpan | SampledProvenanceSpan

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
# The inputs whose 0 is the same as nothing at all (protocol section 3.2).
_SPARSE_NAMES = {"target_tokens", "weights"}


class Datum:
    """One training example: what the model reads and what the loss needs.

    Args:
        model_input: The input, T tokens.
        loss_fn_inputs: Tensors by name, for example ``target_tokens`` int64 (T,) or (T, K) and
            ``weights`` float32 of the same shape. Lists, numpy arrays and torch tensors are copied
            into ``TensorData``; a torch tensor (T, K) under these two names becomes sparse where
            that is smaller.
        model_input_spans: Where the T tokens came from; see ``with_provenance``.
        loss_fn_input_spans: Where the targets came from; both or neither.

    Raises:
        TypeError: A value cannot be a tensor, a span is none, or ``model_input`` is not a
            ``ModelInput``.
        KeyError: A plain list under a name whose dtype is not known.
        ValueError: A ragged list, values that are no numbers, or spans that do not cover the
            tokens; the text names the key.

    Source: protocol sections 3.3 and 3.7.
    """

    __slots__ = ("loss_fn_input_spans", "loss_fn_inputs", "model_input", "model_input_spans")

    def __init__(
        self,
        model_input: ModelInput,
        loss_fn_inputs: Mapping[str, TensorLike] | None = None,
        model_input_spans: Iterable[Span] | None = None,
        loss_fn_input_spans: Iterable[Span] | None = None,
    ) -> None:
        if not isinstance(model_input, ModelInput):
            raise TypeError(
                f"Datum.model_input must be a ModelInput, not {type(model_input).__name__}."
            )
        self.model_input = model_input
        self.loss_fn_inputs: LossFnInputs = {
            name: _tensor(name, value) for name, value in (loss_fn_inputs or {}).items()
        }
        self.model_input_spans: ProvenanceSpans | None = None
        self.loss_fn_input_spans: ProvenanceSpans | None = None
        if model_input_spans is not None or loss_fn_input_spans is not None:
            self._set_spans(model_input_spans, loss_fn_input_spans)

    def _set_spans(self, inputs: Iterable[Span] | None, targets: Iterable[Span] | None) -> None:
        if inputs is None or targets is None:
            raise ValueError("Datum: give model_input_spans and loss_fn_input_spans, or neither.")
        tensor = self.loss_fn_inputs.get("target_tokens")
        # Of targets that are not one per position, how many there are says nothing.
        is_flat = tensor is not None and (tensor.shape is None or len(tensor.shape) == 1)
        n_targets = len(tensor) if tensor is not None and is_flat else None
        length = self.model_input.length
        self.model_input_spans = checked_spans("Datum.model_input_spans", inputs, length)
        self.loss_fn_input_spans = checked_spans("Datum.loss_fn_input_spans", targets, n_targets)

    def with_provenance(
        self, *, model_input: Iterable[Span], loss_fn_inputs: Iterable[Span]
    ) -> Datum:
        """A copy that says where its tokens came from.

        Args:
            model_input: Spans that cover the tokens of the input, in order and without gaps.
            loss_fn_inputs: Spans that cover ``target_tokens`` likewise.

        Raises:
            TypeError: An element is no span.
            ValueError: The lengths do not add up.
        """
        return Datum(self.model_input, self.loss_fn_inputs, model_input, loss_fn_inputs)

    def to_wire(self) -> dict[str, object]:
        """The JSON form of protocol section 3.3.

        Sparse tensors are sent dense, since the servers that are sent JSON know no others.
        """
        tensors = {name: tensor.to_dense() for name, tensor in self.loss_fn_inputs.items()}
        fields: dict[str, object] = {"loss_fn_inputs": tensors, "model_input": self.model_input}
        for name in ("model_input_spans", "loss_fn_input_spans"):
            spans: ProvenanceSpans | None = getattr(self, name)
            if spans is not None:
                fields[name] = [SpanForm.of(span) for span in spans]
        return fields

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any]) -> Datum:
        """Read the JSON form.

        Raises:
            ValueError: A field is missing or does not fit.
        """
        checked = read_fields(fields, _DatumFields)
        inputs = checked.loss_fn_inputs or {}
        tensors = {n: _read_tensor(n, inputs[n]) for n in inputs}
        spans = (checked.model_input_spans, checked.loss_fn_input_spans)
        return cls(checked.model_input, tensors, *map(_read_spans, spans))

    def __eq__(self, other: object) -> bool:
        """Equal if input, tensors and spans are."""
        if not isinstance(other, Datum):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Datum.__slots__)

    __hash__ = None  # type: ignore[assignment]  # by value, like the dict it holds

    def __repr__(self) -> str:
        """Chunks and tensors, both short."""
        return f"Datum(model_input={self.model_input!r}, loss_fn_inputs={self.loss_fn_inputs!r})"


class _DatumFields(Wire, frozen=True, kw_only=True):
    model_input: ModelInput
    loss_fn_inputs: dict[str, dict[str, Any]] | None = None
    model_input_spans: list[SpanForm] | None = None
    loss_fn_input_spans: list[SpanForm] | None = None


def _read_spans(forms: list[SpanForm] | None) -> ProvenanceSpans | None:
    return None if forms is None else [form.span() for form in forms]


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
        may_be_sparse = name in _SPARSE_NAMES and value.ndim == 2
        return (TensorData.from_torch_sparse if may_be_sparse else TensorData.from_torch)(value)
    if hasattr(value, "astype"):
        return TensorData.from_numpy(value)
    raise TypeError(
        f"Datum.loss_fn_inputs[{name!r}] is a {type(value).__name__}; give a TensorData, a list, "
        "a numpy array or a torch tensor."
    )
