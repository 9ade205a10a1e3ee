from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

from tests.types.strategies import tensors
from tinker_lite.types import TensorData, TensorDtype

Array = npt.NDArray[Any]
NOTHING: list[float] = []


# From Python values


@pytest.mark.parametrize(
    ("data", "dtype", "stored"),
    [
        pytest.param([1, 2], "int64", [1, 2], id="integers"),
        pytest.param([1, 2.5], "float32", [1.0, 2.5], id="integers become floats"),
        pytest.param([1.7, -1.7], "int64", [1, -1], id="floats are cut to integers"),
        pytest.param([True, False], "int64", [1, 0], id="truth values are numbers"),
        pytest.param(["5", "6"], "int64", [5, 6], id="numbers in texts are read"),
        pytest.param(["0.5"], "float32", [0.5], id="floats in texts are read"),
        pytest.param((1, 2), "int64", [1, 2], id="a tuple"),
        pytest.param(range(3), "int64", [0, 1, 2], id="a range"),
        pytest.param([[1, 2], (3, 4)], "int64", [1, 2, 3, 4], id="nested rows are laid flat"),
        pytest.param([[[1], [2]]], "int64", [1, 2], id="any depth of nesting"),
        pytest.param(NOTHING, "float32", NOTHING, id="nothing"),
        pytest.param([NOTHING, NOTHING], "float32", NOTHING, id="empty rows"),
        pytest.param([np.int32(7), np.float64(2)], "int64", [7, 2], id="numpy scalars"),
        pytest.param([2**63 - 1, -(2**63)], "int64", [2**63 - 1, -(2**63)], id="the ends of int64"),
        pytest.param(np.array([[1, 2]]), "float32", [1.0, 2.0], id="an array is cast"),
        pytest.param(iter([1, 2]), "int64", [1, 2], id="an iterator"),
    ],
)
def test_values_are_cast_to_the_dtype(data: Any, dtype: TensorDtype, stored: list[float]) -> None:
    """Whatever the values came as, what is stored has the dtype, flat and in row order."""
    tensor = TensorData(data, dtype)
    assert tensor.data == stored
    assert {type(value) for value in tensor.data} <= {int if dtype == "int64" else float}
    assert (tensor.shape, len(tensor)) == (None, len(stored))


def test_floats_are_rounded_to_float32() -> None:
    """0.1 is not what goes over the wire, and the caller sees that; NaN and infinity are kept."""
    assert TensorData([0.1], "float32").data == [0.10000000149011612]
    nan, infinite = TensorData([math.nan, math.inf], "float32").data
    assert math.isnan(nan)
    assert infinite == math.inf


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(([1], "int32"), r"dtype is 'int32'; it must be", id="another dtype"),
        pytest.param(([[1, 2], [3]], "int64"), "ragged", id="rows of different length"),
        pytest.param(([[1], 2], "int64"), "ragged", id="a row beside a number"),
        pytest.param(([1, [2]], "int64"), "ragged", id="a number beside a row"),
        pytest.param(([[1, 2], [3, [4]]], "int64"), "ragged", id="a row inside a row"),
        pytest.param(([1, None], "int64"), r"data\[1\] is None, which int64", id="no number"),
        pytest.param((["x"], "float32"), r"data\[0\] is 'x', which float32", id="a text"),
        pytest.param(([0, 2**63], "int64"), r"data\[1\] is 9223372036854775808", id="over int64"),
        pytest.param(([1e39], "float32"), r"data\[0\] is 1e\+39", id="over float32"),
        pytest.param(([10**400], "float32"), r"data\[0\] is 1000", id="over every float"),
        pytest.param(([math.nan], "int64"), r"data\[0\] is nan", id="NaN as an integer"),
        pytest.param(([1j], "float32"), r"data\[0\] is 1j", id="a complex number"),
        pytest.param(([1, 2], "int64", [3]), r"shape \[3\] holds 3 values.* has 2", id="shape"),
        pytest.param(([1, 2], "int64", NOTHING), r"shape \[\] holds 1 values", id="no axes"),
        pytest.param(([1], "int64", [1, 1], [0, 1]), "or neither", id="half a sparse layout"),
        pytest.param(([1], "int64", [1], [0, 1], [0]), "two dimensions", id="a sparse vector"),
        pytest.param(([1], "int64", None, [0, 1], [0]), "two dimensions", id="sparse, no shape"),
        pytest.param(([1], "int64", [1, 2], [0, 1], [0, 1]), "2 entries for 1", id="columns"),
        pytest.param(([1], "int64", [2, 2], [0, 1], [0]), "must be 3 numbers", id="row pointers"),
        pytest.param(([1], "int64", [1, 2], [0, 2], [0]), "rise from 0 to", id="last pointer"),
        pytest.param(([1], "int64", [2, 2], [0, 2, 1], [0]), "rise from 0", id="falling pointers"),
    ],
)
def test_data_that_makes_no_tensor_is_refused(arguments: tuple[Any, ...], text: str) -> None:
    """One ValueError that names the field and, where there is one, the value and its place."""
    with pytest.raises(ValueError, match=text) as caught:
        TensorData(*arguments)
    assert "TensorData" in str(caught.value)
    assert len(str(caught.value)) < 200


# To lists


@pytest.mark.parametrize(
    ("shape", "nested"),
    [
        pytest.param(None, [1, 2, 3, 4, 5, 6], id="flat without a shape"),
        pytest.param([6], [1, 2, 3, 4, 5, 6], id="flat"),
        pytest.param([2, 3], [[1, 2, 3], [4, 5, 6]], id="two axes"),
        pytest.param((3, 1, 2), [[[1, 2]], [[3, 4]], [[5, 6]]], id="three axes"),
    ],
)
def test_tolist_follows_the_shape(shape: Any, nested: list[Any]) -> None:
    """Nested lists, outermost axis first; the shape is kept as a list of ints."""
    tensor = TensorData([1, 2, 3, 4, 5, 6], "int64", shape)
    assert tensor.tolist() == nested
    assert tensor.shape == (None if shape is None else list(shape))


@pytest.mark.parametrize("shape", [[0], [2, 0], [0, 2], [2, 0, 3], [1, 1, 0]])
def test_empty_axes_nest_as_in_numpy(shape: list[int]) -> None:
    """A tensor without values still has its rows."""
    assert TensorData(NOTHING, "float32", shape).tolist() == np.zeros(shape).tolist()


def test_a_tensor_without_axes_has_no_list_form() -> None:
    """The error says where the one value is."""
    with pytest.raises(ValueError, match=r"use \.data\[0\]"):
        TensorData([1], "int64", []).tolist()


def test_lists_and_arrays_handed_out_are_the_callers_own() -> None:
    """Changing them does not change the tensor, nor does changing what it was made from."""
    source = [1, 2]
    array = np.array([1, 2])
    tensor, copied = TensorData(source, "int64"), TensorData.from_numpy(array)
    source[0] = array[0] = 9
    tensor.data[0] = tensor.to_numpy()[0] = 9
    assert tensor.data == copied.data == [1, 2]
    with pytest.raises(TypeError, match=r"read-only|cannot modify"):
        tensor.buffer[0] = 9
    assert (tensor.buffer.format, list(tensor.buffer)) == ("q", [1, 2])


# numpy


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_floats_of_any_width_become_float32(name: str) -> None:
    """Values, shape and the new dtype come through."""
    tensor = TensorData.from_numpy(np.array([[0.5, 2]], name))
    assert (tensor.dtype, tensor.shape, tensor.data) == ("float32", [1, 2], [0.5, 2.0])


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", ">i4"])
def test_signed_integers_become_int64(name: str) -> None:
    """Whatever width and byte order they came in."""
    tensor = TensorData.from_numpy(np.array([-1, 2], name))
    assert (tensor.dtype, tensor.shape, tensor.data) == ("int64", [2], [-1, 2])


@pytest.mark.parametrize("name", ["uint8", "bool", "complex64", "object", "U1"])
def test_other_arrays_are_refused(name: str) -> None:
    """The error names the dtype and says how to convert."""
    with pytest.raises(ValueError, match=r"is neither a float nor a signed integer.*\.astype"):
        TensorData.from_numpy(np.zeros(1, name))


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(6.0).reshape(2, 3).T, id="transposed"),
        pytest.param(np.arange(10)[::-3], id="backwards in steps"),
        pytest.param(np.asfortranarray(np.arange(6).reshape(2, 3)), id="column order"),
        pytest.param(np.broadcast_to(np.float32(3), (2, 2)), id="broadcast and read-only"),
        pytest.param(np.array(7), id="no axes"),
        pytest.param(np.zeros((2, 0, 3)), id="no values"),
    ],
)
def test_arrays_of_any_layout_come_back_equal(array: Array) -> None:
    """Strides make no difference; what comes back is fresh, writable and of the same shape."""
    back = TensorData.from_numpy(array).to_numpy()
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape
    assert back.flags.writeable
    assert back.flags.owndata


# Sparse


def test_a_sparse_tensor_fills_with_zeros() -> None:
    """Unlisted cells are 0 in every dense form; its size counts values and indices."""
    sparse = TensorData([5, 6, 7], "int64", [3, 4], [0, 2, 2, 3], [0, 3, 1])
    dense = [[5, 0, 0, 6], [0, 0, 0, 0], [0, 7, 0, 0]]
    assert sparse.tolist() == sparse.to_numpy().tolist() == dense
    assert len(sparse) == 3
    assert sparse.size_bytes == 8 * 3 + 8 * (4 + 3)


# Value semantics


@given(tensors())
def test_a_tensor_survives_wire_form_pickling_and_copying(tensor: TensorData) -> None:
    """Nothing of values, dtype, shape or layout is lost."""
    assert TensorData.from_wire(tensor.to_wire()) == tensor
    assert pickle.loads(pickle.dumps(tensor)) == tensor
    assert copy.copy(tensor) == tensor
    assert copy.deepcopy(tensor) == tensor


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(TensorData([1, 3], "int64", [2]), id="other values"),
        pytest.param(TensorData([1, 2], "float32", [2]), id="another dtype"),
        pytest.param(TensorData([1, 2], "int64", [1, 2]), id="another shape"),
        pytest.param(TensorData([1, 2], "int64", [1, 2], [0, 2], [0, 1]), id="a sparse layout"),
        pytest.param([1, 2], id="a list"),
    ],
)
def test_equality_is_by_value(other: object) -> None:
    """Equal means the same dtype, shape, layout and values; NaN equals itself."""
    assert TensorData([1, 2], "int64", [2]) == TensorData((1.0, 2.0), "int64", (2,))
    assert TensorData([1, 2], "int64", [2]) != other
    assert TensorData([math.nan], "float32") == TensorData([math.nan], "float32")


def test_a_tensor_cannot_be_hashed() -> None:
    """Like the list it stands for."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(TensorData([1], "int64"))


def test_a_repr_is_short() -> None:
    """A few values are shown, many are counted."""
    assert repr(TensorData([1, 2], "int64", [2])) == (
        "TensorData(data=[1, 2], dtype='int64', shape=[2])"
    )
    assert repr(TensorData(range(5000), "int64")) == (
        "TensorData(data=<5000 values>, dtype='int64', shape=None)"
    )


def test_sizes_are_those_of_the_wire_dtype() -> None:
    """Eight bytes for an integer, four for a float (protocol section 5.5)."""
    assert TensorData([1, 2], "int64").size_bytes == 16
    assert TensorData([1, 2], "float32").size_bytes == 8
