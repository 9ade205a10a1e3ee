"""``PropertyInfo``: what a type says about the wire form of one of its fields."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["PropertyFormat", "PropertyInfo"]

PropertyFormat: TypeAlias = Literal["iso8601", "base64", "custom"]


class PropertyInfo(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Metadata for ``Annotated``: how ``transform`` puts a field on the wire.

    Attributes:
        alias: The name on the wire.
        format: ``iso8601`` for dates, ``base64`` for files and bytes, ``custom`` for dates by a
            template. It holds for every value of the field, in lists, mappings and unions too, but
            not for the fields of a nested type.
        format_template: The ``strftime`` template of ``custom``.
        discriminator: For a union: the field that tells its variants apart.

    Raises:
        ValueError: There is no such format, or format and template do not go together.
    """

    alias: str | None = None
    format: PropertyFormat | None = None
    format_template: str | None = None
    discriminator: str | None = None

    def __post_init__(self) -> None:
        """Refuse marks that could have no effect."""
        if self.format not in {None, "iso8601", "base64", "custom"}:
            raise ValueError(
                f"PropertyInfo.format is {self.format!r}; it is 'iso8601', 'base64' or 'custom'."
            )
        if (self.format == "custom") != (self.format_template is not None):
            raise ValueError("PropertyInfo: format 'custom' and a format_template go together.")
