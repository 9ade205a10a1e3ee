"""A training run over a bad network: its numbers must be those of a good one."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
import pytest

import tinker_lite as tl
from tinker_lite.http import AnyTransport, Request
from tinker_lite.local import AsyncLocalTransport, LocalService, LocalTransport
from tinker_lite.testing import (
    AsyncFaultyTransport,
    Duplicated,
    FaultPlan,
    FaultyTransport,
    ResetAfterArrival,
    Truncated,
)

BASE_URL = "http://127.0.0.1:9"
MODEL = "tinker-lite/tiny-random"
TEXT = b"In the beginning was the word."
N_STEPS = 4
PATIENCE_S = 60.0


def batch() -> list[tl.Datum]:
    """One example."""
    inputs: dict[str, Any] = {"target_tokens": list(TEXT[1:]), "weights": [1.0] * (len(TEXT) - 1)}
    return [tl.Datum(model_input=tl.ModelInput.from_ints(list(TEXT[:-1])), loss_fn_inputs=inputs)]


def losses(transport: AnyTransport) -> list[float]:
    """The losses of a run whose steps are all queued at once."""
    with tl.ServiceClient(base_url=BASE_URL, transport=transport) as service:
        client = service.create_lora_training_client(MODEL, rank=4, seed=7)
        passed: list[Any] = []
        for _ in range(N_STEPS):
            passed.append(client.forward_backward(batch(), "cross_entropy"))
            client.optim_step(tl.AdamParams(learning_rate=1e-2))
        return [loss.result(PATIENCE_S).metrics["loss:sum"] for loss in passed]


@pytest.fixture(scope="module")
def undisturbed() -> list[float]:
    """The losses without any fault."""
    with LocalService() as service:
        return losses(LocalTransport(service))


async def no_sleep(seconds: float) -> None:
    """A stall takes no time."""
    await anyio.lowlevel.checkpoint()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seeded_plan_changes_no_loss_async(seed: int, undisturbed: list[float]) -> None:
    """Steps that arrived twice or whose answer was lost are applied once, in their order."""
    with LocalService() as service:
        faulty = AsyncFaultyTransport(
            AsyncLocalTransport(service), FaultPlan.seeded(seed), sleep=no_sleep
        )
        assert losses(faulty) == undisturbed, [*map(str, faulty.injected)]
    assert len(faulty.injected) > 3


@pytest.mark.slow
def test_a_seeded_plan_changes_no_loss_blocking(undisturbed: list[float]) -> None:
    """The same over a blocking transport in worker threads."""
    with LocalService() as service:
        faulty = FaultyTransport(LocalTransport(service), FaultPlan.seeded(1), sleep=lambda _: None)
        assert losses(faulty) == undisturbed, [*map(str, faulty.injected)]
    assert len(faulty.injected) > 3


async def test_a_lost_answer_a_cut_one_and_a_duplicate_on_the_callers_loop(
    undisturbed: list[float],
) -> None:
    """On asyncio and trio: the first step loses its answer, the second comes twice or is cut."""

    def is_step(request: Request) -> bool:
        return request.url.endswith(("/forward_backward", "/optim_step"))

    plan = (
        FaultPlan.when(is_step, ResetAfterArrival(reused_connection=True))
        | FaultPlan.when(is_step, Duplicated(), times=3)
        | FaultPlan.when(is_step, Truncated(after_bytes=3))
    )
    with LocalService() as service:
        faulty = AsyncFaultyTransport(AsyncLocalTransport(service), plan)
        async with tl.ServiceClient.open(base_url=BASE_URL, transport=faulty) as client:
            training = await client.create_lora_training_client_async(MODEL, rank=4, seed=7)
            for expected in undisturbed:
                passed = await training.forward_backward_async(batch(), "cross_entropy")
                await (await training.optim_step_async(tl.AdamParams(learning_rate=1e-2)))
                assert (await passed).metrics["loss:sum"] == expected
    assert len(faulty.injected) == 5
