"""What a user writes to test a program over the real clients, with a script for a service."""

from __future__ import annotations

from typing import Any

import pytest

import tinker_lite as tl
from tinker_lite.testing import AsyncScriptedTransport, FakeReply, Script, ScriptedTransport
from tinker_lite.types import QueueState, RequestFailedResponse

BASE_URL = "http://127.0.0.1:9"
PATIENCE_S = 5.0
N_STEPS = 3


def batch() -> list[tl.Datum]:
    """One example."""
    inputs: dict[str, Any] = {"target_tokens": [2, 3], "weights": [1.0, 1.0]}
    return [tl.Datum(model_input=tl.ModelInput.from_ints([1, 2]), loss_fn_inputs=inputs)]


def passed(loss: float) -> dict[str, object]:
    """The result of one pass."""
    logprobs = {"data": [-loss, 0.0], "dtype": "float32", "shape": [2]}
    return {"loss_fn_outputs": [{"logprobs": logprobs}], "metrics": {"loss:sum": loss}}


def write_training(script: Script) -> None:
    """What a training run of three steps is expected to ask."""
    script.expect("models.create", result={"model_id": "m"}, request={"lora_config": {"rank": 4}})
    for i in range(N_STEPS):
        pending = [QueueState.PAUSED_CAPACITY] * i
        script.expect("training.forward_backward", result=passed(3.0 - i), pending=pending)
        script.expect("training.optim_step", result={}, request={"model_id": "m"})


def test_a_blocking_program_is_tested_with_a_script() -> None:
    """All steps are queued at once; session, polls and the end of the session need no line."""
    with ScriptedTransport() as script:
        write_training(script)
        with tl.ServiceClient(base_url=BASE_URL, transport=script) as service:
            client = service.create_lora_training_client("org/m", rank=4)
            losses: list[tl.APIFuture[tl.ForwardBackwardOutput]] = []
            for _ in range(N_STEPS):
                losses.append(client.forward_backward(batch(), "cross_entropy"))
                client.optim_step(tl.AdamParams(learning_rate=0.1))
            assert [loss.result(PATIENCE_S).metrics["loss:sum"] for loss in losses] == [3, 2, 1]
    steps = [call.body for call in script.captured if call.name == "training.optim_step"]
    assert [step.adam_params.learning_rate for step in steps] == [0.1] * N_STEPS


async def test_an_async_program_is_tested_with_a_script() -> None:
    """The same script, on the test's own loop."""
    async with AsyncScriptedTransport() as script:
        write_training(script)
        async with tl.ServiceClient.open(base_url=BASE_URL, transport=script) as service:
            client = await service.create_lora_training_client_async("org/m", rank=4)
            for i in range(N_STEPS):
                loss = await client.forward_backward_async(batch(), "cross_entropy")
                await (await client.optim_step_async(tl.AdamParams()))
                assert (await loss).metrics["loss:sum"] == 3 - i


def test_a_call_that_is_not_in_the_script_fails_the_operation_and_the_test() -> None:
    """The caller of the operation sees it, and so does the end of the block."""
    script = ScriptedTransport()
    script.expect("models.create", result={"model_id": "m"})
    script.expect("training.optim_step", result={})
    with tl.ServiceClient(base_url=BASE_URL, transport=script) as service:
        client = service.create_lora_training_client("org/m", rank=4)
        loss = client.forward_backward(batch(), "cross_entropy")
        with pytest.raises(AssertionError, match=r"expected training\.optim_step\n  came     trai"):
            loss.result(PATIENCE_S)
    with pytest.raises(AssertionError, match=r"1 of 2 calls did not come:\n  training\.optim_step"):
        script.assert_done()


def test_failures_of_a_service_can_be_rehearsed() -> None:
    """A refusal, an operation that fails on the server, and a call that is repeated."""
    with ScriptedTransport() as script:
        script.expect(
            "models.create", FakeReply({"detail": "busy"}, 503, (("retry-after-ms", "1"),))
        )
        script.expect("models.create", result={"model_id": "m"})
        failure = RequestFailedResponse(error="out of range", category="user")
        script.expect("training.forward_backward", result=failure)
        script.expect("weights.save", FakeReply({"detail": "no more room"}, status=402))
        with tl.ServiceClient(base_url=BASE_URL, transport=script) as service:
            client = service.create_lora_training_client("org/m", rank=4)
            loss = client.forward_backward(batch(), "cross_entropy")
            with pytest.raises(tl.RequestFailedError, match="out of range"):
                loss.result(PATIENCE_S)
            with pytest.raises(tl.APIError, match="no more room"):
                client.save_state("a").result(PATIENCE_S)
