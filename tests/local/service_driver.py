"""A plain client for the service's tests: one method per step of a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tinker_lite import types as t
from tinker_lite.http import Headers, Request, Response, Timeout
from tinker_lite.local import LocalService, LocalTransport
from tinker_lite.wire.json import encode_json

TINY = "tinker-lite/tiny-random"
URL = "http://local.invalid/api/v1"
JSON = Headers([("Content-Type", "application/json")])
PROTOBUF = "application/x-protobuf"


def request(
    method: str, path: str, body: object = None, *, headers: Headers = JSON, timeout: float = 10.0
) -> Request:
    """A request to the service; ``path`` is below ``/api/v1`` or a whole URL."""
    return Request(
        method=method,
        url=path if "://" in path else URL + path,
        headers=headers,
        body=b"" if body is None else body if isinstance(body, bytes) else encode_json(body),
        timeout=Timeout.of(timeout),
    )


def datum(text: bytes, weights: Sequence[float] | None = None) -> t.Datum:
    """An example that teaches a text."""
    ones = [1.0] * (len(text) - 1)
    return t.Datum(
        t.ModelInput.from_ints(list(text[:-1])),
        {"target_tokens": list(text[1:]), "weights": list(weights or ones)},
    )


class Driver:
    """Speaks the protocol to a service in plain mappings, waiting out every poll."""

    def __init__(self, service: LocalService) -> None:
        self.service = service
        self.transport = LocalTransport(service)

    def send(
        self, method: str, path: str, body: object = None, *, headers: Headers = JSON
    ) -> Response:
        """Send a request and return the open response."""
        return self.transport.send(request(method, path, body, headers=headers))

    def ask(
        self, method: str, path: str, body: object = None, *, headers: Headers = JSON
    ) -> tuple[int, Any]:
        """Send a request and return status and parsed body."""
        response = self.send(method, path, body, headers=headers)
        assert response.headers.get("content-length") not in {None, "0"}
        return response.status, msgspec.json.decode(response.read())

    def get(self, path: str) -> Any:
        """The body of a successful GET."""
        status, body = self.ask("GET", path)
        assert status == 200, body
        return body

    def post(self, path: str, body: object) -> Any:
        """The body of a successful POST."""
        status, answer = self.ask("POST", path, body)
        assert status == 200, answer
        return answer

    def refused(self, status: int, path: str, body: object = None, method: str = "POST") -> str:
        """The text with which a request is refused."""
        found, answer = self.ask(method, path, body)
        assert found == status, answer
        detail: str = answer["detail"]
        return detail

    def result(self, submission: Mapping[str, Any]) -> Any:
        """The result of a submission, or the mapping that says why it failed."""
        while True:
            status, body = self.ask(
                "POST", "/retrieve_future", {"request_id": submission["request_id"]}
            )
            if status != 408:
                assert status == 200, body
                return body

    def session(self) -> str:
        """A new session's id."""
        session_id: str = self.post("/create_session", {"sdk_version": "0.38.0"})["session_id"]
        return session_id

    def model(self, session_id: str | None = None, model_seq_id: int = 0, rank: int = 4) -> str:
        """A new model's id, once it is there."""
        body = t.CreateModelRequest(
            session_id=session_id or self.session(),
            model_seq_id=model_seq_id,
            base_model=TINY,
            lora_config=t.LoraConfig(rank=rank, seed=3),
        )
        made = self.result(self.post("/create_model", body))
        model_id: str = made["model_id"]
        return model_id

    def forward_backward(self, model_id: str, seq_id: int | None, *data: t.Datum) -> Any:
        """Submit a pass; the submission's answer."""
        return self.post("/forward_backward", pass_body(model_id, seq_id, *data))

    def forward(self, model_id: str, seq_id: int | None, *data: t.Datum) -> Any:
        """The result of a pass that changes nothing."""
        batch = t.ForwardBackwardInput(data=list(data), loss_fn="cross_entropy")
        body = t.ForwardRequest(forward_input=batch, model_id=model_id, seq_id=seq_id)
        return self.result(self.post("/forward", body))

    def step(self, model_id: str, seq_id: int | None, learning_rate: float = 1e-2) -> Any:
        """Submit an optimiser step; the submission's answer."""
        return self.post("/optim_step", step_body(model_id, seq_id, learning_rate))

    def train(self, model_id: str, seq_id: int, text: bytes = b"the quick brown fox") -> None:
        """Two numbered requests that change the model, done when this returns."""
        self.forward_backward(model_id, seq_id, datum(text))
        assert "metrics" in self.result(self.step(model_id, seq_id + 1))

    def save(self, model_id: str, seq_id: int | None, name: str, **more: Any) -> Any:
        """The result of saving a training checkpoint."""
        body = t.SaveWeightsRequest(model_id=model_id, path=name, seq_id=seq_id, **more)
        return self.result(self.post("/save_weights", body))

    def save_for_sampler(self, model_id: str, seq_id: int | None, **more: Any) -> Any:
        """The result of saving weights for sampling."""
        body = t.SaveWeightsForSamplerRequest(model_id=model_id, seq_id=seq_id, **more)
        return self.result(self.post("/save_weights_for_sampler", body))

    def sample(self, sampler_id: str | None, seq_id: int | None = None, **more: Any) -> Any:
        """The result of sampling from a fixed prompt."""
        return self.result(self.post("/asample", sample_body(sampler_id, seq_id, **more)))


def pass_body(model_id: str, seq_id: int | None, *data: t.Datum) -> t.ForwardBackwardRequest:
    """The body of a training pass with cross entropy."""
    batch = t.ForwardBackwardInput(data=list(data), loss_fn="cross_entropy")
    return t.ForwardBackwardRequest(forward_backward_input=batch, model_id=model_id, seq_id=seq_id)


def step_body(model_id: str, seq_id: int | None, learning_rate: float = 1e-2) -> object:
    """The body of an Adam step."""
    return t.OptimStepRequest(
        adam_params=t.AdamParams(learning_rate=learning_rate), model_id=model_id, seq_id=seq_id
    )


def sample_body(sampler_id: str | None, seq_id: int | None = None, **more: Any) -> object:
    """The body of a sampling request."""
    params = t.SamplingParams(max_tokens=6, seed=7, **more.pop("params", {}))
    prompt = more.pop("prompt", b"the quick")
    return t.SampleRequest(
        prompt=t.ModelInput.from_ints(list(prompt)),
        sampling_params=params,
        sampling_session_id=sampler_id,
        seq_id=seq_id,
        **more,
    )
