"""Calls of ``training`` and ``weights``, by the file that says what they send."""

from __future__ import annotations

from tests.golden.arguments import given
from tinker_lite import types as t

MODEL = "S:train:0"
CHECKPOINT = "tinker://S:train:0/weights/ck"
FOREIGN_CHECKPOINT = "tinker://R:train:0/weights/ck"
PICTURE = b"\x89PNG"
TARGETS = [6, 7, -1]


def plain_datum() -> t.Datum:
    """Two tokens, and what is to come after each."""
    return t.Datum(
        model_input=t.ModelInput.from_ints([5, 6]),
        loss_fn_inputs={
            "target_tokens": t.TensorData([6, 7], "int64", [2]),
            "weights": t.TensorData([1.0, 0.5], "float32", [2]),
        },
    )


def illustrated_datum() -> t.Datum:
    """A token and two pictures, with what a policy loss needs."""
    chunks: list[t.ModelInputChunk] = [
        t.EncodedTextChunk(tokens=[5]),
        t.ImageChunk(data=PICTURE, format="png", expected_tokens=1),
        t.ImageAssetPointerChunk(location="s3://pictures/1", format="jpeg", expected_tokens=1),
    ]
    return t.Datum(
        model_input=t.ModelInput(chunks=chunks),
        loss_fn_inputs={
            "target_tokens": t.TensorData([5, 0, 0], "int64", [3]),
            "logprobs": t.TensorData([-0.5, 0.0, 0.0], "float32", [3]),
            "advantages": t.TensorData([1.0, 0.0, 0.0], "float32", [3]),
        },
    )


def rich_datum() -> t.Datum:
    """A chunk of every kind that protobuf has, a sparse tensor, and where the tokens come from."""
    chunks: list[t.ModelInputChunk] = [
        t.EncodedTextChunk(tokens=[5]),
        t.ImageChunk(data=PICTURE, format="png", expected_tokens=1),
        t.DmelChunk(dmel=b"\x00\x01\x01\x2a"),
    ]
    return t.Datum(
        model_input=t.ModelInput(chunks=chunks),
        loss_fn_inputs={
            "target_tokens": t.TensorData(TARGETS, "int64", [3]),
            "weights": t.TensorData([0.5], "float32", [3, 2], [0, 0, 1, 1], [1]),
        },
        model_input_spans=[
            t.PromptProvenanceSpan(sequence_id="q", length=1),
            t.SampledProvenanceSpan(sequence_id="r", offset=4, length=2),
        ],
        loss_fn_input_spans=[t.SampledProvenanceSpan(sequence_id="r", offset=5, length=3)],
    )


def passed(
    datum: t.Datum, loss_fn: str = "cross_entropy", **config: float | str
) -> t.ForwardBackwardInput:
    """A batch of one."""
    return t.ForwardBackwardInput(data=[datum], loss_fn=loss_fn, loss_fn_config=config or None)


def adam() -> t.AdamParams:
    """One setting that is not the default."""
    return t.AdamParams(learning_rate=0.001)


def full_adam() -> t.AdamParams:
    """No setting that is the default; the first is a whole number."""
    return t.AdamParams(
        learning_rate=1, beta1=0.8, beta2=0.99, eps=1e-8, weight_decay=0.1, grad_clip_norm=2.5
    )


FORWARD = t.ForwardRequest(forward_input=passed(plain_datum()), model_id=MODEL, seq_id=2)
FORWARD_BACKWARD = t.ForwardBackwardRequest(
    forward_backward_input=passed(plain_datum()), model_id=MODEL, seq_id=1
)

CALLS = {
    "training.forward.json": given(FORWARD),
    "training.forward.protobuf": given(FORWARD),
    "training.forward_backward.json_least": given(FORWARD_BACKWARD),
    "training.forward_backward.json_full": given(
        t.ForwardBackwardRequest(
            forward_backward_input=passed(
                illustrated_datum(), "ppo", clip_low_threshold=0.75, clip_high_threshold=1.25
            ),
            model_id=MODEL,
            seq_id=2,
        )
    ),
    "training.forward_backward.protobuf_least": given(FORWARD_BACKWARD),
    "training.forward_backward.protobuf_full": given(
        t.ForwardBackwardRequest(
            forward_backward_input=passed(
                rich_datum(), "ppo", clip_low_threshold=0.75, mode="hard"
            ),
            model_id=MODEL,
            seq_id=300,
        )
    ),
    "training.optim_step.adam": given(
        t.OptimStepRequest(adam_params=adam(), model_id=MODEL, seq_id=3)
    ),
    "training.optim_step.adam_full": given(
        t.OptimStepRequest(adam_params=full_adam(), model_id=MODEL, seq_id=4)
    ),
    "training.optim_step.dimuon": given(
        t.OptimizerStepRequest(
            optimizer_params=t.DimuonParams(learning_rate=0.02), model_id=MODEL, seq_id=5
        )
    ),
    "weights.save.least": given(t.SaveWeightsRequest(model_id=MODEL, path="ck", seq_id=5)),
    "weights.save.full": given(
        t.SaveWeightsRequest(
            model_id=MODEL,
            path="ck",
            seq_id=5,
            ttl_seconds=3600,
            overwrite=True,
            user_metadata={"step": "5"},
        )
    ),
    "weights.save_for_sampler.named": given(
        t.SaveWeightsForSamplerRequest(model_id=MODEL, path="s1", seq_id=6)
    ),
    "weights.save_for_sampler.named_full": given(
        t.SaveWeightsForSamplerRequest(
            model_id=MODEL, path="s1", seq_id=6, ttl_seconds=3600, user_metadata={"step": "5"}
        )
    ),
    "weights.save_for_sampler.ephemeral": given(
        t.SaveWeightsForSamplerRequest(model_id=MODEL, sampling_session_seq_id=0, seq_id=7)
    ),
    "weights.save_for_sampler.inflight": given(
        t.SaveWeightsForSamplerRequest(
            model_id=MODEL, sampling_session_seq_id=1, seq_id=8, kind="inflight"
        )
    ),
    "weights.save_external.least": given(
        t.SaveWeightsExternalRequest(model_id=MODEL, path="download", seq_id=10)
    ),
    "weights.save_external.full": given(
        t.SaveWeightsExternalRequest(
            model_id=MODEL,
            path="download",
            seq_id=10,
            ttl_seconds=3600,
            age_encryption_recipients=["age1abc"],
        )
    ),
    "weights.load.legacy": given(
        t.LoadWeightsRequest(model_id=MODEL, seq_id=9, path=CHECKPOINT, optimizer=False)
    ),
    "weights.load.legacy_full": given(
        t.LoadWeightsRequest(
            model_id=MODEL,
            seq_id=1,
            path=FOREIGN_CHECKPOINT,
            optimizer=True,
            weights_access_token="secret",
        )
    ),
    "weights.load.create": given(
        t.LoadWeightsRequest(session_id="S", model_seq_id=1, path=CHECKPOINT, optimizer=False)
    ),
    "weights.load.create_full": given(
        t.LoadWeightsRequest(
            session_id="S",
            model_seq_id=2,
            base_model="B",
            user_metadata={"team": "speech"},
            path=FOREIGN_CHECKPOINT,
            optimizer=False,
            optimizer_config=t.AdamOptimizerConfig(),
            weights_access_token="secret",
        )
    ),
    "weights.info": given(t.WeightsInfoRequest(tinker_path=CHECKPOINT)),
}
