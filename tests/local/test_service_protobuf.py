"""Training passes and results in protobuf: the same conversation as in JSON, bit for bit."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest

from tests.local.service_driver import PROTOBUF, TINY, Driver, datum, pass_body, sample_body
from tinker_lite import types as t
from tinker_lite.http import Headers, Response
from tinker_lite.local import exchange
from tinker_lite.wire.content import zstd_module
from tinker_lite.wire.json import decode_json, encode_json
from tinker_lite.wire.protobuf import (
    decode_forward_backward_output,
    decode_sample_response,
    encode_forward_backward_request,
)

BATCH = (
    datum(b"the quick brown fox"),
    t.Datum(
        t.ModelInput.from_ints([1, 2, 3]),
        {
            "target_tokens": t.TensorData([5, 6, 7, 8, 9, 10], "int64", [3, 2]),
            "weights": t.TensorData([0.5, 2.0], "float32", [3, 2], [0, 1, 1, 2], [1, 0]),
        },
    ),
)


def packed(request: t.ForwardBackwardRequest | t.ForwardRequest) -> bytes:
    """A pass in protobuf."""
    return bytes(encode_forward_backward_request(request))


def submit(driver: Driver, body: bytes, coding: str = "", media_type: str = PROTOBUF) -> Any:
    """The answer to a pass, with its status."""
    headers = Headers([("Content-Type", media_type)])
    if coding:
        headers = headers.merged([("Content-Encoding", coding)])
    return driver.ask("POST", "/forward_backward", body, headers=headers)


def fetch(driver: Driver, request_id: str) -> Response:
    """The answer to a poll of a client that takes protobuf."""
    headers = Headers([("Content-Type", "application/json"), ("Accept", PROTOBUF)])
    return driver.send("POST", "/retrieve_future", {"request_id": request_id}, headers=headers)


def output(driver: Driver, request_id: str) -> t.ForwardBackwardOutput:
    """The result of a pass, which comes in protobuf."""
    response = fetch(driver, request_id)
    raw = response.read()
    assert response.headers.get("content-type") == PROTOBUF
    assert response.headers.get("content-length") == str(len(raw))
    return decode_forward_backward_output(raw)


def test_protobuf_and_json_say_the_same(driver: Driver) -> None:
    """A pass sent in protobuf has the result of its JSON form, in both forms."""
    model_id = driver.model()
    in_json = driver.forward_backward(model_id, 1, *BATCH)
    status, in_protobuf = submit(driver, packed(pass_body(model_id, 2, *BATCH)))
    assert status == 200
    expected = decode_json(encode_json(driver.result(in_json)), t.ForwardBackwardOutput)
    assert output(driver, in_json["request_id"]) == expected
    assert output(driver, in_protobuf["request_id"]) == expected
    assert driver.result(in_protobuf) == driver.result(in_json)


def test_forward_only_leaves_the_gradient_alone(driver: Driver) -> None:
    """The flag makes a pass one that changes nothing; without it the same pass trains."""
    model_id = driver.model()
    before = driver.forward(model_id, 1, *BATCH)
    batch = t.ForwardBackwardInput(data=list(BATCH), loss_fn="cross_entropy")
    forward = t.ForwardRequest(forward_input=batch, model_id=model_id, seq_id=2)
    status, submission = submit(driver, packed(forward))
    assert (status, driver.result(submission)) == (200, before)
    driver.step(model_id, 3)
    assert driver.forward(model_id, 4, *BATCH) == before
    submit(driver, packed(pass_body(model_id, 5, *BATCH)))
    driver.step(model_id, 6)
    assert driver.forward(model_id, 7, *BATCH) != before


def gzip(raw: bytes) -> bytes:
    """One gzip member."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packer.compress(raw) + packer.flush()


CODINGS = {"zstd": zstd_module().compress, "gzip": gzip, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_pass_may_be_compressed(driver: Driver, coding: str) -> None:
    """Whatever the coding it is the same request, also to one that comes without."""
    body = packed(pass_body(driver.model(), 1, *BATCH))
    status, submission = submit(driver, CODINGS[coding](body), coding)
    assert status == 200
    assert submit(driver, body) == (200, submission)
    assert "metrics" in driver.result(submission)


def test_json_may_be_compressed(driver: Driver) -> None:
    """A coding is independent of the media type, and of the endpoint."""
    body = gzip(encode_json(pass_body(driver.model(), 1, *BATCH)))
    assert submit(driver, body, "gzip", "application/json")[0] == 200


def test_a_repeat_in_protobuf_is_applied_once(driver: Driver) -> None:
    """Under one number a pass is done once; another one under it is refused."""
    model_id = driver.model()
    body = packed(pass_body(model_id, 1, *BATCH))
    assert submit(driver, body) == submit(driver, body)
    status, answer = submit(driver, packed(pass_body(model_id, 1, BATCH[0])))
    assert (status, "used for a different" in answer["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("media_type", "coding", "body", "status", "text"),
    [
        (PROTOBUF, "", b"\xff\xff", 422, "training.forward_backward: Not a valid"),
        (PROTOBUF, "", b"\x1a\x03\x0a\x01\x20", 422, "$.data[0].model_input[0]"),
        (PROTOBUF, "br", b"", 415, "'br'"),
        (PROTOBUF, "zstd", b"no frame", 422, "not valid zstd"),
        (PROTOBUF, "gzip", gzip(b"x")[:-1], 422, "ends before its end"),
        ("text/plain", "", b"{}", 415, "takes application/json, not text/plain"),
        (PROTOBUF, "", b"", 404, "''"),
    ],
)
def test_what_cannot_be_read_is_said(
    driver: Driver, media_type: str, coding: str, body: bytes, status: int, text: str
) -> None:
    """An unknown form is 415, and what is not in the form it is said to be in 422."""
    found, answer = submit(driver, body, coding, media_type)
    assert found == status
    assert text in answer["detail"]


def test_protobuf_is_for_passes_only(driver: Driver) -> None:
    """Where there is no message the media type is refused."""
    headers = Headers([("Content-Type", PROTOBUF)])
    status, answer = driver.ask("POST", "/asample", b"", headers=headers)
    assert (status, "takes application/json" in answer["detail"]) == (415, True)


def test_a_body_that_unpacks_too_far_is_refused(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on bodies holds for what they unpack to."""
    monkeypatch.setattr(exchange, "MAX_BODY_BYTES", 1000)
    assert submit(driver, gzip(bytes(1001)), "gzip")[0] == 413
    assert submit(driver, gzip(bytes(1000)), "gzip")[0] == 422


def test_a_sample_in_protobuf_is_the_sample(driver: Driver) -> None:
    """Everything a sample can hold but the names of sequences comes in protobuf as in JSON."""
    prompt = t.TensorData([*range(16)], "int64", [8, 2])
    body = sample_body(
        None,
        base_model=TINY,
        num_samples=2,
        prompt_logprobs=True,
        topk_prompt_logprobs=2,
        topk_sample_logprobs=2,
        prompt_alt_tokens_k=2,
        target_prompt_logprobs=prompt,
    )
    submission = driver.post("/asample", body)
    in_json = decode_json(encode_json(driver.result(submission)), t.SampleResponse)
    response = fetch(driver, submission["request_id"])
    assert response.headers.get("content-type") == PROTOBUF
    in_protobuf = decode_sample_response(response.read())
    named = [
        msgspec.structs.replace(sequence, sequence_id=name)
        for sequence, name in zip(
            in_protobuf.sequences, submission["sample_sequence_ids"], strict=True
        )
    ]
    assert msgspec.structs.replace(in_protobuf, sequences=named) == in_json


def test_other_answers_to_a_poll_stay_json(driver: Driver) -> None:
    """Pending, failed and other results have no message."""
    model_id = driver.model()
    step = driver.step(model_id, 1)
    driver.post("/unload_model", {"model_id": model_id})
    failed = driver.forward_backward(model_id, 2, *BATCH)
    assert "error" in driver.result(failed)
    pending = driver.forward_backward(driver.model(), 2, *BATCH)
    for submission, status in ((step, 200), (pending, 408), (failed, 200)):
        response = fetch(driver, submission["request_id"])
        assert response.status == status
        assert response.headers.get("content-type") == "application/json"
        assert msgspec.json.decode(response.read())


def test_a_repeat_may_come_in_the_other_form(driver: Driver) -> None:
    """What was accepted in protobuf is the same request in JSON, forward only or not."""
    model_id = driver.model()
    body = pass_body(model_id, 1, BATCH[0])
    _, accepted = submit(driver, packed(body))
    assert driver.ask("POST", "/forward_backward", encode_json(body)) == (200, accepted)
    batch = t.ForwardBackwardInput(data=[BATCH[0]], loss_fn="cross_entropy")
    forward = t.ForwardRequest(forward_input=batch, model_id=model_id, seq_id=2)
    _, accepted = submit(driver, packed(forward))
    assert driver.ask("POST", "/forward", encode_json(forward)) == (200, accepted)
