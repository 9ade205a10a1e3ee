from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from tinker_lite.types import (
    AdamOptimizerConfig,
    AdamParams,
    CreateModelRequest,
    DimuonOptimizerConfig,
    DimuonParams,
    GetInfoResponse,
    OptimizerStepRequest,
    OptimStepRequest,
)
from tinker_lite.wire.json import decode_json, encode_json

FAMILIES = [
    (AdamOptimizerConfig(), {"type": "adamw"}),
    (DimuonOptimizerConfig(), {"type": "dimuon", "version": 1}),
    (DimuonOptimizerConfig(version=2), {"type": "dimuon", "version": 2}),
    (
        DimuonParams(learning_rate=0.1),
        {"type": "dimuon", "learning_rate": 0.1, "grad_clip_norm": 0.0, "beta1": 0.9},
    ),
]


@pytest.mark.parametrize(("family", "fields"), FAMILIES)
def test_a_family_is_a_mapping_of_its_fields(family: Any, fields: dict[str, Any]) -> None:
    """Equal to any other one, with its fields as attributes, sent as it is."""
    assert family == fields
    assert {name: getattr(family, name) for name in family} == fields
    assert json.loads(encode_json(family)) == fields
    assert (
        pickle.loads(pickle.dumps(family)) == copy.deepcopy(family) == copy.copy(family) == family
    )
    assert hash(family) == hash(copy.copy(family))
    assert repr(family).startswith(f"{type(family).__name__}(")
    with pytest.raises(AttributeError, match=r"cannot be changed; make a new"):
        family.version = 3
    with pytest.raises(AttributeError, match="has no field 'rank'"):
        _ = family.rank


def test_families_are_told_by_all_their_fields() -> None:
    """The version counts."""
    assert DimuonOptimizerConfig(version=1) != DimuonOptimizerConfig(version=2)
    assert repr(DimuonOptimizerConfig(version=2)) == "DimuonOptimizerConfig(version=2)"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"learning_rate": -1.0}, r"learning_rate is -1\.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": 1.0, "beta1": 1.0}, r"beta1 is 1\.0; it must be in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(fields: dict[str, float], text: str) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=rf"DimuonParams\.{text}"):
        DimuonParams(**fields)


def test_a_model_is_created_with_any_family() -> None:
    """Known or not, it goes over the wire whole (protocol section 3.5)."""
    for config in (DimuonOptimizerConfig(), {"type": "lion", "a": [1]}):
        request = CreateModelRequest(
            session_id="S", model_seq_id=0, base_model="B", optimizer_config=config
        )
        read = decode_json(encode_json(request), CreateModelRequest)
        assert read == request
        assert read.optimizer_config["type"] == config["type"]


def test_a_server_that_names_no_family_means_adam() -> None:
    """Older servers know no other one."""
    info = decode_json(b'{"model_id":"M","model_data":{}}', GetInfoResponse)
    assert info.optimizer_config == AdamOptimizerConfig()


def test_a_step_of_another_family_has_its_own_field() -> None:
    """Adam's settings and the others' travel under two names (protocol section 2.6)."""
    dimuon = OptimizerStepRequest(
        optimizer_params=DimuonParams(learning_rate=0.1), model_id="M", seq_id=3
    )
    adam = OptimStepRequest(adam_params=AdamParams(), model_id="M", seq_id=3)
    assert json.loads(encode_json(dimuon)) == {
        "optimizer_params": {
            "type": "dimuon",
            "learning_rate": 0.1,
            "grad_clip_norm": 0,
            "beta1": 0.9,
        },
        "model_id": "M",
        "seq_id": 3,
        "type": "optim_step",
    }
    assert "optimizer_params" not in json.loads(encode_json(adam))
    assert (adam.optim_params, dimuon.optim_params) == (AdamParams(), dimuon.optimizer_params)
    with pytest.raises(ValueError, match=r"optimizer_params has no `type`"):
        OptimizerStepRequest(optimizer_params={"learning_rate": 1}, model_id="M")
