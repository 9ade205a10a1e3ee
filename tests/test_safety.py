"""The rules of ``tinker_lite.safety``, and of all that enforces them, as one table."""

from __future__ import annotations

import datetime as dt
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import anyio
import pytest

from tinker_lite import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    AsyncTinker,
    ConfigError,
    ServiceClient,
    Tinker,
)
from tinker_lite.config import DEFAULT_BASE_URL, resolve
from tinker_lite.errors import DecodeError, LimitExceeded, TinkerError
from tinker_lite.http import Headers, Request, Response, public_url
from tinker_lite.safety import (
    MAX_REDIRECTS,
    MAX_RESPONSE_BYTES,
    follow,
    is_loopback,
    is_secret,
    without_credentials,
)
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.wire.content import content_decoder
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok

ORIGIN = "https://a.example"
HERE = f"{ORIGIN}/base/x"
MINE = "http://127.0.0.1:8000"
ALLOWED = {"TINKER_LITE_ALLOW_HTTP": "1"}
ACCESS = {"CLOUDFLARE_ACCESS_CLIENT_SECRET": "hush"}
KEY = "tml-hush-0123456789abcdef"
JWT = "eyJhdXNo.eyJodXNo.aHVzaA"
BOMB_BYTES = 5_000_000


class Refused(NamedTuple):
    """An outcome that is an error, with a pattern of its text."""

    kind: type[TinkerError]
    text: str


# How each kind of row is tried


def redirected(
    method: str,
    status: int,
    location: str | None,
    *,
    n_redirects: int = 0,
    leads_to_storage: bool = False,
) -> str | None:
    """What follows an answer to a request at ``HERE``."""
    step = follow(
        method, HERE, status, location, n_redirects=n_redirects, leads_to_storage=leads_to_storage
    )
    if step is None:
        return None
    body, key = " body" if step.with_body else "", " key" if step.with_secrets else ""
    return f"{step.method} {step.url}{body}{key}"


def stored(method: str, status: int, location: str | None) -> str | None:
    """The same for a row that is known to lead to a storage."""
    return redirected(method, status, location, leads_to_storage=True)


def again(n_redirects: int) -> str | None:
    """The same after so many redirects."""
    return redirected("GET", 302, "/y", n_redirects=n_redirects)


def moved(location: str) -> FakeReply:
    """An answer that points elsewhere."""
    return FakeReply(status=307, headers=(("Location", location),))


def sent_on(call: str, location: str) -> list[str]:
    """The names of the headers that arrive where a redirect of a client's call leads."""
    arrived: list[Request] = []

    def handle(request: Request) -> FakeReply:
        arrived.append(request)
        return moved(location) if len(arrived) == 1 else FakeReply({"session_id": "s"})

    client = Tinker(
        base_url=ORIGIN,
        api_key=KEY,
        transport=FakeTransport(handle),
        default_headers={"Authorization": "hush", "CF-Access-Client-Id": "hush", "X-Mine": "hush"},
    )
    if call == "audit.log":
        client.with_raw_response.audit.log("all", dt.date(2026, 1, 2))
    else:
        client.service.create_session({"sdk_version": "x"})
    return sorted(name.lower() for name, _ in arrived[1].headers)


def downloaded(place: str, *answers: FakeReply) -> list[str]:
    """What is asked for an archive that the service says is at a place: URLs and header names."""
    fetched: list[Request] = []

    def handle(request: Request) -> FakeReply:
        if request.url.endswith("/archive"):
            return FakeReply(status=302, headers=(("Location", place),))
        if "/api/v1/" in request.url:
            return FakeReply({"session_id": "s"})
        fetched.append(request)
        return answers[len(fetched) - 1]

    with (
        ServiceClient(base_url=ORIGIN, api_key=KEY, transport=FakeTransport(handle)) as client,
        TemporaryDirectory() as folder,
    ):
        rest = client.create_rest_client()
        rest.download_checkpoint_archive("tinker://r/weights/a", Path(folder) / "a").result()
    names = {name.lower() for request in fetched for name, _ in request.headers}
    return [*(request.url for request in fetched), *sorted(names)]


def unpacked(coding: str, body: bytes, max_bytes: int) -> int:
    """How many bytes a body unpacks to."""
    decoder = content_decoder(coding, max_bytes)
    n_bytes = sum(len(piece) for piece in decoder.feed(body))
    decoder.finish()
    return n_bytes


def answered(coding: str, body: bytes, max_bytes: int | None) -> int:
    """How many bytes a client takes of an answer, whole or unread at first, in both colours."""
    headers = (("Content-Encoding", coding),) if coding else ()
    limit: dict[str, Any] = {"max_retries": 0}
    if max_bytes is not None:
        limit["max_response_bytes"] = max_bytes
    replies = FakeReply(body, headers=headers)
    client = Tinker(base_url=MINE, transport=FakeTransport(lambda _: replies), **limit)
    found = [outcome_of(lambda: len(client.get("/x", cast_to=bytes)))]
    with client.with_streaming_response.get("/x", cast_to=bytes) as response:
        found.append(outcome_of(lambda: len(response.read())))

    async def nonblocking() -> int:
        transport = AsyncFakeTransport(lambda _: replies)
        return len(
            await AsyncTinker(base_url=MINE, transport=transport, **limit).get("/x", cast_to=bytes)
        )

    found.append(outcome_of(lambda: anyio.run(nonblocking)))
    sizes = [size for size in found if isinstance(size, int)]
    if len(set(sizes)) == 1 and len(sizes) == len(found):
        return sizes[0]
    errors = [error for error in found if isinstance(error, TinkerError)]
    assert len(errors) == len(found), "all ways of reading have the same bound"
    raise errors[0]


def outcome_of(call: Callable[[], int]) -> int | TinkerError:
    """The value of a call, or its error."""
    try:
        return call()
    except TinkerError as error:
        return error


def headed(n_bytes: int) -> int:
    """The status that both default transports report of a head with a header of this size."""

    def answer(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(ok(b"{}", f"X-Long: {'x' * n_bytes}"))

    async def nonblocking(url: str) -> int:
        async with AsyncTinker(base_url=url, max_retries=0) as client:
            return (await client.with_raw_response.get("/x", cast_to=object)).status_code

    with Adversary(answer) as server:
        status = outcome_of(lambda: anyio.run(nonblocking, server.url("")))
        with Tinker(base_url=server.url(""), max_retries=0) as client:
            found = client.with_raw_response.get("/x", cast_to=object).status_code
    assert status == found
    return found


def based(url: str) -> str:
    """The base URL that is kept of what was given."""
    return resolve({"TINKER_API_KEY": KEY}, base_url=url).base_url


def keyed(url: str | None, key: str | None, environ: dict[str, str]) -> str | None:
    """The key that goes to a URL."""
    config = resolve(environ, base_url=url, api_key=key)
    return None if config.api_key is None else config.api_key.reveal()


def shown(name: str, value: str) -> str:
    """How headers with this pair show themselves, in a request and a response too."""
    headers = Headers([(name, value)])
    text = repr(headers)
    assert text in repr(Request(method="GET", url=HERE, headers=headers))
    assert text in repr(Response(200, headers))
    return text


RULES: dict[str, Callable[..., object]] = {
    "redirect": redirected,
    "storage": stored,
    "redirects": again,
    "sent on": sent_on,
    "download": downloaded,
    "unpack": unpacked,
    "answer": answered,
    "head": headed,
    "base URL": based,
    "key": keyed,
    "loopback": is_loopback,
    "secret name": is_secret,
    "public URL": public_url,
    "shown": shown,
    "cut out": without_credentials,
}

# The table: what is done, what is given, what comes of it


def config_error(text: str) -> Refused:
    """A setting is refused."""
    return Refused(ConfigError, text)


NOT_FOLLOWED: Any = None
ALL_SENT = ["accept", "accept-encoding", "authorization", "cf-access-client-id", "content-type",
            "user-agent", "x-api-key", "x-idempotency-key", "x-mine"]  # fmt: skip
ELSEWHERE = Refused(APIStatusError, "the server sends elsewhere, to https?://[a-z.:0-9]+/y;")
UNCRYPTED = config_error("unencrypted.*TINKER_LITE_ALLOW_HTTP=1")
NO_URL = "base_url.* is not a URL"
TOO_LARGE = Refused(APIConnectionError, "than the 99 bytes.*max_response_bytes")

REDIRECTS: list[tuple[str, tuple[Any, ...], object]] = [
    # Within one origin: method and body as RFC 9110 section 15.4 says, nothing where it is open.
    ("redirect", ("GET", 301, "/y"), f"GET {ORIGIN}/y key"),
    ("redirect", ("GET", 302, "/y?z"), f"GET {ORIGIN}/y?z key"),
    ("redirect", ("GET", 303, "y"), f"GET {ORIGIN}/base/y key"),
    ("redirect", ("GET", 307, "?q=1"), f"GET {HERE}?q=1 body key"),
    ("redirect", ("GET", 308, f"{ORIGIN}:443/y"), f"GET {ORIGIN}:443/y body key"),
    ("redirect", ("HEAD", 303, "https://A.example/y#part"), "HEAD https://A.example/y key"),
    ("redirect", ("POST", 301, "/y"), NOT_FOLLOWED),
    ("redirect", ("POST", 302, "/y"), NOT_FOLLOWED),
    ("redirect", ("POST", 303, "//a.example/y"), f"GET {ORIGIN}/y key"),
    ("redirect", ("POST", 307, "/y"), f"POST {ORIGIN}/y body key"),
    ("redirect", ("PUT", 308, "/y"), f"PUT {ORIGIN}/y body key"),
    ("redirect", ("DELETE", 302, "/y"), NOT_FOLLOWED),
    *[("redirect", ("GET", status, "/y"), NOT_FOLLOWED) for status in (200, 300, 304, 401)],
    # Another origin, a downgrade, and what leads nowhere.
    *[
        (what, (method, status, location), NOT_FOLLOWED)
        for what, places in {
            "redirect": [
                "http://a.example/y", "https://b.example/y", "https://a.example:8443/y",
                "https://a.example.evil/y", "https://sub.a.example/y", "//b.example/y",
            ],
            "storage": ["http://a.example/y", "http://127.0.0.1:9/y", "http+unix://%2Fx/y"],
        }.items()
        for location in [
            *places, None, "ftp://a.example/y", "javascript:alert(1)", "https://me:pw@a.example/y",
            "https://a.example/a b", "https://a.example/\r\nX: y", "https://[::1/",
        ]
        for method, status in [("GET", 302), ("GET", 307), ("POST", 303), ("POST", 308)]
    ],
    # A storage is read, and learns nothing.
    ("storage", ("GET", 302, "https://s.example/f?sig=1"), "GET https://s.example/f?sig=1"),
    ("storage", ("GET", 307, "https://s.example/f"), "GET https://s.example/f"),
    ("storage", ("POST", 307, "https://s.example/f"), NOT_FOLLOWED),
    ("redirects", (MAX_REDIRECTS - 1,), f"GET {ORIGIN}/y key"),
    ("redirects", (MAX_REDIRECTS,), NOT_FOLLOWED),
    # What a client's call carries along.
    ("sent on", ("create", "/y"), ALL_SENT),
    ("sent on", ("create", "https://b.example/y"), ELSEWHERE),
    ("sent on", ("create", "http://a.example/y"), ELSEWHERE),
    ("sent on", ("audit.log", "https://b.example/y"), ["accept", "accept-encoding", "user-agent"]),
    ("sent on", ("audit.log", "http://b.example/y"), ELSEWHERE),
]  # fmt: skip

STORAGE = "https://s.example/f?sig=hush"
FILE = FakeReply(b"archive")
NAMES = ["accept-encoding", "user-agent"]

DOWNLOADS: list[tuple[str, tuple[Any, ...], object]] = [
    ("download", (STORAGE, FILE), [STORAGE, *NAMES]),
    ("download", ("/f?sig=hush", FILE), [f"{ORIGIN}/f?sig=hush", *NAMES]),
    (
        "download",
        (STORAGE, moved("/g"), FILE),
        [STORAGE, "https://s.example/g", *NAMES],
    ),
    ("download", (STORAGE, moved("https://t.example/y?sig=hush")), ELSEWHERE),
    ("download", (STORAGE, moved("http://s.example/y?sig=hush")), ELSEWHERE),
    *[
        ("download", (place,), Refused(APIResponseValidationError, "names .*, which is not https"))
        for place in ("http://s.example/f?sig=hush", "http://127.0.0.1/f", "file:///f", "ftp://h/f")
    ],
]  # fmt: skip

LIMITS: list[tuple[str, tuple[Any, ...], object]] = [
    ("unpack", ("gzip", gzip.compress(bytes(99)), 99), 99),
    ("unpack", ("gzip", gzip.compress(bytes(BOMB_BYTES)), 99), Refused(LimitExceeded, "99 bytes")),
    ("unpack", ("deflate", zlib.compress(bytes(BOMB_BYTES)), 99), Refused(LimitExceeded, "99 b")),
    (
        "unpack",
        ("gzip, deflate", zlib.compress(gzip.compress(bytes(BOMB_BYTES))), 99),
        Refused(LimitExceeded, "99 bytes"),
    ),
    ("unpack", ("gzip, gzip, gzip", b"", 99), Refused(DecodeError, "3 content codings")),
    ("unpack", ("br", b"x", 99), Refused(DecodeError, "coding 'br', which is unknown")),
    ("unpack", ("gzip", gzip.compress(b"x")[:-1], 99), Refused(DecodeError, "ends before")),
    ("answer", ("", b"x" * 99, 99), 99),
    ("answer", ("", b"x" * 100, 99), TOO_LARGE),
    ("answer", ("", b"x" * 100, None), 100),
    ("answer", ("gzip", gzip.compress(b"x" * 99), 99), 99),
    ("answer", ("gzip", gzip.compress(bytes(BOMB_BYTES)), 99), TOO_LARGE),
    ("answer", ("deflate", zlib.compress(bytes(BOMB_BYTES)), 99), TOO_LARGE),
    ("answer", ("br", b"x", 99), Refused(APIError, "coding 'br', which is unknown")),
    ("head", (60_000,), 200),
    ("head", (70_000,), Refused(APIConnectionError, "head is larger than max_head_bytes")),
]

DESTINATIONS: list[tuple[str, tuple[Any, ...], object]] = [
    ("base URL", ("https://a/p/",), "https://a/p"),
    ("base URL", ("HTTPS://A",), "HTTPS://A"),
    ("base URL", ("http+unix://%2Frun%2Ftinker.sock",), "http+unix://%2Frun%2Ftinker.sock"),
    ("base URL", ("example.com",), config_error(NO_URL)),
    ("base URL", ("ftp://example.com",), config_error(NO_URL)),
    ("base URL", ("https://",), config_error(NO_URL)),
    ("base URL", ("https://h:port",), config_error(f"{NO_URL}.*Port")),
    ("base URL", ("https://h:99999",), config_error(f"{NO_URL}.*0-65535")),
    ("base URL", ("http://[::1",), config_error(f"{NO_URL}.*IPv6")),
    ("base URL", ("tml-hush",), config_error("looks like an API key.*is not a URL")),
    ("base URL", ("https://h/?token=hush",), config_error("query or a fragment")),
    ("base URL", ("https://h#hush",), config_error("query or a fragment")),
    ("base URL", ("https://me:hush@h",), config_error("base_url.*user name or password")),
    ("base URL", ("me:hush@h",), config_error("user name or password")),
    ("base URL", ("http://me:hush/hush@h",), config_error("user name or password")),
    # Whose key goes where: the hosted service's has a form, and others' may have any.
    ("key", (None, None, {}), config_error('TINKER_API_KEY.*base_url="local:"')),
    ("key", ("https://h", None, {}), config_error("No API key for https://h")),
    ("key", (None, "tml-x", {}), "tml-x"),
    ("key", (None, "eyJx", {}), "eyJx"),
    ("key", (None, "sk-hush", {}), config_error("begin with 'tml-'")),
    ("key", (f"{DEFAULT_BASE_URL}/", "sk-hush", {}), config_error("begin with 'tml-'")),
    ("key", ("https://other", "sk-x", {}), "sk-x"),
    ("key", ("https://h", "tml-hu sh", {}), config_error("space, a line break")),
    ("key", ("https://h", "tml-hush\nx", {}), config_error("space, a line break")),
    ("key", ("https://h", "tml-hushé", {}), config_error("outside ASCII")),
    ("key", (MINE, "hu\tsh", {}), config_error("space, a line break")),
    # Over plain http: this machine, a trusted network, or nothing to lose.
    *[
        ("key", (url, "any", {}), "any")
        for url in (
            MINE, "http://localhost:1", "http://[::1]:8/p", "http://127.9.9.9", "http://LOCALHOST",
            "http+unix://%2Frun%2Ftinker.sock",
        )
    ],
    *[
        ("key", (url, KEY, {}), UNCRYPTED)
        for url in (
            "http://h", "http://10.0.0.1", "http://0.0.0.0", "http://127.0.0.1.evil",
            "http://localhost.evil", "http://a.localhost", "http://127.1", "http://[::2]",
        )
    ],
    ("key", ("http://h", "any", ALLOWED), "any"),
    ("key", ("http://h", KEY, {"TINKER_LITE_ALLOW_HTTP": "0"}), UNCRYPTED),
    ("key", ("http://h", None, {}), None),
    ("key", ("http://h", None, ACCESS), config_error("header CF-Access-Client-Secret unencrypted")),
    ("key", ("http://h", None, {**ACCESS, **ALLOWED}), None),
    ("key", (MINE, None, ACCESS), None),
    *[("loopback", (host,), True) for host in ("localhost", "127.0.0.1", "127.255.0.1", "::1")],
    *[
        ("loopback", (host,), False)
        for host in ("", "0.0.0.0", "::", "128.0.0.1", "localhost.", "a.localhost", "127.1", "h")
    ],
]  # fmt: skip

SECRETS: list[tuple[str, tuple[Any, ...], object]] = [
    *[
        ("secret name", (name,), True)
        for name in (
            "X-API-Key", "x-api-key", "apiKey", "Authorization", "Proxy-Authorization", "Cookie",
            "Set-Cookie", "CF-Access-Client-Id", "CF-Access-Client-Secret", "X-Auth-Token", "jwt",
            "X-Tinker-Weights-Access-Token", "X-Amz-Security-Token", "password", "sig",
        )
    ],
    *[
        ("secret name", (name,), False)
        for name in (
            "X-Idempotency-Key", "Accept", "User-Agent", "X-Request-Id", "tokens", "max_tokens",
            "secretary", "key", "author", "X-Tinker-Request-Type",
        )
    ],
    ("public URL", ("https://h:8/a?sig=hush#hush",), "https://h:8/a"),
    ("public URL", ("http://me:hush@h/a",), "http://h/a"),
    ("public URL", ("http://me:hu@sh@h/a@b",), "http://h/a@b"),
    ("public URL", ("http://[::1]:8/a",), "http://[::1]:8/a"),
    ("public URL", ("http://[hush/s",), "<malformed URL>"),
    ("shown", ("X-Api-Key", "hush"), "Headers([('X-Api-Key', '<redacted>')])"),
    ("shown", ("Location", "https://s/f?sig=hush"), "Headers([('Location', 'https://s/f')])"),
    ("shown", ("Accept", "text/plain"), "Headers([('Accept', 'text/plain')])"),
    ("cut out", (f"bad key {KEY}!",), "bad key <redacted>!"),
    ("cut out", (f'{{"jwt":"{JWT}"}}',), '{"jwt":"<redacted>"}'),
    ("cut out", ("tml-base is a model",), "tml-base is a model"),
    ("cut out", ("eyJ" * 200_000,), "eyJ" * 200_000),
]  # fmt: skip

TABLE = [*REDIRECTS, *DOWNLOADS, *LIMITS, *DESTINATIONS, *SECRETS]


@pytest.mark.parametrize(
    ("what", "given", "outcome"),
    [pytest.param(*row, id=f"{row[0]} {n}") for n, row in enumerate(TABLE)],
)
def test_a_rule_holds(what: str, given: tuple[Any, ...], outcome: object) -> None:
    """What is refused says why and shows no secret; everything else is as the row says."""
    if not isinstance(outcome, Refused):
        assert RULES[what](*given) == outcome
        return
    with pytest.raises(outcome.kind, match=f"(?s){outcome.text}") as caught:
        RULES[what](*given)
    assert "hush" not in str(caught.value)


def test_every_kind_of_row_is_in_the_table() -> None:
    """And the bound of a client that sets none is that of the module."""
    assert {what for what, _, _ in TABLE} == set(RULES)
    assert resolve({}, base_url=MINE).max_response_bytes == MAX_RESPONSE_BYTES == 4 * 2**30
