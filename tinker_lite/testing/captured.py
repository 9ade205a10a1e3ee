"""A request seen as the call it makes: the endpoint's row, the values in its URL, its body decoded.

Pure. The reading is that of a service, so a body that does not fit its endpoint is an error here.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from tinker_lite.errors import DecodeError
from tinker_lite.http import Request
from tinker_lite.protocol.endpoints import BY_NAME, ENDPOINTS, TRAINING_FORWARD, Endpoint
from tinker_lite.protocol.replies import PROTOBUF
from tinker_lite.types import ForwardRequest
from tinker_lite.wire.content import content_decoder
from tinker_lite.wire.json import decode_json, to_plain
from tinker_lite.wire.protobuf import decode_forward_backward_request

__all__ = ["API_ROOT", "CapturedCall", "capture", "row"]

API_ROOT = "/api/v1"
# A checkpoint's id is `kind/name` with a raw slash, or the bare name (protocol section 2).
_PLACEHOLDERS = {"checkpoint": "[^/]+(?:/[^/]+)?"}


class CapturedCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for.

    Attributes:
        request: The request itself, its body whole.
        endpoint: The row of the endpoint table, or None for a URL that is no endpoint's.
        path_values: The values of the path's placeholders, decoded.
        query: The query's parameters; the last of equal names counts.
        body: A struct of the row's request type; plain values, or bytes that are no JSON, where
            there is no such type; None without a body.
    """

    request: Request
    endpoint: Endpoint | None = None
    path_values: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Any = None

    @property
    def name(self) -> str:
        """The endpoint's name, or method and path of a URL that is no endpoint's."""
        if self.endpoint is not None:
            return self.endpoint.name
        return f"{self.request.method} {urlsplit(self.request.url).path}"

    def fields(self) -> dict[str, object]:
        """Everything the call says, by name: query, placeholders, and the fields of the body."""
        plain: object = to_plain(self.body)
        fields = cast("dict[str, object]", plain) if isinstance(plain, dict) else {}
        return {**self.query, **self.path_values, **fields}


def row(name: str) -> Endpoint:
    """The row of the endpoint table with this name.

    Raises:
        ValueError: There is none; the text has the names that come near.
    """
    if name not in BY_NAME:
        word = name.rpartition(".")[2]
        near = [known for known in BY_NAME if word in known] or list(BY_NAME)
        raise ValueError(f"There is no endpoint {name!r}; there are {', '.join(near)}.")
    return BY_NAME[name]


def capture(request: Request) -> CapturedCall:
    """Read a request whose body is bytes.

    Raises:
        DecodeError: The body does not fit the endpoint's request type; the text names both and
            holds the path of the wrong value.
    """
    parts = urlsplit(request.url)
    endpoint, path_values = _find(request.method, parts.path)
    body = _body(request, endpoint)
    if isinstance(body, ForwardRequest):  # which has no path of its own in protobuf
        endpoint = TRAINING_FORWARD
    return CapturedCall(
        request=request,
        endpoint=endpoint,
        path_values=path_values,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        body=body,
    )


def _body(request: Request, endpoint: Endpoint | None) -> object:
    raw = cast("bytes", request.body)
    if endpoint is not None and endpoint.request is not None:
        request_type: type[object] = endpoint.request
        try:
            if endpoint.protobuf_path and request.headers.get("content-type") == PROTOBUF:
                coding = request.headers.get("content-encoding", "")
                return decode_forward_backward_request(content_decoder(coding).whole(raw))
            return decode_json(raw, request_type)
        except DecodeError as error:
            raise DecodeError(f"The body sent to {endpoint.name} does not fit. {error}") from error
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return raw


def _find(method: str, path: str) -> tuple[Endpoint | None, dict[str, str]]:
    _, root, rest = path.partition(API_ROOT + "/")
    for pattern, endpoint in _ROWS:
        match = pattern.match(rest)
        if root and match and endpoint.method == method:
            return endpoint, {name: unquote(text) for name, text in match.groupdict().items()}
    return None, {}


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template.removeprefix("/"))
    text = "".join(
        f"(?P<{part}>{_PLACEHOLDERS.get(part, '[^/]+')})" if i % 2 else re.escape(part)
        for i, part in enumerate(parts)
    )
    return re.compile(text + r"\Z")


def _n_fixed(endpoint: Endpoint) -> int:
    return sum("{" not in part for part in endpoint.path.split("/"))


# Where two rows match, the one with more fixed text is meant.
_ROWS = [
    (_pattern(endpoint.path), endpoint)
    for endpoint in sorted(ENDPOINTS, key=_n_fixed, reverse=True)
]
