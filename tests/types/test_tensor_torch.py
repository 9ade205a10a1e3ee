from __future__ import annotations

from typing import Any

import pytest

from tinker_lite.types import Datum, ModelInput, TensorData

torch: Any = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("tensor", "dtype", "data"),
    [
        pytest.param(torch.tensor([0.5, 2.0]), "float32", [0.5, 2.0], id="float32"),
        pytest.param(torch.tensor([0.5]).bfloat16(), "float32", [0.5], id="bfloat16"),
        pytest.param(torch.tensor([0.5]).half(), "float32", [0.5], id="float16"),
        pytest.param(torch.tensor([0.5]).double(), "float32", [0.5], id="float64"),
        pytest.param(torch.tensor([1, -2]), "int64", [1, -2], id="int64"),
        pytest.param(torch.tensor([1]).int(), "int64", [1], id="int32"),
        pytest.param(torch.tensor([255]).byte(), "int64", [255], id="uint8"),
        pytest.param(torch.tensor([True, False]), "int64", [1, 0], id="bool"),
        pytest.param(torch.tensor([0.5], requires_grad=True), "float32", [0.5], id="with grad"),
        pytest.param(torch.tensor([[1, 2], [3, 4]]).T, "int64", [1, 3, 2, 4], id="transposed"),
        pytest.param(torch.arange(6)[::2], "int64", [0, 2, 4], id="in steps"),
        pytest.param(torch.tensor(5), "int64", [5], id="no axes"),
        pytest.param(torch.zeros(2, 0), "float32", [], id="no values"),
        pytest.param(torch.tensor([1 - 2j]).conj().imag, "float32", [2.0], id="a negated view"),
        pytest.param(torch.eye(2).to_sparse(), "float32", [1, 0, 0, 1], id="sparse"),
    ],
)
def test_torch_tensors_come_back_equal(tensor: Any, dtype: str, data: list[float]) -> None:
    """Any dtype, stride, layout or gradient; the shape is kept."""
    made = TensorData.from_torch(tensor)
    assert (made.dtype, made.shape, made.data) == (dtype, list(tensor.shape), data)
    back: Any = made.to_torch()
    assert back.dtype == getattr(torch, dtype)
    assert torch.equal(back, tensor.detach().to_dense().to(back.dtype))
    assert not back.requires_grad


def test_a_complex_torch_tensor_is_refused() -> None:
    """Taking the real part alone would lose half of the numbers in silence."""
    with pytest.raises(ValueError, match="complex; give real numbers"):
        TensorData.from_torch(torch.tensor([1j]))


def test_torch_memory_is_not_shared() -> None:
    """Later changes of the source do not reach the tensor, nor the other way round."""
    source: Any = torch.tensor([1.0, 2.0])
    made = TensorData.from_torch(source)
    source[0] = 9
    made.to_torch()[1] = 9
    assert made.data == [1.0, 2.0]


def test_a_sparse_tensor_becomes_a_dense_one() -> None:
    """Cells that are not listed are 0."""
    sparse = TensorData([5, 6], "int64", [2, 3], [0, 0, 2], [0, 2])
    back: Any = sparse.to_torch()
    assert back.tolist() == [[0, 0, 0], [5, 0, 6]]


def test_a_datum_takes_torch_tensors_under_any_name() -> None:
    """They bring their own dtype and shape; one with a gradient is detached."""
    weights = torch.ones(2, 1, requires_grad=True)
    datum = Datum(ModelInput.from_ints([1, 2]), {"weights": weights, "x": torch.tensor([1, 2])})
    assert datum.loss_fn_inputs == {
        "weights": TensorData([1, 1], "float32", [2, 1]),
        "x": TensorData([1, 2], "int64", [2]),
    }
    with pytest.raises(ValueError, match=r"loss_fn_inputs\['x'\]: .*complex"):
        Datum(ModelInput.empty(), {"x": torch.tensor([1j])})
