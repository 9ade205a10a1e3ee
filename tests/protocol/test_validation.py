from __future__ import annotations

from typing import Any

import pytest

from tinker_lite.protocol.validation import (
    check_name,
    check_tinker_path,
    checked_batch,
    checked_loss_fn,
)
from tinker_lite.types import Datum, ImageChunk, ModelInput, TensorData

TWO = ModelInput.from_ints([1, 2])
GOOD = Datum(TWO, {"target_tokens": [3, 4], "weights": [0, 1]})
PICTURE = ModelInput(chunks=[ImageChunk(data=b"x", format="png")])
SPARSE = TensorData([7], "int64", [2, 9], [0, 1, 1], [1])
VALUE = TensorData([1], "float32", [2, 9], [0, 1, 1], [1])


@pytest.mark.parametrize(
    "datum",
    [
        pytest.param(GOOD, id="targets and weights"),
        pytest.param(Datum(TWO, {"weights": [1, 2, 3]}), id="no targets, for losses of their own"),
        pytest.param(Datum(TWO, {"target_tokens": [[3, 4], [5, 6]]}), id="several targets each"),
        pytest.param(
            Datum(TWO, {"target_tokens": TensorData([3, 4], "int64")}), id="targets without a shape"
        ),
        pytest.param(Datum(PICTURE, {"target_tokens": [1]}), id="a picture of unknown length"),
        pytest.param(Datum(TWO, {"target_tokens": SPARSE, "weights": VALUE}), id="sparse ones"),
        pytest.param(
            Datum(TWO, {"target_tokens": [3, 4], "clip_low_threshold": [0.5]}),
            id="a threshold with a shape of its own",
        ),
        pytest.param(Datum(ModelInput.empty(), {"target_tokens": []}), id="nothing at all"),
    ],
)
def test_what_can_be_right_passes(datum: Datum) -> None:
    """Checks refuse only what cannot be meant."""
    assert checked_batch([datum], "forward") == [datum]


def test_the_batch_is_a_copy_with_dicts_of_its_own() -> None:
    """Callers may go on changing theirs while the call is queued; any iterable is taken."""
    datum = Datum(TWO, {"target_tokens": [3, 4]})
    [copied] = checked_batch(iter([datum]), "forward")
    datum.loss_fn_inputs.clear()
    assert copied == Datum(TWO, {"target_tokens": [3, 4]})


WRONG = [
    pytest.param([], ValueError, "data is empty; give at least one Datum", id="empty"),
    pytest.param(GOOD, TypeError, "data must be a list of Datum, not a Datum", id="one datum"),
    pytest.param(None, TypeError, "must be a list of Datum, not a NoneType", id="nothing"),
    pytest.param([GOOD, TWO], TypeError, r"data\[1\] is a ModelInput, not a Datum", id="no datum"),
    pytest.param(
        [GOOD, Datum(TWO, {"target_tokens": [3]})],
        ValueError,
        r"data\[1\]: model_input has 2 tokens but target_tokens has 1",
        id="lengths",
    ),
    pytest.param(
        [Datum(TWO, {"target_tokens": [[3, 4]]})],
        ValueError,
        r"data\[0\]: model_input has 2 tokens but target_tokens has 1",
        id="rows",
    ),
    pytest.param(
        [Datum(TWO, {"target_tokens": TensorData([3, 4], "float32")})],
        TypeError,
        r"data\[0\]\.loss_fn_inputs\['target_tokens'\] has dtype float32; token ids are int64",
        id="float targets",
    ),
    *(
        pytest.param(
            [Datum(TWO, {"target_tokens": [3, 4], name: TensorData([1, 2], "int64")})],
            TypeError,
            rf"data\[0\]\.loss_fn_inputs\['{name}'\] has dtype int64; it must be float32",
            id=f"integer {name}",
        )
        for name in ("weights", "logprobs", "advantages", "sequence_ratio_mask")
    ),
    *(
        pytest.param(
            [GOOD, Datum(TWO, {"target_tokens": [3, 4], name: [1, 2, 3]})],
            ValueError,
            rf"data\[1\]\.loss_fn_inputs\['{name}'\] has 3 values but target_tokens has 2",
            id=f"too many {name}",
        )
        for name in ("weights", "logprobs", "advantages", "sequence_ratio_mask")
    ),
]


@pytest.mark.parametrize(("data", "error", "text"), WRONG)
def test_what_cannot_be_right_is_refused(data: Any, error: type[Exception], text: str) -> None:
    """Before anything is sent; the error names the operation, the example and the field."""
    with pytest.raises(error, match=f"^forward_backward: .*{text}"):
        checked_batch(data, "forward_backward")


def test_a_value_assigned_later_must_be_a_tensor() -> None:
    """What the constructor would have converted is not converted behind the caller's back."""
    datum = Datum(TWO, {"target_tokens": [3, 4]})
    inputs: dict[str, Any] = datum.loss_fn_inputs
    inputs["weights"] = [0.0, 1.0]
    with pytest.raises(TypeError, match=r"\['weights'\] is a list; assign a TensorData"):
        checked_batch([datum], "forward")


def test_the_name_of_a_loss_is_the_services_to_judge() -> None:
    """Servers know names of their own; only what is no name at all is refused."""
    assert checked_loss_fn("dppo", "forward") == "dppo"
    with pytest.raises(ValueError, match=r"^forward: loss_fn is empty; an example is"):
        checked_loss_fn("", "forward")
    function: Any = max
    with pytest.raises(TypeError, match=r"not builtin_function_or_method.*_custom"):
        checked_loss_fn(function, "forward")


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_a_checkpoint_needs_a_name(name: object) -> None:
    """The error names the operation and the argument."""
    check_name("ck", "save_state")
    with pytest.raises(ValueError, match=r"^save_state: name is .*; give the checkpoint a name"):
        check_name(name, "save_state")


@pytest.mark.parametrize("path", ["", "ck", "/tmp/ck", "tinker:/x", None])
def test_a_checkpoint_path_has_its_scheme(path: object) -> None:
    """Its other parts are the service's to judge: they differ between servers (section 10)."""
    check_tinker_path("tinker://run/ck", "load_state")
    with pytest.raises(ValueError, match=r"^load_state: path .* must begin with 'tinker://'"):
        check_tinker_path(path, "load_state")
