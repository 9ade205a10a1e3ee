"""Section S2: files, and the forms that carry them."""

from __future__ import annotations

import importlib
import inspect
import io
import json
from collections.abc import Awaitable, Callable
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypedDict

import anyio
import pytest

import tinker_lite as tl
from tests.acceptance.tapes import PLACE, blocking, both, nonblocking
from tests.wire.parsed_forms import ParsedPart, parse_with_email
from tinker_lite.errors import TinkerError
from tinker_lite.http import AsyncResponse, Request, Response
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport
from tinker_lite.wire.file_fields import extract_files
from tinker_lite.wire.files import RequestFiles
from tinker_lite.wire.multipart import encode_form
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer, ok
from tinker_lite_conformance.transport.received import Received

Call = Callable[[Any], Any]

BINARY = bytes(range(256)) + b"\r\n--\r\n--x--\r\n"
VERBS = ["post", "put", "patch", "delete"]


class Stored(TypedDict):
    """What a service of tomorrow answers to an upload."""

    blob_id: str


def answer(peer: Peer) -> None:
    """Answer every request of a connection."""
    while peer.request() is not None:
        peer.send(ok(b'{"blob_id": "b-1"}', "Content-Type: application/json"))


class Form(NamedTuple):
    """A form as it arrived."""

    content_type: str
    body: bytes

    @property
    def boundary(self) -> str:
        """What separates its parts."""
        head = Message()
        head["Content-Type"] = self.content_type
        boundary = head.get_boundary()
        assert boundary is not None
        return boundary

    @property
    def parts(self) -> list[ParsedPart]:
        """Its parts, read by the standard library's parser of mail."""
        return parse_with_email(self.content_type, self.body)


def form_of(received: Received) -> Form:
    """The form that a request holds."""
    [content_type] = received.values("content-type")
    assert received.whole
    return Form(content_type, received.body)


async def received_by_stub(call: Call) -> list[Received]:
    """What a stub on loopback gets from a call, first blocking and then async."""
    with Adversary(answer) as server:

        def run() -> None:
            with tl.Tinker(base_url=server.url(""), max_retries=0) as client:
                call(client)

        async def run_async() -> None:
            async with tl.AsyncTinker(base_url=server.url(""), max_retries=0) as client:
                await call(client)

        await both(run, run_async)
    assert len(server.requests) == 2
    return server.requests


async def uploaded(call: Call) -> Form:
    """The form that a stub gets from a call, the same in both colours."""
    form, async_form = map(form_of, await received_by_stub(call))
    assert form.parts == async_form.parts
    return form


async def sent_parts(**files: tl.FileTypes) -> list[ParsedPart]:
    """The parts that a stub gets for these files."""
    form = await uploaded(lambda client: client.post(PLACE, cast_to=object, files=files))
    return form.parts


def stored(_: Request) -> FakeReply:
    """Answer every call."""
    return FakeReply({"blob_id": "b-1"})


async def refused(error: type[Exception], text: str, files: Any, **options: Any) -> None:
    """Both colours raise an error with this text, and nothing whole is sent."""
    transport, async_transport = FakeTransport(stored), AsyncFakeTransport(stored)
    with pytest.raises(error, match=text):
        blocking(transport).post(PLACE, cast_to=object, files=files, **options)
    with pytest.raises(error, match=text):
        await nonblocking(async_transport).post(PLACE, cast_to=object, files=files, **options)
    assert transport.requests == async_transport.requests == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file on disk."""
    path = tmp_path / "y.bin"
    path.write_bytes(BINARY)
    return path


async def test_s2_3_paths(path: Path) -> None:
    """S2.3: a path is sent as the bytes of its file, under its name."""
    for given in (path, anyio.Path(path)):
        [part] = await sent_parts(f=given)
        assert part[:3] == ("f", "y.bin", BINARY)


async def test_s2_4_bytes() -> None:
    """S2.4: bytes are the body of their part."""
    [part] = await sent_parts(f=b"abc")
    assert (part.name, part.content) == ("f", b"abc")
    [part] = await sent_parts(f=("name", b""))
    assert part[:3] == ("f", "name", b"")


def on_disk(path: Path) -> BinaryIO:
    """A file, open."""
    return path.open("rb")


def in_memory(path: Path) -> BinaryIO:
    """The same bytes as a file in memory."""
    return io.BytesIO(path.read_bytes())


@pytest.mark.parametrize("opened", [on_disk, in_memory])
async def test_s2_5_file_handles(opened: Callable[[Path], BinaryIO], path: Path) -> None:
    """S2.5: an open file is sent from where it stands, and left open; the rule is stated."""
    with opened(path) as file:

        def upload(client: Any) -> Any:
            file.seek(4)
            return client.post(PLACE, cast_to=object, files={"f": file})

        form = await uploaded(upload)
        assert not file.closed
    assert [part.content for part in form.parts] == [BINARY[4:]]
    stated = importlib.import_module("tinker_lite.wire.files").__doc__ or ""
    assert "read from where it stands, and is neither closed nor put back" in stated


async def test_s2_8_multipart(path: Path) -> None:
    """S2.8: the standard library's parser recovers every part, fields first, in order."""
    files: RequestFiles = [("f", path), ("g", b"--"), ("f", ("z", BINARY, "a/b", {"X-Sum": "1"}))]
    form = await uploaded(
        lambda client: client.post(PLACE, cast_to=object, body={"t": "ü", "n": 1}, files=files)
    )
    guessed = (("content-type", "application/octet-stream"),)
    assert form.parts == [
        ParsedPart("t", None, "ü".encode(), ()),
        ParsedPart("n", None, b"1", ()),
        ParsedPart("f", "y.bin", BINARY, guessed),
        ParsedPart("g", "upload", b"--", guessed),
        ParsedPart("f", "z", BINARY, (("content-type", "a/b"), ("x-sum", "1"))),
    ]


async def test_s2_9_nested_files() -> None:
    """S2.9: files at a path are taken out under the names of a form; the rest stays in place."""
    body = {"docs": [{"file": b"1", "note": "a"}, {"file": b"2"}], "kept": {"n": [1, None]}}
    rest, files = extract_files(body, [["docs", "<array>", "file"]])
    assert files == [("docs[][file]", b"1"), ("docs[][file]", b"2")]
    assert json.loads(json.dumps(rest)) == {"docs": [{"note": "a"}, {}], "kept": {"n": [1, None]}}
    assert body["docs"] == [{"file": b"1", "note": "a"}, {"file": b"2"}]
    form = await uploaded(lambda client: client.post(PLACE, cast_to=object, body=rest, files=files))
    assert [(part.name, part.content) for part in form.parts] == [
        ("docs[][note]", b"a"),
        ("kept[n][]", b"1"),
        ("docs[][file]", b"1"),
        ("docs[][file]", b"2"),
    ]


@pytest.mark.parametrize("verb", VERBS)
async def test_s2_11_every_verb(verb: str) -> None:
    """S2.11: each verb takes files, in each view and both colours."""
    options: dict[str, Any] = {"cast_to": object, "body": {"a": 1}, "files": {"f": b"x"}}
    transport, async_transport = FakeTransport(stored), AsyncFakeTransport(stored)
    client, async_client = blocking(transport), nonblocking(async_transport)
    getattr(client, verb)(PLACE, **options)
    getattr(client.with_raw_response, verb)(PLACE, **options)
    with getattr(client.with_streaming_response, verb)(PLACE, **options):
        pass
    await getattr(async_client, verb)(PLACE, **options)
    await getattr(async_client.with_raw_response, verb)(PLACE, **options)
    async with getattr(async_client.with_streaming_response, verb)(PLACE, **options):
        pass
    requests = transport.requests + async_transport.requests
    assert [request.method for request in requests] == 6 * [verb.upper()]
    for request in requests:
        assert isinstance(request.body, bytes)
        [content_type] = request.headers.get_all("content-type")
        parts = Form(content_type, request.body).parts
        assert [(part.name, part.content) for part in parts] == [("a", b"1"), ("f", b"x")]


class Recorder:
    """A blocking transport that notes each request as it is given, and its body as it is read."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Request, list[bytes]]] = []

    def send(self, request: Request) -> Response:
        """Read the body, and answer."""
        body: Any = request.body
        self.recorded.append((request, list(body)))
        return Response(200, [("Content-Type", "application/json")], b"{}")

    def close(self) -> None:
        """Nothing is open."""


class AsyncRecorder:
    """The async form of ``Recorder``."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Request, list[bytes]]] = []

    async def send(self, request: Request) -> AsyncResponse:
        """Read the body, and answer."""
        body: Any = request.body
        self.recorded.append((request, [chunk async for chunk in body]))
        return AsyncResponse(200, [("Content-Type", "application/json")], b"{}")

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_s2_12_transport(path: Path) -> None:
    """S2.12: a transport is given a form that it reads piece by piece, with its length."""
    recorder, async_recorder = Recorder(), AsyncRecorder()
    blocking(recorder).post(PLACE, cast_to=object, files={"f": path})
    await nonblocking(async_recorder).post(PLACE, cast_to=object, files={"f": path})
    for request, chunks in recorder.recorded + async_recorder.recorded:
        assert not isinstance(request.body, bytes)
        body = b"".join(chunks)
        assert request.headers.get_all("content-length") == [str(len(body))]
        [part] = Form(request.headers.get("content-type") or "", body).parts
        assert part[:3] == ("f", "y.bin", BINARY)


async def test_s2_13_content_types() -> None:
    """S2.13: the form has its type; a part has the one given, or what its name suggests."""
    files: dict[str, tl.FileTypes] = {
        "given": ("a.png", b"x", "text/x-own; charset=utf-8"),
        "json": ("a.json", b"x"),
        "png": ("a.PNG", b"x", None),
        "unknown": ("a.safetensors", b"x"),
        "unnamed": b"x",
    }
    form = await uploaded(lambda client: client.post(PLACE, cast_to=object, files=files))
    assert form.content_type.startswith("multipart/form-data; boundary=")
    assert {part.name: part.headers for part in form.parts} == {
        name: (("content-type", content_type),)
        for name, content_type in {
            "given": "text/x-own; charset=utf-8",
            "json": "application/json",
            "png": "image/png",
            "unknown": "application/octet-stream",
            "unnamed": "application/octet-stream",
        }.items()
    }


async def test_s2_14_boundaries(path: Path) -> None:
    """S2.14: each request draws a boundary, which only stands between parts."""
    received = await received_by_stub(
        lambda client: client.post(PLACE, cast_to=object, body={"a": "b"}, files={"f": path})
    )
    forms = [form_of(one) for one in received]
    assert forms[0].boundary != forms[1].boundary
    for form in forms:
        assert form.body.count(form.boundary.encode()) == 3
    draw = iter(["taken", "in-a-name", "free"]).__next__
    drawn = encode_form({"a": "is taken"}, {"in-a-name": b"x"}, draw_boundary=draw)
    assert drawn.boundary == "free"


async def test_s2_14_own_boundary(tmp_path: Path) -> None:
    """S2.14: a boundary of one's own is kept, unless a content holds it."""
    own = {"extra_headers": {"Content-Type": "multipart/form-data; boundary=mine"}}
    form = await uploaded(
        lambda client: client.post(PLACE, cast_to=object, files={"f": b"x"}, **own)
    )
    assert form.content_type == "multipart/form-data; boundary=mine"
    assert form.body.startswith(b"--mine\r\n")
    path = tmp_path / "x"
    path.write_bytes(b"\r\n--mine--\r\n")
    for content, error in [(path.read_bytes(), ValueError), (path, TinkerError)]:
        await refused(error, "boundary 'mine'", {"f": content}, **own)


async def test_s2_15_future_endpoint(path: Path) -> None:
    """S2.15: an endpoint that nobody knows yet takes an upload by a public call alone."""
    answers: list[Stored] = []

    def upload(client: Any) -> Any:
        made = client.put("/api/v9/blobs?kind=weights", cast_to=Stored, files={"blob": path})
        if not inspect.isawaitable(made):
            answers.append(made)
            return None
        return noted(made)

    async def noted(made: Awaitable[Stored]) -> None:
        answers.append(await made)

    for received in await received_by_stub(upload):
        assert received.line == "PUT /api/v9/blobs?kind=weights HTTP/1.1"
        [part] = form_of(received).parts
        assert part[:3] == ("blob", "y.bin", BINARY)
    assert answers == [{"blob_id": "b-1"}, {"blob_id": "b-1"}]


@pytest.mark.parametrize("options", [{}, {"files": None}])
async def test_x2_1_no_files(options: dict[str, Any]) -> None:
    """X2.1: without files the body is plain JSON."""

    def call(client: Any) -> Any:
        return client.post(PLACE, cast_to=object, body={"a": [1]}, **options)

    for received in await received_by_stub(call):
        assert received.values("content-type") == ["application/json"]
        assert json.loads(received.body) == {"a": [1]}


@pytest.mark.parametrize("name", ['a"; filename="b', "é 模型.bin", "a\\b", "a\\\\b", "a%22b"])
async def test_x2_2_names(name: str) -> None:
    """X2.2: quotes and other scripts come through, in names of fields and of files."""
    fields = {name: "v"}
    files: dict[str, tl.FileTypes] = {f"f{name}": (name, b"x")}
    form = await uploaded(
        lambda client: client.post(PLACE, cast_to=object, body=fields, files=files)
    )
    assert [part[:3] for part in form.parts] == [(name, None, b"v"), (f"f{name}", name, b"x")]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
async def test_x2_2_line_ends(end: str) -> None:
    """X2.2: a line end cannot get into a head: it is refused by name, and nothing is sent."""
    bad, text = f"a{end}X-Bad: 1", "has no place in a name"
    await refused(ValueError, f"The field name .*{text}", {bad: b"x"})
    await refused(ValueError, f"The file name .*{text}", {"f": (bad, b"x")})


@pytest.mark.parametrize("file", ["text", ("n", "text")])
async def test_x2_3_text(file: Any) -> None:
    """X2.3: a str is neither a path nor a content, and nothing is sent."""
    await refused(TypeError, r"files\['f'\] is a str, which could be a path", {"f": file})


async def test_x2_4_paths_in_tuples(path: Path) -> None:
    """X2.4: a path inside a tuple is read, under the name of the tuple."""
    for given in (path, anyio.Path(path)):
        [part] = await sent_parts(f=("other.json", given))
        assert part[:3] == ("f", "other.json", BINARY)
        assert part.headers == (("content-type", "application/json"),)


async def test_x2_5_nested_fields() -> None:
    """X2.5: maps and lists become names in brackets, and repeated names repeat parts."""
    body = {"a": {"b": 1, "c": {"d": True}}, "e": ["x", 2.5, {"f": "y"}], "g": None}
    files: RequestFiles = [("h[]", b"1"), ("h[]", b"2")]
    form = await uploaded(lambda client: client.post(PLACE, cast_to=object, body=body, files=files))
    assert [(part.name, part.content) for part in form.parts] == [
        ("a[b]", b"1"),
        ("a[c][d]", b"true"),
        ("e[]", b"x"),
        ("e[]", b"2.5"),
        ("e[][f]", b"y"),
        ("h[]", b"1"),
        ("h[]", b"2"),
    ]
