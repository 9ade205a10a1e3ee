"""A whole program over the real clients, recorded from the embedded service and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

import tinker_lite as tl
from tests.testing.both import ASYNC, BLOCKING, Kit
from tinker_lite.local import AsyncLocalTransport, LocalService, LocalTransport
from tinker_lite.testing import AsyncReplayTransport, ReplayTransport

BASE_URL = "http://127.0.0.1:9"
MODEL = "tinker-lite/tiny-random"
TEXT = b"In the beginning was the word."
PATIENCE_S = 15.0


def batch() -> list[tl.Datum]:
    """One example."""
    inputs: dict[str, Any] = {
        "target_tokens": list(TEXT[1:]),
        "weights": [1.0] * (len(TEXT) - 1),
    }
    return [tl.Datum(model_input=tl.ModelInput.from_ints(list(TEXT[:-1])), loss_fn_inputs=inputs)]


def program(transport: Any, api_key: str | None = None) -> list[object]:
    """Two steps, all queued at once, and a sample: what they come to."""
    with tl.ServiceClient(base_url=BASE_URL, transport=transport, api_key=api_key) as service:
        client = service.create_lora_training_client(MODEL, rank=4, seed=7)
        steps = [
            (client.forward_backward(batch(), "cross_entropy"), client.optim_step(tl.AdamParams()))
            for _ in range(2)
        ]
        sampler = client.save_weights_and_get_sampling_client()
        prompt = tl.ModelInput.from_ints(list(b"In the"))
        sampled = sampler.sample(prompt, 1, tl.SamplingParams(max_tokens=5, seed=3))
        losses: list[object] = [loss.result(PATIENCE_S).metrics["loss:sum"] for loss, _ in steps]
        return [*losses, sampled.result(PATIENCE_S).sequences[0].tokens]


def recorded(file: Path, kit: Kit) -> list[object]:
    """Record the program with the transports of one form."""
    with LocalService() as service:
        inner = LocalTransport(service) if kit is BLOCKING else AsyncLocalTransport(service)
        return program(kit.recording(inner, file), api_key="tml-not-for-the-file")


@pytest.mark.parametrize("recorder", [BLOCKING, ASYNC], ids=["blocking", "async"])
@pytest.mark.parametrize("match", ["unordered", "lenient"])
def test_a_recorded_program_replays_offline_in_both_forms(
    tmp_path: Path, recorder: Kit, match: Any
) -> None:
    """The same numbers come out, with no service and no key, and nothing is left over."""
    file = tmp_path / "program.jsonl"
    results = recorded(file, recorder)
    assert "tml-not-for-the-file" not in file.read_text(encoding="utf-8")
    for make in (ReplayTransport, AsyncReplayTransport):
        replay = make(file, match=match)
        assert program(replay) == results
        replay.assert_done()


def test_another_program_does_not_replay(tmp_path: Path) -> None:
    """The difference is raised where its result is asked for."""
    file = tmp_path / "program.jsonl"
    recorded(file, BLOCKING)
    replay = ReplayTransport(file, match="unordered")
    with tl.ServiceClient(base_url=BASE_URL, transport=replay) as service:
        client = service.create_lora_training_client(MODEL, rank=8, seed=7)
        with pytest.raises(AssertionError, match=r"\$\.lora_config\.rank`: expected 4, came 8"):
            client.result(PATIENCE_S)


async def test_a_recorded_program_replays_on_the_callers_loop(tmp_path: Path) -> None:
    """Recorded in threads by a blocking transport, replayed on asyncio and trio without any."""
    file = tmp_path / "program.jsonl"
    first, *_ = await anyio.to_thread.run_sync(recorded, file, BLOCKING)
    replay = AsyncReplayTransport(file, match="unordered")
    async with tl.ServiceClient.open(base_url=BASE_URL, transport=replay) as service:
        client = await service.create_lora_training_client_async(MODEL, rank=4, seed=7)
        loss = await client.forward_backward_async(batch(), "cross_entropy")
        assert (await loss).metrics["loss:sum"] == first
