"""Calls of ``sampling`` and ``futures``, by the file that says what they send."""

from __future__ import annotations

from tests.golden.arguments import given
from tinker_lite import types as t

SESSION = "S:sample:0"

PROMPT: list[t.ModelInputChunk] = [
    t.EncodedTextChunk(tokens=[5]),
    t.ImageChunk(data=b"\x89PNG", format="png", expected_tokens=1),
    t.ImageAssetPointerChunk(location="s3://pictures/1", format="jpeg", expected_tokens=1),
    t.DmelChunk(dmel=b"\x00\x01\x01\x2a"),
]

TARGET = t.SamplingSessionFuturesTarget(sampling_session_id="S:sample:1", cloned_sampler_id=0)

CALLS = {
    "sampling.get_sampler": given("S:sample:3"),
    "sampling.asample.least": given(
        t.SampleRequest(
            num_samples=2,
            prompt=t.ModelInput.from_ints([5, 6]),
            sampling_params=t.SamplingParams(max_tokens=4),
            sampling_session_id=SESSION,
            seq_id=0,
            prompt_logprobs=False,
            record_stability_info=False,
        )
    ),
    "sampling.asample.full": given(
        t.SampleRequest(
            prompt=t.ModelInput(chunks=PROMPT),
            sampling_params=t.SamplingParams(
                max_tokens=4,
                seed=2**63 - 1,
                stop=["\n\n", "Frage:"],
                temperature=0.7,
                top_k=50,
                top_p=0.95,
            ),
            sampling_session_id=SESSION,
            seq_id=10**9,
            prompt_logprobs=True,
            topk_prompt_logprobs=5,
            topk_sample_logprobs=3,
            target_prompt_logprobs=t.TensorData([7, 8], "int64", [3, 2], [0, 0, 1, 2], [0, 1]),
            prompt_alt_tokens_k=2,
            prompt_logprobs_last_n=2,
            record_stability_info=True,
        )
    ),
    "sampling.asample.without_session": given(
        t.SampleRequest(
            prompt=t.ModelInput.from_ints([5, 6]),
            sampling_params=t.SamplingParams(stop=[]),
            base_model="B",
            model_path="tinker://S:train:0/sampler_weights/s1",
        )
    ),
    "futures.retrieve.first": given(
        t.FutureRetrieveRequest(request_id="1", allow_metadata_only=True),
        "CreateModel",
        extra_headers={
            "X-Tinker-Request-Iteration": "0",
            "X-Tinker-Create-Promise-Roundtrip-Time": "0.25",
        },
    ),
    "futures.retrieve.again": given(
        t.FutureRetrieveRequest(request_id="4"),
        "OptimStep",
        extra_headers={"X-Tinker-Request-Iteration": "1"},
    ),
    "futures.retrieve.protobuf_pass": given(
        t.FutureRetrieveRequest(request_id="2", allow_metadata_only=True),
        "ForwardBackward",
        extra_headers={
            "X-Tinker-Request-Iteration": "0",
            "X-Tinker-Create-Promise-Roundtrip-Time": "0.25",
        },
    ),
    "futures.retrieve.protobuf_sample": given(
        t.FutureRetrieveRequest(request_id="9", allow_metadata_only=True),
        "Sample",
        extra_headers={
            "X-Tinker-Request-Iteration": "0",
            "X-Tinker-Create-Promise-Roundtrip-Time": "3",
        },
    ),
    "futures.retrieve_multi.first": given(t.FuturesRetrieveRequest(target=TARGET)),
    "futures.retrieve_multi.acknowledging": given(
        t.FuturesRetrieveRequest(
            target=TARGET, prev_cursor=1, timeout=0.0, retrieved_request_ids=["1"]
        )
    ),
    "futures.cancel": given(t.CancelFutureRequest(request_id="S:sample:0:4")),
}
