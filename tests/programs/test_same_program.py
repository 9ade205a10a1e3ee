"""One training program, every way of reaching the embedded service: the losses must be equal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import pytest

import tinker_lite as tl
from tinker_lite.local import LocalService
from tinker_lite.local.server import serve
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

MODEL = "tinker-lite/tiny-random"
TEXT = b"In the beginning was the word, and the word was short."
N_STEPS = 4


def batch() -> list[tl.Datum]:
    """Two examples of different lengths."""
    return [example(TEXT), example(TEXT[:23])]


def example(text: bytes) -> tl.Datum:
    """Predict each next byte."""
    return tl.Datum(
        model_input=tl.ModelInput.from_ints(list(text[:-1])),
        loss_fn_inputs={"target_tokens": list(text[1:]), "weights": [1.0] * (len(text) - 1)},
    )


def train(service: tl.ServiceClient) -> list[float]:
    """The program, blocking: all steps are queued before the first result is asked for."""
    client = service.create_lora_training_client(MODEL, rank=4, seed=7)
    queued = [
        (client.forward_backward(batch(), "cross_entropy"), client.optim_step(adam()))
        for _ in range(N_STEPS)
    ]
    losses = [passed.result(30).metrics["loss:sum"] for passed, _ in queued]
    queued[-1][1].result(30)
    return losses


async def train_async(service: tl.ServiceClient) -> list[float]:
    """The same program with ``await``."""
    client = await service.create_lora_training_client_async(MODEL, rank=4, seed=7)
    queued = [
        (
            await client.forward_backward_async(batch(), "cross_entropy"),
            await client.optim_step_async(adam()),
        )
        for _ in range(N_STEPS)
    ]
    losses = [(await passed).metrics["loss:sum"] for passed, _ in queued]
    await queued[-1][1]
    return losses


def adam() -> tl.AdamParams:
    """Steps large enough to see."""
    return tl.AdamParams(learning_rate=1e-2)


@contextmanager
def served() -> Generator[str]:
    """The embedded service over HTTP, in a thread of its own with its own loop."""
    urls: list[str] = []
    listening = threading.Event()
    stop: list[Callable[[], object]] = []

    async def main(service: LocalService) -> None:
        async with anyio.create_task_group() as tasks, anyio.from_thread.BlockingPortal() as portal:
            stop.append(lambda: portal.call(tasks.cancel_scope.cancel))

            def ready(url: str) -> None:
                urls.append(url)
                listening.set()

            await serve(service, on_listening=ready)

    with LocalService() as service:
        thread = threading.Thread(target=anyio.run, args=(main, service))
        thread.start()
        try:
            assert listening.wait(10)
            yield urls[0]
        finally:
            stop[0]()
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def reference() -> list[float]:
    """The losses in process, which all other ways must give too."""
    with tl.ServiceClient(base_url="local:") as service:
        return train(service)


def test_losses_fall_and_repeat(reference: list[float]) -> None:
    """Steps are applied in order, so the loss falls; a second run in process gives the same."""
    assert reference == sorted(reference, reverse=True)
    assert reference[-1] < reference[0]
    with tl.ServiceClient(base_url="local:") as service:
        assert train(service) == reference


def test_urllib3_over_http_gives_the_same_losses(reference: list[float]) -> None:
    """Blocking transport in worker threads, real sockets."""
    with served() as url:
        transport = Urllib3Transport()
        with tl.ServiceClient(base_url=url, transport=transport) as service:
            assert train(service) == reference
        transport.close()


def test_h11_in_the_background_gives_the_same_losses(reference: list[float]) -> None:
    """The default for http: the async transport on the background thread's loop."""
    with served() as url, tl.ServiceClient(base_url=url) as service:
        assert train(service) == reference


async def test_h11_on_the_callers_loop_gives_the_same_losses(reference: list[float]) -> None:
    """No thread of the client's own: asyncio and trio."""
    with served() as url:
        transport = H11Transport()
        async with tl.ServiceClient.open(base_url=url, transport=transport) as service:
            assert await train_async(service) == reference
        await transport.aclose()


async def test_the_blocking_program_runs_inside_a_running_loop(reference: list[float]) -> None:
    """As in a notebook cell; outside a notebook it is warned about, once per call site."""
    with (
        pytest.warns(RuntimeWarning, match="use `await` instead"),
        tl.ServiceClient(base_url="local:") as service,
    ):
        assert train(service) == reference


async def test_local_on_the_callers_loop_gives_the_same_losses(reference: list[float]) -> None:
    """In process and on the caller's loop: asyncio and trio."""
    async with tl.ServiceClient.open(base_url="local:") as service:
        assert await train_async(service) == reference


def test_loaded_weights_give_bit_equal_logprobs() -> None:
    """Saving and loading changes no logprob, with and without optimiser state."""
    with tl.ServiceClient(base_url="local:") as service:
        client = service.create_lora_training_client(MODEL, rank=4, seed=7)
        for _ in range(2):
            client.forward_backward(batch(), "cross_entropy")
            client.optim_step(adam())
        saved = client.save_state("halfway")
        expected = client.forward(batch(), "cross_entropy").result(30).loss_fn_outputs
        path = saved.result(30).path
        for load in (
            service.create_training_client_from_state,
            service.create_training_client_from_state_with_optimizer,
        ):
            loaded = load(path)
            given = loaded.forward(batch(), "cross_entropy").result(30).loss_fn_outputs
            assert given == expected


def test_optimiser_state_continues_the_run() -> None:
    """After a load with optimiser state the next step is the one the run would have made."""
    with tl.ServiceClient(base_url="local:") as service:
        client = service.create_lora_training_client(MODEL, rank=4, seed=7)
        client.forward_backward(batch(), "cross_entropy")
        client.optim_step(adam())
        path = client.save_state("one-step").result(30).path
        losses: list[float] = []
        for trained in (client, service.create_training_client_from_state_with_optimizer(path)):
            trained.forward_backward(batch(), "cross_entropy")
            trained.optim_step(adam())
            losses.append(trained.forward(batch(), "cross_entropy").result(30).metrics["loss:sum"])
        assert losses[0] == losses[1]


async def test_tokenizers_come_without_blocking_the_loop() -> None:
    """Both kinds of client have an async form for it, and the same bytes come out."""
    async with tl.ServiceClient.open(base_url="local:") as service:
        training = service.create_lora_training_client(MODEL, rank=4)
        sampling = service.create_sampling_client(base_model=MODEL)
        for client in (training, sampling):
            tokenizer = await client.get_tokenizer_async()
            assert tokenizer.decode(tokenizer.encode("a word")) == "a word"
