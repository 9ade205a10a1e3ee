from __future__ import annotations

import copy
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.types.structs import ANSWERS, REQUESTS, STRUCTS, values_of
from tinker_lite.wire.json import decode_json, encode_json

EVERY = [pytest.param(cls, id=cls.__name__) for cls in STRUCTS]
# With 5 cases for each of the structs, some hundreds in all; the slow run has 10,000.
FEW, MANY = 5, 10_000


def check(value: msgspec.Struct) -> None:
    """A value survives the wire, pickling and copying, and its repr is one line."""
    assert decode_json(encode_json(value), type(value)) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value
    assert "\n" not in repr(value)


@pytest.mark.parametrize("cls", EVERY)
@settings(max_examples=FEW)
@given(data=st.data())
def test_a_value_comes_back_equal(cls: type[msgspec.Struct], data: st.DataObject) -> None:
    """Whatever known and unknown parts it has."""
    check(data.draw(values_of(cls)))


@pytest.mark.slow
@settings(max_examples=MANY)
@given(data=st.data())
def test_many_values_come_back_equal(data: st.DataObject) -> None:
    """The same, of structs drawn at random."""
    check(data.draw(values_of(data.draw(st.sampled_from(STRUCTS)))))


@pytest.mark.parametrize("cls", EVERY)
def test_a_struct_takes_no_unknown_keyword(cls: type[msgspec.Struct]) -> None:
    """A misspelt field is an error where it is written, in requests and answers alike."""
    make: Any = cls
    with pytest.raises(TypeError, match=r"[Uu]nexpected keyword argument 'no_such_field'"):
        make(no_such_field=1)


@pytest.mark.parametrize("cls", EVERY)
def test_a_struct_does_not_change(cls: type[msgspec.Struct]) -> None:
    """What is queued or shared stays as it was."""
    assert cls.__struct_config__.frozen


def test_there_are_structs_of_both_kinds() -> None:
    """The lists that these tests go through are not empty by mistake."""
    assert len(ANSWERS) > 60
    assert len(REQUESTS) > 40
