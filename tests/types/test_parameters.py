from __future__ import annotations

import copy
import math
import pickle
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.types.strategies import SAMPLING_PARAMS
from tinker_lite.types import (
    AdamParams,
    CreateModelRequest,
    LoraConfig,
    LossFnType,
    SamplingParams,
    StopReason,
)
from tinker_lite.types.training import checked_optim_params

# Sampling


def test_settings_of_other_services_are_ignored() -> None:
    """Callers share one set of settings between services; an unknown one is no error."""
    assert SamplingParams(temperature=0.5, min_p=0.1, n=3) == SamplingParams(temperature=0.5)


def test_nothing_given_is_sent_as_the_defaults() -> None:
    """The three that always go over the wire, and no other (protocol section 3.4)."""
    assert SamplingParams().to_wire() == {"temperature": 1, "top_k": -1, "top_p": 1}


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param("\n", id="a text"),
        pytest.param(["\n", "END"], id="texts"),
        pytest.param([1, 2], id="token ids"),
        pytest.param((1, 2), id="a tuple, kept as one"),
        pytest.param([], id="an empty list, which means nowhere"),
        pytest.param((np.int64(3),), id="numpy token ids"),
    ],
)
def test_every_form_of_stop_is_kept(stop: Any) -> None:
    """And sent as it is."""
    params = SamplingParams(stop=stop)
    assert params.stop == stop
    assert type(params.stop) is type(stop)
    assert params.to_wire()["stop"] == stop
    assert SamplingParams(stop=None).stop is None


@pytest.mark.parametrize("stop", [5, b"ab", {"a"}, ["a", 1], (1, "a")])
def test_a_stop_of_another_form_is_refused(stop: Any) -> None:
    """The text says which forms there are, or that two are mixed."""
    with pytest.raises(TypeError, match=r"SamplingParams\.stop (must be a text|mixes)"):
        SamplingParams(stop=stop)


def test_sampling_params_do_not_change() -> None:
    """A queued request still has to send them: neither a field nor the caller's list reaches it."""
    stop = ["a"]
    params = SamplingParams(stop=stop)
    stop.append("b")
    assert params.stop == ["a"]
    with pytest.raises(AttributeError, match=r"temperature cannot be changed; make a new"):
        params.temperature = 0
    assert params.temperature == 1


def test_sampling_params_are_values() -> None:
    """Equal, hashable and shown by all their fields."""
    params = SamplingParams(max_tokens=3, stop=("a",))
    assert params == SamplingParams(stop=("a",), max_tokens=3)
    assert params != SamplingParams(max_tokens=3)
    assert params != "params"
    assert len({params, SamplingParams(max_tokens=3, stop=("a",))}) == 1
    assert repr(params) == (
        "SamplingParams(max_tokens=3, seed=None, stop=('a',), temperature=1.0, top_k=-1, top_p=1.0)"
    )


@given(SAMPLING_PARAMS)
def test_sampling_params_survive_pickling_and_copying(params: SamplingParams) -> None:
    """Workers get them as they were."""
    assert pickle.loads(pickle.dumps(params)) == params
    assert copy.copy(params) == copy.deepcopy(params) == params


# Adam


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1, id="an int"),
        pytest.param(np.float32(1), id="a numpy scalar"),
        pytest.param(np.array(1), id="an array without axes"),
    ],
)
def test_numbers_of_any_library_are_taken(value: Any) -> None:
    """What is kept is a plain float, which every encoder takes."""
    params = AdamParams(learning_rate=value)
    assert (params.learning_rate, type(params.learning_rate)) == (1.0, float)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        pytest.param(math.nan, ValueError, "is nan; it must be finite", id="NaN"),
        pytest.param(-math.inf, ValueError, "is -inf; it must be finite", id="infinity"),
        pytest.param(True, TypeError, "must be a number, not True", id="a truth value"),
        pytest.param("0.1", TypeError, "must be a number, not '0.1'", id="a text"),
        pytest.param(None, TypeError, "must be a number, not None", id="nothing"),
    ],
)
@pytest.mark.parametrize("name", AdamParams.__struct_fields__)
def test_what_would_spoil_every_weight_is_refused(
    name: str, value: Any, error: type[Exception], text: str
) -> None:
    """The error names the field."""
    with pytest.raises(error, match=f"AdamParams.{name} {text}"):
        AdamParams(**{name: value})


def test_adam_settings_come_as_a_struct_or_a_mapping() -> None:
    """Older callers pass a dict; an unknown field or another type is refused by name."""
    params = AdamParams(learning_rate=1e-3, weight_decay=0.1)
    assert checked_optim_params(params) is params
    assert checked_optim_params({"learning_rate": 1e-3, "weight_decay": 0.1}) == params
    with pytest.raises(TypeError, match="lr"):
        checked_optim_params({"lr": 1})
    wrong: Any = 0.1
    with pytest.raises(TypeError, match="adam_params must be AdamParams, not float"):
        checked_optim_params(wrong)


def test_adam_settings_can_be_keys() -> None:
    """Equal settings have equal hashes."""
    assert {AdamParams(): 1}[AdamParams(learning_rate=1e-4)] == 1


# Models


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"rank": 0}, "rank is 0; it must be at least 1"),
        ({"rank": -3}, "rank is -3"),
        (
            {"rank": 8, "train_mlp": False, "train_attn": False, "train_unembed": False},
            "all False; at least one must be True",
        ),
    ],
)
def test_adapters_that_train_nothing_are_refused(fields: Any, text: str) -> None:
    """The mistake shows at the call, not after the model was made."""
    with pytest.raises(ValueError, match=f"LoraConfig.*{text}"):
        LoraConfig(**fields)


def test_each_model_request_has_an_optimizer_of_its_own() -> None:
    """The default is adamw (protocol section 2.5), and no two requests share the mapping."""
    one, two = (
        CreateModelRequest(session_id="S", model_seq_id=i, base_model="B") for i in range(2)
    )
    assert one.optimizer_config == two.optimizer_config == {"type": "adamw"}
    assert one.optimizer_config is not two.optimizer_config


# Aliases


def test_literals_are_literals_at_run_time() -> None:
    """Command-line parsers of callers read the choices from annotations."""
    assert typing.get_origin(LossFnType) is typing.Literal
    assert "cross_entropy" in typing.get_args(LossFnType)
    assert set(typing.get_args(StopReason)) == {"length", "stop"}
