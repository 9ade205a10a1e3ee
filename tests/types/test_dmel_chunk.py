from __future__ import annotations

import base64
import json

import pytest

from tinker_lite.types import DmelChunk, ModelInput
from tinker_lite.wire.json import decode_json, encode_json

# dtype 3, two dimensions of 300 and 80: 300 takes two bytes of seven bits each.
SOUND = b"\x03\x02\xac\x02\x50" + b"values"


@pytest.mark.parametrize(
    ("dmel", "length"),
    [
        pytest.param(SOUND, 300, id="two dimensions"),
        pytest.param(b"\xfe" + SOUND, 300, id="a constant tensor has a mark in front"),
        pytest.param(b"\x07\x01\x00", 0, id="no time at all"),
        pytest.param(b"\x00\x01" + b"\xff" * 8 + b"\x7f", 2**63 - 1, id="the longest"),
    ],
)
def test_the_length_is_the_first_dimension(dmel: bytes, length: int) -> None:
    """It is read from the head of the bytes, whatever follows."""
    assert DmelChunk(dmel=dmel).length == length
    assert ModelInput(chunks=[DmelChunk(dmel=dmel)]).length == length


@pytest.mark.parametrize(
    ("dmel", "text"),
    [
        pytest.param(b"", "does not begin", id="nothing"),
        pytest.param(b"\xfe", "does not begin", id="a mark alone"),
        pytest.param(b"\x08\x01\x05", "does not begin", id="an unknown dtype"),
        pytest.param(b"\x03", "ends within", id="no rank"),
        pytest.param(b"\x03\x00", "without dimensions", id="rank 0"),
        pytest.param(b"\x03\x02\x05", "ends within", id="a dimension less"),
        pytest.param(b"\x03\x01\x85", "ends within", id="half a dimension"),
        pytest.param(b"\x03\x01" + b"\xff" * 10 + b"\x01", "more than 64 bits", id="too long"),
        pytest.param(b"\x03" + b"\xff" * 9 + b"\x01", "ends within", id="a huge rank"),
    ],
)
def test_bytes_that_are_no_tensor_have_no_length(dmel: bytes, text: str) -> None:
    """The error says what is wrong with the head; the chunk itself can be made and sent."""
    chunk = DmelChunk(dmel=dmel)
    with pytest.raises(ValueError, match=rf"DmelChunk\.dmel .*{text}"):
        _ = chunk.length


def test_sound_is_sent_as_base64() -> None:
    """And read back; the bytes never show."""
    sound = ModelInput(chunks=[DmelChunk(dmel=SOUND)])
    assert json.loads(encode_json(sound)) == {
        "chunks": [{"type": "dmel", "dmel": base64.b64encode(SOUND).decode()}]
    }
    assert decode_json(encode_json(sound), ModelInput) == sound
    assert repr(sound.chunks[0]) == "DmelChunk(<11 bytes>)"
    with pytest.raises(TypeError, match=r"DmelChunk\.dmel must be the tensor's bytes, not str"):
        DmelChunk(dmel="AA==")  # type: ignore[arg-type]  # what is tested
