"""``TensorData``: a typed, owned, read-only block of numbers with a shape.

Values are copied once when a tensor is made, because sending and repeating happen later than the
call; after that nothing copies them but the accessors that hand out fresh lists or arrays. numpy
and torch are imported only by the methods that name them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from tinker_lite.types.answers import Answer, Extra
from tinker_lite.types.reading import read_fields

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["TensorData", "TensorDtype", "TensorLike"]

TensorDtype = Literal["int64", "float32"]
TensorLike: TypeAlias = "TensorData | Sequence[Any] | np.ndarray[Any, Any] | torch.Tensor"

# struct and memoryview codes, in native byte order; every platform that Python ships wheels for is
# little-endian, like the wire.
_CODES: dict[str, str] = {"int64": "q", "float32": "f"}
_NO_FIELDS: Mapping[str, Any] = Extra({})
_NOT_A_NUMBER = (OverflowError, TypeError, ValueError)
_RAGGED = "TensorData.data is ragged: nested rows must have equal lengths."


class TensorData:
    """Numbers with a dtype and a shape, owned by this object and never changed.

    Args:
        data: Row-major values: a flat or rectangular nested sequence, or anything with ``astype``
            and ``tobytes`` (a numpy array). With CSR indices, only the listed values.
        dtype: ``"int64"`` or ``"float32"``; values are cast to it.
        shape: Dimensions; None means flat.
        sparse_crow_indices: CSR row pointers, (rows + 1,), for a sparse 2-D tensor.
        sparse_col_indices: CSR column indices, (nnz,); both or neither.

    Raises:
        ValueError: Unknown dtype, ragged data, something that is no number or too large for the
            dtype, or a shape or CSR layout that does not fit the values.

    Source: protocol section 3.2.
    """

    __slots__ = ("_extra", "_values", "dtype", "shape", "sparse_col_indices", "sparse_crow_indices")

    dtype: TensorDtype
    shape: list[int] | None

    def __init__(
        self,
        data: Iterable[Any],
        dtype: TensorDtype,
        shape: Sequence[int] | None = None,
        sparse_crow_indices: Sequence[int] | None = None,
        sparse_col_indices: Sequence[int] | None = None,
    ) -> None:
        if dtype not in _CODES:
            raise ValueError(f"TensorData.dtype is {dtype!r}; it must be 'int64' or 'float32'.")
        self.dtype = dtype
        values = memoryview(_packed(data, dtype)).cast("B")
        self._values: memoryview[Any] = values.cast(cast("Any", _CODES[dtype]))
        self.shape = None if shape is None else [int(n) for n in shape]
        self.sparse_crow_indices = _indices(sparse_crow_indices)
        self.sparse_col_indices = _indices(sparse_col_indices)
        self._extra = _NO_FIELDS
        self._check()

    def _check(self) -> None:
        crow, col = self.sparse_crow_indices, self.sparse_col_indices
        if crow is not None and col is not None:
            _check_csr(self.shape, crow, col, len(self))
        elif crow is not None or col is not None:
            raise ValueError(
                "TensorData: give sparse_crow_indices and sparse_col_indices, or neither."
            )
        elif self.shape is not None and prod(self.shape) != len(self):
            raise ValueError(
                f"TensorData.shape {self.shape} holds {prod(self.shape)} values, "
                f"but data has {len(self)}."
            )

    @property
    def data(self) -> list[Any]:
        """A fresh flat list of the values: ints for int64, floats for float32."""
        values: list[Any] = list(self._values)
        return values

    @property
    def extra(self) -> Mapping[str, Any]:
        """The fields of the JSON form that this type does not know; empty when there are none."""
        return self._extra

    @property
    def size_bytes(self) -> int:
        """Bytes of the values and the CSR indices, as chunking counts them (protocol 5.5)."""
        n_indices = len(self.sparse_crow_indices or ()) + len(self.sparse_col_indices or ())
        return self._values.nbytes + 8 * n_indices

    @property
    def buffer(self) -> memoryview[Any]:
        """The values as a read-only flat view (format ``q`` or ``f``); nothing is copied."""
        return self._values

    def __len__(self) -> int:
        """How many values are stored."""
        return len(self._values)

    def tolist(self, pad_value: int = 0) -> list[Any]:
        """The values as nested lists of this tensor's shape; flat when it has none.

        Args:
            pad_value: What cells have that a sparse tensor does not list.

        Raises:
            TypeError: ``pad_value`` is no int.
            ValueError: The tensor is 0-dimensional, which a list cannot show.
        """
        dense = self.to_dense(pad_value)
        if dense.shape is None or len(dense.shape) == 1:
            return dense.data
        return _nested(dense.data, dense.shape)

    def to_dense(self, pad_value: int = 0) -> TensorData:
        """This tensor without a sparse layout; itself when it has none.

        Args:
            pad_value: What cells have that this tensor does not list.

        Raises:
            TypeError: ``pad_value`` is no int.
        """
        if isinstance(pad_value, bool) or not isinstance(pad_value, int):
            raise TypeError(f"TensorData: pad_value must be an int, not {pad_value!r}.")
        crow, col, shape = self.sparse_crow_indices, self.sparse_col_indices, self.shape
        if crow is None or col is None or shape is None:
            return self
        code, n_columns = _CODES[self.dtype], shape[1]
        one = struct.pack(f"={code}", pad_value)
        octets = memoryview(bytearray(one * prod(shape)))
        cells: memoryview[Any] = cast("Any", octets.cast(cast("Any", code)))
        for row, (start, end) in enumerate(pairwise(crow)):
            for i in range(start, end):
                cells[row * n_columns + col[i]] = self._values[i]
        return TensorData.from_buffer(cells.toreadonly(), self.dtype, shape)

    @classmethod
    def from_buffer(
        cls, buffer: Any, dtype: TensorDtype, shape: Sequence[int] | None = None
    ) -> TensorData:
        """Take the bytes of an array in row order; read-only ones are not copied.

        Args:
            buffer: Anything with the buffer protocol, in native byte order.
            dtype: What its bytes are.
            shape: Dimensions; None means flat.

        Raises:
            ValueError: The bytes do not fit dtype and shape.
        """
        view = memoryview(buffer)
        octets = view.cast("B") if view.nbytes else memoryview(b"")  # an empty view has no cast
        item_bytes = struct.calcsize(f"={_CODES.get(dtype, 'q')}")
        if len(octets) % item_bytes:
            raise ValueError(
                f"TensorData.from_buffer: {len(octets)} bytes are not whole {dtype} values."
            )
        values = _Bytes(octets if octets.readonly else bytes(octets))
        return cls(cast("Any", values), dtype, shape)

    @classmethod
    def from_numpy(cls, array: np.ndarray[Any, Any]) -> TensorData:
        """Copy a numpy array: floats of any width become float32, signed integers int64.

        Raises:
            ValueError: Unsigned, bool, complex or object dtype; convert it first.
        """
        kinds: dict[str, TensorDtype] = {"f": "float32", "i": "int64"}
        dtype = kinds.get(array.dtype.kind)
        if dtype is None:
            raise ValueError(
                f"TensorData.from_numpy: dtype {array.dtype} is neither a float nor a signed "
                "integer; convert the array first, for example with .astype('int64')."
            )
        return cls(cast("Any", array), dtype, array.shape)

    @classmethod
    def from_torch(cls, tensor: torch.Tensor) -> TensorData:
        """Copy a torch tensor of any device, stride and layout.

        Floats become float32; integers and bool become int64. Tensors that require grad are
        detached, and sparse ones made dense.

        Raises:
            ValueError: The tensor is complex.
        """
        if tensor.is_complex():
            raise ValueError("TensorData.from_torch: the tensor is complex; give real numbers.")
        dense = tensor.detach().to_dense()
        is_float = dense.is_floating_point()
        array = (dense.float() if is_float else dense.long()).numpy(force=True)
        return cls(cast("Any", array), "float32" if is_float else "int64", tensor.shape)

    @classmethod
    def from_torch_sparse(cls, tensor: torch.Tensor, pad_value: int = 0) -> TensorData:
        """Copy a torch tensor, in CSR layout if it has two dimensions and becomes smaller.

        Args:
            tensor: Any that ``from_torch`` takes.
            pad_value: Cells of this value are not listed.

        Raises:
            TypeError: ``pad_value`` is no int.
            ValueError: The tensor is complex.
        """
        dense = cls.from_torch(tensor).to_dense(pad_value)
        if dense.shape is None or len(dense.shape) != 2:
            return dense
        listed = dense.to_numpy(copy=False) != pad_value
        n_listed, n_rows = int(listed.sum()), dense.shape[0]
        # Protocol section 3.2: indices and values against all cells.
        if n_rows + 1 + 2 * n_listed >= prod(dense.shape):
            return dense
        crow = [0, *listed.sum(axis=1).cumsum().tolist()]
        col = listed.nonzero()[1].tolist()
        values: Any = dense.to_numpy(copy=False)[listed]
        return cls(values, dense.dtype, dense.shape, crow, col)

    def to_numpy(self, pad_value: int = 0, *, copy: bool = True) -> np.ndarray[Any, Any]:
        """A numpy array of this tensor's shape and dtype.

        Args:
            pad_value: What cells have that a sparse tensor does not list.
            copy: Whether the array is fresh and writable; otherwise it may be a read-only view.

        Raises:
            TypeError: ``pad_value`` is no int.
        """
        import numpy as np

        dense = self.to_dense(pad_value)
        view = np.frombuffer(dense.buffer, dtype=self.dtype)
        shaped = view if dense.shape is None else view.reshape(dense.shape)
        return shaped.copy() if copy else shaped

    def to_torch(self, pad_value: int = 0) -> torch.Tensor:
        """A fresh torch tensor of this tensor's shape and dtype.

        Args:
            pad_value: What cells have that a sparse tensor does not list.

        Raises:
            ImportError: torch is not installed.
            TypeError: ``pad_value`` is no int.
        """
        import torch

        tensor: torch.Tensor = cast("Any", torch).from_numpy(self.to_numpy(pad_value))
        return tensor

    def to_wire(self) -> dict[str, object]:
        """The JSON form; fields that are None are left out."""
        fields: dict[str, object] = {"data": self.data, "dtype": self.dtype}
        for name in ("shape", "sparse_crow_indices", "sparse_col_indices"):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        return {**fields, **self._extra}

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any]) -> TensorData:
        """Read the JSON form.

        Raises:
            ValueError: A field is missing or does not fit.
        """
        checked = read_fields(fields, _TensorFields)
        return cls._rebuilt(checked.extra, *(getattr(checked, name) for name in _FIELDS))

    @classmethod
    def _rebuilt(cls, extra: Mapping[str, Any], *arguments: Any) -> TensorData:
        tensor = cls(*arguments)
        tensor._extra = extra
        return tensor

    def __eq__(self, other: object) -> bool:
        """Equal if dtype, shape, values and sparse layout are the same."""
        if not isinstance(other, TensorData):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # by value, like a list

    def _key(self) -> tuple[object, ...]:
        layout = (self.sparse_crow_indices, self.sparse_col_indices)
        return self.dtype, self.shape, self._values.tobytes(), layout, dict(self._extra)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as bytes; a memoryview cannot be pickled."""
        layout = (self.sparse_crow_indices, self.sparse_col_indices)
        values = _Bytes(self._values.tobytes())
        return TensorData._rebuilt, (dict(self._extra), values, self.dtype, self.shape, *layout)

    def __repr__(self) -> str:
        """Dtype, shape and count; values only when there are few."""
        values = self.data if len(self) <= 8 else f"<{len(self)} values>"
        return f"TensorData(data={values}, dtype={self.dtype!r}, shape={self.shape})"


class _Bytes:
    """Values that are bytes already, as ``TensorData`` takes arrays."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes | memoryview[int]) -> None:
        self.octets = octets

    def astype(self, dtype: str) -> _Bytes:
        del dtype
        return self

    def tobytes(self) -> bytes | memoryview[int]:
        return self.octets


_FIELDS = ("data", "dtype", "shape", "sparse_crow_indices", "sparse_col_indices")


class _TensorFields(Answer, frozen=True, kw_only=True):
    data: list[int | float]
    dtype: TensorDtype
    shape: list[int] | None = None
    sparse_crow_indices: list[int] | None = None
    sparse_col_indices: list[int] | None = None


def _check_csr(
    shape: Sequence[int] | None, crow: Sequence[int], col: Sequence[int], n_values: int
) -> None:
    if shape is None or len(shape) != 2:
        raise ValueError("TensorData.shape must have two dimensions for a sparse tensor.")
    if len(col) != n_values:
        raise ValueError(
            f"TensorData.sparse_col_indices has {len(col)} entries for {n_values} values."
        )
    rises = all(a <= b for a, b in pairwise(crow))
    if len(crow) != shape[0] + 1 or not rises or crow[0] != 0 or crow[-1] != n_values:
        raise ValueError(
            f"TensorData.sparse_crow_indices must be {shape[0] + 1} numbers that rise from 0 to "
            f"the {n_values} values."
        )
    if col and not 0 <= min(col) <= max(col) < shape[1]:
        raise ValueError(f"TensorData.sparse_col_indices must be 0 to {shape[1] - 1}.")


def _packed(data: Iterable[Any], dtype: TensorDtype) -> bytes:
    if hasattr(data, "astype"):
        array: Any = data
        fits = getattr(array, "dtype", None) == dtype  # then a cast would only be one more copy
        return cast("bytes", (array if fits else array.astype(dtype)).tobytes())
    flat = _flat(cast("Sequence[Any]", data if isinstance(data, list | tuple) else list(data)))
    try:
        return struct.pack(f"={len(flat)}{_CODES[dtype]}", *flat)
    except (struct.error, *_NOT_A_NUMBER):
        return b"".join([_packed_one(i, value, dtype) for i, value in enumerate(flat)])


def _packed_one(i: int, value: Any, dtype: TensorDtype) -> bytes:
    if _row(value) is not None:
        raise ValueError(_RAGGED)
    try:
        return struct.pack(f"={_CODES[dtype]}", int(value) if dtype == "int64" else float(value))
    except (struct.error, *_NOT_A_NUMBER) as error:
        raise ValueError(
            f"TensorData.data[{i}] is {repr(value)[:80]}, which {dtype} cannot hold."
        ) from error


def _row(value: object) -> Sequence[Any] | None:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def _flat(data: Sequence[Any]) -> Sequence[Any]:
    """Flatten a rectangular nesting of any depth; a ragged one is an error."""
    while data and _row(data[0]) is not None:
        rows = [_row(value) for value in data]
        widths = {None if row is None else len(row) for row in rows}
        if len(widths) != 1:
            raise ValueError(_RAGGED)
        data = [value for row in rows for value in row or ()]
    return data


def shape_of(data: Sequence[Any]) -> list[int]:
    """The dimensions of a rectangular nesting, outermost first."""
    shape = [len(data)]
    row = _row(data[0]) if data else None
    return shape if row is None else shape + shape_of(row)


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    if not shape:
        raise ValueError("A 0-dimensional tensor has no list form; use .data[0].")
    for depth in range(len(shape) - 1, 0, -1):
        width = shape[depth]
        flat = [flat[i * width : (i + 1) * width] for i in range(prod(shape[:depth]))]
    return flat


def _indices(indices: Sequence[int] | None) -> list[int] | None:
    return None if indices is None else [int(i) for i in indices]
