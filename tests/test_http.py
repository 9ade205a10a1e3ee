from __future__ import annotations

import gc
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite.errors import LimitExceeded, StreamAlreadyConsumed, TruncatedBody
from tinker_lite.headers import Headers
from tinker_lite.http import AsyncResponse, Request, Response, Timeout

NAMES = st.text("aAbB-", min_size=1, max_size=3)
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=3)), max_size=6)


# Headers


def test_headers_keep_order_case_and_repeats() -> None:
    """What was given is what is sent; look-up takes the first and ignores case."""
    pairs = [("Set-Cookie", "a=1"), ("X-Two", "2"), ("set-cookie", "b=2")]
    headers = Headers(pairs)
    assert list(headers) == pairs == list(headers.items())
    assert (headers.get("SET-COOKIE"), headers.get_all("Set-cookie")) == ("a=1", ["a=1", "b=2"])
    assert (headers.get("none"), headers.get("none", "-"), headers.get_all("none")) == (
        None,
        "-",
        [],
    )
    assert ("x-two" in headers, "x" in headers, 2 in headers, len(headers)) == (
        True,
        False,
        False,
        3,
    )


@given(PAIRS, PAIRS)
def test_merging_replaces_by_name_and_loses_nothing_else(
    old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    """After a merge the new pairs stand last and the others keep their order."""
    merged = Headers(old).merged(new)
    replaced = {name.lower() for name, _ in new}
    assert list(merged) == [p for p in old if p[0].lower() not in replaced] + new


@given(PAIRS)
def test_headers_are_equal_whatever_the_case_of_names(pairs: list[tuple[str, str]]) -> None:
    """Equality and hash fold names, not values, and survive pickling."""
    headers, folded = Headers(pairs), Headers((name.lower(), value) for name, value in pairs)
    assert headers == folded
    assert hash(headers) == hash(folded)
    assert pickle.loads(pickle.dumps(headers)) == headers
    assert headers != pairs


def test_a_header_can_be_asked_for_as_in_a_mapping() -> None:
    """In any case of its name; one that is not there is a KeyError that names it."""
    headers = Headers([("Content-Type", "a"), ("content-type", "b")])
    assert headers["CONTENT-type"] == "a"
    with pytest.raises(KeyError, match="x-none"):
        headers["x-none"]


def test_headers_can_be_stripped_of_secrets() -> None:
    """For what is kept in an error; order and case of the others stay."""
    headers = Headers([("A", "1"), ("Set-Cookie", "x"), ("a", "2"), ("X-API-KEY", "y")])
    assert list(headers.without_secrets()) == [("A", "1"), ("a", "2")]


# Values


def test_a_request_never_shows_its_body() -> None:
    """A body can hold a whole prompt."""
    assert "prompt" not in repr(Request(method="POST", url="http://h", body=b"prompt"))


def test_a_number_of_seconds_bounds_the_silence_and_the_whole() -> None:
    """Connecting and the handshake keep their own, shorter limits."""
    assert Timeout.of(60) == Timeout(
        pool_s=60, connect_s=5, tls_s=10, write_s=60, read_s=60, total_s=60
    )
    assert Timeout.of(2.0) == Timeout(
        pool_s=2, connect_s=2, tls_s=2, write_s=2, read_s=2, total_s=2
    )


def test_no_number_lifts_every_limit_and_a_timeout_is_kept() -> None:
    """None means wait for ever; a ``Timeout`` passes as it is."""
    lifted = Timeout.of(None)
    assert {getattr(lifted, name) for name in lifted.__struct_fields__} == {None}
    mine = Timeout(read_s=3)
    assert Timeout.of(mine) is mine


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_limit_that_no_exchange_keeps_is_refused(seconds: float) -> None:
    """Zero, negative and NaN name the field."""
    with pytest.raises(ValueError, match=r"Timeout\.read_s is"):
        Timeout(read_s=seconds)
    with pytest.raises(ValueError, match=r"^timeout is .*; it must be above 0 s"):
        Timeout.of(seconds)


def test_a_limit_that_is_no_number_is_refused() -> None:
    """By its name, whoever gives it."""
    text: Any = "5"
    with pytest.raises(ValueError, match=r"Timeout\.read_s is '5'; it must be above 0 s"):
        Timeout(read_s=text)
    with pytest.raises(TypeError, match="timeout is '5'; give seconds as a number"):
        Timeout.of(text)


# Responses, blocking


class Closed:
    """Counts how often a response let go of its connection."""

    def __init__(self) -> None:
        self.times = 0

    def now(self) -> None:
        """Count one."""
        self.times += 1

    async def later(self) -> None:
        """Count one, as a coroutine that suspends."""
        await anyio.lowlevel.checkpoint()
        self.times += 1


def broken(*chunks: bytes) -> Iterator[bytes]:
    """Chunks, then a body that ends too early."""
    yield from chunks
    raise TruncatedBody("cut", may_have_arrived=True)


def test_a_body_arrives_in_chunks_and_closes_at_its_end() -> None:
    """Empty chunks are left out; closing happens once, whoever else closes."""
    closed = Closed()
    with Response(200, [], [b"a", b"", b"bc"], close=closed.now) as response:
        assert list(response.iter_bytes()) == [b"a", b"bc"]
        assert closed.times == 1
        response.close()
    assert closed.times == 1


@given(st.lists(st.binary(max_size=4), max_size=6))
def test_any_split_of_a_body_reads_the_same(chunks: list[bytes]) -> None:
    """Where the chunks are cut makes no difference."""
    assert Response(200, [], chunks).read() == b"".join(chunks)


def test_a_body_is_handed_out_once() -> None:
    """A second reading is an error that says what to do, not an empty body."""
    response = Response(200, [], b"abc")
    assert response.read() == b"abc"
    with pytest.raises(StreamAlreadyConsumed, match="keep what read"):
        response.read()
    with pytest.raises(StreamAlreadyConsumed, match="make the request again"):
        response.iter_bytes()


@pytest.mark.parametrize(("limit", "fits"), [(4, False), (5, True), (None, True)])
def test_reading_stops_at_the_limit(limit: int | None, fits: bool) -> None:
    """A body of exactly the limit is read; one byte more is refused and closes the response."""
    closed = Closed()
    chunks = iter([b"abc", b"de", b""])
    response = Response(200, [], chunks, close=closed.now)
    if fits:
        assert response.read(limit) == b"abcde"
    else:
        with pytest.raises(LimitExceeded, match="larger than the 4 bytes") as caught:
            response.read(limit)
        assert caught.value.may_have_arrived is True
        assert list(chunks) == [b""], "nothing is read after the limit"
    assert closed.times == 1


def test_a_failing_body_closes_the_response() -> None:
    """What arrived before the failure is handed out, then the error, and the connection goes."""
    closed = Closed()
    chunks = Response(200, [], broken(b"a"), close=closed.now).iter_bytes()
    assert next(chunks) == b"a"
    with pytest.raises(TruncatedBody, match="cut"):
        next(chunks)
    assert closed.times == 1


def test_leaving_early_closes_the_response() -> None:
    """A loop that breaks off leaves nothing open behind the context manager."""
    closed = Closed()
    with Response(200, [], [b"a", b"b"], close=closed.now) as response:
        for _ in response.iter_bytes():
            break
    assert closed.times == 1


def test_a_response_shows_status_and_headers_only() -> None:
    """Plain pairs become ``Headers``; status errors find the status under their own name."""
    response = Response(404, [("A", "b")], b"secret", http_version="1.0")
    assert repr(response) == "Response(404, Headers([('A', 'b')]))"
    assert (response.status_code, response.http_version) == (404, "1.0")
    assert response.headers == Headers([("a", "b")])


# Responses, async: on asyncio and trio


async def stream(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    """Chunks that each take a turn of the event loop."""
    for chunk in chunks:
        await anyio.lowlevel.checkpoint()
        yield chunk


async def test_an_async_body_arrives_in_chunks_and_closes_at_its_end() -> None:
    """Empty chunks are left out; closing happens once, whoever else closes."""
    closed = Closed()
    async with AsyncResponse(200, [], stream(b"a", b"", b"bc"), close=closed.later) as response:
        assert [chunk async for chunk in response.iter_bytes()] == [b"a", b"bc"]
        assert closed.times == 1
        await response.aclose()
    assert closed.times == 1


@pytest.mark.parametrize(("limit", "fits"), [(2, False), (3, True), (None, True)])
async def test_async_reading_stops_at_the_limit(limit: int | None, fits: bool) -> None:
    """Bytes and streams alike: a body of exactly the limit is read, a longer one refused."""
    chunks = stream(b"ab", b"c")
    for body in (b"abc", chunks):
        closed = Closed()
        response = AsyncResponse(200, [], body, close=closed.later)
        if fits:
            assert await response.read(limit) == b"abc"
        else:
            with pytest.raises(LimitExceeded, match="larger than the 2 bytes"):
                await response.read(limit)
        assert closed.times == 1
    await chunks.aclose()


async def test_an_async_body_is_handed_out_once() -> None:
    """A second reading is an error, not an empty body."""
    response = AsyncResponse(200, [], b"abc")
    assert await response.read() == b"abc"
    with pytest.raises(StreamAlreadyConsumed, match="keep what read"):
        await response.read()
    with pytest.raises(StreamAlreadyConsumed, match="keep what read"):
        response.iter_bytes()


async def test_a_failing_async_body_closes_the_response() -> None:
    """The transport's error comes through, and the connection goes."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise TruncatedBody("cut", may_have_arrived=True)

    closed = Closed()
    response = AsyncResponse(200, [], body(), close=closed.later)
    with pytest.raises(TruncatedBody, match="cut"):
        await response.read()
    assert closed.times == 1


async def test_leaving_an_async_body_early_is_silent() -> None:
    """No event loop complains about what was not read, and closing the iterator is enough."""
    closed = Closed()
    async with AsyncResponse(200, [], b"abc", close=closed.later) as response:
        async for _ in response.iter_bytes():
            break
    chunks = AsyncResponse(200, [], b"abc", close=closed.later).iter_bytes()
    await chunks.aclose()
    assert closed.times == 2
    del response, chunks
    gc.collect()  # a warning about an iterator left open would fail this test


async def test_cancelled_reading_closes_the_response() -> None:
    """A body that never comes is given up with its connection."""

    class Endless:
        """Waits for ever."""

        def __aiter__(self) -> Endless:
            return self

        async def __anext__(self) -> bytes:
            await anyio.sleep_forever()
            raise StopAsyncIteration

    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    response = AsyncResponse(200, [], Endless(), close=close)
    with anyio.move_on_after(0) as scope:
        await response.read()
    assert scope.cancelled_caught
    assert closed == [True]
