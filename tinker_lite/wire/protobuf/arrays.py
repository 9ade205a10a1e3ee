"""Arrays of numbers: views of bytes in place, and lists packed in one call.

Nothing here does Python work per element. The wire is little-endian, and so is every platform that
Python ships wheels for.
"""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tinker_lite.types import TensorData
from tinker_lite.wire.protobuf.faults import Fault, each
from tinker_lite.wire.protobuf.schema import DType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinker_lite.types import TensorDtype

__all__ = [
    "DTYPES",
    "checked_shape",
    "floats",
    "held",
    "integers",
    "n_rows",
    "packed",
    "tensor_fields",
    "tensor_from",
    "viewed",
    "widened",
]

Code: TypeAlias = Literal["f", "i", "q"]
# A string: memoryview takes no type argument at run time before Python 3.14.
Octets: TypeAlias = "memoryview[int]"

_NAMES: dict[Code, str] = {"f": "float32", "i": "int32", "q": "int64"}
DTYPES: dict[str, DType] = {"float32": DType.FLOAT32, "int64": DType.INT64}
# numpy has 64 at most; a bound keeps the product of a foreign shape a small number.
_MAX_DIMENSIONS = 64
# The bits above an int32's own, by its highest byte.
_SIGN_FILL = bytes(128) + b"\xff" * 128


def packed(values: Iterable[Any], code: Code) -> bytes:
    """Numbers as an array.

    Raises:
        Fault: One is no such number, or too large; its position is in the path.
    """
    numbers = values if isinstance(values, list | tuple) else list(values)
    try:
        # Twice as fast as array.array or numpy for a list of Python numbers.
        return struct.pack(f"<{len(numbers)}{code}", *numbers)
    except (struct.error, OverflowError, TypeError, ValueError):
        return b"".join(each(numbers, lambda value: _packed_one(value, code)))


def _packed_one(value: Any, code: Code) -> bytes:
    try:
        return struct.pack(f"<{code}", value)
    except (struct.error, OverflowError, TypeError, ValueError):
        raise Fault(f"{repr(value)[:80]} does not fit {_NAMES[code]}") from None


def viewed(octets: Octets, code: Code) -> memoryview[Any]:
    """Bytes as numbers, in place.

    Raises:
        Fault: They are not a whole number of them.
    """
    try:
        return octets.cast(code)
    except TypeError:
        raise Fault(f"{len(octets)} bytes are not a whole number of {_NAMES[code]}") from None


def integers(octets: Octets, code: Literal["i", "q"]) -> list[int]:
    """Bytes as a list of int32 (``i``) or int64 (``q``); raises Fault as ``viewed`` does."""
    return viewed(octets, code).tolist()


def floats(octets: Octets) -> list[float]:
    """Bytes as a list of float32; raises Fault as ``viewed`` does."""
    numbers: list[Any] = viewed(octets, "f").tolist()
    return numbers


def widened(octets: Octets, dtype: int) -> memoryview[Any]:
    """Bytes of a wire type as float32 (format ``f``) or int64 (``q``).

    float32 and int64 are viewed in place; bfloat16 and int32 are copied into their wider type.

    Raises:
        Fault: The type is not known, or the bytes are not a whole number of elements.
    """
    if dtype == DType.FLOAT32:
        return viewed(octets, "f")
    if dtype == DType.INT64:
        return viewed(octets, "q")
    if dtype == DType.INT32:
        viewed(octets, "i")
        return _wide_integers(octets)
    if dtype == DType.BFLOAT16:
        return _wide_floats(octets)
    raise Fault(f"is {dtype}, which is no element type known here", ".dtype")


def _wide_integers(octets: Octets) -> memoryview[Any]:
    """int32 to int64 by strided copies, which run at the speed of memory."""
    wide = bytearray(2 * len(octets))
    for i in range(4):
        wide[i::8] = octets[i::4]
    fill = bytes(octets[3::4]).translate(_SIGN_FILL)
    for i in range(4, 8):
        wide[i::8] = fill
    return memoryview(wide).toreadonly().cast("q")


def _wide_floats(octets: Octets) -> memoryview[Any]:
    """bfloat16 to float32: the same bits, with sixteen zeros below."""
    if len(octets) % 2:
        raise Fault(f"{len(octets)} bytes are not a whole number of bfloat16")
    wide = bytearray(2 * len(octets))
    wide[2::4], wide[3::4] = octets[::2], octets[1::2]
    return memoryview(wide).toreadonly().cast("f")


def held(
    numbers: memoryview[Any],
    shape: Sequence[int] | None,
    crow: Sequence[int] | None = None,
    col: Sequence[int] | None = None,
) -> TensorData:
    """A tensor over numbers (format ``f`` or ``q``), which are not copied unless it is sparse.

    Raises:
        Fault: Shape or sparse layout do not fit the numbers.
    """
    dtype: TensorDtype = "float32" if numbers.format == "f" else "int64"
    try:
        if crow is None:
            return TensorData.from_buffer(numbers, dtype, shape)
        return TensorData(numbers.tolist(), dtype, shape, crow, col)
    except ValueError as error:
        raise Fault(str(error).rstrip(".")) from None


def checked_shape(shape: Sequence[int], name: str) -> Sequence[int]:
    """A shape off the wire.

    Raises:
        Fault: It has a negative dimension, or more than 64.
    """
    if len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise Fault(f"is no shape: {str(list(shape[:8]))[:80]}", f".{name}")
    return shape


def tensor_fields(tensor: TensorData) -> dict[str, Any]:
    """The ``Tensor`` message of a tensor; its values are referenced."""
    fields: dict[str, Any]
    if tensor.sparse_crow_indices is None or tensor.sparse_col_indices is None:
        fields = {"dense": tensor.buffer}
    else:
        csr = {
            "values": tensor.buffer,
            "crow_indices": packed(tensor.sparse_crow_indices, "q"),
            "col_indices": packed(tensor.sparse_col_indices, "q"),
        }
        fields = {"sparse_csr": csr}
    return {**fields, "dtype": DTYPES[tensor.dtype], "shape": tensor.shape}


def tensor_from(fields: Mapping[str, Any]) -> TensorData:
    """The tensor of a ``Tensor`` message; dense float32 and int64 are viewed in place.

    A message without a shape is flat, since the wire has no word for a tensor of no dimensions.

    Raises:
        Fault: The message has no values, or they do not fit its type, shape or layout.
    """
    dtype = fields.get("dtype", DType.UNSPECIFIED)
    shape = checked_shape(fields.get("shape", ()), "shape") or None
    if "dense" in fields:
        return held(widened(fields["dense"], dtype), shape)
    if "sparse_csr" not in fields:
        raise Fault("has no values: neither dense nor sparse_csr")
    csr: Mapping[str, Octets] = fields["sparse_csr"]
    values = widened(csr.get("values", memoryview(b"")), dtype)
    crow, col = (
        integers(csr.get(name, memoryview(b"")), "q") for name in ("crow_indices", "col_indices")
    )
    return held(values, shape, crow, col)


def n_rows(n_values: int, trailing: Sequence[int]) -> int:
    """The first dimension of an array, from how many values it has and its other dimensions.

    Raises:
        Fault: The values do not fill whole rows.
    """
    width = prod(trailing)
    if n_values % width if width else n_values:
        raise Fault(f"{n_values} values do not fill rows of shape {list(trailing)}")
    return n_values // width if width else 0
