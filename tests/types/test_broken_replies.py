"""Replies with something in them that is not as the protocol says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.types.replies import REPLIES, with_new
from tests.types.structs import JSON
from tinker_lite.errors import DecodeError
from tinker_lite.wire.json import decode_json, encode_json

QUICK, MANY = 300, 10_000


@st.composite
def broken_replies(draw: st.DrawFn) -> tuple[type[Any], bytes]:
    """A reply, newer or not, with up to three values put in the place of others."""
    type_, plain = draw(st.sampled_from(REPLIES))
    reply = json.loads(json.dumps(with_new(plain) if draw(st.booleans()) else plain))
    for _ in range(draw(st.integers(0, 3))):
        reply = _broken(draw, reply)
    return type_, json.dumps(reply).encode()


def _broken(draw: st.DrawFn, plain: Any) -> Any:
    changed: Any = plain
    children: list[Any] = []
    if isinstance(plain, dict):
        children = list(changed)
    elif isinstance(plain, list):
        children = list(range(len(changed)))
    if not children or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    key = draw(st.sampled_from(children))
    changed[key] = _broken(draw, changed[key])
    return changed


def check(type_: type[Any], raw: bytes) -> None:
    """A reply is read, and then survives the wire, or is refused with our own error."""
    try:
        value = decode_json(raw, type_)
    except DecodeError:
        return
    assert decode_json(encode_json(value), type_) == value


@settings(max_examples=QUICK)
@given(broken_replies())
def test_a_broken_reply_is_read_or_refused(reply: tuple[type[Any], bytes]) -> None:
    """With no other error than ours."""
    check(*reply)


@pytest.mark.slow
@settings(max_examples=MANY)
@given(broken_replies())
def test_many_broken_replies_are_read_or_refused(reply: tuple[type[Any], bytes]) -> None:
    """The same, ten thousand times."""
    check(*reply)
