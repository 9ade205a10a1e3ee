"""``EncodedTextChunk``: a run of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from tinker_lite.types._base import Wire

__all__ = ["EncodedTextChunk"]


class EncodedTextChunk(Wire, frozen=True, kw_only=True, tag_field="type", tag="encoded_text"):
    """A run of token ids.

    Attributes:
        tokens: Token ids, (T,) integers.

    Source: protocol section 3.1.
    """

    tokens: Sequence[int]

    def __post_init__(self) -> None:
        """Refuse text where token ids belong."""
        if isinstance(self.tokens, str | bytes):
            raise TypeError(
                "EncodedTextChunk.tokens must be token ids, not text; run a tokenizer first."
            )

    @property
    def type(self) -> str:
        """The kind of chunk, as sent."""
        return "encoded_text"

    @property
    def length(self) -> int:
        """How many tokens the chunk takes in the context."""
        return len(self.tokens)

    def __repr__(self) -> str:
        """The tokens, cut after the first few."""
        shown = list(self.tokens[:8])
        more = f" and {len(self.tokens) - 8} more" if len(self.tokens) > 8 else ""
        return f"EncodedTextChunk(tokens={shown}{more})"
