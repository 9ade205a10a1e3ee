"""The base of every struct that goes over the wire.

Rules that hold for all of them: keyword construction, unknown fields from a newer server are
ignored while decoding, and a field that is None is left out of what is sent (protocol section 1.7).
A struct is checked when it is decoded; what callers build is checked in ``__post_init__`` where a
mistake would otherwise surface only on the server.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

__all__ = ["Wire", "read_fields"]

T = TypeVar("T")


class Wire(msgspec.Struct, kw_only=True, frozen=True):
    """Base of the frozen structs of the protocol."""


def read_fields(fields: object, type_: type[T]) -> T:
    """Check the plain values that a ``from_wire`` was given against a struct.

    Raises:
        ValueError: They do not fit. The text ends in the path of the wrong value, which the decoder
            that called ``from_wire`` continues outwards.
    """
    try:
        return msgspec.convert(fields, type_)
    except msgspec.ValidationError as error:
        # msgspec passes its own errors on as they are, and adds the outer path to other ones only.
        raise ValueError(str(error)) from None
