"""Image chunks: the bytes of a picture, or a pointer to one that the service holds."""

from __future__ import annotations

from typing import Annotated, Literal

from tinker_lite.types._base import Variant
from tinker_lite.types.property_info import PropertyInfo

__all__ = ["ImageAssetPointerChunk", "ImageChunk"]


def _expected(kind: str, expected_tokens: int | None) -> int:
    if expected_tokens is None:
        raise ValueError(f"{kind}.length is unknown: set expected_tokens.")
    return expected_tokens


def _check_format(kind: str, picture_format: str) -> None:
    if picture_format not in {"png", "jpeg"}:
        raise ValueError(f"{kind}.format is {picture_format!r}; it must be 'png' or 'jpeg'.")


class ImageChunk(Variant, frozen=True, kw_only=True, tag="image"):
    """A picture sent with the prompt.

    Attributes:
        data: The encoded picture; base64 on the wire.
        format: ``"png"`` or ``"jpeg"``.
        expected_tokens: Tokens the picture is expected to take; the service may refuse a mismatch.

    Source: protocol section 3.1.
    """

    data: Annotated[bytes, PropertyInfo(format="base64")]
    format: Literal["png", "jpeg"]
    expected_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse base64 text: it is made while encoding."""
        if not isinstance(self.data, bytes | bytearray | memoryview):
            raise TypeError(
                f"ImageChunk.data must be the picture's bytes, not {type(self.data).__name__}."
            )
        _check_format("ImageChunk", self.format)

    @property
    def length(self) -> int:
        """How many tokens the chunk takes; ValueError when ``expected_tokens`` is not set."""
        return _expected("ImageChunk", self.expected_tokens)

    def __repr__(self) -> str:
        """Format and size, never the bytes."""
        return f"ImageChunk(<{len(self.data)} bytes>, format={self.format!r})"


class ImageAssetPointerChunk(Variant, frozen=True, kw_only=True, tag="image_asset_pointer"):
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

    def __post_init__(self) -> None:
        """Refuse a format that no service takes."""
        _check_format("ImageAssetPointerChunk", self.format)

    @property
    def length(self) -> int:
        """How many tokens the chunk takes; ValueError when ``expected_tokens`` is not set."""
        return _expected("ImageAssetPointerChunk", self.expected_tokens)
