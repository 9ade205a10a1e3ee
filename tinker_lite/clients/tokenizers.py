"""Finding a model's tokenizer: bytes for the embedded models, Hugging Face for the rest."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinker_lite.types import GetInfoResponse

__all__ = ["ByteTokenizer", "load_tokenizer", "tokenizer_name", "tokenizer_of_base_model"]

BYTE_TOKENIZER_ID = "tinker-lite/bytes"

# Gated on the hub; an ungated mirror of the same tokenizer is used instead (api surface B.8).
_LLAMA_3 = "meta-llama/Llama-3"
_LLAMA_3_MIRROR = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"


class ByteTokenizer:
    """Tokens are the bytes of UTF-8; what the embedded service's models read.

    Attributes:
        vocab_size: 256.
        eos_token_id: 0, which ends a text.
    """

    vocab_size = 256
    eos_token_id = 0

    def encode(self, text: str) -> list[int]:
        """The bytes of a text, (T,) ints of 0 to 255."""
        return list(text.encode("utf-8"))

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of some bytes; what is not UTF-8 shows as a replacement character.

        Args:
            tokens: Token ids, 0 to 255.
            skip_special_tokens: Leave out the end of text.
        """
        kept = [t for t in tokens if not (skip_special_tokens and t == self.eos_token_id)]
        return bytes(kept).decode("utf-8", "replace")


def tokenizer_name(info: GetInfoResponse) -> str:
    """Which tokenizer belongs to a model, by what the service says of it.

    Raises:
        ValueError: The service names neither a tokenizer nor a model.
    """
    told = info.model_data.tokenizer_id
    name = told or info.model_data.model_name or info.model_name
    if not name:
        raise ValueError(
            f"The service names no tokenizer and no base model for {info.model_id}; "
            "load a tokenizer yourself."
        )
    return name.partition(":")[0] if told else _of_base_model(name)


def _of_base_model(name: str) -> str:
    name = name.partition(":")[0]
    if name.startswith(_LLAMA_3):
        return _LLAMA_3_MIRROR
    if name.startswith("tinker-lite/"):
        return BYTE_TOKENIZER_ID
    return "/".join(name.split("/")[:2])


def tokenizer_of_base_model(base_model: str) -> Any:
    """The tokenizer that belongs to a base model by its name; see ``load_tokenizer``."""
    return load_tokenizer(_of_base_model(base_model))


@functools.lru_cache(maxsize=32)
def load_tokenizer(name: str) -> Any:
    """The tokenizer of that name.

    Args:
        name: ``tinker-lite/bytes``, or a name on the Hugging Face hub.

    Returns:
        A ``ByteTokenizer``, or what ``transformers.AutoTokenizer`` gives.

    Raises:
        ImportError: transformers is needed and not installed.
    """
    if name == BYTE_TOKENIZER_ID:
        return ByteTokenizer()
    try:
        from transformers import AutoTokenizer  # type: ignore[import-not-found]  # an extra
    except ImportError as error:
        raise ImportError(
            f"The tokenizer {name!r} comes from the Hugging Face hub, which needs transformers. "
            "Install tinker-lite[tokenizers]."
        ) from error
    return cast("Any", AutoTokenizer).from_pretrained(name, use_fast=True)
