from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from tests.engine.scripted import (
    BASE_URL,
    PATIENCE_S,
    AsyncGate,
    ScriptedService,
    example,
    open_client,
    refusal,
)
from tinker_lite import APIFuture, BadRequestError, OptimStepResponse, ServiceClient
from tinker_lite.engine.runtime import ThreadRuntime, shared_runtime, task_runtime
from tinker_lite.testing import AsyncFakeTransport


class OwnInterrupt(BaseException):
    """Stands for Ctrl-C in the body of a block."""


async def nothing() -> None:
    """Work that is done at once."""


# On the caller's own loop.


async def test_no_thread_is_used_on_the_own_loop() -> None:
    """A whole training run leaves the threads of the process as they were."""
    before = set(threading.enumerate())
    async with open_client(ScriptedService()) as client:
        training = client.create_lora_training_client("m")
        passed = training.forward_backward([example()], "cross_entropy")
        await training.optim_step({})
        await passed
        assert set(threading.enumerate()) <= before
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("kind", [LookupError, OwnInterrupt])
async def test_an_error_of_the_block_comes_out_as_it_is(kind: type[BaseException]) -> None:
    """Not inside a group, with the block's own frame, whatever still ran."""
    error = kind("of the block")
    service = ScriptedService()
    service.script("/optim_step", AsyncGate(service))

    async def program() -> None:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            training.optim_step({})
            raise error

    with pytest.raises(kind, match="of the block") as caught:
        await program()
    assert caught.value is error


async def test_a_failed_operation_does_not_end_the_block() -> None:
    """Errors of operations never enter the caller's task group."""
    service = ScriptedService()
    service.script("/optim_step", refusal(400, "bad"))
    async with open_client(service) as client:
        training = await client.create_lora_training_client_async("m")
        failed = training.optim_step({})
        with pytest.raises(BadRequestError, match="bad"):
            await failed
        await training.optim_step({})


async def test_cancelling_the_surrounding_scope_ends_everything() -> None:
    """Operations and heartbeat stop, futures are cancelled, and the service is told."""
    service = ScriptedService()
    gate = AsyncGate(service)
    steps: list[APIFuture[OptimStepResponse]] = []
    with anyio.CancelScope() as scope:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/retrieve_future", gate)
            steps.append(training.optim_step({}))
            await gate.reached.wait()
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert steps[0].cancelled()
    (finish,) = service.bodies("/sessions/S/finish")
    assert finish["reason"] == {"type": "interrupted"}


async def test_a_block_that_ends_in_order_waits_for_the_results() -> None:
    """Nobody asked for them, and they are there all the same."""
    service = ScriptedService()
    async with open_client(service) as client:
        training = await client.create_lora_training_client_async("m")
        step = training.optim_step({})
        later = training.save_state("x")
    assert (await later).path == "tinker://S:train:0/weights/x"
    assert (await step) is not None
    assert [path for path, _ in service.numbered()] == ["/optim_step", "/save_weights"]


async def test_what_still_runs_when_the_block_fails_is_cancelled() -> None:
    """An error is not kept waiting for results."""
    service = ScriptedService()
    gate = AsyncGate(service)
    steps: list[APIFuture[OptimStepResponse]] = []

    async def program() -> None:
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/retrieve_future", gate)
            steps.append(training.optim_step({}))
            await gate.reached.wait()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await program()
    assert steps[0].cancelled()


async def test_blocking_on_the_own_loop_is_refused() -> None:
    """``result()`` would wait for itself; a worker thread may block."""
    async with open_client(ScriptedService()) as client:
        training = client.create_lora_training_client("m")
        with pytest.raises(RuntimeError, match="use `await` instead"):
            training.result()
        assert await anyio.to_thread.run_sync(training.result, PATIENCE_S) is training
        assert training.result() is training


async def test_calls_from_other_threads_run_on_the_own_loop() -> None:
    """A worker thread may call and wait; its operations keep their order."""
    service = ScriptedService()
    async with open_client(service) as client:
        training = client.create_lora_training_client("m")

        def work() -> None:
            first, second = training.save_state("a"), training.save_state("b")
            second.result(PATIENCE_S)
            first.result(PATIENCE_S)

        await anyio.to_thread.run_sync(work)
    assert [body["path"] for body in service.bodies("/save_weights")] == ["a", "b"]


async def test_use_after_the_block_is_refused() -> None:
    """The clients of a block do not outlive it; its futures keep what they have."""
    async with open_client(ScriptedService()) as client:
        training = await client.create_lora_training_client_async("m")
        done = training.optim_step({})
        await done
    with pytest.raises(RuntimeError, match="closed"):
        training.optim_step({})
    with pytest.raises(RuntimeError, match="closed"):
        client.create_lora_training_client("m")
    assert done.result() is await done


async def test_two_runtimes_on_one_loop_do_not_mix() -> None:
    """Ending one leaves the other's work alone."""
    event = anyio.Event()

    async def wait() -> str:
        await event.wait()
        return "done"

    async with task_runtime() as outer:
        kept = outer.start(wait, "kept")
        async with task_runtime() as inner:
            dropped = inner.start(wait, "dropped")
        assert dropped.cancelled()
        event.set()
        assert await kept == "done"


# On the background thread.


def test_the_background_thread_starts_with_the_first_work(runtime: ThreadRuntime) -> None:
    """One daemon thread, not before it is needed; ``stop`` ends it and later work starts anew."""
    before = set(threading.enumerate())
    runtime.start(nothing, "nothing").result(PATIENCE_S)
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    assert thread.name == "tinker_lite"
    runtime.stop()
    assert not thread.is_alive()
    runtime.start(nothing, "nothing").result(PATIENCE_S)
    runtime.stop()
    runtime.stop()
    assert set(threading.enumerate()) <= before


def test_making_a_client_starts_nothing() -> None:
    """No thread and no request before the first operation."""
    before = set(threading.enumerate())
    transport = AsyncFakeTransport(ScriptedService())
    ServiceClient(base_url=BASE_URL, transport=transport)
    assert set(threading.enumerate()) <= before
    assert transport.requests == []


def test_many_first_calls_share_one_thread(runtime: ThreadRuntime) -> None:
    """Threads that start work at the same moment get the same loop."""
    start = threading.Barrier(8)
    idents: set[int] = set()

    async def ident() -> None:
        idents.add(threading.get_ident())

    def call() -> None:
        start.wait(PATIENCE_S)
        runtime.start(ident, "ident").result(PATIENCE_S)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(idents) == 1


def test_stopping_cancels_what_runs(runtime: ThreadRuntime) -> None:
    """A future that can get no value any more is cancelled rather than left hanging."""
    running = threading.Event()

    async def forever() -> None:
        running.set()
        await anyio.sleep_forever()

    future = runtime.start(forever, "waiting")
    assert running.wait(PATIENCE_S)
    runtime.stop()
    assert future.cancelled()


def test_the_process_has_one_shared_runtime() -> None:
    """Every client uses it unless told otherwise."""
    assert shared_runtime() is shared_runtime()
