"""What only a process of its own can show: Ctrl-C, the end of a program, and a fork.

The programs set the patience at exit to ten minutes, so that a wait that should not happen runs
into the bound of the test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from tests.engine.scripted import ScriptedService
from tinker_lite.http import Headers, Request

ROOT = Path(__file__).parents[2]
BOUND_S = 15.0

PRELUDE = """
import atexit, faulthandler, os, sys, threading, time, traceback
import anyio
import tinker_lite.engine.runtime as runtime
from tinker_lite import ServiceClient
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tests.engine.scripted import BASE_URL, ScriptedService, example, path_of

faulthandler.dump_traceback_later(12.0)  # says where a program hangs before it is killed
runtime.EXIT_DRAIN_S = 600.0
service = ScriptedService()

def held(request):
    print("held", path_of(request), flush=True)
    time.sleep(600)

def held_once_asked(request):
    # Ctrl-C is to strike in result(), not in the call before it.
    main = threading.main_thread().ident
    while "result" not in [f.name for f in traceback.extract_stack(sys._current_frames()[main])]:
        time.sleep(0.01)
    return held(request)

def slow(request):
    time.sleep(0.2)
    return service.answer(request)

def report():
    for request in service.requests:
        print("asked", path_of(request), request.body.decode(), flush=True)

atexit.register(report)
"""


@contextmanager
def python(program: str) -> Generator[subprocess.Popen[str]]:
    """A fresh interpreter that runs a program after the prelude; killed if it outlives the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    bound = threading.Timer(BOUND_S, os.killpg, (process.pid, signal.SIGKILL))
    bound.start()
    try:
        with process:
            yield process
    finally:
        bound.cancel()


def run(program: str) -> tuple[int, str, str]:
    """Exit status, output and error output of a program that ends by itself."""
    with python(program) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def interrupt_when_held(program: str, path: str) -> tuple[int, str, str]:
    """The same for a program that gets Ctrl-C once a request to ``path`` is held."""
    with python(program) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line == f"held {path}\n":
                process.send_signal(signal.SIGINT)
        err = process.stderr.read()
    return process.returncode, "".join(lines), err


@pytest.mark.parametrize("held", ["/optim_step", "/retrieve_future"])
def test_ctrl_c_in_result_ends_the_program_at_once(held: str) -> None:
    """No thread keeps it alive, nothing waits for the queue, and what is lost is named."""
    status, _, err = interrupt_when_held(
        f"""
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        training = client.create_lora_training_client("m").result()
        service.script({held!r}, held_once_asked)
        steps = [training.optim_step({{}}) for _ in range(3)]
        steps[0].result()
        """,
        held,
    )
    assert status == -signal.SIGINT, err
    assert "KeyboardInterrupt" in err
    assert "before these operations were confirmed: optim_step" in err


def test_ctrl_c_outside_result_ends_the_program_at_once() -> None:
    """The same wherever it strikes, while an operation cannot be sent."""
    status, _, err = interrupt_when_held(
        """
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        training = client.create_lora_training_client("m").result()
        service.script("/optim_step", held)
        training.optim_step({})
        time.sleep(600)
        """,
        "/optim_step",
    )
    assert status == -signal.SIGINT, err


def test_ctrl_c_in_a_with_block_tells_the_service() -> None:
    """The session ends as interrupted, then the program does."""
    status, out, _ = interrupt_when_held(
        """
        with ServiceClient(base_url=BASE_URL, transport=FakeTransport(service)) as client:
            training = client.create_lora_training_client("m").result()
            service.script("/retrieve_future", held_once_asked)
            training.optim_step({}).result()
        """,
        "/retrieve_future",
    )
    assert status == -signal.SIGINT
    assert 'asked /sessions/S/finish {"reason":{"type":"interrupted"}' in out


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_on_the_own_loop_tells_the_service(backend: str) -> None:
    """The same for a program on its own event loop."""
    status, out, err = interrupt_when_held(
        f"""
        async def held(request):
            print("held", path_of(request), flush=True)
            await anyio.sleep(600)

        async def main():
            transport = AsyncFakeTransport(service)
            async with ServiceClient.open(base_url=BASE_URL, transport=transport) as client:
                training = await client.create_lora_training_client("m")
                service.script("/retrieve_future", held)
                await training.optim_step({{}})

        anyio.run(main, backend={backend!r})
        """,
        "/retrieve_future",
    )
    assert status == -signal.SIGINT, err
    assert 'asked /sessions/S/finish {"reason":{"type":"interrupted"}' in out


def test_the_end_of_a_program_sends_what_is_queued() -> None:
    """Operations nobody waited for are sent in order, although creation has hardly begun."""
    status, out, err = run(
        """
        service.script("/create_session", slow)
        service.script("/create_model", slow)
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        training = client.create_lora_training_client("m")
        training.forward_backward([example()], "cross_entropy")
        training.optim_step({})
        """
    )
    assert status == 0
    paths = [line.split()[1] for line in out.splitlines() if line.startswith("asked")]
    sent = [path for path in paths if path in {"/forward_backward", "/optim_step"}]
    assert sent == ["/forward_backward", "/optim_step"]
    assert "Traceback" not in err


def test_the_end_of_a_program_names_what_is_unconfirmed() -> None:
    """Sent but without a result: a warning on stderr, and no waiting for the result."""
    status, out, err = run(
        """
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        training = client.create_lora_training_client("m").result()
        service.script("/retrieve_future", held)
        training.save_state("x")
        """
    )
    assert status == 0
    assert "asked /save_weights" in out
    assert "were confirmed: save_state. Never sent: none. Wait for their futures" in err


def test_the_end_of_a_program_with_nothing_open_is_silent() -> None:
    """Confirmed work leaves nothing to say."""
    status, _, err = run(
        """
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        client.create_lora_training_client("m").optim_step({}).result()
        """
    )
    assert (status, err) == (0, "")


def test_a_training_thread_may_outlive_the_main_thread() -> None:
    """A thread that still trains when the main thread has ended is neither stopped nor scolded."""
    status, out, err = run(
        """
        service.script("/create_model", slow)

        def train():
            client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
            training = client.create_lora_training_client("m")
            for _ in range(3):
                service.script("/retrieve_future", slow)
                training.optim_step({}).result()
            print("trained", flush=True)

        threading.Thread(target=train).start()
        """
    )
    assert (status, err) == (0, "")
    assert "trained" in out


def test_the_wait_at_the_end_is_bounded() -> None:
    """A service that accepts nothing does not keep the program; what was not sent is named."""
    status, _, err = run(
        """
        runtime.EXIT_DRAIN_S = 0.2
        client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
        training = client.create_lora_training_client("m").result()
        service.script("/optim_step", held)
        training.optim_step({})
        training.save_state("x")
        """
    )
    assert status == 0
    assert "were confirmed: optim_step, save_state. Never sent: optim_step, save_state." in err


class Handler(BaseHTTPRequestHandler):
    """Answers over HTTP as the scripted service does."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one request."""
        service = cast("Server", self.server).service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(method="POST", url=f"http://x{self.path}", headers=Headers(), body=body)
        reply = cast("Any", service(request))
        headers, answer = reply.encoded()
        self.send_response(reply.status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as in the library
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """An HTTP server with a scripted service behind it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service = ScriptedService()


@contextmanager
def serving() -> Generator[Server]:
    """A server on loopback."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(BOUND_S)
        server.server_close()


def test_the_end_of_a_program_sends_over_a_real_connection() -> None:
    """Also when the first connection, with its name look-up, is only made at the end."""
    with serving() as server:
        status, _, err = run(
            f"""
            client = ServiceClient(base_url="http://localhost:{server.server_address[1]}")
            client.create_lora_training_client("m").optim_step({{}})
            """
        )
        assert server.service.numbered() == [("/optim_step", 1)], err
    assert status == 0


FORK = """
faulthandler.cancel_dump_traceback_later()  # its watchdog thread does not survive the fork
client = ServiceClient(base_url=BASE_URL, transport=FakeTransport(service))
training = client.create_lora_training_client("m").result()
sampling = client.create_sampling_client(base_model="m").result()
service.script("/retrieve_future", held)
pending = training.optim_step({})
done = training.save_state("x")
done.result()
read, write = os.pipe()

def refused(name, call):
    try:
        call()
    except RuntimeError as error:
        print(name, "refused:", error, flush=True)
    else:
        print(name, "was not refused", flush=True)

child = os.fork()
if child == 0:
    from tinker_lite import ModelInput, SamplingParams
    refused("training", lambda: training.optim_step({}))
    refused("creating", lambda: client.create_lora_training_client("m"))
    refused("sampling", lambda: sampling.compute_logprobs(ModelInput.from_ints([1])))
    refused("rest", lambda: client.create_rest_client().list_training_runs())
    refused("result", lambda: pending.result())
    refused("await asyncio", lambda: anyio.run(pending.result_async))
    refused("await trio", lambda: anyio.run(pending.shared, backend="trio"))
    refused("closing", lambda: client.close())
    print("known value", done.result().path, flush=True)
    with ServiceClient(base_url=BASE_URL, transport=FakeTransport(ScriptedService())) as fresh:
        again = fresh.create_lora_training_client("m")
        again.optim_step({}).result()
        print("new client", again.model_id, flush=True)
    sys.exit(7)
_, status = os.waitpid(child, 0)
print("child ended with", os.waitstatus_to_exitcode(status), flush=True)
training.save_state("y").result()
print("parent goes on", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_anew() -> None:
    """Inherited clients and futures are refused clearly, a new client works, the parent goes on."""
    status, out, err = run(FORK)
    assert status == 0, err
    for name in (
        "training",
        "creating",
        "sampling",
        "rest",
        "result",
        "await asyncio",
        "await trio",
        "closing",
    ):
        assert f"{name} refused: This client was made before a fork" in out, out + err
    assert "known value tinker://S:train:0/weights/x" in out
    assert "new client S:train:0" in out
    assert "child ended with 7" in out
    assert "parent goes on" in out
