"""``ModelInput``: what a model reads, as a list of chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union, cast

import msgspec
from msgspec.structs import force_setattr

from tinker_lite.types._base import Wire
from tinker_lite.types.dmel_chunk import DmelChunk
from tinker_lite.types.encoded_text_chunk import EncodedTextChunk
from tinker_lite.types.image_chunk import ImageAssetPointerChunk, ImageChunk
from tinker_lite.types.reading import read_leniently

__all__ = ["ModelInput", "ModelInputChunk"]

_CHUNK_TYPES = (EncodedTextChunk, ImageChunk, ImageAssetPointerChunk, DmelChunk)
# A real Union at run time: callers use it in annotations such as ``ModelInputChunk | None``.
ModelInputChunk = Union[  # noqa: UP007  see above
    EncodedTextChunk, ImageChunk, ImageAssetPointerChunk, DmelChunk
]


class ModelInput(Wire, frozen=True, kw_only=True):
    """What a model reads: chunks of tokens, pictures and sound, in order.

    Attributes:
        chunks: The chunks; always a list. A mapping of a chunk's fields becomes the chunk.

    Raises:
        TypeError: An element is no chunk; the text says which.
        ValueError: A mapping has not the fields of a chunk.

    Source: protocol section 3.1.
    """

    chunks: list[ModelInputChunk]

    def __post_init__(self) -> None:
        """Copy the list, so that later changes by the caller do not reach a queued request."""
        if isinstance(self.chunks, _CHUNK_TYPES):
            raise TypeError("ModelInput.chunks must be a list of chunks, not one chunk.")
        chunks = [_chunk(i, chunk) for i, chunk in enumerate(self.chunks)]
        force_setattr(self, "chunks", chunks)

    @classmethod
    def from_ints(cls, tokens: Sequence[int]) -> ModelInput:
        """One text chunk of token ids, even for an empty sequence.

        Args:
            tokens: Token ids, (T,) integers.

        Raises:
            TypeError: ``tokens`` is text, not a sequence, or holds something that is no token id.
        """
        if isinstance(tokens, str | bytes) or not hasattr(tokens, "__len__"):
            raise TypeError(
                f"ModelInput.from_ints: tokens must be a sequence of token ids, not "
                f"{type(tokens).__name__}."
            )
        return cls(chunks=[EncodedTextChunk(tokens=tokens)])

    @classmethod
    def empty(cls) -> ModelInput:
        """An input without chunks."""
        return cls(chunks=[])

    def to_ints(self) -> list[int]:
        """All token ids as one list.

        Raises:
            ValueError: A chunk is not text.
        """
        tokens: list[int] = []
        for i, chunk in enumerate(self.chunks):
            if not isinstance(chunk, EncodedTextChunk):
                # A wrong value rather than a wrong type: the input as a whole is not text.
                raise ValueError(  # noqa: TRY004
                    f"ModelInput.to_ints: chunks[{i}] is of type {chunk.type!r}, not token ids."
                )
            tokens.extend(chunk.tokens)
        return tokens

    @property
    def length(self) -> int:
        """Tokens of all chunks together; ValueError for a picture without ``expected_tokens``."""
        return sum(chunk.length for chunk in self.chunks)

    def append(self, chunk: ModelInputChunk) -> ModelInput:
        """A new input with ``chunk`` at the end."""
        return ModelInput(chunks=[*self.chunks, chunk])

    def append_int(self, token: int) -> ModelInput:
        """A new input with a one-token chunk at the end."""
        return self.append(EncodedTextChunk(tokens=[token]))


def _chunk(i: int, chunk: object) -> ModelInputChunk:
    """A chunk as it is, or from a mapping of its fields, whose ``type`` may be left out."""
    if isinstance(chunk, _CHUNK_TYPES):
        return chunk
    if not isinstance(chunk, Mapping):
        raise TypeError(
            f"ModelInput.chunks[{i}] is a {type(chunk).__name__}, not a chunk; token ids "
            "go through ModelInput.from_ints."
        )
    fields = dict(cast("Mapping[str, object]", chunk))
    try:
        return read_leniently(fields, cast("type[ModelInputChunk]", ModelInputChunk))
    except msgspec.ValidationError as error:
        raise ValueError(f"ModelInput.chunks[{i}]: {error}") from error
