"""One program against the public API that both generations of the official SDK and we share.

Run in an environment of its own as ``program.py MODULE GENERATION OPTIONS``: what to import, whose
operations to use, and further arguments of ``ServiceClient`` as JSON. Where the service is and the
key come from the environment. It waits for each result before it goes on, so that the order of
requests is the program's; only two steps are queued together, as a training loop does.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import warnings
from typing import Any

import numpy as np

BASE_MODEL = "toy/model"
SAVED_PATH = "tinker://session-1:train:0/weights/first"
SAMPLER_PATH = "tinker://session-1:train:0/sampler_weights/for-sampling"
RUN = "session-1:train:0"
PICTURE = b"\x89PNG\r\n\x1a\n not looked into"
# One more than the largest chunk of 0.38 (protocol section 5.5); nine chunks of 0.6.3.
N_DATUMS_OF_MANY_CHUNKS = 1025


def made(client: Any) -> Any:
    """The client itself: 0.6.3 gives it at once, the others something to wait for."""
    return client.result() if hasattr(client, "result") else client


def examples(tinker: Any) -> list[Any]:
    """A datum of plain lists, one of arrays with a picture, and one with two targets a token."""
    plain = tinker.Datum(
        model_input=tinker.ModelInput.from_ints([5, 6, 7]),
        loss_fn_inputs={"target_tokens": [6, 7, 8], "weights": [0.0, 0.1, 1.0]},
    )
    types = tinker.types
    chunks = [
        types.EncodedTextChunk(tokens=[9, 10]),
        types.ImageChunk(data=PICTURE, format="png", expected_tokens=2),
    ]
    arrays = tinker.Datum(
        model_input=tinker.ModelInput(chunks=chunks),
        loss_fn_inputs={
            "target_tokens": np.array([10, 11, 12, 13]),
            "weights": np.array([1, 0.5, 0, 0.25], dtype=np.float32),
        },
    )
    two_targets = tinker.Datum(
        model_input=tinker.ModelInput.from_ints([1, 2]),
        loss_fn_inputs={
            "target_tokens": np.array([[2, 4], [3, 5]]),
            "weights": np.array([[1, 0], [0.5, 0.5]], dtype=np.float32),
        },
    )
    return [plain, arrays, two_targets]


def policy_example(tinker: Any) -> Any:
    """A datum for losses with a ratio, partly of tensors that are spelt out."""
    old = tinker.TensorData(data=[-0.5, -1.5], dtype="float32", shape=[2])
    return tinker.Datum(
        model_input=tinker.ModelInput.from_ints([1, 2]),
        loss_fn_inputs={"target_tokens": [2, 3], "logprobs": old, "advantages": [1.0, -1.0]},
    )


def train(tinker: Any, training: Any) -> None:
    """Passes, steps and saves of one model."""
    data = examples(tinker)
    training.get_info()
    training.forward(data, "cross_entropy").result()
    queued = training.forward_backward(data, "cross_entropy")
    step = training.optim_step(tinker.AdamParams(learning_rate=0.002))
    queued.result()
    step.result()
    bounds = {"clip_low_threshold": 0.5, "clip_high_threshold": 1.5}
    training.forward_backward([policy_example(tinker)], "ppo", bounds).result()
    training.optim_step(
        tinker.AdamParams(learning_rate=0.001, beta1=0.8, beta2=0.9, eps=1e-6)
    ).result()
    training.save_state("first").result()
    training.save_weights_for_sampler("for-sampling").result()


def train_from_states(tinker: Any, service: Any, generation: str) -> None:
    """Models that begin with saved weights, and a batch of several chunks."""
    restored = made(service.create_training_client_from_state(SAVED_PATH, user_metadata={"a": "b"}))
    one = tinker.Datum(
        model_input=tinker.ModelInput.from_ints([1]), loss_fn_inputs={"target_tokens": [2]}
    )
    restored.forward_backward([one] * N_DATUMS_OF_MANY_CHUNKS, "cross_entropy").result()
    made(service.create_training_client_from_state_with_optimizer(SAVED_PATH))
    fresh = made(service.create_lora_training_client(BASE_MODEL, train_mlp=False))
    fresh.load_state(SAVED_PATH).result()
    if generation != "0.6.3":
        fresh.save_state("kept", ttl_seconds=7200, overwrite=True).result()
        fresh.save_weights_for_sampler("kept", ttl_seconds=7200).result()


def loss(data: list[Any], logprobs: list[Any]) -> tuple[Any, dict[str, float]]:
    """A loss of our own: the squares of the logprobs, weighted by their place."""
    import torch

    total = sum((torch.arange(1, len(one) + 1) * one**2).sum() for one in logprobs)
    return total, {"examples:sum": float(len(data))}


def loss_and_gradients(
    data: list[Any], logprobs: list[Any]
) -> tuple[float, list[Any], dict[str, float]]:
    """The same with its gradients, for an environment that has no torch."""
    arrays = [one.to_numpy() for one in logprobs]
    places = [np.arange(1, len(one) + 1) for one in arrays]
    total = sum(float((place * one**2).sum()) for place, one in zip(places, arrays, strict=True))
    gradients = [2 * place * one for place, one in zip(places, arrays, strict=True)]
    return total, gradients, {"examples:sum": float(len(data))}


def train_on_own_loss(tinker: Any, service: Any) -> None:
    """A pass whose loss is computed here."""
    training = made(service.create_lora_training_client(BASE_MODEL))
    data = [examples(tinker)[0], policy_example(tinker)]
    if importlib.util.find_spec("torch"):
        passed = training.forward_backward_custom(data, loss)
    else:
        passed = training.forward_backward_custom(data, loss_and_gradients, gradients="returned")
    # A future of the result; 0.6.3 computes the loss before it gives one.
    passed.result()


def sample(tinker: Any, service: Any, training: Any, generation: str) -> None:
    """Sampling clients of each origin, and every common option of a sample."""
    prompt = tinker.ModelInput.from_ints([5, 6, 7])
    from_base = made(service.create_sampling_client(base_model=BASE_MODEL))
    from_base.sample(prompt, 1, tinker.SamplingParams(max_tokens=3, stop="é")).result()
    from_saved = made(service.create_sampling_client(model_path=SAMPLER_PATH))
    params = tinker.SamplingParams(
        max_tokens=4, seed=7, stop=["\n", "."], temperature=0.5, top_k=10, top_p=0.9
    )
    from_saved.sample(
        prompt=prompt,
        num_samples=2,
        sampling_params=params,
        include_prompt_logprobs=True,
        topk_prompt_logprobs=2,
    ).result()
    chunks = [
        tinker.types.EncodedTextChunk(tokens=[3]),
        tinker.types.ImageChunk(data=PICTURE, format="png", expected_tokens=2),
        tinker.types.ImageAssetPointerChunk(location="picture-1", format="jpeg", expected_tokens=3),
    ]
    stop_tokens = tinker.SamplingParams(max_tokens=2, stop=[0])
    from_saved.sample(tinker.ModelInput(chunks=chunks), 1, stop_tokens).result()
    if generation != "0.6.3":
        from_saved.sample(prompt, 1, stop_tokens, topk_sample_logprobs=2).result()
    just_trained = made(training.save_weights_and_get_sampling_client())
    just_trained.compute_logprobs(prompt).result()


def use_what_is_newer(tinker: Any, service: Any) -> None:
    """What 0.6.3 did not have: optimisers, sparse tensors, spans, scores of given tokens."""
    types = tinker.types
    training = made(
        service.create_lora_training_client(BASE_MODEL, optimizer=types.DimuonOptimizerConfig())
    )
    sparse = tinker.TensorData(
        data=[3, 5],
        dtype="int64",
        shape=[2, 4],
        sparse_crow_indices=[0, 1, 2],
        sparse_col_indices=[0, 3],
    )
    prompt = tinker.ModelInput.from_ints([1, 2])
    data = [
        tinker.Datum(prompt, {"target_tokens": sparse}),
        tinker.Datum(prompt, {"target_tokens": [2, 3]}).with_provenance(
            model_input=[
                types.PromptProvenanceSpan(sequence_id="s", offset=0, length=1),
                types.SampledProvenanceSpan(sequence_id="s", offset=0, length=1),
            ],
            loss_fn_inputs=[types.SampledProvenanceSpan(sequence_id="s", offset=0, length=2)],
        ),
    ]
    training.forward_backward(data, "stable_reinforce", {"kl_coeff": 0.5, "mode": "text"}).result()
    training.optim_step(types.DimuonParams(learning_rate=0.5)).result()
    training.save_state("described", user_metadata={"a": "b"}).result()
    sampling = made(service.create_sampling_client(base_model=BASE_MODEL))
    sampling.sample(
        tinker.ModelInput.from_ints([5, 6, 7]),
        1,
        tinker.SamplingParams(max_tokens=2, stop=[]),
        include_prompt_logprobs=True,
        target_prompt_logprobs=tinker.TensorData(data=[6, 7], dtype="int64", shape=[2, 1]),
        prompt_alt_tokens_k=1,
        prompt_logprobs_last_n=1,
    ).result()


def look(service: Any, generation: str) -> None:
    """What is listed and kept."""
    rest = service.create_rest_client()
    rest.list_training_runs(limit=5, offset=1).result()
    rest.get_training_run(RUN).result()
    rest.get_training_run_by_tinker_path(SAVED_PATH).result()
    rest.get_weights_info_by_tinker_path(SAVED_PATH).result()
    rest.list_checkpoints(RUN).result()
    rest.list_user_checkpoints().result()
    rest.get_sampler("session-1:sample:0").result()
    if generation == "0.6.3":
        rest.get_checkpoint_archive_url_from_tinker_path(SAMPLER_PATH).result()
    service.get_server_capabilities()
    rest.delete_checkpoint(RUN, "weights/second").result()
    rest.delete_checkpoint_from_tinker_path(SAVED_PATH).result()
    # The last question, held back until the background traffic that is waited for has been seen.
    rest.get_sampler("last").result()


def main(module: str, generation: str, options: dict[str, Any]) -> None:
    """Run everything."""
    # Names that newer releases only keep for older programs are what the generations share.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    tinker = importlib.import_module(module)
    service = tinker.ServiceClient(user_metadata={"purpose": "comparison"}, **options)
    training = made(
        service.create_lora_training_client(
            BASE_MODEL, rank=8, seed=11, user_metadata={"name": "größer"}
        )
    )
    train(tinker, training)
    sample(tinker, service, training, generation)
    train_from_states(tinker, service, generation)
    train_on_own_loss(tinker, service)
    if generation != "0.6.3":
        use_what_is_newer(tinker, service)
    look(service, generation)
    if generation != "0.6.3":
        service.close("success", "that was all").result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
