"""A service without a model, which answers clients of one generation with results made of rules.

Every id follows from what it names (``session-1:train:0/3`` is request 3 of the first model), so
that two runs whose requests arrive in another order still use the same ids. It is as strict as the
generation it plays: what was not there yet is a 404, a create-via-load for 0.6.3 a 422. Three
requests meet trouble, once each, to show what a client makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.comparison.bodies import read_body
from tests.comparison.recording_server import Answer, Recorded
from tinker_lite.types import ForwardBackwardOutput, SampleResponse
from tinker_lite.wire.json import decode_json
from tinker_lite.wire.protobuf import encode_forward_backward_output, encode_sample_response

__all__ = ["ScriptedService"]

MOMENT = "2026-01-02T03:04:05Z"
RUN = "session-1:train:0"
CHECKPOINT = {
    "checkpoint_id": "weights/first",
    "checkpoint_type": "training",
    "time": MOMENT,
    "tinker_path": f"tinker://{RUN}/weights/first",
    "public": False,
}
TRAINING_RUN = {
    "training_run_id": RUN,
    "base_model": "toy/model",
    "model_owner": "somebody",
    "is_lora": True,
    "lora_rank": 8,
    "last_request_time": MOMENT,
}
CURSOR = {"offset": 0, "limit": 20, "total_count": 1}

# What is answered whatever the request says; anything else not named in this file is done ({}).
FIXED: dict[str, dict[str, Any]] = {
    "/get_server_capabilities": {"supported_models": [{"model_name": "toy/model"}]},
    "/training_runs": {"training_runs": [TRAINING_RUN], "cursor": CURSOR},
    f"/training_runs/{RUN}": TRAINING_RUN,
    f"/training_runs/{RUN}/checkpoints": {"checkpoints": [CHECKPOINT]},
    "/checkpoints": {"checkpoints": [CHECKPOINT], "cursor": CURSOR},
    "/create_session": {"session_id": "session-1"},
    "/session_heartbeat": {"type": "session_heartbeat"},
    "/telemetry": {"status": "accepted"},
    "/weights_info": {"base_model": "toy/model", "is_lora": True, "lora_rank": 8},
}
NEWER_ENDINGS = ("/client/config", "/client/dynamic_config", "/finish")

_Fields = dict[str, Any]


class ScriptedService:
    """Answers requests of one generation.

    Args:
        generation: ``0.6.3`` or ``0.38.0``.
    """

    def __init__(self, generation: str) -> None:
        self._is_oldest = generation == "0.6.3"
        self._results: dict[str, _Fields] = {}
        self._met: set[str] = set()
        self._actions: dict[str, Callable[[_Fields], _Fields]] = {
            "/get_info": _info,
            "/create_sampling_session": lambda fields: {"sampling_session_id": _sampler(fields)},
            "/create_model": self._create,
            "/load_weights": self._load,
            "/forward": self._pass,
            "/forward_backward": self._pass,
            "/optim_step": lambda fields: self._promise(_number(fields), {"metrics": {}}),
            "/save_weights": lambda fields: self._save(fields, "weights"),
            "/save_weights_for_sampler": lambda fields: self._save(fields, "sampler_weights"),
            "/asample": self._sample,
        }

    def answer(self, request: Recorded) -> Answer:
        """The answer to one request."""
        path = unquote(urlsplit(request.target).path).removeprefix("/api/v1")
        fields = read_body(request)
        trouble = self._trouble(path, fields)
        if trouble is not None:
            return trouble
        if path.endswith("/archive"):
            return Answer(302, b"", {"Location": "https://storage.invalid/archive?sig=1"})
        if path.startswith("/samplers/"):
            sampler = path.rpartition("/")[2]
            return _json({"sampler_id": sampler, "base_model": "toy/model"})
        if path == "/retrieve_future":
            return self._retrieve(fields["request_id"], request.headers.get("accept", ""))
        if action := self._actions.get(path):
            return _json(action(fields))
        return _json(FIXED.get(path, {}))

    def _trouble(self, path: str, fields: _Fields) -> Answer | None:
        if self._is_oldest and path.endswith(NEWER_ENDINGS):
            return _json({"detail": f"Nothing is at {path}."}, 404)
        if self._is_oldest and path == "/load_weights" and "model_id" not in fields:
            return _json({"detail": "model_id is missing."}, 422)
        if path == "/weights_info" and self._first("busy"):
            return _json({"detail": "busy"}, 503, {"retry-after-ms": "5"})
        if fields.get("request_id") == f"{RUN}/6" and self._first("pending"):
            return _json({"queue_state": "active"}, 408)
        if fields.get("sampling_params", {}).get("max_tokens") == 1 and self._first("pressed"):
            return _json({"detail": "slower, please"}, 429)
        return None

    def _first(self, trouble: str) -> bool:
        is_new = trouble not in self._met
        self._met.add(trouble)
        return is_new

    def _promise(self, request_id: str, result: _Fields) -> _Fields:
        self._results[request_id] = result
        return {"request_id": request_id}

    def _retrieve(self, request_id: str, accept: str) -> Answer:
        result = self._results[request_id]
        is_pass, is_sample = "loss_fn_outputs" in result, "sequences" in result
        if "application/x-protobuf" not in accept or not (is_pass or is_sample):
            return _json(result)
        text = json.dumps(result).encode()
        if is_pass:
            body = encode_forward_backward_output(decode_json(text, ForwardBackwardOutput))
        else:
            body = encode_sample_response(decode_json(text, SampleResponse))
        return Answer(200, b"".join(body), {"Content-Type": "application/x-protobuf"})

    def _create(self, fields: _Fields) -> _Fields:
        model = _model(fields)
        return self._promise(f"{model}/0", {"model_id": model})

    def _load(self, fields: _Fields) -> _Fields:
        if "model_id" in fields:
            return self._promise(_number(fields), {"path": fields["path"]})
        model = _model(fields)
        return self._promise(f"{model}/0", {"path": fields["path"], "model_id": model})

    def _pass(self, fields: _Fields) -> _Fields:
        asked = fields.get("forward_backward_input") or fields.get("forward_input") or fields
        outputs = [{"logprobs": _minus_half(_n_targets(datum))} for datum in asked["data"]]
        result = {
            "loss_fn_output_type": "ArrayRecord",
            "loss_fn_outputs": outputs,
            "metrics": {"loss:sum": 1.5},
        }
        return self._promise(_number(fields), result)

    def _save(self, fields: _Fields, kind: str) -> _Fields:
        if fields.get("path") is None:
            session = fields["model_id"].partition(":")[0]
            sampler = _sampler({"session_id": session, **fields})
            return self._promise(_number(fields), {"path": None, "sampling_session_id": sampler})
        path = f"tinker://{fields['model_id']}/{kind}/{fields['path']}"
        return self._promise(_number(fields), {"path": path})

    def _sample(self, fields: _Fields) -> _Fields:
        request_id = f"{fields['sampling_session_id']}/{fields['seq_id']}"
        n_samples = fields.get("num_samples", 1)
        n_tokens = fields["sampling_params"]["max_tokens"]
        one = {
            "stop_reason": "length",
            "tokens": list(range(n_tokens)),
            "logprobs": [-0.5] * n_tokens,
        }
        result: _Fields = {"sequences": [one] * n_samples}
        if fields.get("prompt_logprobs"):
            result |= _prompt_scores(fields)
        names = [f"{request_id}:{i}" for i in range(n_samples)]
        return {**self._promise(request_id, result), "sample_sequence_ids": names}


def _json(fields: _Fields, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    named = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status, json.dumps(fields).encode(), named)


def _info(fields: _Fields) -> _Fields:
    return {
        "model_id": fields["model_id"],
        "model_data": {"model_name": "toy/model"},
        "is_lora": True,
        "lora_rank": 8,
    }


def _model(fields: _Fields) -> str:
    return f"{fields['session_id']}:train:{fields['model_seq_id']}"


def _sampler(fields: _Fields) -> str:
    return f"{fields['session_id']}:sample:{fields['sampling_session_seq_id']}"


def _number(fields: _Fields) -> str:
    return f"{fields['model_id']}/{fields['seq_id']}"


def _prompt_scores(fields: _Fields) -> _Fields:
    """What is asked for along the prompt: only that, and all of it, or 0.38 complains."""
    n_prompt = sum(len(chunk["tokens"]) for chunk in fields["prompt"]["chunks"])
    n_scored = fields.get("prompt_logprobs_last_n") or n_prompt - 1
    scores: _Fields = {
        "prompt_logprobs": [*[None] * (n_prompt - n_scored), *[-0.5] * n_scored],
    }
    if k := fields.get("topk_prompt_logprobs"):
        row = [[token, -0.5] for token in range(k)]
        scores["topk_prompt_logprobs"] = [None, *[row] * (n_prompt - 1)]
    if targets := fields.get("target_prompt_logprobs"):
        n = len(targets["data"])
        scores["target_prompt_logprobs"] = {**_minus_half(n), "shape": targets["shape"]}
    if k := fields.get("prompt_alt_tokens_k"):
        shape, n = [n_prompt - 1, k], (n_prompt - 1) * k
        scores["prompt_alt_tokens"] = {
            "tokens": {"data": [0] * n, "dtype": "int64", "shape": shape},
            "logprobs": {**_minus_half(n), "shape": shape},
        }
    return scores


def _minus_half(n: int) -> _Fields:
    return {"data": [-0.5] * n, "dtype": "float32", "shape": [n]}


def _n_targets(datum: _Fields) -> int:
    return len(datum["loss_fn_inputs"]["target_tokens"]["data"])
