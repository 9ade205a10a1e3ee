"""Bodies of calls, encoded: JSON, and protobuf for training passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from tinker_lite.errors import DecodeError
from tinker_lite.protocol.replies import JSON, PROTOBUF
from tinker_lite.types import ForwardBackwardRequest, ForwardRequest
from tinker_lite.wire.json import decode_json, encode_json, to_plain
from tinker_lite.wire.protobuf import Body, encode_forward_backward_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tinker_lite.engine.call_io import BodySource
    from tinker_lite.protocol.endpoint import Form
    from tinker_lite.wire.files import RunBlocking

__all__ = ["Encoded", "PassRequest", "as_pass", "encoded_body"]

Encoded: TypeAlias = "tuple[bytes | BodySource, list[tuple[str, str]]]"
PassRequest: TypeAlias = ForwardBackwardRequest | ForwardRequest

# Below this, one piece; above it, memory for a second copy would be felt.
MAX_JOINED_BYTES = 8 * 2**20


def as_pass(fields: object, request_type: type[PassRequest]) -> PassRequest | None:
    """The training pass that plain values describe, if it has a field for everything in them."""
    try:
        raw = encode_json(fields)
        request = decode_json(raw, request_type)
    except (DecodeError, TypeError, ValueError):
        return None
    return request if _covers(to_plain(request), msgspec.json.decode(raw)) else None


def _covers(kept: Any, given: Any) -> bool:
    """Whether all names of one value stand in another; numbers may have been rounded to float32."""
    if isinstance(given, dict):
        fields = cast("dict[str, Any]", given).items()
        return all(v is None or (k in kept and _covers(kept[k], v)) for k, v in fields)
    items = cast("list[object]", given) if isinstance(given, list) else []
    if items and isinstance(items[0], dict):
        return all(map(_covers, kept, items))
    return True


class _Blocks:
    """A large message as the body of a call, a block at a time."""

    is_repeatable = True

    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    async def read_by(self, run: RunBlocking) -> AsyncIterator[bytes]:
        for block in self._body:
            yield block


def encoded_body(body: object, form: Form = "json") -> Encoded:
    """A body and the headers that describe it.

    Args:
        body: A struct or plain values; as protobuf, a training pass.
        form: What to encode it as.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A value does not fit its field; the text holds the path.
    """
    if form == "protobuf" and isinstance(body, ForwardBackwardRequest | ForwardRequest):
        return _encoded_pass(body)
    return encode_json(body), [("Content-Type", JSON)]


def _encoded_pass(request: PassRequest) -> Encoded:
    body = encode_forward_backward_request(request)
    described = [("Content-Type", PROTOBUF)]
    if body.size_bytes <= MAX_JOINED_BYTES:
        return bytes(body), described
    return _Blocks(body), [*described, ("Content-Length", str(body.size_bytes))]
