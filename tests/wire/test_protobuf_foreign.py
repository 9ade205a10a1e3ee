"""Every message, both ways, against the protobuf package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from google.protobuf.message import DecodeError as ForeignDecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.protobuf_foreign import NAMES, foreign, messages
from tinker_lite.errors import DecodeError
from tinker_lite.wire.protobuf import decode_message, encode_message
from tinker_lite.wire.protobuf.schema import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterable


def reading(name: str, raw: bytes) -> Any:
    """What the protobuf package makes of some bytes."""
    message = foreign(name)
    message.MergeFromString(raw)
    return message


def test_the_schemas_have_the_same_messages() -> None:
    """Neither has one that the other lacks."""
    assert sorted(MESSAGES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(st.data())
def test_what_one_writes_the_other_reads(name: str, data: st.DataObject) -> None:
    """The same fields, in both directions, for every message."""
    fields = data.draw(messages(name))
    theirs = foreign(name, fields)
    assert decode_message(name, theirs.SerializeToString()) == fields
    ours = encode_message(name, fields)
    assert reading(name, bytes(ours)) == theirs
    assert ours.size_bytes == len(bytes(ours))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(st.data())
def test_messages_end_to_end_are_merged_alike(name: str, data: st.DataObject) -> None:
    """Last one wins, lists go on, messages merge, entries are replaced, oneofs change member."""
    both = b"".join(foreign(name, data.draw(messages(name))).SerializeToString() for _ in range(2))
    merged = reading(name, both).SerializeToString()
    assert decode_message(name, both) == decode_message(name, merged)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A message with bytes changed, removed, put in or said twice."""
    raw = bytearray(foreign(name, draw(messages(name))).SerializeToString())
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(raw)))
        j = draw(st.integers(i, min(len(raw), i + 4)))
        raw[i:j] = draw(st.binary(max_size=3) | st.just(bytes(raw[i:j]) * 2))
    return bytes(raw)


def check_damaged(name: str, raw: bytes) -> None:
    """What both can read means the same to both; any other error of ours fails the test."""
    try:
        fields = decode_message(name, raw)
        theirs = reading(name, raw)
    except (DecodeError, ForeignDecodeError):
        return
    # Writing leaves out defaults that were said aloud.
    ours = decode_message(name, bytes(encode_message(name, fields)))
    # By text, since a damaged float may be a NaN, which is not equal to itself.
    assert shown(ours) == shown(decode_message(name, theirs.SerializeToString()))


def shown(value: Any) -> Any:
    """A message as texts."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: shown(item) for key, item in items}
    if isinstance(value, list):
        return [shown(item) for item in cast("Iterable[Any]", value)]
    return value.tobytes() if isinstance(value, memoryview) else repr(value)


@settings(max_examples=500)
@given(st.data())
def test_damaged_bytes_mean_the_same_to_both(data: st.DataObject) -> None:
    """Or are refused by one of them."""
    name = data.draw(st.sampled_from(NAMES))
    check_damaged(name, data.draw(damaged(name)))


@pytest.mark.slow
@settings(max_examples=10_000)
@given(st.data())
def test_damaged_bytes_mean_the_same_to_both_in_ten_thousand_cases(data: st.DataObject) -> None:
    """The same over more cases, and over bytes that never were a message."""
    name = data.draw(st.sampled_from(NAMES))
    check_damaged(name, data.draw(damaged(name) | st.binary(max_size=40)))
