from __future__ import annotations

import pytest

from tinker_lite.clients.tokenizers import ByteTokenizer, load_tokenizer, tokenizer_name
from tinker_lite.types import GetInfoResponse, ModelData

NAMES: list[tuple[ModelData, str]] = [
    (ModelData(tokenizer_id="org/tok"), "org/tok"),
    (ModelData(tokenizer_id="org/tok", model_name="meta-llama/Llama-3.1-8B"), "org/tok"),
    (ModelData(model_name="org/model:peft"), "org/model"),
    (ModelData(model_name="org/model/variant"), "org/model"),
    (ModelData(model_name="tinker-lite/tiny-random"), "tinker-lite/bytes"),
    (
        ModelData(model_name="meta-llama/Llama-3.1-8B"),
        "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer",
    ),
]


@pytest.mark.parametrize(("data", "name"), NAMES)
def test_the_tokenizer_follows_from_what_the_service_says(data: ModelData, name: str) -> None:
    """Its own word counts first, then the model's name without suffix and variant."""
    assert tokenizer_name(GetInfoResponse(model_id="x", model_data=data)) == name


def test_a_model_without_any_name_has_no_tokenizer() -> None:
    """The error says that one has to load it oneself."""
    with pytest.raises(ValueError, match="names no tokenizer and no base model for x"):
        tokenizer_name(GetInfoResponse(model_id="x", model_data=ModelData()))


def test_bytes_are_tokens() -> None:
    """Text goes there and back; the end of text can be left out; the same object every time."""
    tokenizer = load_tokenizer("tinker-lite/bytes")
    assert isinstance(tokenizer, ByteTokenizer)
    assert tokenizer is load_tokenizer("tinker-lite/bytes")
    text = "Grüße"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode([104, 105, 0], skip_special_tokens=True) == "hi"
    assert tokenizer.decode([104, 105, 0]) == "hi\0"
    assert tokenizer.decode([255]) == "\ufffd"
