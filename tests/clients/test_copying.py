from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.scripted import PATIENCE_S, ScriptedService, threaded_client
from tinker_lite import ModelInput, SamplingClient, SamplingParams, ServiceClient
from tinker_lite.testing import FakeTransport

PROMPT = ModelInput.from_ints([1])
WAYS: dict[str, Callable[[Any], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_service_and_training_clients_are_not_copied(way: Callable[[Any], object]) -> None:
    """A session and an order of operations belong to one object of one process."""
    with threaded_client(ScriptedService()) as client:
        training = client.create_lora_training_client("m")
        with pytest.raises(TypeError, match="ServiceClient cannot be pickled or copied"):
            way(client)
        with pytest.raises(TypeError, match="TrainingClient cannot be pickled or copied"):
            way(training)
        training.result(PATIENCE_S)


def test_a_sampling_client_is_pickled_without_the_key() -> None:
    """Base URL and session travel, the credential does not."""
    client = ServiceClient(
        base_url="http://127.0.0.1:9",
        api_key="tml-secret",
        transport=FakeTransport(ScriptedService()),
    )
    sampling = client.create_sampling_client(base_model="m")
    pickled = pickle.dumps(sampling)
    assert b"S:sample:0" in pickled
    assert b"127.0.0.1:9" in pickled
    assert b"tml-secret" not in pickled
    client.close().result(PATIENCE_S)


def test_a_pickled_sampling_client_samples_elsewhere() -> None:
    """Over the embedded service: the copy works on the same session, with numbers of its own."""
    with ServiceClient(base_url="local:") as client:
        sampling = client.create_sampling_client(base_model="tinker-lite/tiny-random")
        arrived: SamplingClient = pickle.loads(pickle.dumps(sampling))
        params = SamplingParams(max_tokens=3, seed=1, temperature=0)
        here = sampling.sample(PROMPT, 1, params).result(PATIENCE_S)
        there = arrived.sample(PROMPT, 1, params).result(PATIENCE_S)
        assert here.sequences[0].tokens == there.sequences[0].tokens
        assert arrived.get_base_model() == "tinker-lite/tiny-random"


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_a_copied_sampling_client_shares_session_and_transport(
    way: Callable[[SamplingClient], SamplingClient],
) -> None:
    """Within the process a copy goes the same way, and never uses a number twice."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        copied = way(sampling)
        assert copied is not sampling
        for sampler in (sampling, copied, way(copied)):
            sampler.sample(PROMPT, 1, SamplingParams()).result(PATIENCE_S)
    asked = service.bodies("/asample")
    assert {body["sampling_session_id"] for body in asked} == {"S:sample:0"}
    assert len({body["seq_id"] for body in asked}) == 3
    assert service.paths().count("/create_sampling_session") == 1
