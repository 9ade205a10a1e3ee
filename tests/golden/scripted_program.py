"""A program over the high-level clients, and the service that it runs against."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from tests.golden.training_calls import CHECKPOINT, adam, full_adam, plain_datum
from tests.wire.protobuf_foreign import foreign
from tinker_lite import ModelInput, SamplingParams, ServiceClient
from tinker_lite.http import Request
from tinker_lite.testing import FakeReply

PROTOBUF = (("Content-Type", "application/x-protobuf"),)
SAMPLER_WEIGHTS = "tinker://S:train:0/sampler_weights/s1"


def _protobuf(name: str, fields: dict[str, Any]) -> FakeReply:
    return FakeReply(foreign(name, fields).SerializeToString(), headers=PROTOBUF)


_PASSED = _protobuf("ForwardBackwardOutput", {"metrics": {"loss:sum": 1.0}})
_SAMPLED = _protobuf("SampleResponse", {"sequences": [{"tokens": b"\7\0\0\0"}] * 2})

_ANSWERS: dict[str, object] = {
    "/client/config": {},
    "/create_session": {"session_id": "S"},
    "/session_heartbeat": {},
    "/get_info": {"model_id": "S:train:0", "model_data": {"model_name": "B"}},
    "/create_sampling_session": {"sampling_session_id": "S:sample:3"},
    "/samplers/S:sample:3": {"sampler_id": "S:sample:3", "base_model": "B"},
    "/sessions/S/finish": {},
}

# By request id: what the polls of each submission of the program are answered, in order.
_RESULTS: dict[str, list[object]] = {
    "1": [{"model_id": "S:train:0"}],
    "2": [_PASSED],
    "3": [_PASSED],
    "4": [{"status": "complete_metadata", "response_payload_size": 10}, {}],
    "5": [{}],
    "6": [{"path": CHECKPOINT}],
    "7": [{"path": SAMPLER_WEIGHTS}],
    "8": [{"sampling_session_id": "S:sample:0"}],
    "9": [_SAMPLED],
    "10": [{"sampling_session_id": "S:sample:1"}],
    "11": [{"path": CHECKPOINT}],
    "12": [{"path": CHECKPOINT, "model_id": "S:train:1"}],
}


class ProgramService:
    """The handler of a fake transport: submissions are numbered from 1 in order of arrival.

    Attributes:
        polls: Per request id, the polls for its result.
        others: Everything else that was asked, in order.
    """

    def __init__(self) -> None:
        self.polls: dict[str, list[Request]] = {}
        self.others: list[Request] = []
        self._numbers = itertools.count(1)

    def __call__(self, request: Request) -> FakeReply:
        """Answer as the program needs it."""
        path = request.url.partition("/api/v1")[2]
        if path == "/retrieve_future":
            assert isinstance(request.body, bytes)
            polls = self.polls.setdefault(msgspec.json.decode(request.body)["request_id"], [])
            polls.append(request)
            return self._polled(polls)
        self.others.append(request)
        return FakeReply(_ANSWERS[path] if path in _ANSWERS else self._accepted(path))

    def _accepted(self, path: str) -> dict[str, object]:
        request_id = str(next(self._numbers))
        sequence_ids = [f"{request_id}:0", f"{request_id}:1"] if path == "/asample" else None
        return {"request_id": request_id, "sample_sequence_ids": sequence_ids}

    def _polled(self, polls: list[Request]) -> FakeReply:
        assert isinstance(polls[0].body, bytes)
        results = _RESULTS[msgspec.json.decode(polls[0].body)["request_id"]]
        result = results[len(polls) - 1]
        return result if isinstance(result, FakeReply) else FakeReply(result)


# What the program sends besides polls, in order.
SENT = (
    "service.client_config",
    "service.create_session.least",
    "models.create.least",
    "models.get_info",
    "training.forward_backward.protobuf_least",
    "training.forward.protobuf",
    "training.optim_step.adam",
    "training.optim_step.adam_full",
    "weights.save.least",
    "weights.save_for_sampler.named",
    "weights.save_for_sampler.ephemeral",
    "sampling.asample.least",
    "weights.save_for_sampler.inflight",
    "weights.load.legacy",
    "weights.load.create",
    "service.create_sampling_session.base_model",
    "service.create_sampling_session.model_path",
    "sampling.get_sampler",
    "service.finish_session.least",
)


async def run(service: ServiceClient) -> None:
    """The program; every result is waited for before the next call."""
    client = await service.create_lora_training_client_async("B", rank=8)
    await client.get_info_async()
    await (await client.forward_backward_async([plain_datum()], "cross_entropy"))
    await (await client.forward_async([plain_datum()], "cross_entropy"))
    await (await client.optim_step_async(adam()))
    await (await client.optim_step_async(full_adam()))
    await (await client.save_state_async("ck"))
    await (await client.save_weights_for_sampler_async("s1"))
    sampler = await client.save_weights_and_get_sampling_client_async()
    await sampler.sample_async(
        prompt=ModelInput.from_ints([5, 6]),
        num_samples=2,
        sampling_params=SamplingParams(max_tokens=4),
    )
    await client.save_weights_and_get_sampling_client_async(kind="inflight")
    await (await client.load_state_async(CHECKPOINT))
    await service.create_training_client_from_state_async(CHECKPOINT)
    await service.create_sampling_client_async(base_model="B")
    saved = await service.create_sampling_client_async(model_path=SAMPLER_WEIGHTS)
    await saved.get_base_model_async()
