"""Requests as the protocol has them: files written by hand, and the form in which all are compared.

A file has comment lines, the request line, the headers that the protocol gives a meaning to, and
after an empty line the body: JSON, or, for protobuf, hexadecimal digits with a comment on each
line. Of a header that holds a measurement the value is ``<seconds>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from google.protobuf.json_format import MessageToJson

from tests.wire.protobuf_foreign import foreign
from tinker_lite.http import Request

FILES = {path.stem: path for path in sorted(Path(__file__).with_name("requests").glob("*.http"))}

BASE_URL = "http://127.0.0.1:9"
KEY = "tml-golden"

# What every request has besides; `check_always_sent` looks at their values.
ALWAYS_SENT = {"accept-encoding", "user-agent", "x-api-key", "x-idempotency-key"}

_SECONDS = re.compile(r"\d+(\.\d+)?")
_MEASURED = "x-tinker-create-promise-roundtrip-time"


def golden(name: str, *, without: Iterable[str] = ()) -> str:
    """What a file says, in the form in which requests are compared.

    Args:
        name: The file's name.
        without: Headers that are left out.
    """
    head = _parts(name)[0].splitlines()
    request_line, *lines = [line for line in head if not line.startswith("#")]
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return _comparable(request_line, headers, golden_body(name), without)


def golden_body(name: str) -> bytes:
    """The body that a file describes."""
    body = _parts(name)[1]
    if not is_protobuf(name):
        return body.encode()
    return bytes.fromhex("".join(line.partition("#")[0] for line in body.splitlines()))


def is_protobuf(name: str) -> bool:
    """Whether a file's body is protobuf."""
    return "\nContent-Type: application/x-protobuf" in _parts(name)[0]


def _parts(name: str) -> tuple[str, str]:
    head, _, body = FILES[name].read_text(encoding="utf-8").partition("\n\n")
    return head, body


def sent(request: Request, *, without: Iterable[str] = ()) -> str:
    """What a request says, in the form in which requests are compared.

    Args:
        request: The request; its body is bytes.
        without: Headers that are left out.
    """
    request_line = f"{request.method} {request.url.removeprefix(BASE_URL)}"
    headers = list(request.headers)
    return _comparable(request_line, headers, cast("bytes", request.body), {*ALWAYS_SENT, *without})


def check_always_sent(request: Request) -> None:
    """The headers of every request, each there once: protocol sections 1.3, 1.5 and 1.6."""
    pairs = [(name.lower(), value) for name, value in request.headers]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    assert headers["x-api-key"] == KEY
    assert headers["user-agent"].startswith("tinker-lite/")
    assert "gzip" in headers["accept-encoding"]
    assert bool(headers.get("x-idempotency-key")) == (request.method != "GET")


def _comparable(
    request_line: str, headers: list[tuple[str, str]], body: bytes, without: Iterable[str]
) -> str:
    left_out = {name.lower() for name in without}
    pairs = [(name.lower(), value) for name, value in headers if name.lower() not in left_out]
    lines = [f"{name}: {_without_measurement(name, value)}" for name, value in sorted(pairs)]
    is_message = ("content-type", "application/x-protobuf") in pairs
    return "\n".join([request_line, *lines, _message(body) if is_message else _json(body)])


def _without_measurement(name: str, value: str) -> str:
    return "<seconds>" if name == _MEASURED and _SECONDS.fullmatch(value) else value


def _json(body: bytes) -> str:
    """Every key and every value with its type: ``1``, ``1.0`` and ``true`` are three values."""
    return json.dumps(json.loads(body), sort_keys=True, indent=1) if body else ""


def _message(body: bytes) -> str:
    """What the protobuf package reads, where the order within a map says nothing, and the size."""
    message = foreign("ForwardBackwardRequest")
    message.ParseFromString(body)
    return f"{MessageToJson(message, sort_keys=True)}\n{len(body)} bytes"
