from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from tests.testing.both import BLOCKING, Kit, ask, get, post
from tinker_lite.http import AnyTransport, Headers, Request
from tinker_lite.testing import FakeReply, FakeTransport, RecordingTransport, ReplayTransport
from tinker_lite.wire.json import encode_json

HEAD = b'{"format":"tinker-lite recording","version":1}\n'
BEAT = post("/session_heartbeat", b'{"session_id":"s"}')


def record(file: Path, *requests: Request) -> Path:
    """A recording in which each answer says which request it is for."""
    counter = itertools.count(1)
    transport = RecordingTransport(FakeTransport(lambda _: FakeReply({"n": next(counter)})), file)
    for request in requests:
        transport.send(request).read()
    return file


def body(**fields: object) -> bytes:
    """A JSON body."""
    return encode_json(fields)


async def numbers(transport: AnyTransport, *requests: Request) -> list[int]:
    """Which recorded answers requests get."""
    answers = [await ask(transport, request) for request in requests]
    return [msgspec.json.decode(answer.body)["n"] for answer in answers]


async def test_a_strict_replay_keeps_the_order(kit: Kit, tmp_path: Path) -> None:
    """And asks nothing of what changes by itself: keys, ids of requests, the host, versions."""
    was = Headers([("X-API-Key", "key-12345"), ("X-Idempotency-Key", "1"), ("User-Agent", "a")])
    now = Headers([("X-Idempotency-Key", "2"), ("User-Agent", "b")])
    file = record(
        tmp_path / "a.jsonl",
        post("/x?a=1&b=2", body(sdk_version="1", n=1), headers=was),
        Request(method="GET", url="https://store/f?sig=1"),
    )
    replay = kit.replay(file)
    other_host = Request(
        method="POST",
        url="https://elsewhere:1/api/v1/x?b=2&a=1",
        headers=now,
        body=[b'{"n": 1,', b'"sdk_version": "2"}'],
    )
    signed_anew = Request(method="GET", url="https://store/f?sig=2")
    assert await numbers(replay, other_host, signed_anew) == [1, 2]
    replay.assert_done()
    with pytest.raises(
        AssertionError, match=r"GET /f is not in what is left of a\.jsonl:\n  nothing"
    ):
        await ask(replay, signed_anew)


@pytest.mark.parametrize(
    ("came", "lines"),
    [
        pytest.param(get("/x"), ["expected POST /api/v1/x, came GET /api/v1/x"], id="the method"),
        pytest.param(
            post("/y", body(a=1)), ["expected POST /api/v1/x, came POST /api/v1/y"], id="the path"
        ),
        pytest.param(
            post("/x?q=2", body(a=[{"b": 1}])),
            ["`query.q[0]`: expected '1', came '2'"],
            id="the query",
        ),
        pytest.param(
            post("/x?q=1", body(a=[{"b": 2}])), ["`$.a[0].b`: expected 1, came 2"], id="the body"
        ),
        pytest.param(
            post("/x?q=1", body(a=[{"b": 1}]), headers=Headers([("X-Mine", "b")])),
            ["`headers.x-mine`: expected nothing, came 'b'"],
            id="a header",
        ),
        pytest.param(
            post("/x?q=1", b"\xff{"),
            ["body from byte 0: expected b'{\"a\":[{\"b\":1}]}', came b'\\xff{'"],
            id="bytes",
        ),
    ],
)
async def test_a_mismatch_says_which_entry_and_where(
    kit: Kit, tmp_path: Path, came: Request, lines: list[str]
) -> None:
    """The text names the entry and each place; the end of the test repeats it."""
    file = record(tmp_path / "a.jsonl", get("/first"), post("/x?q=1", body(a=[{"b": 1}])))
    replay = kit.replay(file)
    await ask(replay, get("/first"))
    with pytest.raises(AssertionError, match=r"differs from entry 2 of a\.jsonl") as caught:
        await ask(replay, came)
    assert str(caught.value).splitlines()[1:] == [f"  {line}" for line in lines]
    with pytest.raises(AssertionError, match="were not asked for") as at_the_end:
        replay.assert_done()
    assert str(at_the_end.value) == (
        f"{caught.value}\n1 exchanges of a.jsonl were not asked for:\n  entry 2: POST /api/v1/x"
    )


async def test_an_unordered_replay_compares_everything_else(kit: Kit, tmp_path: Path) -> None:
    """Each request gets the answer to its equal; the one that comes nearest is shown."""
    requests = [post("/x", body(a=i, b=0)) for i in range(3)]
    replay = kit.replay(record(tmp_path / "a.jsonl", *requests), match="unordered")
    assert await numbers(replay, *reversed(requests[1:])) == [3, 2]
    with pytest.raises(AssertionError, match=r"entry 1 .*\n  `\$\.a`: expected 0, came 2$"):
        await ask(replay, requests[2])
    with pytest.raises(AssertionError, match=r"is not in what is left.*\n  entry 1: POST"):
        await ask(replay, post("/y"))


async def test_a_lenient_replay_looks_at_method_and_path(kit: Kit, tmp_path: Path) -> None:
    """Whatever the body; but of several the one that is most like it answers."""
    requests = [post("/x", body(a=1, b=2)), post("/x", body(a=3)), get("/z")]
    replay = kit.replay(record(tmp_path / "a.jsonl", *requests), match="lenient")
    other = post("/x", body(a=9))
    assert await numbers(replay, get("/z?new=1"), requests[1], other) == [3, 2, 1]
    with pytest.raises(AssertionError, match=r"POST /api/v1/x is not in what is left"):
        await ask(replay, other)


async def test_what_is_left_is_listed_in_short(tmp_path: Path) -> None:
    """Five entries by name, the others by their number."""
    replay = ReplayTransport(record(tmp_path / "a.jsonl", *[get(f"/{i}") for i in range(8)]))
    with pytest.raises(AssertionError, match=r"8 exchanges") as caught:
        replay.assert_done()
    assert str(caught.value).endswith("\n  entry 5: GET /api/v1/4\n  and 3 more")


async def test_fields_may_be_ignored(kit: Kit, tmp_path: Path) -> None:
    """In bodies, queries and headers."""
    file = record(
        tmp_path / "a.jsonl", post("/x?t=1", body(a=[{"t": 1}]), headers=Headers([("T", "1")]))
    )
    replay = kit.replay(file, ignored_fields=["t"])
    assert await numbers(replay, post("/x?t=2", body(a=[{"t": 2}]))) == [1]


async def test_names_that_were_secret_are_so_in_the_replay(kit: Kit, tmp_path: Path) -> None:
    """The file says which; a redacted field fits any value."""
    file = tmp_path / "a.jsonl"
    fake = FakeTransport(lambda _: FakeReply({"n": 1}))
    RecordingTransport(fake, file, secret_names=["mine"]).send(
        post("/x?mine=a", body(mine="b"), headers=Headers([("Mine", "c")]))
    ).read()
    again = post("/x?mine=d", body(mine="e"), headers=Headers([("Mine", "f")]))
    assert await numbers(kit.replay(file), again) == [1]


async def test_heartbeats_are_answered_whenever_they_come(kit: Kit, tmp_path: Path) -> None:
    """They go by the clock: none has to come and any number may."""
    file = record(tmp_path / "a.jsonl", BEAT, get("/x"))
    kit_replay = kit.replay(file)
    for request in (get("/x"), BEAT, BEAT):
        assert (await ask(kit_replay, request)).status == 200
    kit_replay.assert_done()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(b"", "no recording: it has no whole line", id="empty"),
        pytest.param(b"{}", "no whole line", id="half a line"),
        pytest.param(b"hello\n", "line 1, is not of a recording", id="something else"),
        pytest.param(
            b'{"format":"tinker-lite recording","version":2}\n',
            r"version 2; .* reads 'tinker-lite recording' of version 1\. Record it again",
            id="a later version",
        ),
        pytest.param(b'{"format":"tape","version":1}\n', "is 'tape' of version", id="another"),
        pytest.param(
            HEAD + b'{"number":1}\n', r"line 2, .*required field `request`", id="a bad entry"
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_recording_is_refused(
    tmp_path: Path, text: bytes, complaint: str
) -> None:
    """Where the transport is made, naming the file and the line."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(text)
    with pytest.raises(ValueError, match=rf"a\.jsonl.*{complaint}"):
        ReplayTransport(file)


async def test_entries_may_stand_in_the_order_of_their_ends(tmp_path: Path) -> None:
    """A strict replay goes by their numbers, which are those of their beginnings."""
    file = record(tmp_path / "a.jsonl", get("/1"), get("/2"))
    head, *entries = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([head, *reversed(entries)]))
    assert await numbers(BLOCKING.replay(file), get("/1"), get("/2")) == [1, 2]
