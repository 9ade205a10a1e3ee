from __future__ import annotations

import pytest

from tinker_lite.protocol.custom_loss import (
    backward_batch,
    combined_metrics,
    forward_batch,
    logprobs_of,
)
from tinker_lite.types import Datum, ForwardBackwardOutput, ModelInput, TensorData

TWO = ModelInput.from_ints([1, 2])
PLAIN = Datum(TWO, {"target_tokens": [3, 4], "advantages": [1, 2]})
WEIGHTED = Datum(TWO, {"target_tokens": [3, 4], "weights": [0.5, 0]})
TABLE = Datum(TWO, {"target_tokens": [[3, 4], [5, 6]]})
SPARSE = Datum(TWO, {"target_tokens": TensorData([7], "int64", [2, 2], [0, 1, 1], [1])})


def test_the_forward_pass_needs_targets_and_weights_only() -> None:
    """Other inputs stay local; missing weights are zeros of the targets' shape and layout."""
    plain, weighted, table, sparse = forward_batch([PLAIN, WEIGHTED, TABLE, SPARSE])
    assert plain == Datum(TWO, {"target_tokens": [3, 4], "weights": [0, 0]})
    assert weighted == WEIGHTED
    assert table.loss_fn_inputs["weights"] == TensorData([0] * 4, "float32", [2, 2])
    zeros = TensorData([0], "float32", [2, 2], [0, 1, 1], [1])
    assert sparse.loss_fn_inputs["weights"] == zeros
    assert PLAIN.loss_fn_inputs.keys() == {"target_tokens", "advantages"}, "left as it was"


def test_targets_are_needed() -> None:
    """The error names the example and says why."""
    with pytest.raises(ValueError, match=r"data\[1\]\.loss_fn_inputs has no 'target_tokens'"):
        forward_batch([PLAIN, Datum(TWO, {"weights": [1, 1]})])


def test_logprobs_come_one_per_example() -> None:
    """In order, as the service gave them."""
    tensors = [TensorData([x], "float32", [1]) for x in (-1.0, -2.0)]
    output = ForwardBackwardOutput(loss_fn_outputs=[{"logprobs": x} for x in tensors])
    assert logprobs_of(output, 2) == tensors
    with pytest.raises(ValueError, match="gave 2 outputs for 3 examples"):
        logprobs_of(output, 3)
    lacking = ForwardBackwardOutput(loss_fn_outputs=[*output.loss_fn_outputs, {}])
    with pytest.raises(ValueError, match=r"gave no 'logprobs' for data\[2\]"):
        logprobs_of(lacking, 3)


@pytest.mark.parametrize("datum", [PLAIN, TABLE], ids=["one target", "several targets"])
def test_weights_are_the_gradients_with_the_other_sign(datum: Datum) -> None:
    """The service's ``-sum(logprobs * weights)`` then has the custom loss's gradient (6.1)."""
    targets = datum.loss_fn_inputs["target_tokens"]
    gradient = TensorData(range(1, len(targets) + 1), "float32")
    [backward] = backward_batch(forward_batch([datum]), [gradient])
    weights = backward.loss_fn_inputs["weights"]
    assert [-w for w in weights.data] == gradient.data
    assert (weights.shape, weights.dtype) == (targets.shape, "float32")
    assert backward.loss_fn_inputs["target_tokens"] == targets
    assert backward.model_input == datum.model_input


def test_the_surrogate_has_the_gradient_of_the_loss() -> None:
    """For the loss ``sum(lp ** 2)``: moving a logprob moves both losses alike."""
    logprobs, step = [-0.5, -2.0], 1e-6
    gradient = TensorData([2 * lp for lp in logprobs], "float32")
    [backward] = backward_batch(forward_batch([PLAIN]), [gradient])
    weights = backward.loss_fn_inputs["weights"].data
    for i, lp in enumerate(logprobs):
        slope = ((lp + step) ** 2 - (lp - step) ** 2) / (2 * step)
        assert -weights[i] == pytest.approx(slope, rel=1e-5)


def test_gradients_must_fit() -> None:
    """One per example, one value per target; the error names the example."""
    batch = forward_batch([PLAIN, PLAIN])
    one = TensorData([1], "float32")
    with pytest.raises(ValueError, match="gave 1 gradients for 2 examples"):
        backward_batch(batch, [one])
    two = TensorData([1, 2], "float32")
    with pytest.raises(ValueError, match=r"1 gradient values for data\[1\].*2 target tokens"):
        backward_batch(batch, [two, one])


def test_the_callers_metrics_win() -> None:
    """The service's sum is kept under another name, and ``loss:sum`` is the custom loss."""
    server = {"loss:sum": -3.0, "x:sum": 1.0, "y:sum": 2.0}
    assert combined_metrics(server, 7.0, {"x:sum": 5.0, "mine": 6.0}) == {
        "x:sum": 5.0,
        "y:sum": 2.0,
        "surrogate_loss:sum": -3.0,
        "mine": 6.0,
        "loss:sum": 7.0,
    }
    assert server["loss:sum"] == -3.0
    assert combined_metrics({}, 7.0, {}) == {"loss:sum": 7.0}, "a server without it is accepted"
