"""Bodies that are no JSON: bytes, files as they lie on disk, forms that a header asks for."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.scripted import BASE_URL
from tests.wire.parsed_forms import parse_with_email
from tinker_lite import APIResponseValidationError, AsyncTinker, ConfigError, Tinker
from tinker_lite.http import Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply, FakeTransport

PLACE = "/api/v1/new_things"
OCTETS = "application/octet-stream"
CONTENT = bytes(range(256)) * 3


async def sent(body: Callable[[], Any], *replies: FakeReply, **options: Any) -> list[Request]:
    """What both clients send for a body, which is made anew for each."""
    left, async_left = [*replies, FakeReply({})], [*replies, FakeReply({})]
    transport = FakeTransport(lambda _: left.pop(0))
    async_transport = AsyncFakeTransport(lambda _: async_left.pop(0))
    Tinker(base_url=BASE_URL, transport=transport).post(
        PLACE, cast_to=object, body=body(), **options
    )
    client = AsyncTinker(base_url=BASE_URL, transport=async_transport)
    await client.post(PLACE, cast_to=object, body=body(), **options)
    assert [r.body for r in transport.requests] == [r.body for r in async_transport.requests]
    return transport.requests


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bytes_go_as_they_are(kind: Callable[[bytes], Any]) -> None:
    """Whatever holds them, and with the type that says so."""
    [request] = await sent(lambda: kind(CONTENT))
    assert (request.body, request.headers.get("content-type")) == (CONTENT, OCTETS)


@pytest.mark.anyio
async def test_files_go_as_they_lie_on_disk(tmp_path: Path) -> None:
    """A path and an open file are read while they are sent, and again for a repeat."""
    path = tmp_path / "x.bin"
    path.write_bytes(CONTENT)
    busy = FakeReply(status=503, headers=(("retry-after-ms", "1"),))
    with path.open("rb") as file, path.open("rb") as other:
        files = iter([file, other])
        for body in (lambda: path, lambda: io.BytesIO(CONTENT), lambda: next(files)):
            first, second = await sent(body, busy)
            assert first.body == second.body == CONTENT
            assert first.headers.get("content-length") == str(len(CONTENT))
            assert first.headers.get("content-type") == OCTETS


@pytest.mark.anyio
async def test_a_type_of_the_callers_stands(tmp_path: Path) -> None:
    """What the bytes are is the caller's to say."""
    path = tmp_path / "x.png"
    path.write_bytes(b"png")
    headers = {"Content-Type": "image/png"}
    [request] = await sent(lambda: path, extra_headers=headers)
    assert request.headers.get("content-type") == "image/png"


def test_a_file_takes_no_fields(tmp_path: Path) -> None:
    """Neither more fields nor files can be laid over it."""
    client = Tinker(base_url=BASE_URL, transport=FakeTransport(lambda _: FakeReply({})))
    with pytest.raises(TypeError, match="extra_body is laid over the fields of a body"):
        client.post(PLACE, cast_to=object, body=tmp_path, extra_body={"a": 1})
    with pytest.raises(TypeError, match="files make the body a form"):
        client.post(PLACE, cast_to=object, body=b"x", files={"f": b"y"})
    with pytest.raises(FileNotFoundError):
        client.post(PLACE, cast_to=object, body=tmp_path / "missing")


@pytest.mark.anyio
async def test_a_header_alone_makes_a_form() -> None:
    """A Content-Type of forms is kept, with the boundary that the form has."""
    headers = {"Content-Type": "multipart/form-data"}
    [request] = await sent_forms({"a": "1", "b": {"c": "2"}}, extra_headers=headers)
    assert isinstance(request.body, bytes)
    parts = parse_with_email(request.headers.get("content-type", ""), request.body)
    assert [(part.name, part.content) for part in parts] == [("a", b"1"), ("b[c]", b"2")]


async def sent_forms(body: dict[str, Any], **options: Any) -> list[Request]:
    """What both clients send for a form; boundaries differ."""
    transport, other = (
        FakeTransport(lambda _: FakeReply({})),
        AsyncFakeTransport(lambda _: FakeReply({})),
    )
    Tinker(base_url=BASE_URL, transport=transport).post(PLACE, cast_to=object, body=body, **options)
    client = AsyncTinker(base_url=BASE_URL, transport=other)
    await client.post(PLACE, cast_to=object, body=body, **options)
    assert len(other.requests) == 1
    return transport.requests


def test_a_request_that_is_none_is_refused() -> None:
    """The method names what it takes, and nothing is sent."""
    transport = FakeTransport(lambda _: FakeReply({}))
    client = Tinker(base_url=BASE_URL, transport=transport)
    nothing: Any = None
    with pytest.raises(TypeError, match=r"models.create needs a CreateModelRequest, not None"):
        client.models.create(nothing)
    assert transport.requests == []


def test_lists_in_a_query_have_one_of_three_forms() -> None:
    """Another word is refused by the client, not by its first query with a list."""
    wrong: Any = "x"
    with pytest.raises(ConfigError, match="array_format is 'x'; it must be one of"):
        Tinker(base_url=BASE_URL, array_format=wrong)


def test_a_coding_that_nobody_asked_for_is_not_asked_for_again() -> None:
    """No repeat would make it readable."""
    transport = FakeTransport(lambda _: FakeReply(b"x", headers=(("Content-Encoding", "br"),)))
    client = Tinker(base_url=BASE_URL, transport=transport)
    with pytest.raises(APIResponseValidationError, match="content coding 'br', which is unknown"):
        client.service.health_check()
    assert len(transport.requests) == 1
