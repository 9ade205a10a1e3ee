from __future__ import annotations

import anyio
import pytest

from tests.engine.scripted import (
    PATIENCE_S,
    AsyncGate,
    ScriptedService,
    body_of,
    example,
    open_client,
    path_of,
    refusal,
    run_virtual,
    threaded_client,
)
from tinker_lite import (
    APIConnectionError,
    Datum,
    DimuonOptimizerConfig,
    DimuonParams,
    ModelInput,
    RequestFailedError,
    TensorData,
)
from tinker_lite.errors import ConnectError
from tinker_lite.testing import FakeReply

CONFIG = "/client/config"
PASS = "/forward_backward"


def chunk_config(**fields: object) -> FakeReply:
    """Small chunks."""
    return FakeReply({"fwdbwd_max_chunk_len": 2, **fields})


@pytest.mark.parametrize("forward_only", [False, True], ids=["forward_backward", "forward"])
def test_chunks_go_out_with_the_first_one_last(forward_only: bool) -> None:
    """Later chunks together, then the first; numbers follow the order of the data."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config())
    path, wrapper = (
        ("/forward", "forward_input") if forward_only else (PASS, "forward_backward_input")
    )
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        data = [example(i) for i in range(5)]
        call = training.forward if forward_only else training.forward_backward
        output = call(data, "cross_entropy", {"k": 1.0}).result(PATIENCE_S)
        training.optim_step({}).result(PATIENCE_S)
    asked = service.bodies(path)
    numbers = [body["seq_id"] for body in asked]
    assert sorted(numbers) == [1, 2, 3]
    assert numbers[-1] == 1
    by_number = {body["seq_id"]: body[wrapper] for body in asked}
    targets = [
        [datum["loss_fn_inputs"]["target_tokens"]["data"] for datum in by_number[n]["data"]]
        for n in (1, 2, 3)
    ]
    assert targets == [[[0], [1]], [[2], [3]], [[4]]]
    assert {body[wrapper]["loss_fn"] for body in asked} == {"cross_entropy"}
    assert all(body[wrapper]["loss_fn_config"] == {"k": 1.0} for body in asked)
    assert service.bodies("/optim_step")[0]["seq_id"] == 4
    assert len(output.loss_fn_outputs) == 5
    assert output.metrics == {"loss:sum": 5.0}


def test_results_of_chunks_are_combined_in_data_order() -> None:
    """Outputs are joined in order and metrics reduced, whichever chunk was accepted first."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config(fwdbwd_max_chunk_len=1))

    def result(logprob: float, loss: float) -> object:
        record = {"logprobs": {"data": [logprob], "dtype": "float32", "shape": [1]}}
        return {"loss_fn_outputs": [record], "metrics": {"loss:sum": loss, "n:max": loss}}

    service.promise(PASS, result(-2.0, 20.0), result(-1.0, 10.0))  # the second chunk goes first
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward([example(1), example(2)], "cross_entropy")
        output = future.result(PATIENCE_S)
    assert [record["logprobs"].data for record in output.loss_fn_outputs] == [[-1.0], [-2.0]]
    assert output.metrics == {"loss:sum": 30.0, "n:max": 20.0}


def test_a_server_that_wants_chunks_one_by_one_gets_them_in_order() -> None:
    """Without parallel chunks the numbers arrive 1, 2, 3."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config(parallel_fwdbwd_chunks=False))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        training.forward_backward([example()] * 5, "cross_entropy").result(PATIENCE_S)
    assert [body["seq_id"] for body in service.bodies(PASS)] == [1, 2, 3]


def test_a_refused_chunk_fails_its_call_only() -> None:
    """The error is plain, not a group, and the next call's numbers come after the chunks'."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config())
    service.script(PASS, refusal(400, "bad chunk"))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        refused = training.forward_backward([example()] * 3, "cross_entropy")
        after = training.optim_step({})
        with pytest.raises(Exception, match="400 - bad chunk"):
            refused.result(PATIENCE_S)
        after.result(PATIENCE_S)
    assert service.bodies("/optim_step")[0]["seq_id"] == 3


def test_a_chunk_that_fails_on_the_server_fails_the_whole_result() -> None:
    """One failed chunk is the call's failure, as one plain error."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config())
    service.promise(PASS, {"error": "out of memory", "category": "server"})
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        future = training.forward_backward([example()] * 3, "cross_entropy")
        with pytest.raises(RequestFailedError, match="out of memory") as caught:
            future.result(PATIENCE_S)
        assert caught.value.category == "server"
        training.optim_step({}).result(PATIENCE_S)


def test_data_is_taken_at_the_call() -> None:
    """What the caller does to the batch afterwards does not reach the request."""

    async def main() -> None:
        service = ScriptedService()
        gate = AsyncGate(service)
        service.script("/create_model", gate)
        async with open_client(service) as client:
            training = client.create_lora_training_client("m")
            data, config, metadata = [example(1, 2)], {"clip": 1.0}, {"k": "before"}
            passed = training.forward_backward(data, "ppo", config)
            saved = training.save_state("x", user_metadata=metadata)
            await gate.reached.wait()
            data[0].loss_fn_inputs["target_tokens"] = TensorData([9, 9], "int64")
            data.clear()
            config["clip"] = 2.0
            metadata["k"] = "after"
            gate.opened.set()
            await passed
            await saved
        sent = service.bodies(PASS)[0]["forward_backward_input"]
        assert sent["data"][0]["loss_fn_inputs"]["target_tokens"]["data"] == [1, 2]
        assert sent["loss_fn_config"] == {"clip": 1.0}
        assert service.bodies("/save_weights")[0]["user_metadata"] == {"k": "before"}

    run_virtual(main)


def test_a_wrong_batch_is_refused_at_the_call() -> None:
    """Empty data, foreign elements and mismatched lengths never reach the queue."""
    service = ScriptedService()
    short = Datum(
        ModelInput.from_ints([1, 2, 3]), {"target_tokens": TensorData([1, 2], "int64", [2])}
    )
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        with pytest.raises(ValueError, match="forward_backward: data is empty"):
            training.forward_backward([], "cross_entropy")
        with pytest.raises(ValueError, match=r"data\[1\]: model_input has 3 tokens"):
            training.forward([example(), short], "cross_entropy")
        with pytest.raises(TypeError, match="optim_step needs optim_params"):
            training.optim_step()
        with pytest.raises(ValueError, match="not both"):
            training.optim_step({}, adam_params={})
        with pytest.raises(ValueError, match="learning_rate is nan"):
            training.optim_step({"learning_rate": float("nan")})
        training.optim_step({}).result(PATIENCE_S)
    assert service.numbered() == [("/optim_step", 1)]


def test_the_session_and_the_configuration_are_made_once() -> None:
    """However many clients and calls there are at once."""
    service = ScriptedService()
    with threaded_client(service, user_metadata={"who": "test"}, display_name="d") as client:
        trainings = [client.create_lora_training_client("m", rank=4, seed=1) for _ in range(3)]
        for training in trainings:
            training.result(PATIENCE_S)
    assert service.paths().count(CONFIG) == 1
    (session,) = service.bodies("/create_session")
    assert session == {
        "tags": [],
        "user_metadata": {"who": "test"},
        "sdk_version": "0.38.0",
        "display_name": "d",
        "type": "create_session",
    }
    created = service.bodies("/create_model")
    assert sorted(body["model_seq_id"] for body in created) == [0, 1, 2]
    assert created[0]["lora_config"] == {
        "rank": 4,
        "seed": 1,
        "train_unembed": True,
        "train_mlp": True,
        "train_attn": True,
    }


def test_a_failed_session_is_tried_again_by_the_next_call() -> None:
    """A failure of the session goes to those who waited; it is not remembered."""
    service = ScriptedService()
    service.script("/create_session", refusal(401, "who are you"))
    with threaded_client(service) as client:
        with pytest.raises(Exception, match="401 - who are you"):
            client.create_lora_training_client("m").result(PATIENCE_S)
        assert client.create_lora_training_client("m").result(PATIENCE_S).model_id == "S:train:1"


def test_a_server_without_configuration_has_the_defaults() -> None:
    """404 on the configuration route is no failure."""
    service = ScriptedService()
    service.script(CONFIG, refusal(404))
    with threaded_client(service) as client:
        client.create_lora_training_client("m").result(PATIENCE_S)


async def test_both_loops_ask_the_same() -> None:
    """The same program sends the same requests on asyncio and on trio."""
    service = ScriptedService()
    async with open_client(service) as client:
        training = client.create_lora_training_client("m")
        passed = training.forward_backward([example(), example()], "cross_entropy")
        stepped = training.optim_step({})
        assert (await passed).metrics == {"loss:sum": 2.0}
        assert (await stepped).metrics == {"grad_norm:mean": 1.0}
    submitted = [path for path in service.paths() if path != "/retrieve_future"]
    assert submitted == [
        CONFIG,
        "/create_session",
        "/create_model",
        PASS,
        "/optim_step",
        "/sessions/S/finish",
    ]


FROM_STATE = "tinker://S0:train:0/weights/a"


@pytest.mark.parametrize("with_optimizer", [False, True])
def test_creation_from_state_is_one_request(with_optimizer: bool) -> None:
    """The new form of load_weights makes the model."""
    service = ScriptedService()
    with threaded_client(service) as client:
        create = (
            client.create_training_client_from_state_with_optimizer
            if with_optimizer
            else client.create_training_client_from_state
        )
        training = create(FROM_STATE, user_metadata={"a": "b"}, weights_access_token="t")
        assert training.model_id == "S:train:0"
        training.optim_step({}).result(PATIENCE_S)
    assert service.bodies("/load_weights") == [
        {
            "path": FROM_STATE,
            "optimizer": with_optimizer,
            "session_id": "S",
            "model_seq_id": 0,
            "user_metadata": {"a": "b"},
            "weights_access_token": "t",
            "type": "load_weights",
        }
    ]
    assert service.numbered() == [("/optim_step", 1)]


@pytest.mark.parametrize("status", [404, 422])
def test_creation_from_state_falls_back_to_three_steps(status: int) -> None:
    """On 404 and 422: look up the rank, make the model, load as its operation 1."""
    service = ScriptedService()
    service.script("/load_weights", refusal(status))
    info = {"base_model": "b", "is_lora": True, "lora_rank": 7, "train_unembed": False}
    service.script("/weights_info", FakeReply(info))
    with threaded_client(service) as client:
        training = client.create_training_client_from_state_with_optimizer(FROM_STATE)
        training.optim_step({}).result(PATIENCE_S)
        assert training.model_id == "S:train:0"
    (created,) = service.bodies("/create_model")
    assert (created["base_model"], created["lora_config"]["rank"]) == ("b", 7)
    assert created["lora_config"]["train_unembed"] is False
    loaded = service.bodies("/load_weights")[1]
    assert (loaded["model_id"], loaded["optimizer"]) == ("S:train:0", True)
    assert service.numbered() == [("/load_weights", 1), ("/optim_step", 2)]


def test_a_checkpoint_that_is_not_there_is_named_by_the_first_answer() -> None:
    """Where the older route does not know it either, the service's own words are what counts."""
    service = ScriptedService()
    service.script("/load_weights", refusal(404, "no such checkpoint"))
    service.script("/weights_info", refusal(404, "not here either"))
    with threaded_client(service) as client:
        training = client.create_training_client_from_state(FROM_STATE)
        with pytest.raises(Exception, match="no such checkpoint"):
            training.result(PATIENCE_S)


def test_weights_without_adapters_cannot_be_loaded_in_three_steps() -> None:
    """The error says so, instead of making a model that does not fit."""
    service = ScriptedService()
    service.script("/load_weights", refusal(422))
    service.script("/weights_info", FakeReply({"base_model": "b", "is_lora": False}))
    with threaded_client(service) as client:
        training = client.create_training_client_from_state(FROM_STATE)
        with pytest.raises(Exception, match="holds no LoRA adapters"):
            training.result(PATIENCE_S)


def test_queue_states_show_in_the_status() -> None:
    """What the service said about waiting can be asked for."""

    async def main() -> None:
        service = ScriptedService()
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            paused = {"type": "try_again", "queue_state": "paused_capacity", "request_id": "x"}
            said = {**paused, "queue_state_reason": "full"}
            service.script("/retrieve_future", FakeReply(said, status=408))
            await training.optim_step({})
            status = training.status()
            assert (status.queue_state, status.queue_state_reason) == ("paused_capacity", "full")
            assert status.ready

    run_virtual(main)


def test_an_unreachable_service_is_one_clear_error() -> None:
    """After its retries, creation fails with where it tried and why."""

    async def main() -> None:
        service = ScriptedService()
        service.script(CONFIG, *[ConnectError("refused")] * 3)
        async with open_client(service, max_retries=2) as client:
            with pytest.raises(APIConnectionError, match=r"in 3 attempts.*refused") as caught:
                await client.create_lora_training_client_async("m")
            assert isinstance(caught.value.__cause__, ConnectError)
            assert caught.value.may_have_arrived is False

    run_virtual(main)


async def test_polls_of_chunks_run_side_by_side() -> None:
    """The results of all chunks are awaited at once."""
    service = ScriptedService()
    service.script(CONFIG, chunk_config())
    gates = [AsyncGate(service), AsyncGate(service)]
    async with open_client(service) as client:
        training = await client.create_lora_training_client_async("m")
        service.script("/retrieve_future", *gates)
        future = training.forward_backward([example()] * 3, "cross_entropy")
        with anyio.fail_after(PATIENCE_S):
            for gate in gates:
                await gate.reached.wait()
            for gate in gates:
                gate.opened.set()
            await future
    polled = [r for r in service.requests if path_of(r) == "/retrieve_future"]
    assert len({body_of(r)["request_id"] for r in polled}) == 3


def test_steps_of_other_optimisers_name_their_family() -> None:
    """Adam's settings and those of another family stand under different names."""
    service = ScriptedService()
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m", optimizer=DimuonOptimizerConfig())
        training.optim_step(DimuonParams(learning_rate=0.5)).result(PATIENCE_S)
        training.optim_step({"type": "new", "x": 1}).result(PATIENCE_S)
        training.optim_step({"learning_rate": 0.5}).result(PATIENCE_S)
    first, second, third = service.bodies("/optim_step")
    assert first["optimizer_params"]["type"] == "dimuon"
    assert second["optimizer_params"] == {"type": "new", "x": 1}
    assert third["adam_params"]["learning_rate"] == 0.5
    assert [("adam_params" in body) for body in (first, second, third)] == [False, False, True]
