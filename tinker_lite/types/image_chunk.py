"""Image chunks: the bytes of a picture, or a pointer to one that the service holds."""

from __future__ import annotations

from typing import Literal

from tinker_lite.types._base import Wire

__all__ = ["ImageAssetPointerChunk", "ImageChunk"]


def _expected(kind: str, expected_tokens: int | None) -> int:
    if expected_tokens is None:
        raise ValueError(f"{kind}.length is unknown: set expected_tokens.")
    return expected_tokens


class ImageChunk(Wire, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """A picture sent with the prompt.

    Attributes:
        data: The encoded picture; base64 on the wire.
        format: ``"png"`` or ``"jpeg"``.
        expected_tokens: Tokens the picture is expected to take; the service may refuse a mismatch.

    Source: protocol section 3.1.
    """

    data: bytes
    format: Literal["png", "jpeg"]
    expected_tokens: int | None = None

    @property
    def type(self) -> str:
        """The kind of chunk, as sent."""
        return "image"

    @property
    def length(self) -> int:
        """How many tokens the chunk takes; ValueError when ``expected_tokens`` is not set."""
        return _expected("ImageChunk", self.expected_tokens)

    def __repr__(self) -> str:
        """Format and size, never the bytes."""
        return f"ImageChunk(<{len(self.data)} bytes>, format={self.format!r})"


class ImageAssetPointerChunk(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="image_asset_pointer"
):
    """A picture that the service holds.

    Attributes:
        location: Where it is, in the service's own terms.
        format: ``"png"`` or ``"jpeg"``.
        expected_tokens: Tokens the picture is expected to take.

    Source: protocol section 3.1.
    """

    location: str
    format: Literal["png", "jpeg"]
    expected_tokens: int | None = None

    @property
    def type(self) -> str:
        """The kind of chunk, as sent."""
        return "image_asset_pointer"

    @property
    def length(self) -> int:
        """How many tokens the chunk takes; ValueError when ``expected_tokens`` is not set."""
        return _expected("ImageAssetPointerChunk", self.expected_tokens)
