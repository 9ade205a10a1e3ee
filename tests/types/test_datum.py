from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.types.strategies import DATUMS
from tinker_lite.types import Datum, ModelInput, TensorData

TWO = ModelInput.from_ints([1, 2])


@pytest.mark.parametrize(
    ("name", "value", "tensor"),
    [
        pytest.param(
            "target_tokens", [1, 2], TensorData([1, 2], "int64", [2]), id="targets are int64"
        ),
        pytest.param(
            "target_tokens", [1.7, 2], TensorData([1, 2], "int64", [2]), id="and cut to integers"
        ),
        pytest.param(
            "weights", [1, 0], TensorData([1, 0], "float32", [2]), id="weights are float32"
        ),
        pytest.param(
            "weights", [[1], [0]], TensorData([1, 0], "float32", [2, 1]), id="nesting is the shape"
        ),
        pytest.param("weights", [], TensorData([], "float32", [0]), id="an empty list"),
        pytest.param("logprobs", ["0.5"], TensorData([0.5], "float32", [1]), id="numbers in texts"),
        pytest.param(
            "weights",
            np.array([1, 2], "int32"),
            TensorData([1, 2], "int64", [2]),
            id="an array brings its own dtype",
        ),
        pytest.param(
            "whatever", np.array([[0.5]]), TensorData([0.5], "float32", [1, 1]), id="under any name"
        ),
        pytest.param(
            "whatever", np.float64(0.5), TensorData([0.5], "float32", []), id="a numpy scalar"
        ),
    ],
)
def test_a_value_becomes_a_tensor(name: str, value: Any, tensor: TensorData) -> None:
    """Lists by the name's dtype, arrays and tensors by their own (protocol section 3.2)."""
    assert Datum(TWO, {name: value}).loss_fn_inputs[name] == tensor


@pytest.mark.parametrize(
    "name",
    [
        "weights",
        "advantages",
        "logprobs",
        "clip_low_threshold",
        "clip_high_threshold",
        "sequence_ratio_mask",
    ],
)
def test_lists_under_the_other_known_names_are_floats(name: str) -> None:
    """Six names besides ``target_tokens`` have a dtype of their own."""
    assert Datum(TWO, {name: [1, 2]}).loss_fn_inputs[name].dtype == "float32"


def test_a_tensor_is_kept_as_it_is() -> None:
    """Nothing is converted or copied that is a ``TensorData`` already."""
    tensor = TensorData([1], "int64")
    assert Datum(TWO, {"weights": tensor}).loss_fn_inputs["weights"] is tensor


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        pytest.param("mine", [1], KeyError, "dtype of a plain list.*weights", id="unknown name"),
        pytest.param("weights", [[1], []], ValueError, "ragged", id="a ragged list"),
        pytest.param("weights", [1, None], ValueError, r"data\[1\] is None", id="no number"),
        pytest.param("x", np.array([True]), ValueError, "dtype bool is neither", id="a bool array"),
        pytest.param("x", (1, 2), TypeError, "is a tuple; give", id="a tuple"),
        pytest.param("x", None, TypeError, "is a NoneType; give", id="nothing"),
        pytest.param("x", {"data": [1]}, TypeError, "is a dict; give", id="a dict"),
        pytest.param("x", TWO, TypeError, "is a ModelInput; give", id="an input"),
    ],
)
def test_a_value_that_is_no_tensor_is_refused(
    name: str, value: Any, error: type[Exception], text: str
) -> None:
    """The error names the field, the key and what to give."""
    with pytest.raises(error, match=text) as caught:
        Datum(TWO, {name: value})
    assert f"Datum.loss_fn_inputs['{name}']" in str(caught.value).replace('\\"', "")


def test_the_input_must_be_one() -> None:
    """Token ids go through ``ModelInput`` first."""
    with pytest.raises(TypeError, match=r"Datum\.model_input must be a ModelInput, not list"):
        Datum([1, 2], {})  # type: ignore[arg-type]  # what is tested


def test_the_dict_is_the_datums_own_and_may_be_changed() -> None:
    """The given mapping stays as it was; callers add and remove keys afterwards."""
    given = {"weights": [1.0, 2.0]}
    datum = Datum(TWO, given)
    del datum.loss_fn_inputs["weights"]
    datum.loss_fn_inputs["target_tokens"] = TensorData([1, 2], "int64")
    assert given == {"weights": [1.0, 2.0]}
    assert Datum(TWO).loss_fn_inputs == {}


@given(DATUMS)
def test_a_datum_survives_pickling_and_copying(datum: Datum) -> None:
    """Equal by value afterwards, and short when shown."""
    assert pickle.loads(pickle.dumps(datum)) == datum
    assert copy.deepcopy(datum) == datum
    assert repr(datum).startswith("Datum(model_input=ModelInput(")


def test_equality_is_by_value() -> None:
    """Input and tensors both count; a datum cannot be hashed."""
    assert Datum(TWO, {"weights": [1]}) == Datum(TWO, {"weights": np.array([1.0])})
    assert Datum(TWO, {"weights": [1]}) != Datum(TWO, {"weights": [2]})
    assert Datum(TWO) != Datum(ModelInput.empty())
    assert Datum(TWO) != TWO
    with pytest.raises(TypeError, match="unhashable"):
        hash(Datum(TWO))
