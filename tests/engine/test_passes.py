"""One client, servers of every generation: which form a pass takes, and what is learnt."""

from __future__ import annotations

import importlib.util
import logging

import pytest

import tinker_lite as tl
from tests.engine.generations import JSON, PROTOBUF, Generation, form_of, read_pass
from tests.engine.scripted import (
    PATIENCE_S,
    ScriptedService,
    example,
    open_client,
    refusal,
    run_virtual,
    threaded_client,
)
from tinker_lite.http import Request
from tinker_lite.testing import FakeReply
from tinker_lite.types import ForwardBackwardRequest
from tinker_lite.wire.content import content_decoder
from tinker_lite.wire.json import decode_json


def both_passes(client: tl.ServiceClient) -> list[tl.ForwardBackwardOutput]:
    """A pass without gradients and two with."""
    training = client.create_lora_training_client("m")
    futures = [
        training.forward([example(1, 2)], "cross_entropy"),
        training.forward_backward([example(1, 2)], "cross_entropy"),
        training.forward_backward([example(1, 2)], "cross_entropy"),
    ]
    return [future.result(PATIENCE_S) for future in futures]


EXPECTED = [-0.5, -0.5]


@pytest.mark.parametrize("status", [404, 415, 422, 500])
def test_a_server_of_json_is_found_out_once(status: int) -> None:
    """The first pass is offered in both forms, later ones in JSON only; results are read too."""
    service = Generation("json", refusal_status=status, gives="json")
    with threaded_client(service) as client:
        outputs = both_passes(client)
    assert [o.loss_fn_outputs[0]["logprobs"].tolist() for o in outputs] == [EXPECTED] * 3
    assert service.forms() == ["protobuf", "json", "json", "json"]
    # Its first result shows that there is no use in asking for protobuf again.
    assert service.accepted("Forward", "ForwardBackward")[0] == PROTOBUF
    assert service.accepted("ForwardBackward")[-1] == JSON


def test_passes_have_their_own_path_in_json() -> None:
    """A pass without gradients is `/forward` in JSON, and a flag in protobuf."""
    for takes in ("json", "protobuf"):
        service = Generation(takes)
        with threaded_client(service) as client:
            both_passes(client)
        accepted = [r for r in service.passes() if form_of(r) == takes]
        urls = [request.url.rpartition("/")[2] for request in accepted]
        first = "forward" if takes == "json" else "forward_backward"
        assert urls == [first, "forward_backward", "forward_backward"]


@pytest.mark.parametrize("takes", [("protobuf",), ("protobuf", "json")])
def test_protobuf_is_kept_to(takes: tuple[str, ...]) -> None:
    """Whoever takes protobuf is never offered anything else."""
    service = Generation(*takes)
    with threaded_client(service) as client:
        outputs = both_passes(client)
    assert [o.loss_fn_outputs[0]["logprobs"].tolist() for o in outputs] == [EXPECTED] * 3
    assert service.forms() == ["protobuf"] * 3
    assert set(service.accepted("Forward", "ForwardBackward")) == {PROTOBUF}


def test_a_sampled_result_tells_about_passes() -> None:
    """A server whose samples are JSON is offered passes in JSON first."""
    service = Generation("json", refusal_status=500, gives="json")
    with threaded_client(service) as client:
        sampler = client.create_sampling_client(base_model="m")
        prompt = tl.ModelInput.from_ints([1, 2])
        sampler.sample(prompt, 1, tl.SamplingParams(max_tokens=1)).result(PATIENCE_S)
        both_passes(client)
    assert service.forms() == ["json"] * 3


def test_samples_come_in_either_form() -> None:
    """The same sample from a server of protobuf and from one of JSON."""
    found: list[tl.SampleResponse] = []
    for gives in ("protobuf", "json"):
        service = Generation("json", gives=gives)
        with threaded_client(service) as client:
            sampler = client.create_sampling_client(base_model="m")
            prompt = tl.ModelInput.from_ints([1, 2, 3])
            params = tl.SamplingParams(max_tokens=1)
            sample = sampler.sample(prompt, 2, params, include_prompt_logprobs=True)
            found.append(sample.result(PATIENCE_S))
    names = [[s.sequence_id for s in one.sequences] for one in found]
    assert names[0] == names[1] == ["asample-1:0", "asample-1:1"]
    assert [one.prompt_logprobs for one in found] == [[None, -1.0, -1.0]] * 2
    assert found[0] == found[1]


@pytest.mark.parametrize(("wire", "takes"), [("json", "protobuf"), ("protobuf", "json")])
def test_a_chosen_form_is_the_only_one(wire: str, takes: str) -> None:
    """A refusal is the caller's to see, and nothing else is offered."""
    service = Generation(takes)
    with threaded_client(service, wire=wire) as client:
        training = client.create_lora_training_client("m")
        failed = training.forward_backward([example()], "cross_entropy")
        with pytest.raises(tl.APIStatusError, match=f"415 - no {wire} here"):
            failed.result(PATIENCE_S)
    assert service.forms() == [wire]


def refused(*replies: FakeReply) -> tuple[ScriptedService, str]:
    """The error of a first pass that is answered like this, and who was asked."""
    service = ScriptedService()
    service.script("/forward_backward", *replies)

    async def main() -> str:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            with pytest.raises(tl.APIStatusError) as caught:
                await training.forward_backward([example()], "cross_entropy")
            return str(caught.value)

    return service, run_virtual(main)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (422, 415, "422 - first"),  # it reads protobuf, and the pass is wrong
        (415, 422, "422 - second"),  # it reads JSON, and the pass is wrong
        (404, 404, "404 - first"),  # the model is unknown
        (422, 400, "422 - first"),
        (415, 403, "403 - second"),
    ],
)
def test_the_error_is_that_of_the_form_that_was_read(first: int, second: int, shown: str) -> None:
    """A pass that is wrong in itself shows what is wrong with it, not how it was encoded."""
    service, text = refused(refusal(first, "first"), refusal(second, "second"))
    assert shown in text
    assert len(service.to("/forward_backward")) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_other_refusals_are_final_at_once(status: int) -> None:
    """They do not speak of the form."""
    service, text = refused(refusal(status, "first"))
    assert f"{status} - first" in text
    assert len(service.to("/forward_backward")) == 1


def test_a_server_that_is_down_at_first_is_waited_for() -> None:
    """500 to both forms says nothing of either: both are offered again, after a delay."""
    service = Generation("protobuf", refusal_status=422)
    service.script("/forward_backward", *[refusal(500)] * 2)

    async def main() -> float:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            output = await training.forward_backward([example(1, 2)], "cross_entropy")
            return output.metrics["loss:sum"]

    assert run_virtual(main) == 1.0
    assert service.forms() == ["protobuf", "json", "protobuf"]


def test_one_500_among_parallel_chunks_is_repeated() -> None:
    """The form that the other chunks have found is no news for one that met trouble."""
    service = Generation("protobuf")
    service.script("/client/config", FakeReply({"fwdbwd_max_chunk_len": 1}))
    service.script("/forward_backward", refusal(500))

    async def main() -> int:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            output = await training.forward_backward([example()] * 4, "cross_entropy")
            return len(output.loss_fn_outputs)

    assert run_virtual(main) == 4


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_pass_whose_answer_was_lost_is_not_reported_as_failed(status: int) -> None:
    """A gateway made the first answer a 500; the number is taken when JSON comes, not refused."""
    service = Generation("protobuf", "json")
    refusals = [refusal(status, "number used")] * 4  # a clash is repeated, as any call's is
    service.script("/forward_backward", refusal(500), *refusals[: 4 if status == 409 else 1])

    async def main() -> float:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            output = await training.forward_backward([example()], "cross_entropy")
            return output.metrics["loss:sum"]

    assert run_virtual(main) == 1.0
    first, *_, last = service.passes()
    assert first.body == last.body
    assert first.headers.get("x-idempotency-key") == last.headers.get("x-idempotency-key")


def test_a_wrong_pass_on_a_server_of_json_is_refused_soon() -> None:
    """A server that chokes on protobuf and says what is wrong in JSON is believed."""
    service = Generation("json", refusal_status=500)
    service.script("/forward_backward", service.answer, refusal(422, "no such loss"))

    async def main() -> str:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            with pytest.raises(tl.APIStatusError) as caught:
                await training.forward_backward([example()], "unheard_of")
            return str(caught.value)

    assert "422 - no such loss" in run_virtual(main)
    assert service.forms() == ["protobuf", "json", "protobuf"]


def test_a_later_500_is_repeated_in_the_same_form() -> None:
    """Once a form is known, a server in trouble is asked again in that form."""
    service = Generation("protobuf", "json")

    async def main() -> None:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            await training.forward_backward([example()], "cross_entropy")
            service.script("/forward_backward", refusal(500), refusal(500))
            await training.forward_backward([example()], "cross_entropy")

    run_virtual(main)
    assert service.forms() == ["protobuf"] * 4


@pytest.mark.parametrize("status", [404, 415, 422])
def test_a_form_that_is_no_longer_taken_is_forgotten(status: int) -> None:
    """What a server that was exchanged refuses is offered in the other form, which is kept to."""
    service = Generation("protobuf", refusal_status=status)

    async def main() -> None:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            await training.forward_backward([example()], "cross_entropy")
            service.takes = ("json",)
            await training.forward_backward([example()], "cross_entropy")
            await training.forward_backward([example()], "cross_entropy")

    run_virtual(main)
    assert service.forms() == ["protobuf", "protobuf", "json", "json"]


def test_not_acceptable_asks_for_json() -> None:
    """A server that will not answer in protobuf is asked for JSON, and keeps being."""
    service = Generation("json", gives="json")

    def choosy(request: Request) -> FakeReply:
        if request.headers.get("accept") == PROTOBUF:
            return refusal(406, "no protobuf")
        return service.answer(request)

    service.script("/retrieve_future", *[choosy] * 20)
    with threaded_client(service, wire="auto") as client:
        both_passes(client)
    assert service.accepted("Forward", "ForwardBackward").count(PROTOBUF) <= 3
    assert service.accepted("ForwardBackward")[-1] == JSON


def test_sparse_tensors_are_dense_in_json() -> None:
    """CSR is newer than passes in JSON, so they go out filled up; in protobuf as they are."""
    sparse = tl.TensorData([1.0, 2.0], "float32", [2, 3], [0, 1, 2], [2, 0])
    targets = tl.TensorData([1, 2], "int64", [2])
    datum = tl.Datum(tl.ModelInput.from_ints([1, 2]), {"target_tokens": targets, "x": sparse})
    sent: list[tl.TensorData] = []
    for takes in ("json", "protobuf"):
        service = Generation(takes)
        with threaded_client(service) as client:
            training = client.create_lora_training_client("m")
            training.forward_backward([datum], "cross_entropy").result(PATIENCE_S)
        raw = service.to("/forward_backward")[-1].body
        assert isinstance(raw, bytes)
        is_json = takes == "json"
        body = decode_json(raw, ForwardBackwardRequest) if is_json else read_pass(raw)
        sent.append(body.forward_backward_input.data[0].loss_fn_inputs["x"])
    assert sent == [sparse.to_dense(), sparse]


# Compression.

HAS_ZSTD = importlib.util.find_spec("backports.zstd") or importlib.util.find_spec("compression")


def compressing() -> FakeReply:
    """A configuration that asks for compressed passes."""
    return FakeReply({"proto_compress_fwdbwd": True})


@pytest.mark.skipif(not HAS_ZSTD, reason="needs Python 3.14 or the extra zstd")
def test_passes_are_compressed_when_the_server_asks() -> None:
    """One zstd frame, named in the header; it holds the message that would have been sent."""
    service = Generation("protobuf")
    service.script("/client/config", compressing())
    service.script("/forward_backward", lambda _: FakeReply({"request_id": "r"}))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        training.forward_backward([example(5, 6)], "cross_entropy")
        training.optim_step({}).result(PATIENCE_S)
    [request] = service.to("/forward_backward")
    assert request.headers.get("content-encoding") == "zstd"
    assert isinstance(request.body, bytes)
    sent = read_pass(content_decoder("zstd").whole(request.body))
    assert sent.forward_backward_input.data[0].model_input.to_ints() == [5, 6]


def test_without_zstd_passes_go_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that cannot compress sends the message as it is."""
    monkeypatch.setattr("tinker_lite.wire.content.zstd_module", lambda: None)
    service = Generation("protobuf")
    service.script("/client/config", compressing())
    with threaded_client(service) as client:
        both_passes(client)
    assert [r.headers.get("content-encoding") for r in service.to("/forward_backward")] == [
        None
    ] * 2


def test_passes_in_json_are_never_compressed() -> None:
    """Servers of that generation do not ask, and would not understand."""
    service = Generation("json", gives="json")
    service.script("/client/config", compressing())
    with threaded_client(service, wire="json") as client:
        both_passes(client)
    assert [r.headers.get("content-encoding") for r in service.to("/forward_backward")] == [
        None
    ] * 2


def test_what_is_found_is_no_news_for_people(caplog: pytest.LogCaptureFixture) -> None:
    """Finding the form is logged for debugging only."""
    service = Generation("json", refusal_status=500, gives="json")
    with caplog.at_level(logging.INFO, "tinker_lite"), threaded_client(service) as client:
        both_passes(client)
    assert not caplog.records
