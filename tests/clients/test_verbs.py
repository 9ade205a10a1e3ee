from __future__ import annotations

import dataclasses
import datetime as dt
import email
import email.policy
import io
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import msgspec
import pytest

from tests.engine.scripted import BASE_URL
from tinker_lite import APIResponseValidationError, AsyncTinker, NotFoundError, Tinker
from tinker_lite.errors import APIConnectionError, ConfigError, ConnectError
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.types import UntypedAPIFuture
from tinker_lite.types.property_info import PropertyInfo
from tinker_lite.wire.not_given import NOT_GIVEN

PLACE = "/api/v1/new_things"
BUSY = FakeReply(status=503, headers=(("retry-after-ms", "1"),))


class Thing(msgspec.Struct):
    """A struct of the caller's."""

    n: int


class ThingDict(TypedDict):
    """A mapping type of the caller's."""

    n: int


@dataclasses.dataclass
class ThingData:
    """A dataclass of the caller's."""

    n: int


@dataclasses.dataclass
class Marked:
    """A body whose type says what its fields are on the wire."""

    made_at: Annotated[dt.datetime, PropertyInfo(alias="madeAt", format="iso8601")]


def answering(*replies: FakeReply) -> FakeTransport:
    """A transport that gives these replies in turn, the last one for ever."""
    left = list(replies)
    return FakeTransport(lambda _: left.pop(0) if len(left) > 1 else left[0])


def client_of(transport: Any, **settings: Any) -> Tinker:
    """A blocking client."""
    return Tinker(base_url=BASE_URL, transport=transport, **settings)


@pytest.mark.parametrize(
    ("cast_to", "value"),
    [
        (Thing, Thing(n=1)),
        (ThingDict, {"n": 1}),
        (ThingData, ThingData(n=1)),
        (dict[str, int], {"n": 1}),
        (object, {"n": 1}),
        (str, '{"n":1}'),
        (bytes, b'{"n":1}'),
        (type(None), None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_an_answer_is_read_as_asked(cast_to: Any, value: object) -> None:
    """As a type of the caller's, plain, as text, as bytes, or not at all."""
    reply = FakeReply({"n": 1})
    found: object = client_of(answering(reply)).get(PLACE, cast_to=cast_to)
    assert found == value
    async with AsyncTinker(
        base_url=BASE_URL, transport=AsyncFakeTransport(lambda _: reply)
    ) as client:
        assert await client.get(PLACE, cast_to=cast_to) == value


def test_an_answer_that_does_not_fit_is_an_error_that_says_where() -> None:
    """And so is one that is no JSON; an empty one is None as a plain value."""
    with pytest.raises(APIResponseValidationError, match=r"get /api/v1/new_things: .*`\$\.n`"):
        client_of(answering(FakeReply({"n": "x"}))).get(PLACE, cast_to=Thing)
    with pytest.raises(APIResponseValidationError, match="this does not fit"):
        client_of(answering(FakeReply(b"<html>"))).get(PLACE, cast_to=object)
    assert client_of(answering(FakeReply(b"", status=204))).delete(PLACE, cast_to=object) is None


def test_text_is_read_by_its_character_set() -> None:
    """UTF-8 where the answer names none, or one that nobody knows."""
    for kind, raw in [
        ("text/plain; charset=latin-1", "ä".encode("latin-1")),
        ("text/plain", "ä".encode()),
        ("text/plain; charset=nonsense", "ä".encode()),
        ('text/plain; charset="hex"', "ä".encode()),
    ]:
        reply = FakeReply(raw, headers=(("Content-Type", kind),))
        assert client_of(answering(reply)).get(PLACE, cast_to=str) == "ä"


@pytest.mark.parametrize(
    ("body", "raw", "kind"),
    [
        (None, b"", "application/json"),
        ({"a": None, "b": [1]}, b'{"a":null,"b":[1]}', "application/json"),
        (Thing(n=1), b'{"n":1}', "application/json"),
        (ThingData(n=1), b'{"n":1}', "application/json"),
        ([1, "a"], b'[1,"a"]', "application/json"),
        (["a", ThingData(n=1)], b'["a",{"n":1}]', "application/json"),
        (
            [1, UntypedAPIFuture(request_id="r"), None],
            b'[1,{"request_id":"r"},null]',
            "application/json",
        ),
        (["a", {"b": NOT_GIVEN, "c": 1}], b'["a",{"c":1}]', "application/json"),
        ("a", b'"a"', "application/json"),
        (b"a", b"a", "application/octet-stream"),
    ],
)
def test_a_body_is_sent_by_what_it_is(body: object, raw: bytes, kind: str) -> None:
    """Bytes as they are, everything else as JSON."""
    transport = answering(FakeReply())
    client_of(transport).post(PLACE, cast_to=object, body=body)
    [request] = transport.requests
    assert (request.body, request.headers.get("content-type")) == (raw, kind)


def test_a_body_of_a_get_is_described_too() -> None:
    """Reading calls have none, unless extra fields make one."""
    transport = answering(FakeReply())
    client_of(transport).get(PLACE, cast_to=object)
    client_of(transport).get(PLACE, cast_to=object, extra_body={"a": 1})
    kinds = [request.headers.get_all("content-type") for request in transport.requests]
    assert kinds == [[], ["application/json"]]
    assert transport.requests[1].body == b'{"a":1}'


def test_a_body_is_transformed_by_its_own_type() -> None:
    """What its class says of the wire form is done, however deep it lies."""
    transport = answering(FakeReply())
    made = Marked(dt.datetime(2026, 1, 2))
    client_of(transport).post(PLACE, cast_to=object, body={"a": [made]})
    assert transport.requests[0].body == b'{"a":[{"madeAt":"2026-01-02T00:00:00"}]}'


@pytest.mark.parametrize("path", ["", "api/v1/x", "ftp://h/x", "//", "/x\r\ny", "/x\0"])
def test_a_path_is_one_or_a_whole_url(path: str) -> None:
    """What is neither is refused before anything is sent, or stays below the base URL."""
    transport = answering(FakeReply())
    if path == "//":
        client_of(transport).get(path, cast_to=object)
        assert transport.requests[0].url == f"{BASE_URL}//"
        return
    with pytest.raises(ValueError, match="must begin with '/', or be a whole URL"):
        client_of(transport).get(path, cast_to=object)
    assert not transport.requests


def test_another_origin_sees_no_secret() -> None:
    """A whole URL of the same origin gets everything, another one only what the call says."""
    transport = answering(FakeReply())
    client = client_of(
        transport,
        api_key="tml-key",
        default_headers={"X-Team": "secret"},
        default_query={"q": "secret"},
    )
    client.get(f"{BASE_URL}/here", cast_to=object)
    client.post(
        "https://other.test/there?s=1", cast_to=object, body={"a": 1}, extra_headers={"X-Own": "1"}
    )
    here, there = transport.requests
    assert here.url == f"{BASE_URL}/here?q=secret"
    assert (here.headers.get("x-api-key"), here.headers.get("x-team")) == ("tml-key", "secret")
    assert there.url == "https://other.test/there?s=1"
    names = {name.lower() for name, _ in there.headers}
    assert names == {"accept", "accept-encoding", "user-agent", "content-type", "x-own"}


def test_a_malformed_url_is_an_error_of_the_request() -> None:
    """The transport refuses it; no default of the client is on it."""
    with (
        Tinker(base_url=BASE_URL, api_key="tml-key") as client,
        pytest.raises(APIConnectionError, match="a character outside ASCII") as caught,
    ):
        client.get("http://h/ä", cast_to=object)
    assert not caught.value.may_have_arrived


def parts(request: Request) -> dict[str, tuple[str | None, bytes]]:
    """The parts of a form, by field: file name and content."""
    head = f"Content-Type: {request.headers.get('content-type')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + cast("bytes", request.body), policy=email.policy.HTTP)
    found: dict[str, tuple[str | None, bytes]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        found[str(name)] = (part.get_filename(), cast("bytes", part.get_payload(decode=True)))
    return found


FORM = {"a": (None, b"1"), "b[c]": (None, b"x"), "f": ("f.bin", b"content")}


async def test_files_make_a_form(tmp_path: Path) -> None:
    """Blocking, async, and async over a blocking transport; with its length, and repeated."""
    path = tmp_path / "f.bin"
    path.write_bytes(b"content")
    body = {"a": 1, "b": {"c": "x"}}
    replies = [BUSY, FakeReply()]
    transport = answering(*replies)
    client_of(transport).post(PLACE, cast_to=object, body=body, files={"f": path})
    left = list(replies)
    async_transport = AsyncFakeTransport(lambda _: left.pop(0))
    threaded = answering(*replies)
    for each in (async_transport, threaded):
        async with AsyncTinker(base_url=BASE_URL, transport=each) as client:
            await client.put(PLACE, cast_to=object, body=body, files=[("f", path)])
    for asked in (transport, async_transport, threaded):
        assert len(asked.requests) == 2
        for request in asked.requests:
            assert parts(request) == FORM
            length = request.headers.get("content-length")
            assert length == str(len(cast("bytes", request.body)))
            assert len(request.headers.get_all("content-type")) == 1


def test_a_file_that_is_read_once_is_sent_once() -> None:
    """There is no second attempt, whatever the answer."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self._data = io.BytesIO(b"content")

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._data.readinto(buffer)

    transport = answering(BUSY, FakeReply())
    file = ("f.bin", cast("io.BufferedReader", Pipe()))
    with pytest.raises(Exception, match="503"):
        client_of(transport).post(PLACE, cast_to=object, files={"f": file})
    [request] = transport.requests
    assert parts(request) == {"f": ("f.bin", b"content")}
    assert "content-length" not in request.headers


def test_a_boundary_of_the_callers_own_is_kept() -> None:
    """It is read from the Content-Type that the call gives."""
    transport = answering(FakeReply())
    kind = "multipart/form-data; boundary=mine"
    client_of(transport).post(
        PLACE, cast_to=object, files={"f": b"content"}, extra_headers={"content-type": kind}
    )
    [request] = transport.requests
    assert request.headers.get_all("content-type") == [kind]
    assert cast("bytes", request.body).startswith(b"--mine\r\n")
    with pytest.raises(TypeError, match="whose fields are a mapping, not bytes"):
        client_of(transport).post(PLACE, cast_to=object, body=b"x", files={"f": b"content"})


def test_errors_name_the_call_without_its_query() -> None:
    """A query may hold secrets."""
    with pytest.raises(NotFoundError, match=r"\(get /a: GET http://127.0.0.1:9/a\)"):
        client_of(answering(FakeReply(status=404))).get("/a?key=secret", cast_to=object)

    def refuse(_: Request) -> FakeReply:
        raise ConnectError("refused")

    with pytest.raises(APIConnectionError, match="patch /a: no answer") as caught:
        client_of(FakeTransport(refuse), max_retries=0).patch("/a?key=secret", cast_to=object)
    assert "secret" not in str(caught.value)
    url = "https://user:secret@h.test/x?key=secret#secret"
    with pytest.raises(NotFoundError, match=r"\(get https://h\.test/x: GET ") as missing:
        client_of(answering(FakeReply(status=404))).get(url, cast_to=object)
    assert "secret" not in str(missing.value)
    with pytest.raises(ValueError, match=r"The path 'ftp://h\.test/x' must begin") as refused:
        client_of(answering(FakeReply())).get(f"ftp{url[5:]}", cast_to=object)
    assert "secret" not in str(refused.value)


def test_a_type_with_marks_that_cannot_be_hashed_is_refused() -> None:
    """No decoder could be kept for it; nothing is sent."""
    transport = answering(FakeReply("a"))
    marked: Any = Annotated[str, {"a": 1}]
    with pytest.raises(TypeError, match=r"Annotated.* cannot be hashed; give it without"):
        client_of(transport).get(PLACE, cast_to=marked)
    assert not transport.requests
    response = client_of(transport).with_raw_response.get(PLACE, cast_to=str)
    with pytest.raises(TypeError, match=r"Annotated.* cannot be hashed; give it without"):
        response.parse(to=marked)
    assert response.parse() == '"a"'


@pytest.mark.parametrize("kind", ["body", "extra_body"])
def test_a_body_without_end_is_refused(kind: str) -> None:
    """Before anything is sent, by an error that says what is wrong."""
    transport = answering(FakeReply())
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"a": deep}
    bodies: Any = {"body": {}, kind: deep}
    with pytest.raises(ValueError, match="body is nested too deeply, or holds itself"):
        client_of(transport).post(PLACE, cast_to=object, **bodies)
    assert not transport.requests


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"timeout": "5"}, TypeError, "timeout is '5'; give seconds as a number"),
        ({"max_retries": 1.5}, ConfigError, r"max_retries is 1\.5; it must be a whole number"),
        ({"max_retries": "5"}, ConfigError, "max_retries is '5'; it must be a whole number"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(
    options: Any, error: type[Exception], text: str
) -> None:
    """Before anything is sent, for a call as for a client."""
    transport = answering(FakeReply())
    with pytest.raises(error, match=text):
        client_of(transport).get(PLACE, cast_to=object, **options)
    [name] = options
    with pytest.raises(ConfigError, match=f"{name} is "):
        client_of(transport, **options)
    assert not transport.requests
