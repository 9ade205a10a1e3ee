from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.types.strategies import MODEL_INPUTS, TOKENS
from tinker_lite.types import (
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
)

PICTURE = ImageChunk(data=b"png", format="png", expected_tokens=4)
POINTER = ImageAssetPointerChunk(location="s3://x", format="jpeg")

# Chunks


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        pytest.param([1, 2], [1, 2], id="a list stays a list"),
        pytest.param((1, 2), (1, 2), id="a tuple stays a tuple"),
        pytest.param(range(3), [0, 1, 2], id="a range becomes a list"),
        pytest.param(np.array([1, 2]), [1, 2], id="an array becomes a list"),
        pytest.param([np.int32(1), np.int64(2)], [1, 2], id="numpy integers"),
        pytest.param((np.int64(1),), (1,), id="numpy integers in a tuple"),
        pytest.param([1.0, True, "3"], [1, 1, 3], id="whole floats, truth values and digits"),
        pytest.param([], [], id="no tokens"),
        pytest.param([2**70], [2**70], id="beyond 64 bits"),
    ],
)
def test_token_ids_of_any_kind_become_ints(tokens: Any, kept: object) -> None:
    """They are plain ints afterwards, so that every encoder takes them."""
    for chunk in (EncodedTextChunk(tokens=tokens), ModelInput.from_ints(tokens).chunks[0]):
        assert isinstance(chunk, EncodedTextChunk)
        assert chunk.tokens == kept
        assert type(chunk.tokens) is type(kept)
        assert {type(token) for token in chunk.tokens} <= {int}


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        pytest.param("abc", "tokens must be.*not text", id="text"),
        pytest.param(b"abc", "tokens must be.*not text", id="bytes"),
        pytest.param([1, 2.5], r"tokens\[1\] is 2\.5", id="a fraction"),
        pytest.param([None], r"tokens\[0\] is None", id="no number"),
        pytest.param(["x"], r"tokens\[0\] is 'x'", id="a word"),
        pytest.param([float("inf")], r"tokens\[0\] is inf", id="infinity"),
        pytest.param([[1]], r"tokens\[0\] is \[1\]", id="a nested list"),
    ],
)
def test_what_is_no_token_id_is_refused(tokens: Any, text: str) -> None:
    """The error names the field and the place."""
    with pytest.raises(TypeError, match=rf"EncodedTextChunk\.{text}"):
        EncodedTextChunk(tokens=tokens)


@pytest.mark.parametrize("tokens", ["ab", b"ab", 5, None, iter([1])])
def test_from_ints_takes_sequences_only(tokens: Any) -> None:
    """Text needs a tokenizer first, and an iterator could not be sent twice."""
    with pytest.raises(TypeError, match="sequence of token ids, not"):
        ModelInput.from_ints(tokens)


def test_a_chunk_owns_its_tokens() -> None:
    """What the caller changes later does not reach a queued request."""
    tokens = [1, 2]
    chunk = EncodedTextChunk(tokens=tokens)
    tokens[0] = 9
    assert chunk.tokens == [1, 2]


def test_chunks_know_their_kind_and_length() -> None:
    """A picture's length is what the caller expects of it, and an error if that is not said."""
    assert (EncodedTextChunk(tokens=[1, 2]).length, PICTURE.length) == (2, 4)
    assert [c.type for c in (EncodedTextChunk(tokens=[]), PICTURE, POINTER)] == [
        "encoded_text",
        "image",
        "image_asset_pointer",
    ]
    for chunk in (POINTER, ImageChunk(data=b"", format="png")):
        with pytest.raises(ValueError, match=f"{type(chunk).__name__}.length.*expected_tokens"):
            _ = chunk.length


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        pytest.param({"data": "aGk=", "format": "png"}, TypeError, "bytes, not str", id="base64"),
        pytest.param({"data": b"", "format": "gif"}, ValueError, "'png' or 'jpeg'", id="a format"),
        pytest.param({"location": "x", "format": "webp"}, ValueError, "'webp'", id="of a pointer"),
    ],
)
def test_a_picture_no_service_takes_is_refused(
    arguments: Any, error: type[Exception], text: str
) -> None:
    """The mistake shows where it is made, not on the server."""
    cls = ImageChunk if "data" in arguments else ImageAssetPointerChunk
    with pytest.raises(error, match=f"{cls.__name__}.*{text}"):
        cls(**arguments)


def test_reprs_are_short() -> None:
    """Long runs are cut and bytes counted."""
    chunk = EncodedTextChunk(tokens=range(100))
    assert repr(chunk) == "EncodedTextChunk(tokens=[0, 1, 2, 3, 4, 5, 6, 7] and 92 more)"
    assert repr(EncodedTextChunk(tokens=(1,))) == "EncodedTextChunk(tokens=[1])"
    assert repr(ImageChunk(data=b"x" * 99, format="png")) == (
        "ImageChunk(<99 bytes>, format='png')"
    )


# ModelInput


@given(TOKENS, TOKENS)
def test_tokens_come_back_in_order(first: list[int], second: list[int]) -> None:
    """``to_ints`` joins all chunks; ``length`` counts them; appending makes a new input."""
    start = ModelInput.from_ints(first)
    longer = start.append(EncodedTextChunk(tokens=second))
    assert (start.to_ints(), longer.to_ints()) == (first, first + second)
    assert longer.length == len(first) + len(second)
    assert longer.append_int(7).to_ints() == [*first, *second, 7]
    assert len(longer.append_int(7).chunks) == 3, "a new chunk, never merged"


def test_equality_is_structural() -> None:
    """Two chunks of one token are not one chunk of two, and a tuple is not a list."""
    assert ModelInput.from_ints([1, 2]) == ModelInput(chunks=[EncodedTextChunk(tokens=[1, 2])])
    assert ModelInput.from_ints([1, 2]) != ModelInput.from_ints([1]).append_int(2)
    assert ModelInput.from_ints([1]) != ModelInput.from_ints((1,))
    assert ModelInput.empty() == ModelInput(chunks=[])
    assert ModelInput.from_ints([]) != ModelInput.empty()


def test_a_picture_has_no_token_ids() -> None:
    """The error is a ValueError and says which chunk is none."""
    mixed = ModelInput(chunks=[EncodedTextChunk(tokens=[1]), PICTURE])
    assert mixed.length == 5
    with pytest.raises(ValueError, match=r"chunks\[1\] is of type 'image'"):
        mixed.to_ints()


def test_chunks_are_a_list_of_its_own() -> None:
    """A tuple becomes a list, and the caller's list can change without harm."""
    chunks: list[ModelInputChunk] = [PICTURE]
    model_input = ModelInput(chunks=chunks)
    chunks.clear()
    assert model_input.chunks == [PICTURE]
    given: Any = (PICTURE,)
    assert ModelInput(chunks=given).chunks == [PICTURE]


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        pytest.param(PICTURE, "must be a list of chunks, not one chunk", id="one chunk"),
        pytest.param([1, 2], r"chunks\[0\] is a int.*from_ints", id="token ids"),
        pytest.param(
            [PICTURE, {"a": 1}], r"chunks\[1\].*missing required field `type`", id="a dict"
        ),
        pytest.param([{"tokens": ["x"]}], r"chunks\[0\].*at `\$\.tokens\[0\]`", id="tokens"),
        pytest.param([{"type": "video"}], r"chunks\[0\].*'video'", id="another kind"),
    ],
)
def test_what_is_no_list_of_chunks_is_refused(chunks: Any, text: str) -> None:
    """The error names the place and says what to call or what is wrong."""
    with pytest.raises((TypeError, ValueError), match=text):
        ModelInput(chunks=chunks)


@pytest.mark.parametrize(
    ("fields", "chunk"),
    [
        ({"tokens": [1, 2]}, EncodedTextChunk(tokens=[1, 2])),
        ({"type": "encoded_text", "tokens": (1,)}, EncodedTextChunk(tokens=[1])),
        ({"data": "cG5n", "format": "png", "expected_tokens": 4}, PICTURE),
        ({"data": b"png", "format": "png", "expected_tokens": 4}, PICTURE),
        ({"location": "s3://x", "format": "jpeg"}, POINTER),
        ({"dmel": "AAE="}, DmelChunk(dmel=b"\0\1")),
    ],
)
def test_a_mapping_of_a_chunks_fields_becomes_the_chunk(fields: Any, chunk: object) -> None:
    """Its kind follows from its fields where ``type`` is left out, as 0.6.3 does."""
    given: list[Any] = [dict(fields)]
    assert ModelInput(chunks=given).chunks == [chunk]
    assert given == [fields], "the caller's mapping stays as it was"


@given(MODEL_INPUTS)
def test_an_input_survives_pickling_and_copying(model_input: ModelInput) -> None:
    """Workers get it as it was."""
    assert pickle.loads(pickle.dumps(model_input)) == model_input
    assert copy.deepcopy(model_input) == model_input


@given(st.sampled_from([PICTURE, POINTER, EncodedTextChunk(tokens=[1])]))
def test_fields_cannot_be_assigned(chunk: ModelInputChunk) -> None:
    """A queued request still has to send them."""
    with pytest.raises(AttributeError, match="immutable"):
        chunk.expected_tokens = 3  # type: ignore[union-attr,misc]  # what is tested


def test_the_union_of_chunks_is_a_union_at_run_time() -> None:
    """Callers write ``ModelInputChunk | None`` and read its members."""
    assert set(typing.get_args(ModelInputChunk)) == {
        EncodedTextChunk,
        ImageChunk,
        ImageAssetPointerChunk,
        DmelChunk,
    }
    assert type(None) in typing.get_args(ModelInputChunk | None)
