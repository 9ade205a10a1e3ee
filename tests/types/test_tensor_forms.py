"""Dense and sparse forms of tensors, buffers, and copies that are not made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.types.strategies import tensors
from tinker_lite.types import Datum, ModelInput, TensorData, TopkLogprobs

SPARSE = TensorData([5, 6, 7], "int64", [3, 4], [0, 2, 2, 3], [0, 3, 1])
NOTHING: list[float] = []


# Buffers


def test_read_only_bytes_are_not_copied() -> None:
    """The tensor is a view of them; bytes that may change are copied."""
    raw = np.array([1.5, 2.5], "float32").tobytes()
    tensor = TensorData.from_buffer(raw, "float32", [2, 1])
    assert np.shares_memory(np.frombuffer(raw, "uint8"), np.frombuffer(tensor.buffer, "uint8"))
    assert (tensor.tolist(), tensor.shape) == ([[1.5], [2.5]], [2, 1])
    changing = bytearray(raw)
    copied = TensorData.from_buffer(changing, "float32")
    changing[:] = bytes(8)
    assert copied.data == [1.5, 2.5]


@pytest.mark.parametrize(
    "buffer", [b"", bytearray(), memoryview(b""), np.zeros((2, 0), "int64"), np.zeros(0, "float32")]
)
def test_an_empty_buffer_is_an_empty_tensor(buffer: Any) -> None:
    """Also one that has a shape."""
    assert TensorData.from_buffer(buffer, "int64", [0]).data == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((b"abc", "int64"), "3 bytes are not whole int64"),
        ((bytes(8), "float32", [3]), r"shape \[3\] holds 3 values"),
        ((bytes(8), "int8"), "dtype is 'int8'"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(arguments: tuple[Any, ...], text: str) -> None:
    """The error says what does not fit."""
    with pytest.raises(ValueError, match=text):
        TensorData.from_buffer(*arguments)


def test_a_view_costs_no_copy() -> None:
    """Callers who only read may have one; it cannot be written to."""
    tensor = TensorData([[1, 2], [3, 4]], "float32", [2, 2])
    view = tensor.to_numpy(copy=False)
    assert np.shares_memory(view, np.frombuffer(tensor.buffer, "float32"))
    assert view.shape == (2, 2)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 9
    assert tensor.to_numpy().flags.writeable


# Sparse


@given(tensors())
def test_the_dense_form_has_the_same_cells(tensor: TensorData) -> None:
    """It is the tensor itself when that is dense."""
    dense = tensor.to_dense()
    assert dense.sparse_crow_indices is dense.sparse_col_indices is None
    assert (dense.dtype, dense.shape) == (tensor.dtype, tensor.shape)
    assert dense.to_numpy().tolist() == tensor.to_numpy().tolist()
    assert (dense is tensor) == (tensor.sparse_crow_indices is None)


def test_cells_that_are_not_listed_may_be_anything() -> None:
    """In every dense form; 0 unless asked."""
    rows = [[5, -1, -1, 6], [-1, -1, -1, -1], [-1, 7, -1, -1]]
    assert SPARSE.tolist(-1) == SPARSE.to_numpy(-1).tolist() == SPARSE.to_dense(-1).tolist() == rows
    assert SPARSE.tolist() == [[max(cell, 0) for cell in row] for row in rows]


@pytest.mark.parametrize("pad", [True, 0.5, None, "0"])
def test_padding_is_an_int(pad: Any) -> None:
    """Of dense tensors too, so that a mistake shows whatever came."""
    for tensor in (SPARSE, SPARSE.to_dense()):
        with pytest.raises(TypeError, match="pad_value must be an int, not"):
            tensor.to_numpy(pad)


@pytest.mark.parametrize("col", [[0, 4, 1], [-1, 0, 1]])
def test_a_column_that_is_not_there_is_refused(col: list[int]) -> None:
    """Before it could land in another row."""
    with pytest.raises(ValueError, match=r"sparse_col_indices must be 0 to 3"):
        TensorData([5, 6, 7], "int64", [3, 4], [0, 2, 2, 3], col)


def test_torch_tensors_become_sparse_where_that_is_smaller() -> None:
    """Row pointers, columns and values against all cells (protocol section 3.2)."""
    torch: Any = pytest.importorskip("torch")
    cells = torch.zeros(4, 8)
    cells[1, 2], cells[3, 7] = 0.5, -0.0
    sparse = TensorData.from_torch_sparse(cells)
    assert (sparse.sparse_crow_indices, sparse.sparse_col_indices) == ([0, 0, 1, 1, 1], [2])
    assert (sparse.data, sparse.shape, sparse.dtype) == ([0.5], [4, 8], "float32")
    assert torch.equal(sparse.to_torch(), cells)
    assert torch.equal(TensorData.from_torch_sparse(cells + 7, 7).to_torch(7), cells + 7)
    # 4 + 1 + 2 x 13 = 31 is less than 32 cells; one more listed cell is not.
    for n_listed, is_sparse in ((13, True), (14, False)):
        flat = torch.zeros(32)
        flat[:n_listed] = 1
        made = TensorData.from_torch_sparse(flat.reshape(4, 8))
        assert (made.sparse_crow_indices is not None) == is_sparse
        assert torch.equal(made.to_torch(), flat.reshape(4, 8))


@pytest.mark.parametrize("shape", [(40,), (4, 2, 5), (0, 9), (9, 0)])
def test_other_torch_tensors_stay_dense(shape: tuple[int, ...]) -> None:
    """Only two dimensions have a sparse layout, and nothing saves nothing."""
    torch: Any = pytest.importorskip("torch")
    made = TensorData.from_torch_sparse(torch.zeros(*shape))
    assert (made.sparse_crow_indices, made.shape) == (None, list(shape))


def test_a_datum_takes_sparse_torch_tensors_by_name() -> None:
    """Two inputs alone mean the same with zeros left out; numpy arrays and lists stay dense."""
    torch: Any = pytest.importorskip("torch")
    cells = torch.zeros(2, 40)
    names = ("target_tokens", "weights", "advantages")
    inputs: dict[str, Any] = dict.fromkeys(names, cells)
    datum = Datum(ModelInput.from_ints([1, 2]), inputs)
    sparse = {n for n in names if datum.loss_fn_inputs[n].sparse_crow_indices is not None}
    assert sparse == {"target_tokens", "weights"}
    for value in (cells.numpy(), cells.tolist()):
        plain = Datum(ModelInput.from_ints([1, 2]), {"weights": value})
        assert plain.loss_fn_inputs["weights"].sparse_crow_indices is None


# Top-k tables


def test_rows_of_likely_tokens_make_a_table() -> None:
    """Short rows are filled up, rows of fillers alone are None again (protocol section 3.9)."""
    rows = [None, [(5, -0.5), (7, -1.5)], [(2**31 - 1, -0.25)]]
    table = TopkLogprobs.from_rows(rows)
    assert (table.token_ids.dtype, table.logprobs.dtype) == (np.int32, np.float32)
    assert table.token_ids.tolist() == [[0, 0], [5, 7], [2**31 - 1, 0]]
    assert table.logprobs.tolist() == [[-99999, -99999], [-0.5, -1.5], [-0.25, -99999]]
    assert table.to_rows() == rows
    assert repr(table) == "TopkLogprobs(<3 rows of 2>)"
    assert TopkLogprobs.from_rows([]).to_rows() == []
    assert TopkLogprobs.from_rows([None, []]).to_rows() == [None, None]
