from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from http.client import HTTPConnection
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec
import pytest

from tests.local.service_driver import PROTOBUF, Driver, datum, pass_body, request
from tinker_lite.local import AsyncLocalTransport, LocalService, ServiceSettings, server
from tinker_lite.local.server import serve
from tinker_lite.wire.protobuf import (
    decode_forward_backward_output,
    encode_forward_backward_request,
)

BOUND_S = 15.0


@asynccontextmanager
async def serving(service: LocalService, api_key: str | None = None) -> AsyncGenerator[str]:
    """The service over HTTP on a free port of this machine; gives its base URL."""
    listening = anyio.Event()
    urls: list[str] = []

    def on_listening(url: str) -> None:
        urls.append(url)
        listening.set()

    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as group:
            run = partial(serve, service, api_key=api_key, on_listening=on_listening)
            group.start_soon(run)
            await listening.wait()
            yield urls[0]
            group.cancel_scope.cancel()


Answer: TypeAlias = tuple[int, dict[str, str], Any]


def exchange(base_url: str, *requests: tuple[str, str, Any]) -> list[Answer]:
    """Make requests over one kept-alive connection; status, headers and parsed body of each."""
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=BOUND_S)
    answers: list[Answer] = []
    try:
        for method, path, body in requests:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            raw = response.read()
            headers = {name.lower(): value for name, value in response.getheaders()}
            is_json = "json" in headers.get("content-type", "")
            answers.append((response.status, headers, json.loads(raw) if is_json else raw))
    finally:
        connection.close()
    return answers


def raw_exchange(base_url: str, content: bytes) -> bytes:
    """Send bytes on a fresh connection; everything that comes back until its end."""
    parts = urlsplit(base_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=BOUND_S) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


async def in_thread(work: partial[Any]) -> Any:
    """Let a blocking client run while the server does."""
    return await anyio.to_thread.run_sync(work)


async def test_the_service_over_http(service: LocalService) -> None:
    """One connection carries several exchanges, each answer with its length; refusals too."""
    async with serving(service) as url:
        answers = await in_thread(
            partial(
                exchange,
                url,
                ("GET", "/api/v1/healthz", None),
                ("POST", "/api/v1/create_session", {"sdk_version": "0.38.0"}),
                ("POST", "/api/v1/create_session", {}),
                ("GET", "/api/v1/nothing", None),
                ("GET", "/pre/fix/api/v1/get_server_capabilities", None),
            )
        )
    assert [status for status, _, _ in answers] == [200, 200, 422, 404, 200]
    assert all(int(headers["content-length"]) > 0 for _, headers, _ in answers)
    assert "detail" in answers[2][2]


async def test_training_over_http_gives_the_same_numbers(service: LocalService) -> None:
    """A result fetched over HTTP is the one that is fetched in process."""
    driver = Driver(service)
    submission = driver.step(driver.model(), 1)
    body = {"request_id": submission["request_id"]}
    async with serving(service) as url:
        poll = ("POST", "/api/v1/retrieve_future", body)
        [(status, _, result)] = await in_thread(partial(exchange, url, poll))
    assert (status, result) == (200, driver.result(submission))


async def test_a_pass_in_protobuf_over_http(service: LocalService) -> None:
    """Passes go in and results come out in protobuf over HTTP and async, as in process."""
    driver = Driver(service)
    example = datum(b"the quick brown fox")
    body = bytes(encode_forward_backward_request(pass_body(driver.model(), 1, example)))
    head = f"Host: x\r\nConnection: close\r\nContent-Type: {PROTOBUF}\r\nAccept: {PROTOBUF}\r\n"
    start = f"POST /api/v1/forward_backward HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    async with serving(service) as url:
        answer = await in_thread(partial(raw_exchange, url, start.encode() + body))
        submission = json.loads(answer.partition(b"\r\n\r\n")[2])
        poll = json.dumps({"request_id": submission["request_id"]})
        lines = head.replace(f"Content-Type: {PROTOBUF}", "Content-Type: application/json")
        start = f"POST /api/v1/retrieve_future HTTP/1.1\r\n{lines}Content-Length: {len(poll)}"
        over_http = await in_thread(partial(raw_exchange, url, f"{start}\r\n\r\n{poll}".encode()))
    asked = request("POST", "/retrieve_future", poll.encode())
    asked = msgspec.structs.replace(asked, headers=asked.headers.merged([("Accept", PROTOBUF)]))
    response = await AsyncLocalTransport(service).send(asked)
    in_process = await response.read()
    assert over_http.partition(b"\r\n\r\n")[2] == in_process
    output = decode_forward_backward_output(in_process)
    expected = driver.result(submission)["loss_fn_outputs"][0]["logprobs"]["data"]
    assert output.loss_fn_outputs[0]["logprobs"].data == expected


async def test_a_poll_over_http_waits_and_then_says_not_yet() -> None:
    """A pending result is 408 with the queue's state; other requests go on meanwhile."""
    settings = ServiceSettings(poll_s=0.05, gap_patience_s=3600)
    with LocalService(settings=settings) as service:
        driver = Driver(service)
        body = {"request_id": driver.step(driver.model(), 2)["request_id"]}
        async with serving(service) as url:
            poll = ("POST", "/api/v1/retrieve_future", body)
            [(status, _, said)] = await in_thread(partial(exchange, url, poll))
    assert status == 408
    assert said == {"type": "try_again", "queue_state": "active", **body}


async def test_an_archive_over_http(service: LocalService) -> None:
    """The redirect leads back to this server, whose stream has the announced length."""
    driver = Driver(service)
    model_id = driver.model()
    driver.save(model_id, 1, "ck")
    path = f"/api/v1/training_runs/{model_id}/checkpoints/weights/ck/archive"
    async with serving(service) as url:
        [(status, headers, _)] = await in_thread(partial(exchange, url, ("GET", path, None)))
        assert status == 302
        assert headers["location"].startswith(f"{url}/api/v1/archives/")
        target = urlsplit(str(headers["location"])).path
        [(status, headers, body)] = await in_thread(partial(exchange, url, ("GET", target, None)))
    assert (status, int(headers["content-length"])) == (200, len(body))


async def test_a_key_may_be_asked_for(service: LocalService) -> None:
    """With a key set, requests without it are 401 and those with it are served."""
    async with serving(service, api_key="tml-secret") as url:
        get = b"GET /api/v1/healthz HTTP/1.1\r\nHost: x\r\n"
        without = await in_thread(partial(raw_exchange, url, get + b"\r\n"))
        keyed = await in_thread(partial(raw_exchange, url, get + b"X-API-Key: tml-secret\r\n\r\n"))
    assert without.startswith(b"HTTP/1.1 401 ")
    assert b"X-API-Key" in without
    assert keyed.startswith(b"HTTP/1.1 200 ")


BAD_REQUESTS = [
    pytest.param(b"nonsense\r\n\r\n", b"HTTP/1.1 400 ", id="no request line"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 ", id="no host"),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"y" * 100_000, b"HTTP/1.1 431 ", id="large head"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 400 ",
        id="short body",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 413 ",
        id="large body announced",
    ),
]


@pytest.mark.parametrize(("content", "begins"), BAD_REQUESTS)
async def test_what_is_not_a_request_is_answered_and_closed(
    service: LocalService, content: bytes, begins: bytes
) -> None:
    """Bad bytes get one answer with a text, and the connection ends."""
    async with serving(service) as url:
        answer = await in_thread(partial(raw_exchange, url, content))
    assert answer.startswith(begins)
    assert b'{"detail":"' in answer
    assert b"connection: close" in answer.lower()


async def test_a_body_without_end_is_cut_off(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunked body is refused once it is larger than allowed."""
    monkeypatch.setattr(server, "MAX_BODY_BYTES", 10)
    head = b"POST /api/v1/create_session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(service) as url:
        answer = await in_thread(partial(raw_exchange, url, head + b"14\r\n" + b"x" * 20))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_client_may_wait_for_leave_to_send(service: LocalService) -> None:
    """A request that expects 100-continue is told to go on."""
    body = b'{"sdk_version":"0.38.0"}'
    head = (
        b"POST /api/v1/create_session HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
    )
    async with serving(service) as url:
        parts = urlsplit(url)
        async with await anyio.connect_tcp(str(parts.hostname), int(parts.port or 0)) as client:
            await client.send(head)
            assert (await client.receive()).startswith(b"HTTP/1.1 100 ")
            await client.send(body)
            assert (await client.receive()).startswith(b"HTTP/1.1 200 ")


async def test_head_requests_have_no_body(service: LocalService) -> None:
    """The answer to HEAD is a head, and the connection goes on."""
    two = b"HEAD /api/v1/healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    async with serving(service) as url:
        answer = await in_thread(partial(raw_exchange, url, two))
    assert answer.count(b"HTTP/1.1 405 ") == 2
    assert b"detail" not in answer


async def test_a_closed_service_is_unavailable() -> None:
    """Requests to a service that was closed under its server get 503."""
    service = LocalService()
    async with serving(service) as url:
        service.close()
        get = ("GET", "/api/v1/healthz", None)
        [(status, _, body)] = await in_thread(partial(exchange, url, get))
    assert status == 503
    assert "closed" in body["detail"]


async def test_stopping_ends_waiting_polls() -> None:
    """The server stops at once although a client waits for a result."""
    settings = ServiceSettings(poll_s=3600, gap_patience_s=3600)
    with LocalService(settings=settings) as service:
        driver = Driver(service)
        body = json.dumps({"request_id": driver.step(driver.model(), 2)["request_id"]}).encode()
        head = f"POST /api/v1/retrieve_future HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
        async with serving(service) as url:
            parts = urlsplit(url)
            client = await anyio.connect_tcp(str(parts.hostname), int(parts.port or 0))
            await client.send(head.encode() + b"\r\n\r\n" + body)
            await anyio.wait_all_tasks_blocked()
        async with client:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await client.receive()


SERVER = """
import threading
from tinker_lite.local import LocalService
from tinker_lite.local.server import run_server
with LocalService() as service:
    try:
        run_server(service, on_listening=lambda url: print(url, flush=True))
    except KeyboardInterrupt:
        print([thread.name for thread in threading.enumerate()], service.data_dir)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_stops_the_server() -> None:
    """An interrupt ends the server, leaves no thread, and goes on to the caller."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert exchange(url, ("GET", "/api/v1/healthz", None))[0][0] == 200
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0
    threads, _, folder = rest.strip().rpartition(" ")
    assert threads == "['MainThread']"
    assert not os.path.exists(folder)  # noqa: PTH110  one look at a path
