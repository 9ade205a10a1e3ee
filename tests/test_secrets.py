"""No secret is ever shown: one sweep over logs, reprs, errors, recordings and pickles."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import logging
import pickle
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_resources import CALLS, method_of
from tests.engine.scripted import PATIENCE_S, ScriptedService, refusal, threaded_client
from tests.engine.test_download import ARCHIVE, TINKER_PATH
from tinker_lite import AsyncTinker, ServiceClient, Tinker, TinkerError
from tinker_lite import types as t
from tinker_lite.config import Config, resolve
from tinker_lite.errors import ConnectionLost
from tinker_lite.http import Headers, Request, Response
from tinker_lite.protocol.replies import Reply
from tinker_lite.proxies import Proxy, ProxyRules
from tinker_lite.safety import Follow, Secret
from tinker_lite.testing import (
    AsyncFakeTransport,
    FakeReply,
    FakeTransport,
    RecordingTransport,
)
from tinker_lite_conformance.transport.adversary import Adversary, Peer
from tinker_lite_conformance.transport.proxy import refuse

# Every secret of these tests is known by this word, in one of two spellings.
KEY = "tml-hush-0123456789abcdef"
JWT = "eyJodXNoIjoxfQ.eyJodXNoIjoxfQ.aHVzaHVzaA-hush"
SIGNED = "https://storage.invalid/f?X-Goog-Signature=hush"
PROXY_USER = "me:hush@"
LEAKY = "/x?sig=hush"
HEADERS = {
    "CF-Access-Client-Id": "hush-id",
    "CF-Access-Client-Secret": "hush-secret",
    "Authorization": "Bearer hush",
    "X-Auth-Token": "hush-token",
}
NEVER_SHOWN = ("hush", base64.b64encode(b"me:hush").decode())


def check_silent(*shown: object) -> None:
    """No text among these holds a secret."""
    for text in shown:
        for word in NEVER_SHOWN:
            assert word not in str(text), text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_error(error: BaseException) -> None:
    """Neither an error nor anything that it was raised from holds a secret, in any form."""
    check_silent(*traceback.format_exception(error))
    for link in chain(error):
        check_silent(str(link), repr(link), getattr(link, "__notes__", ""), vars(link))
        if isinstance(link, TinkerError):
            check_silent(pickle.dumps(link))
        response: Any = getattr(link, "response", None)
        if response is not None:
            check_silent(repr(response.headers), response)


# What servers do. Their text may hold a key of the hosted service's form, or a token.
REPLIES: dict[str, Callable[[], FakeReply]] = {
    "echoes": lambda: FakeReply({"detail": f"no such key: {KEY}, {JWT}"}, 401),
    "echoes text": lambda: FakeReply(f"no such key: {KEY} {JWT}".encode(), 403),
    "moved": lambda: FakeReply(
        status=307, headers=(("Location", SIGNED), ("Set-Cookie", "sid=hush"))
    ),
    "does not fit": lambda: FakeReply(f'["{KEY}", "{JWT}"'.encode(), 200),
    "wrong type": lambda: FakeReply([KEY, JWT], 200, (("Set-Cookie", "sid=hush"),)),
    "packed": lambda: FakeReply(b"x", 200, (("Content-Encoding", "br"), ("Set-Cookie", "hush"))),
}


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every logger is heard at its loudest, and none of it may hold a secret."""
    caplog.set_level(logging.DEBUG)
    yield
    check_silent(*(record.getMessage() for record in caplog.records), caplog.text)


async def error_of(call: Callable[[], Awaitable[object] | object]) -> Exception:
    """The error of a call, in either colour."""
    try:
        outcome = call()
        if isinstance(outcome, Awaitable):
            await outcome
    except Exception as error:  # noqa: BLE001  # whatever it is, it is looked at
        return error
    pytest.fail("the call did not fail")


@pytest.mark.parametrize("what", REPLIES)
async def test_what_a_server_says_is_not_repeated(what: str) -> None:
    """Of no endpoint, in both colours: texts, causes, notes, fields and pickles of the error."""
    options: dict[str, Any] = {
        "base_url": "https://a.invalid", "api_key": KEY, "default_headers": HEADERS,
        "max_retries": 0,
    }  # fmt: skip
    reply = REPLIES[what]()
    client = Tinker(transport=FakeTransport(lambda _: reply), **options)
    async_client = AsyncTinker(transport=AsyncFakeTransport(lambda _: reply), **options)
    check_silent(client, async_client)
    n_errors = 0
    for name, (arguments, _) in CALLS.items():
        for one in (client, async_client):
            try:
                outcome = method_of(one, name)(*arguments)
                await outcome if isinstance(outcome, Awaitable) else None
            except TinkerError as error:
                n_errors += 1
                check_error(error)
    assert n_errors > 50


def hang_up(peer: Peer) -> None:
    """Read a request and go."""
    peer.request()


def cut(peer: Peer) -> None:
    """Send less than was promised."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: hush\r\n\r\nx")


@pytest.mark.parametrize("script", [hang_up, cut])
@pytest.mark.parametrize("path", ["/x?X-Goog-Signature=hush", "/y?token=hush#hush"])
async def test_a_broken_exchange_shows_no_secret(
    script: Callable[[Peer], None], path: str, anyio_backend: str
) -> None:
    """Over the default transports: neither their errors nor the libraries' own logs."""
    with Adversary(script) as server:
        options: dict[str, Any] = {
            "base_url": server.url(""), "api_key": KEY, "default_headers": HEADERS,
            "max_retries": 0,
        }  # fmt: skip
        with Tinker(**options) as client:
            error = await error_of(lambda: client.get(path, cast_to=object))
        check_error(error)
        if anyio_backend == "asyncio":  # one loop is enough here
            async with AsyncTinker(**options) as async_client:
                check_error(await error_of(lambda: async_client.get(path, cast_to=object)))


@pytest.mark.parametrize("url", ["http://origin.invalid", "https://origin.invalid"])
@pytest.mark.parametrize("is_there", [True, False])
async def test_a_refusing_proxy_shows_no_password(
    url: str, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that cannot be reached; given as an argument or by the environment."""
    monkeypatch.setenv("TINKER_LITE_ALLOW_HTTP", "1")
    no = b"HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\nhush"
    with Adversary(refuse(no)) as server, socket.create_server(("127.0.0.1", 0)) as listener:
        port = server.port if is_there else listener.getsockname()[1]
        if not is_there:
            listener.close()
        proxy = f"http://{PROXY_USER}127.0.0.1:{port}"
        options: dict[str, Any] = {"base_url": url, "api_key": KEY, "max_retries": 0}
        with Tinker(proxy=proxy, **options) as client:
            error = await error_of(lambda: client.get(LEAKY, cast_to=object))
        if url.startswith("https") or not is_there:  # else the body is the proxy's, as asked for
            check_error(error)
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with AsyncTinker(**options) as async_client:
            error = await error_of(async_client.service.health_check)
        if url.startswith("https") or not is_there:
            check_error(error)


ENVIRON = {"TINKER_API_KEY": KEY, "CLOUDFLARE_ACCESS_CLIENT_SECRET": "hush"}
TOKEN = {"jwt": JWT}
HOLDERS: dict[str, object] = {
    "a secret": Secret(KEY),
    "settings": resolve(ENVIRON, default_headers=HEADERS, proxy=f"http://{PROXY_USER}p:1"),
    "headers": Headers(HEADERS.items()),
    "a request": Request(method="GET", url=SIGNED, headers=Headers(HEADERS.items()), body=b"hush"),
    "a response": Response(302, [("Location", SIGNED), ("Set-Cookie", "hush")], b"hush"),
    "a reply": Reply(status=200, headers=Headers([("Set-Cookie", "hush")]), body=b"hush"),
    "a redirect": Follow("GET", SIGNED, with_body=False, with_secrets=False),
    "a proxy": Proxy.parse(f"socks5h://{PROXY_USER}p:1"),
    "proxies": ProxyRules.of({"all": f"http://{PROXY_USER}p:1"}),
    "a token": t.AuthTokenResponse(jwt=JWT),
    "an archive": t.CheckpointArchiveUrlResponse(url=SIGNED, expires=dt.datetime.now(dt.UTC)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDERS)
def test_what_holds_a_secret_does_not_show_it(name: str) -> None:
    """In no form that ends up in a log or a notebook."""
    holder = HOLDERS[name]
    check_silent(repr(holder), str(holder), f"{holder}", f"{[holder]}")
    rich_repr: Any = getattr(holder, "__rich_repr__", list)
    check_silent(list(rich_repr()))


@pytest.mark.parametrize("name", ["a secret", "settings", "headers", "a request", "a proxy"])
@pytest.mark.parametrize("travel", [pickle.dumps, copy.deepcopy], ids=["pickle", "copy"])
def test_credentials_do_not_travel(name: str, travel: Callable[[object], object]) -> None:
    """A pickle of what holds some is refused; of what holds none it is not."""
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        travel(HOLDERS[name])
    plain = Request(method="GET", url=SIGNED, headers=Headers([("Accept", "a")]))
    assert pickle.loads(pickle.dumps(plain)) == plain
    bare = resolve({}, base_url="http://127.0.0.1:9")
    assert bare.default_headers == copy.deepcopy(bare.default_headers)


def test_a_sampling_client_travels_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings that are no secret; the key is that of the environment it arrives in."""
    settings: dict[str, Any] = {
        "wire": "json", "sdk_version": "0.25.0", "max_response_bytes": 1000
    }  # fmt: skip
    with threaded_client(ScriptedService(), api_key=KEY, default_headers=HEADERS, **settings) as c:
        sampling = c.create_sampling_client(base_model="b").result(PATIENCE_S)
        packed = pickle.dumps(sampling)
    check_silent(packed)
    monkeypatch.setenv("TINKER_API_KEY", "tml-other")
    arrived: Any = pickle.loads(packed)
    config: Config = arrived._operations.session.config  # noqa: SLF001  # no other way to see it
    assert config.api_key is not None
    assert config.api_key.reveal() == "tml-other"
    assert {name: getattr(config, name) for name in settings} == settings


def test_a_session_in_trouble_shows_no_secret(tmp_path: Path) -> None:
    """Refusals, lost connections and failed operations: errors, logs, status, and the download."""
    service = ScriptedService()
    told = f"{KEY} {JWT}"
    service.script("/create_model", refusal(401, told))
    service.promise("/optim_step", {"error": f"failed with {told}", "category": "user"})
    service.script("/asample", ConnectionLost("lost", may_have_arrived=False))
    service.script(ARCHIVE, FakeReply(status=302, headers=(("Location", SIGNED),)))
    n_storage = 0

    def handle(request: Request) -> Any:
        nonlocal n_storage
        if request.url.startswith("https://storage"):
            n_storage += 1
            return FakeReply(f"<Error>{told}</Error>".encode(), 403)
        return service(request)

    settings: dict[str, Any] = {"api_key": KEY, "default_headers": HEADERS, "max_retries": 1}
    with ServiceClient(
        base_url="http://127.0.0.1:9", transport=FakeTransport(handle), **settings
    ) as client:
        with pytest.raises(TinkerError, match="401") as refused:
            client.create_lora_training_client("b").result(PATIENCE_S)
        training = client.create_lora_training_client("b")
        failed = training.optim_step(t.AdamParams()).exception(PATIENCE_S)
        rest = client.create_rest_client()
        denied = rest.download_checkpoint_archive(TINKER_PATH, tmp_path / "a").exception(PATIENCE_S)
        check_silent(client, training, rest, training.status())
    for error in (refused.value, failed, denied):
        assert error is not None
        check_error(error)
    assert n_storage == 1


def test_a_recording_holds_no_secret(tmp_path: Path) -> None:
    """Of a whole program that has every kind of one."""
    service = ScriptedService()
    service.script("/auth/token", FakeReply(TOKEN, headers=(("Set-Cookie", "sid=hush-cookie"),)))
    service.script(ARCHIVE, FakeReply(status=302, headers=(("Location", SIGNED),)))
    service.script("/copy_weights", FakeReply({"tinker_path": "tinker://r/weights/a"}))
    service.script("/create_session", refusal(401, f"no such key: {KEY}"))
    file = tmp_path / "a.jsonl"
    recording = RecordingTransport(FakeTransport(service), file)
    client = Tinker(
        base_url="http://127.0.0.1:9", api_key=KEY, transport=recording, default_headers=HEADERS
    )
    client.service.auth_token()
    client.with_raw_response.checkpoints.archive("S:train:0", "weights/a")
    client.models.copy_weights({"any": "fields"}, "hush-weights-token")
    with pytest.raises(TinkerError, match="401"):
        client.service.create_session({"sdk_version": "x"})
    client.get(SIGNED, cast_to=object)
    text = file.read_text(encoding="utf-8")
    assert text.count('"request"') == 5
    check_silent(text)
