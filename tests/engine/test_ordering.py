from __future__ import annotations

import threading

import anyio
import pytest

from tests.engine.scripted import (
    PATIENCE_S,
    AsyncGate,
    Gate,
    ScriptedService,
    example,
    open_client,
    refusal,
    run_virtual,
    threaded_client,
)
from tinker_lite import APIFuture, BadRequestError
from tinker_lite.engine.ordering import TurnQueue
from tinker_lite.types import SaveWeightsResponse

N_THREADS = 4
N_EACH = 10


async def test_turns_come_in_ticket_order_whatever_the_tasks_do() -> None:
    """Tasks that reach the queue backwards still hold it in the order of their tickets."""
    queue = TurnQueue()
    held: list[int] = []

    async def hold(ticket: int) -> None:
        async with queue.turn(ticket):
            await anyio.lowlevel.checkpoint()
            held.extend(queue.draw())

    tickets = [queue.take() for _ in range(5)]
    async with anyio.create_task_group() as tasks:
        for ticket in reversed(tickets):
            tasks.start_soon(hold, ticket)
    assert held == [1, 2, 3, 4, 5]


async def test_a_turn_given_up_is_passed_on_and_draws_nothing() -> None:
    """Places given up early, twice or while waiting leave no gap in the numbers."""
    queue = TurnQueue()
    first, second, third, fourth = (queue.take() for _ in range(4))
    queue.give_up(second)
    queue.give_up(second)
    drawn: list[int] = []

    async def hold(ticket: int) -> None:
        async with queue.turn(ticket):
            drawn.extend(queue.draw(2))

    async with anyio.create_task_group() as waiting:
        waiting.start_soon(hold, third)
        await anyio.wait_all_tasks_blocked()
        waiting.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold, fourth)
        tasks.start_soon(hold, first)
    queue.give_up(first)
    assert drawn == [1, 2, 3, 4]


async def test_a_failure_passes_the_turn_on() -> None:
    """Whoever raises while holding the turn does not keep it."""
    queue = TurnQueue()
    first, second = queue.take(), queue.take()
    with pytest.raises(LookupError, match="lost"):
        async with queue.turn(first):
            raise LookupError("lost")
    async with queue.turn(second):
        assert queue.draw() == [1]


def test_operations_of_many_threads_arrive_numbered_in_call_order() -> None:
    """Forty operations from four threads arrive as 1 to 40, each thread's in its own order."""
    service = ScriptedService()
    calls: list[str] = []
    calling = threading.Lock()
    futures: list[APIFuture[SaveWeightsResponse]] = []

    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")

        def work(name: int) -> None:
            for i in range(N_EACH):
                with calling:  # so that the test knows the order of the calls
                    calls.append(f"{name}-{i}")
                    futures.append(training.save_state(f"{name}-{i}"))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(N_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        for future in futures:
            future.result(PATIENCE_S)

    asked = service.bodies("/save_weights")
    assert [body["seq_id"] for body in asked] == list(range(1, N_THREADS * N_EACH + 1))
    assert [body["path"] for body in asked] == calls


def test_unserialised_calls_of_many_threads_lose_no_number() -> None:
    """Without a lock around the calls, numbers are still whole and each thread's are in order."""
    service = ScriptedService()
    futures: list[APIFuture[SaveWeightsResponse]] = []
    start = threading.Barrier(N_THREADS)

    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")

        def work(name: int) -> None:
            start.wait(PATIENCE_S)
            futures.extend(training.save_state(f"{name}-{i}") for i in range(N_EACH))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(N_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        for future in futures:
            future.result(PATIENCE_S)

    asked = service.bodies("/save_weights")
    assert [body["seq_id"] for body in asked] == list(range(1, N_THREADS * N_EACH + 1))
    for name in range(N_THREADS):
        mine = [body["path"] for body in asked if body["path"].startswith(f"{name}-")]
        assert mine == [f"{name}-{i}" for i in range(N_EACH)]


def test_the_next_submission_waits_for_the_last_to_be_accepted_not_for_its_result() -> None:
    """Submissions go out one after another; results are awaited side by side."""

    async def main() -> None:
        service = ScriptedService()
        accept, result = AsyncGate(service), AsyncGate(service)
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/forward_backward", accept)
            service.script("/retrieve_future", result)
            first = training.forward_backward([example()], "cross_entropy")
            second = training.optim_step({"learning_rate": 0.1})
            await accept.reached.wait()
            await anyio.wait_all_tasks_blocked()
            assert service.numbered() == [("/forward_backward", 1)]
            accept.opened.set()
            await second
            assert not first.done()
            result.opened.set()
            await first
        assert service.numbered() == [("/forward_backward", 1), ("/optim_step", 2)]

    run_virtual(main)


def test_a_refused_submission_spoils_nothing() -> None:
    """Its number is used up, its error is its own, and the next operation goes out."""
    service = ScriptedService()
    service.script("/optim_step", refusal(400, "bad step"))
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        refused, accepted = training.optim_step({}), training.optim_step({})
        with pytest.raises(BadRequestError, match="400 - bad step"):
            refused.result(PATIENCE_S)
        accepted.result(PATIENCE_S)
        assert isinstance(training.status().last_error, BadRequestError)
    assert service.numbered() == [("/optim_step", 1), ("/optim_step", 2)]


def test_a_failed_result_spoils_nothing() -> None:
    """An operation that fails on the server leaves the client usable."""
    service = ScriptedService()
    service.promise("/optim_step", {"error": "went wrong", "category": "server"})
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        failed, fine = training.optim_step({}), training.optim_step({})
        with pytest.raises(ValueError, match="went wrong"):
            failed.result(PATIENCE_S)
        fine.result(PATIENCE_S)


def test_an_operation_cancelled_before_it_was_sent_is_never_sent() -> None:
    """It takes no number; those around it keep their order without a gap."""
    service = ScriptedService()
    gate = Gate(service)
    service.script("/save_weights", gate)
    with threaded_client(service) as client:
        training = client.create_lora_training_client("m")
        first, second, third = (training.save_state(name) for name in ("a", "b", "c"))
        gate.wait_reached()
        assert second.cancel()
        assert second.exception(PATIENCE_S) is not None
        gate.open()
        first.result(PATIENCE_S)
        third.result(PATIENCE_S)
    asked = service.bodies("/save_weights")
    assert [(body["path"], body["seq_id"]) for body in asked] == [("a", 1), ("c", 2)]


def test_an_accepted_operation_that_is_cancelled_still_counts() -> None:
    """Polling stops, its number is used, and later operations go on."""

    async def main() -> None:
        service = ScriptedService()
        result = AsyncGate(service)
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/retrieve_future", result)
            first = training.save_state("a")
            await result.reached.wait()
            first.cancel()
            await training.save_state("b")
            assert first.cancelled()
        asked = service.bodies("/save_weights")
        assert [(body["path"], body["seq_id"]) for body in asked] == [("a", 1), ("b", 2)]

    run_virtual(main)


def test_a_submission_cancelled_under_way_keeps_its_number() -> None:
    """The service may have it already, so the number is not used again."""

    async def main() -> None:
        service = ScriptedService()
        accept = AsyncGate(service)
        async with open_client(service) as client:
            training = await client.create_lora_training_client_async("m")
            service.script("/save_weights", accept)
            first, second = training.save_state("a"), training.save_state("b")
            await accept.reached.wait()
            first.cancel()
            await second
        assert service.numbered() == [("/save_weights", 1), ("/save_weights", 2)]

    run_virtual(main)
