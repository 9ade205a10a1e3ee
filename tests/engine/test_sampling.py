from __future__ import annotations

import anyio
import pytest

from tests.engine.scripted import (
    PATIENCE_S,
    AsyncGate,
    ScriptedService,
    open_client,
    refusal,
    run_virtual,
    threaded_client,
)
from tinker_lite import (
    BadRequestError,
    ModelInput,
    RetrievalError,
    SampleResponse,
    SamplingParams,
    TensorData,
)
from tinker_lite.testing import FakeReply
from tinker_lite.types import ImageChunk

SAMPLE = "/asample"
PROMPT = ModelInput.from_ints([5, 6])
PARAMS = SamplingParams(max_tokens=4)


def test_a_sample_request_is_numbered_and_held_back_on_demand() -> None:
    """The body has session, number and defaults; the header asks for back-pressure."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        first = sampling.sample(PROMPT, 2, PARAMS).result(PATIENCE_S)
        sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)
    assert [sequence.tokens for sequence in first.sequences] == [[7], [7]]
    request, _ = service.to(SAMPLE)
    assert request.headers.get("x-tinker-sampling-backpressure") == "1"
    body, second = service.bodies(SAMPLE)
    assert body == {
        "num_samples": 2,
        "prompt": {"chunks": [{"tokens": [5, 6], "type": "encoded_text"}]},
        "sampling_params": {"max_tokens": 4, "temperature": 1, "top_k": -1, "top_p": 1},
        "sampling_session_id": "S:sample:0",
        "seq_id": 0,
        "prompt_logprobs": False,
        "topk_prompt_logprobs": 0,
        "topk_sample_logprobs": 0,
        "prompt_alt_tokens_k": 0,
        "record_stability_info": False,
        "type": "sample",
    }
    assert second["seq_id"] == 1
    assert service.bodies("/create_sampling_session") == [
        {
            "session_id": "S",
            "sampling_session_seq_id": 0,
            "base_model": "m",
            "type": "create_sampling_session",
        }
    ]


def test_sequence_ids_come_from_the_submission() -> None:
    """Names given at submission are matched by position; without them they are made up."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m").result(PATIENCE_S)
        request_id = "r9"
        given = {"request_id": request_id, "sample_sequence_ids": ["a", "b"]}
        result = {"sequences": [{"stop_reason": "stop", "tokens": [1]}] * 2}
        service.script(SAMPLE, FakeReply(given), FakeReply({"request_id": request_id}))
        service.script("/retrieve_future", FakeReply(result), FakeReply(result))
        responses = [sampling.sample(PROMPT, 2, PARAMS).result(PATIENCE_S) for _ in range(2)]
    assert [[s.sequence_id for s in r.sequences] for r in responses] == [
        ["a", "b"],
        ["r9:0", "r9:1"],
    ]


def test_a_throttled_sample_is_offered_until_it_is_taken() -> None:
    """429 holds back and offers the same number again, far beyond the HTTP retries."""

    async def main() -> None:
        async with open_client(service, max_retries=1) as client:
            sampling = await client.create_sampling_client_async(base_model="m")
            service.script(SAMPLE, *[refusal(429)] * 40)
            started = anyio.current_time()
            await sampling.sample(PROMPT, 1, PARAMS)
            assert anyio.current_time() - started >= 20

    service = ScriptedService()
    run_virtual(main)
    asked = service.bodies(SAMPLE)
    assert len(asked) == 41
    assert {body["seq_id"] for body in asked} == {0}


def test_a_lost_sample_is_sampled_anew_under_a_new_number() -> None:
    """410 while waiting for a sample means doing it again."""

    async def main() -> SampleResponse:
        async with open_client(service) as client:
            sampling = await client.create_sampling_client_async(base_model="m")
            service.script("/retrieve_future", refusal(410))
            return await sampling.sample(PROMPT, 1, PARAMS)

    service = ScriptedService()
    assert len(run_virtual(main).sequences) == 1
    assert [body["seq_id"] for body in service.bodies(SAMPLE)] == [0, 1]


def test_samples_do_not_wait_for_each_other() -> None:
    """Many samples are in flight at once."""

    async def main() -> None:
        async with open_client(service) as client:
            sampling = await client.create_sampling_client_async(base_model="m")
            gate = AsyncGate(service)
            service.script(SAMPLE, gate)
            held = sampling.sample(PROMPT, 1, PARAMS)
            await gate.reached.wait()
            await sampling.sample(PROMPT, 1, PARAMS)
            assert not held.done()
            gate.opened.set()
            await held

    service = ScriptedService()
    run_virtual(main)


def test_a_refused_sample_spoils_nothing() -> None:
    """The error is the sample's own; the client samples on, and the status remembers it."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m").result(PATIENCE_S)
        service.script(SAMPLE, refusal(400, "prompt too long"))
        with pytest.raises(BadRequestError, match="prompt too long"):
            sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)
        assert isinstance(sampling.status().last_error, BadRequestError)
        sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)


def test_scores_of_a_prompt_come_from_a_one_token_sample() -> None:
    """``compute_logprobs`` asks for prompt logprobs and gives one per token, None first."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        assert sampling.compute_logprobs(PROMPT).result(PATIENCE_S) == [None, -1.0]
    (body,) = service.bodies(SAMPLE)
    assert body["prompt_logprobs"] is True
    assert (body["num_samples"], body["sampling_params"]["max_tokens"]) == (1, 1)


def test_a_server_that_ignores_the_question_is_an_error() -> None:
    """No prompt logprobs in the answer is no list of Nones."""
    service = ScriptedService()
    service.promise(SAMPLE, {"sequences": [{"stop_reason": "length", "tokens": [1]}]})
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        with pytest.raises(RetrievalError, match="gave no prompt logprobs"):
            sampling.compute_logprobs(PROMPT).result(PATIENCE_S)


def test_wrong_arguments_are_refused_at_the_call() -> None:
    """Nothing is sent, and the text names the argument."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m").result(PATIENCE_S)
        with pytest.raises(TypeError, match="prompt must be a ModelInput, not list"):
            sampling.sample([1, 2], 1, PARAMS)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(ValueError, match="num_samples is 0"):
            sampling.sample(PROMPT, 0, PARAMS)
        with pytest.raises(ValueError, match="needs include_prompt_logprobs=True"):
            sampling.sample(PROMPT, 1, PARAMS, prompt_logprobs_last_n=1)
        with pytest.raises(ValueError, match="needs model_path or base_model"):
            client.create_sampling_client()
        with pytest.raises(ValueError, match="does not begin with 'tinker://'"):
            client.create_sampling_client("weights/a")
    assert service.to(SAMPLE) == []


def test_targets_for_prompt_scores_must_be_int64_rows() -> None:
    """``target_prompt_logprobs`` of another dtype or rank is refused at the call."""
    service = ScriptedService()
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m").result(PATIENCE_S)
        for wrong in (
            TensorData([1.0], "float32", [1, 1]),
            TensorData([1], "int64", [1]),
        ):
            with pytest.raises((TypeError, ValueError), match="target_prompt_logprobs"):
                sampling.sample(PROMPT, 1, PARAMS, target_prompt_logprobs=wrong)
        good = TensorData([1, 2], "int64", [1, 2])
        sampling.sample(PROMPT, 1, PARAMS, target_prompt_logprobs=good).result(PATIENCE_S)


def test_a_snapshot_is_sampled_from_after_its_turn() -> None:
    """The ephemeral save takes a place in the training order; sampling waits for it."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        step = training.optim_step({})
        sampling = training.save_weights_and_get_sampling_client(name="ignored")
        sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)
        step.result(PATIENCE_S)
    (saved,) = service.bodies("/save_weights_for_sampler")
    assert saved == {
        "model_id": "S:train:0",
        "sampling_session_seq_id": 0,
        "seq_id": 2,
        "kind": "snapshot",
        "type": "save_weights_for_sampler",
    }
    assert service.bodies(SAMPLE)[0]["sampling_session_id"] == "S:sample:0"
    assert service.numbered()[:2] == [("/optim_step", 1), ("/save_weights_for_sampler", 2)]


def test_a_failed_snapshot_surfaces_from_every_sample() -> None:
    """Sampling from weights that could not be saved says why."""
    service = ScriptedService()
    service.script("/save_weights_for_sampler", refusal(400, "disk full"))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        sampling = training.save_weights_and_get_sampling_client()
        for _ in range(2):
            with pytest.raises(BadRequestError, match="disk full"):
                sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)
        with pytest.raises(BadRequestError, match="disk full"):
            sampling.result(PATIENCE_S)
        training.optim_step({}).result(PATIENCE_S)


def test_a_named_save_gives_its_path() -> None:
    """The named form answers with the path of the sampler weights."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        saved = training.save_weights_for_sampler("a", ttl_seconds=9).result(PATIENCE_S)
        sampling = training.create_sampling_client(saved.path)
        sampling.sample(PROMPT, 1, PARAMS).result(PATIENCE_S)
    assert saved.path == "tinker://S:train:0/sampler_weights/a"
    assert service.bodies("/save_weights_for_sampler")[0]["ttl_seconds"] == 9
    assert service.bodies("/create_sampling_session")[0]["model_path"] == saved.path


def test_a_server_that_leaves_out_the_first_prompt_token() -> None:
    """Its scores begin with the second one; the caller gets an entry for each."""
    service = ScriptedService()
    sequence = {"stop_reason": "length", "tokens": [7], "logprobs": [-0.25]}
    topk = {"topk_prompt_logprobs": [[[6, -1.0]]]}
    service.promise(SAMPLE, {"sequences": [sequence], "prompt_logprobs": [-1.0], **topk})
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        sample = sampling.sample(PROMPT, 1, PARAMS, include_prompt_logprobs=True)
        response = sample.result(PATIENCE_S)
    assert response.prompt_logprobs == [None, -1.0]
    assert response.topk_prompt_logprobs == [None, [(6, -1.0)]]


def test_a_prompt_whose_tokens_nobody_has_counted() -> None:
    """With a picture of unknown size the scores stay as they came."""
    service = ScriptedService()
    picture = ImageChunk(data=b"x", format="png")
    sequence = {"stop_reason": "length", "tokens": [7]}
    service.promise(SAMPLE, {"sequences": [sequence], "prompt_logprobs": [-1.0]})
    with threaded_client(service) as client:
        sampling = client.create_sampling_client(base_model="m")
        prompt = ModelInput(chunks=[picture])
        sample = sampling.sample(prompt, 1, PARAMS, include_prompt_logprobs=True)
        assert sample.result(PATIENCE_S).prompt_logprobs == [-1.0]


def test_back_pressure_is_seen_at_once() -> None:
    """429 reaches the loop that obeys it, without the repeats of a failed call before."""
    service = ScriptedService()
    service.script(SAMPLE, *[refusal(429)] * 3)

    async def main() -> float:
        async with open_client(service) as client:
            sampling = await client.create_sampling_client_async(base_model="m")
            began_s = anyio.current_time()
            await sampling.sample_async(PROMPT, 1, PARAMS)
            return anyio.current_time() - began_s

    assert run_virtual(main) == 3.0
    keys = {request.headers.get("x-idempotency-key") for request in service.to(SAMPLE)}
    assert len(keys) == 4
