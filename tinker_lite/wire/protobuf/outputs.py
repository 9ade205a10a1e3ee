"""The result of a training pass: ``ForwardBackwardOutput`` of protocol section 3.9.

The message holds, for each name, the values of many datums end to end and where each begins; the
struct holds a tensor for each datum. Reading costs work for each datum and name, never for each
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import le
from typing import TYPE_CHECKING, Any, TypeAlias

from tinker_lite.types import ForwardBackwardOutput, TensorData
from tinker_lite.wire.protobuf.arrays import (
    DTYPES,
    checked_shape,
    held,
    integers,
    n_rows,
    packed,
    widened,
)
from tinker_lite.wire.protobuf.faults import (
    Fault,
    Inside,
    each,
    each_entry,
    failing_to_decode,
    failing_to_encode,
    position,
)
from tinker_lite.wire.protobuf.reader import MAX_MESSAGES, decode_message
from tinker_lite.wire.protobuf.schema import DType
from tinker_lite.wire.protobuf.writer import encode_message

if TYPE_CHECKING:
    from tinker_lite.types.datum import LossFnOutput
    from tinker_lite.wire.protobuf.body import Body
    from tinker_lite.wire.protobuf.varints import Raw

__all__ = ["decode_forward_backward_output", "encode_forward_backward_output"]

_NAME = "ForwardBackwardOutput"
_NO_BYTES = memoryview(b"")

_Message: TypeAlias = dict[str, Any]
# Per name: dtype, and the dimensions after the first.
_Signature: TypeAlias = Mapping[str, tuple[str, tuple[int, ...]]]


def encode_forward_backward_output(output: ForwardBackwardOutput) -> Body:
    """The message of a result; values are referenced.

    Datums in a row whose tensors agree in dtype and trailing dimensions share a record. A tensor of
    no dimensions is read back as one of a single element.

    Raises:
        ValueError: The datums do not all have the same names, or a tensor is sparse, for which the
            message has no form.
    """
    runs = groupby(output.loss_fn_outputs, _signature)
    with failing_to_encode(_NAME):
        _check_names(output.loss_fn_outputs)
        records = [_record_fields(signature, list(datums)) for signature, datums in runs]
    fields = {
        "loss_fn_output_type": output.loss_fn_output_type,
        "loss_fn_outputs": records,
        "metrics": output.metrics,
    }
    return encode_message(_NAME, fields)


def _signature(datum: LossFnOutput) -> _Signature:
    return {name: (one.dtype, tuple((one.shape or ())[1:])) for name, one in datum.items()}


def _check_names(outputs: Sequence[LossFnOutput]) -> None:
    for i, datum in enumerate(outputs):
        if datum.keys() != outputs[0].keys():
            names = f"{sorted(datum)} and those of the first {sorted(outputs[0])}"
            raise Fault(f"the names of its tensors are {names}", f".loss_fn_outputs{position(i)}")
        if any(one.sparse_col_indices is not None for one in datum.values()):
            raise Fault("a sparse tensor has no form here", f".loss_fn_outputs{position(i)}")


def _record_fields(signature: _Signature, datums: Sequence[LossFnOutput]) -> _Message:
    fields: dict[str, _Message] = {}
    for name, (dtype, trailing) in signature.items():
        buffers = [datum[name].buffer for datum in datums]
        ends = [0]
        for buffer in buffers:
            ends.append(ends[-1] + buffer.nbytes)
        fields[name] = {
            "data": tuple(buffers),
            "offsets": packed(ends, "q"),
            "dtype": DTYPES[dtype],
            "trailing_shape": trailing,
        }
    return {"fields": fields, "num_datums": len(datums)}


def decode_forward_backward_output(raw: Raw) -> ForwardBackwardOutput:
    """Read a result.

    float32 and int64 tensors are views of ``raw``, which must not change afterwards; bfloat16 and
    int32 ones are widened, a record at a time.

    Raises:
        DecodeError: The bytes are no such result; the text holds the path of the wrong value.
    """
    message = decode_message(_NAME, raw)
    records: list[_Message] = message.get("loss_fn_outputs", [])
    kind: str = message.get("loss_fn_output_type", "")
    with failing_to_decode(_NAME):
        outputs = _outputs(records)
    return ForwardBackwardOutput(
        loss_fn_output_type=kind.rpartition(":")[2] if records else kind or "ArrayRecord",
        loss_fn_outputs=outputs,
        metrics=message.get("metrics", {}),
    )


def _outputs(records: Sequence[_Message]) -> list[LossFnOutput]:
    with Inside(".loss_fn_outputs"):
        columns = _joined(each(records, _columns))
        n_datums = sum(each(records, _n_datums))
    # Old servers leave the number out.
    for column in columns.values():
        n_datums = n_datums or len(column)
        break
    if n_datums > MAX_MESSAGES:
        raise Fault(f"{n_datums} datums are more than {MAX_MESSAGES}", ".loss_fn_outputs")
    for name, column in columns.items():
        if len(column) != n_datums:
            raise Fault(
                f"{len(column)} tensors for {n_datums} datums: {name!r}", ".loss_fn_outputs"
            )
    if not columns:
        return [{} for _ in range(n_datums)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _n_datums(record: _Message) -> int:
    n_datums: int = record.get("num_datums", 0)
    if n_datums < 0:
        raise Fault(f"is {n_datums}", ".num_datums")
    return n_datums


def _joined(records: Iterable[Mapping[str, list[TensorData]]]) -> dict[str, list[TensorData]]:
    joined: dict[str, list[TensorData]] = {}
    for columns in records:
        for name, column in columns.items():
            joined.setdefault(name, []).extend(column)
    return joined


def _columns(record: _Message) -> dict[str, list[TensorData]]:
    fields: Mapping[str, _Message] = record.get("fields", {})
    with Inside(".fields"):
        return each_entry(fields, _column)


def _column(fields: _Message) -> list[TensorData]:
    """One tensor for each datum of a record."""
    octets: memoryview[int] = fields.get("data", _NO_BYTES)
    dtype = fields.get("dtype", DType.UNSPECIFIED)
    trailing = checked_shape(fields.get("trailing_shape", ()), "trailing_shape")
    values = widened(octets, dtype)
    ends = _ends(fields.get("offsets", _NO_BYTES), len(octets), len(values))
    return [
        held(values[start:end], (n_rows(end - start, trailing), *trailing))
        for start, end in pairwise(ends)
    ]


def _ends(octets: memoryview[int], n_bytes: int, n_values: int) -> list[int]:
    """Where each datum begins and the last one ends, counted in values."""
    with Inside(".offsets"):
        offsets = integers(octets, "q")
        if not offsets:
            return []
        size = n_bytes // n_values if n_values else 1
        if offsets[0] < 0 or offsets[-1] > n_bytes or not all(map(le, offsets, offsets[1:])):
            raise Fault(f"do not rise within the {n_bytes} bytes of data")
        if any(offset % size for offset in offsets):
            raise Fault(f"do not fall between elements of {size} bytes")
    return [offset // size for offset in offsets]
