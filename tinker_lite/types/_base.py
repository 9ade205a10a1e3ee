"""The base of every struct that goes over the wire.

Rules that hold for all of them: keyword construction, unknown fields from a newer server are
ignored while decoding, and a field that is None is left out of what is sent (protocol section 1.7).
A struct is checked when it is decoded; what callers build is checked in ``__post_init__`` where a
mistake would otherwise surface only on the server.
"""

from __future__ import annotations

import msgspec

__all__ = ["Wire"]


class Wire(msgspec.Struct, kw_only=True, frozen=True):
    """Base of the frozen structs of the protocol."""
