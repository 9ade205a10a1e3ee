"""A service made of scripts: every endpoint succeeds plainly, and a test scripts what differs."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar

import anyio
import msgspec
import trio.testing

from tinker_lite import Datum, ModelInput, ServiceClient, TensorData
from tinker_lite.errors import TransportError
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.types import ForwardBackwardRequest, ForwardRequest
from tinker_lite.wire.content import content_decoder
from tinker_lite.wire.json import encode_json
from tinker_lite.wire.protobuf import decode_forward_backward_request

T = TypeVar("T")
Step: TypeAlias = (
    "FakeReply | TransportError | Callable[[Request], FakeReply | Awaitable[FakeReply]]"
)

# Nothing listens there; every test injects a transport. Loopback needs no key.
BASE_URL = "http://127.0.0.1:9"
PATIENCE_S = 5.0
CALLS = "/api/v1"


def _pass_of(request: Request) -> ForwardBackwardRequest | ForwardRequest | None:
    """A training pass in protobuf."""
    if request.headers.get("content-type") != "application/x-protobuf":
        return None
    assert isinstance(request.body, bytes)
    coding = request.headers.get("content-encoding")
    return decode_forward_backward_request(content_decoder(coding or "").whole(request.body))


def path_of(request: Request) -> str:
    """The path below ``/api/v1``, without the query; that of JSON for passes in protobuf."""
    if isinstance(_pass_of(request), ForwardRequest):
        return "/forward"
    return request.url.partition(CALLS)[2].partition("?")[0]


def body_of(request: Request) -> dict[str, Any]:
    """The body of a request as its JSON form, or an empty mapping."""
    assert isinstance(request.body, bytes)
    if (sent := _pass_of(request)) is not None:
        plain: dict[str, Any] = msgspec.json.decode(encode_json(sent))
        return plain
    body: dict[str, Any] = msgspec.json.decode(request.body) if request.body else {}
    return body


class ScriptedService:
    """The handler of a fake transport: answers by path, and keeps what it was asked.

    Attributes:
        requests: Everything asked, in order of arrival.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._steps: dict[str, deque[Step]] = defaultdict(deque)
        self._results: dict[str, deque[object]] = defaultdict(deque)
        self._promised: dict[str, object] = {}
        self._numbers = itertools.count(1)

    def script(self, path: str, *steps: Step) -> None:
        """Answer the next requests to ``path`` in this way, one step each."""
        self._steps[path].extend(steps)

    def promise(self, path: str, *results: object) -> None:
        """Give the next submissions to ``path`` these results, one each."""
        self._results[path].extend(results)

    def __call__(self, request: Request) -> FakeReply | Awaitable[FakeReply]:
        """Answer as scripted, or plainly."""
        self.requests.append(request)
        steps = self._steps[path_of(request)]
        if not steps:
            return self.answer(request)
        step = steps.popleft()
        if isinstance(step, TransportError):
            raise step
        return step if isinstance(step, FakeReply) else step(request)

    def answer(self, request: Request) -> FakeReply:
        """The plain answer of an endpoint."""
        path, body = path_of(request), body_of(request)
        if path == "/retrieve_future":
            return FakeReply(self._promised[body["request_id"]])
        if path in _RESULTS:
            return FakeReply({"request_id": self._accepted(path, body)})
        if path.startswith("/samplers/"):
            return FakeReply({"sampler_id": "s", "base_model": "tinker-lite/tiny-random"})
        return FakeReply(_ANSWERS[path](body) if path in _ANSWERS else {})

    def _accepted(self, path: str, body: dict[str, Any]) -> str:
        request_id = f"{path[1:]}-{next(self._numbers)}"
        scripted = self._results[path]
        self._promised[request_id] = scripted.popleft() if scripted else _RESULTS[path](body)
        return request_id

    def to(self, path: str) -> list[Request]:
        """The requests to ``path``."""
        return [request for request in self.requests if path_of(request) == path]

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests to ``path``."""
        return [body_of(request) for request in self.to(path)]

    def paths(self) -> list[str]:
        """The paths of all requests, in order."""
        return [path_of(request) for request in self.requests]

    def numbered(self) -> list[tuple[str, int]]:
        """Path and sequence number of every request that has one, in order of arrival."""
        pairs = [(path_of(request), body_of(request)) for request in self.requests]
        return [(path, body["seq_id"]) for path, body in pairs if "seq_id" in body]


def _outputs(name: str) -> Callable[[dict[str, Any]], object]:
    def outputs(body: dict[str, Any]) -> object:
        targets = [datum["loss_fn_inputs"]["target_tokens"] for datum in body[name]["data"]]
        logprobs = [{**t, "data": [-0.5] * len(t["data"]), "dtype": "float32"} for t in targets]
        return {
            "loss_fn_output_type": "scripted",
            "loss_fn_outputs": [{"logprobs": values} for values in logprobs],
            "metrics": {"loss:sum": float(len(targets))},
        }

    return outputs


def _saved(body: dict[str, Any]) -> object:
    return {"path": f"tinker://{body['model_id']}/weights/{body['path']}"}


def _saved_for_sampler(body: dict[str, Any]) -> object:
    if "path" in body:
        return {"path": f"tinker://{body['model_id']}/sampler_weights/{body['path']}"}
    return {"sampling_session_id": f"S:sample:{body['sampling_session_seq_id']}"}


def _sampled(body: dict[str, Any]) -> object:
    sequence = {"stop_reason": "length", "tokens": [7], "logprobs": [-0.25]}
    n_prompt = sum(len(chunk["tokens"]) for chunk in body["prompt"]["chunks"])
    scores = {"prompt_logprobs": [None] + [-1.0] * (n_prompt - 1)}
    asked = scores if body["prompt_logprobs"] else {}
    return {"sequences": [sequence] * body["num_samples"], **asked}


_ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "/create_session": lambda _: {"session_id": "S"},
    "/create_sampling_session": lambda body: {
        "sampling_session_id": f"S:sample:{body['sampling_session_seq_id']}"
    },
    "/get_info": lambda body: {
        "model_id": body["model_id"],
        "model_data": {"model_name": "org/m"},
    },
}

_RESULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "/create_model": lambda body: {"model_id": f"S:train:{body['model_seq_id']}"},
    "/forward": _outputs("forward_input"),
    "/forward_backward": _outputs("forward_backward_input"),
    "/optim_step": lambda _: {"metrics": {"grad_norm:mean": 1.0}},
    "/save_weights": _saved,
    "/save_weights_for_sampler": _saved_for_sampler,
    "/load_weights": lambda body: {
        "path": body["path"],
        "model_id": body.get("model_id") or f"S:train:{body.get('model_seq_id')}",
    },
    "/asample": _sampled,
}


class Gate:
    """Holds a blocking transport's request back until the test opens it."""

    def __init__(self, service: ScriptedService) -> None:
        self._service = service
        self._reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, request: Request) -> FakeReply:
        """Wait until the gate is open, then answer plainly."""
        self._reached.set()
        assert self._open.wait(PATIENCE_S), "the gate was never opened"
        return self._service.answer(request)

    def wait_reached(self) -> None:
        """Wait until a request stands at the gate."""
        assert self._reached.wait(PATIENCE_S), "nothing reached the gate"

    def open(self) -> None:
        """Let the request, and all later ones, through."""
        self._open.set()


class AsyncGate:
    """The same for an async transport, within one event loop."""

    def __init__(self, service: ScriptedService) -> None:
        self._service = service
        self.reached = anyio.Event()
        self.opened = anyio.Event()

    async def __call__(self, request: Request) -> FakeReply:
        """Wait until the gate is open, then answer plainly."""
        self.reached.set()
        await self.opened.wait()
        return self._service.answer(request)


@contextmanager
def threaded_client(service: ScriptedService, **options: Any) -> Generator[ServiceClient]:
    """A client on the background thread, over a blocking fake transport."""
    client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service), **options)
    try:
        yield client
    finally:
        client.close("errored").exception(PATIENCE_S)


@asynccontextmanager
async def open_client(service: ScriptedService, **options: Any) -> AsyncGenerator[ServiceClient]:
    """A client on the running loop, over an async fake transport."""
    transport = AsyncFakeTransport(service)
    async with ServiceClient.open(base_url=BASE_URL, transport=transport, **options) as client:
        yield client


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run on trio, where waiting takes no time: the clock jumps to the next deadline."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return anyio.run(main, backend="trio", backend_options={"clock": clock})


def example(*tokens: int, **inputs: TensorData) -> Datum:
    """An example whose targets are its own tokens."""
    targets = TensorData(tokens or (1, 2, 3), "int64", [len(tokens) or 3])
    ints = ModelInput.from_ints(list(tokens or (1, 2, 3)))
    return Datum(ints, {"target_tokens": targets, **inputs})


def refusal(status: int, detail: str = "no") -> FakeReply:
    """An answer that is not a success."""
    return FakeReply({"detail": detail}, status=status)
