"""Section S8: proxies, and transports of the caller's own."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tinker_lite as tl
from tests.engine.scripted import ScriptedService
from tests.rules.sources import ROOT, fresh_interpreter
from tinker_lite.errors import ConfigError
from tinker_lite.http import Request, Response, Timeout
from tinker_lite.local import LocalService, LocalTransport
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.certificates import make_certificates
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_conformance.transport.proxy import refuse
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEALTHY = ok(b'{"status": "ok"}', "Content-Type: application/json")
NOWHERE = "http://127.0.0.1:9"  # nothing listens there
KEY = "tml-0123456789"
PASSWORD = "hunter2"  # looked for wherever it must not be
FORBIDDEN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
SOON = Timeout(connect_s=0.2, read_s=0.2, total_s=10.0)


def healthy(peer: Peer) -> None:
    """Answer every request as a healthy service."""
    while peer.request() is not None:
        peer.send(HEALTHY)


def silent(peer: Peer) -> None:
    """Take whatever comes, and say nothing."""
    peer.wait_for_end()


def ask(**options: Any) -> None:
    """One call of the blocking raw client."""
    with tl.Tinker(max_retries=0, **options) as client:
        assert client.with_raw_response.service.health_check().status_code == 200


async def ask_async(**options: Any) -> None:
    """One call of the async raw client."""
    async with tl.AsyncTinker(max_retries=0, **options) as client:
        response = await client.with_raw_response.service.health_check()
        assert response.status_code == 200


def lines(server: Adversary) -> list[str]:
    """The request lines that a server has got."""
    return [request.line for request in server.requests]


@pytest.mark.slow
def test_s8_1_alias(tmp_path: Path) -> None:
    """S8.1: the type alias of proxies is public, and a type checker holds callers to it."""
    program = tmp_path / "program.py"
    program.write_text(
        "from tinker_lite import ProxiesTypes, Tinker\n"
        'good: ProxiesTypes = {"https": "http://p:1", "all": None}\n'
        "Tinker(proxies=good)\n"
        "Tinker(proxies=3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    complaints = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(complaints) == 1, done.stdout + done.stderr
    assert "program.py:4:" in complaints[0]
    assert '"int"' in complaints[0]


@pytest.mark.parametrize("name", ["proxy", "proxies"])
async def test_s8_2_proxies(name: str) -> None:
    """S8.2: http goes through a proxy by its whole URL, https by CONNECT, in both colours."""
    with Adversary(healthy) as proxy:
        options = {name: proxy.url(""), "base_url": "http://tinker.test/base"}
        await anyio.to_thread.run_sync(lambda: ask(**options))
        await ask_async(**options)
        assert lines(proxy) == ["GET http://tinker.test/base/api/v1/healthz HTTP/1.1"] * 2
    with Adversary(refuse(FORBIDDEN)) as proxy:
        options = {name: proxy.url(""), "base_url": "https://tinker.test", "api_key": KEY}
        with pytest.raises(tl.APIConnectionError, match="502"):
            await anyio.to_thread.run_sync(lambda: ask(**options))
        with pytest.raises(tl.APIConnectionError, match="502"):
            await ask_async(**options)
        assert lines(proxy) == ["CONNECT tinker.test:443 HTTP/1.1"] * 2


async def test_s8_3_tls_settings() -> None:
    """S8.3: a transport that the caller built, with TLS settings of its own, is used."""
    certificates = make_certificates()
    with Adversary(healthy, tls=certificates.server) as server:
        options = {"base_url": server.url(""), "api_key": KEY}
        with pytest.raises(tl.APIConnectionError, match="certificate"):
            await ask_async(**options)
        async with H11Transport(verify=certificates.trusting) as transport:
            await ask_async(**options, transport=transport)
        with Urllib3Transport(verify=certificates.trusting) as blocking:
            await anyio.to_thread.run_sync(lambda: ask(**options, transport=blocking))
        assert len(server.requests) == 2


@pytest.mark.parametrize("phase", ["connect", "read"])
async def test_s8_4_timeouts(phase: str) -> None:
    """S8.4: connecting and reading have a limit each; the error names the one that ran out."""

    def mute(peer: Peer) -> None:
        peer.request()
        peer.wait_for_end()

    with Adversary(mute if phase == "read" else silent) as server:
        way = (
            {"base_url": server.url("")}
            if phase == "read"  # a proxy that does not answer CONNECT holds up the connecting
            else {"base_url": "https://tinker.test", "api_key": KEY, "proxy": server.url("")}
        )
        for colour in (ask_async, _in_thread(ask)):
            with pytest.raises(tl.APITimeoutError, match=f"the {phase} limit of 0.2 s ran out"):
                await colour(**way, timeout=SOON)


def _in_thread(work: Callable[..., None]) -> Callable[..., Any]:
    async def run(**options: Any) -> None:
        await anyio.to_thread.run_sync(lambda: work(**options))

    return run


async def test_s8_5_limits() -> None:
    """S8.5: with a cap of two connections the server never sees three at once."""
    gauge = _Gauge()

    def counted(peer: Peer) -> None:
        with gauge:
            healthy(peer)

    with Adversary(counted) as server:
        async with (
            H11Transport(max_connections=2) as transport,
            tl.AsyncTinker(base_url=server.url(""), transport=transport) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(20):
                tasks.start_soon(client.service.health_check)
        with Urllib3Transport(max_connections=2) as blocking:
            blocking_client = tl.Tinker(base_url=server.url(""), transport=blocking)
            threads = [
                threading.Thread(target=blocking_client.service.health_check) for _ in range(20)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                await anyio.to_thread.run_sync(thread.join, 10)
        assert len(server.requests) == 40
    assert gauge.most == 2


class _Gauge:
    """How many are inside at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


NO_SOCKETS = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event == "socket.connect" else None)
import tinker_lite as tl
from tinker_lite.testing import FakeReply, FakeTransport
with tl.Tinker(
    base_url="https://tinker.test", api_key="tml-x",
    transport=FakeTransport(lambda request: FakeReply({"status": "canned"})),
) as client:
    print(client.with_raw_response.service.health_check().text())
assert opened == [], opened
"""


def test_s8_6_in_memory() -> None:
    """S8.6: a transport in memory serves canned replies, and no socket is opened."""
    done = subprocess.run(
        fresh_interpreter(NO_SOCKETS), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"status": "canned"}


async def test_s8_7_async_tinker() -> None:
    """S8.7: the raw async client takes a transport, under this name and the other."""
    transport = AsyncFakeTransport(lambda _: FakeReply({"status": "ok"}))
    for name in ("http_client", "transport"):
        await ask_async(base_url=NOWHERE, **{name: transport})
    assert [request.method for request in transport.requests] == ["GET", "GET"]
    with pytest.raises(ConfigError, match="two names for one thing"):
        tl.AsyncTinker(http_client=transport, transport=transport)


class _Counting:
    """A blocking transport in front of another, which notes every request."""

    def __init__(self, inner: LocalTransport) -> None:
        self.paths: list[str] = []
        self._inner = inner

    def send(self, request: Request) -> Response:
        self.paths.append(request.url.rpartition("/")[2])
        return self._inner.send(request)

    def close(self) -> None:
        self._inner.close()


def test_s8_8_service_client() -> None:
    """S8.8: every request of a training and sampling round goes through the caller's transport."""
    with LocalService() as service:
        transport = _Counting(LocalTransport(service))
        with tl.ServiceClient(base_url=NOWHERE, http_client=transport) as client:
            training = client.create_lora_training_client("tinker-lite/tiny-random", rank=4)
            datum = tl.Datum(
                tl.ModelInput.from_ints([1, 2, 3]),
                {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]},
            )
            training.forward_backward([datum], "cross_entropy").result(30)
            training.optim_step(tl.AdamParams()).result(30)
            sampler = training.save_weights_and_get_sampling_client()
            answer = sampler.sample(
                tl.ModelInput.from_ints([1]), 1, tl.SamplingParams(max_tokens=2)
            ).result(30)
    assert len(answer.sequences[0].tokens) == 2
    expected = {"create_session", "create_model", "forward_backward", "optim_step", "asample"}
    assert expected <= set(transport.paths)


@pytest.mark.slow
def test_s8_9_any_client(tmp_path: Path) -> None:
    """S8.9: a minimal adapter, written to the documented protocol, passes the conformance kit."""
    results = tmp_path / "results.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tinker_lite", "conformance", "transport"),
            *("http_client_adapter:HTTPClientTransport", "--json", str(results)),
        ],
        cwd=ROOT / "conformance" / "examples",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(results.read_text())["counts"]["passed"] > 100


def _named(name: str) -> Callable[[Request], FakeReply]:
    return lambda _: FakeReply({"status": name})


def test_s8_10_per_client() -> None:
    """S8.10: two clients with two transports in one process do not mix."""
    clients = {name: FakeTransport(_named(name)) for name in "ab"}
    answers: dict[str, list[str]] = {"a": [], "b": []}

    def run(name: str) -> None:
        with tl.Tinker(base_url=NOWHERE, transport=clients[name]) as client:
            for _ in range(50):
                body = client.with_raw_response.service.health_check().read()
                answers[name].append(json.loads(body)["status"])

    threads = [threading.Thread(target=run, args=(name,)) for name in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {"a": ["a"] * 50, "b": ["b"] * 50}
    assert [len(client.requests) for client in clients.values()] == [50, 50]


async def test_s8_11_credentials() -> None:
    """S8.11: the proxy's user and password go to the proxy, never to the server."""
    certificates = make_certificates()
    with (
        Adversary(healthy, tls=certificates.server) as server,
        Adversary(_tunnel_to(server)) as proxy,
    ):
        options = {
            "base_url": "https://localhost",
            "api_key": KEY,
            "proxy": proxy.url("", user=f"user:{PASSWORD}@"),
            "verify": certificates.trusting,
        }
        await ask_async(**options)
        await anyio.to_thread.run_sync(lambda: ask(**options))
        assert [one.values("proxy-authorization") for one in proxy.requests] == [
            ["Basic dXNlcjpodW50ZXIy"]
        ] * 2
        assert [one.values("proxy-authorization") for one in server.requests] == [[], []]
        assert [one.values("x-api-key") for one in server.requests] == [[KEY], [KEY]]
        assert [one.values("x-api-key") for one in proxy.requests] == [[], []]


def _tunnel_to(server: Adversary) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        assert peer.head() is not None
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        peer.relay("127.0.0.1", server.port)

    return script


async def test_s8_12_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """S8.12: the environment's proxies count, but for what NO_PROXY excepts, and can be put off."""
    with Adversary(healthy) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "excepted.invalid")
        await ask_async(base_url="http://tinker.test")
        await anyio.to_thread.run_sync(lambda: ask(base_url="http://tinker.test"))
        assert lines(proxy) == ["GET http://tinker.test/api/v1/healthz HTTP/1.1"] * 2
        for options in (
            {"base_url": "http://excepted.invalid"},
            {"base_url": "http://tinker.invalid", "trust_env": False},
        ):
            for colour in (ask_async, _in_thread(ask)):
                with pytest.raises(tl.APIConnectionError, match="could not be resolved"):
                    await colour(**options)
        assert len(proxy.requests) == 2


async def test_x8_1_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """X8.1: a proxy's credentials are in no repr, log, error or pickle."""
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG), Adversary(refuse(FORBIDDEN)) as proxy:
        url = proxy.url("", user=f"user:{PASSWORD}@")
        options: dict[str, Any] = {"base_url": "https://tinker.test", "api_key": KEY, "proxy": url}
        for colour in (ask_async, _in_thread(ask)):
            with pytest.raises(tl.APIConnectionError) as refused:
                await colour(**options)
            shown += traceback.format_exception(refused.value)
            error: BaseException | None = refused.value
            while error is not None:
                shown += [repr(error), str(vars(error))]
                error = error.__cause__
    one = tl.Proxy.parse(url)
    for holder in (one, tl.ServiceClient(**options), Urllib3Transport(proxy=one),
                   H11Transport(proxy=one)):  # fmt: skip
        shown += [repr(holder), str(holder)]
        with pytest.raises(TypeError):
            pickle.dumps(holder)
    shown += [record.getMessage() for record in caplog.records]
    assert len(shown) > 20
    leaks = [text for text in shown if PASSWORD in text or "dXNlcjpodW50ZXIy" in text]
    assert leaks == []


@pytest.mark.parametrize("url", ["ftp://p", "http://p:port", "http://p:99999", "http://", "p:0"])
def test_x8_2_construction(url: str) -> None:
    """X8.2: a bad scheme or port is refused when the client or transport is made."""
    makers: list[Callable[..., object]] = [
        tl.ServiceClient, tl.Tinker, tl.AsyncTinker, Urllib3Transport, H11Transport,
    ]  # fmt: skip
    for make in makers:
        needs_url = make not in {Urllib3Transport, H11Transport}
        options: dict[str, Any] = {"base_url": "http://h"} if needs_url else {}
        with pytest.raises(ConfigError, match="proxy"):
            make(proxy=url, **options)


async def test_x8_3_ownership() -> None:
    """X8.3: closing a client leaves the caller's transport open."""
    transport, blocking = AsyncFakeTransport(ScriptedService()), FakeTransport(ScriptedService())
    async with tl.AsyncTinker(base_url=NOWHERE, transport=transport):
        pass
    async with tl.ServiceClient.open(base_url=NOWHERE, transport=transport):
        pass

    def use_blocking() -> None:
        with tl.Tinker(base_url=NOWHERE, transport=blocking):
            pass
        with tl.ServiceClient(base_url=NOWHERE, transport=blocking):
            pass

    await anyio.to_thread.run_sync(use_blocking)
    assert (transport.closed, blocking.closed) == (False, False)
