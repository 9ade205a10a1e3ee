"""What a run sent, in the form that is checked in: by endpoint, named, and without what is random.

Requests of one endpoint are named by what they are about (a model and its request number, a
promise), not by when they came, since timing differs from run to run. Values that a machine or a
moment decides become words in angle brackets; what says nothing of the client is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from tests.comparison.bodies import read_body
from tests.comparison.recording_server import Recorded

__all__ = ["BACKGROUND", "HEARTBEAT", "Traffic", "traffic"]

# By endpoint, then by the name of the request: its headers, query and body.
Traffic = dict[str, dict[str, dict[str, Any]]]

HEARTBEAT = "POST /api/v1/session_heartbeat"
TELEMETRY = "POST /api/v1/telemetry"
# How many of these come, and when, is the clock's doing: the first one shows their form.
BACKGROUND = {HEARTBEAT, TELEMETRY}

# Host and Content-Length follow from the port and the body, Connection is about the connection.
LEFT_OUT = {"host", "content-length", "connection"}
# Offered only where a package for them is installed.
OPTIONAL_CODINGS = {"br", "zstd"}
# Decided by the machine, its Python or the moment.
VARYING_HEADERS = {
    "x-stainless-os": "<system>",
    "x-stainless-arch": "<processor>",
    "x-stainless-runtime-version": "<version>",
    "x-tinker-create-promise-roundtrip-time": "<seconds>",
}
VARYING_FIELDS = {
    "event_id": "<uuid>",
    "platform": "<system>",
    "process_uuid": "<uuid>",
    "timestamp": "<moment>",
}
IDEMPOTENCY_KEY = "x-idempotency-key"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RUNTIME = re.compile(r"CPython/[\d.]+\S*")
# Longer runs of equal items are written once, with their number.
MAX_EQUAL = 8


def traffic(requests: Iterable[Recorded]) -> Traffic:
    """The readable form of what was recorded, sorted."""
    found: Traffic = {}
    keys: dict[str, list[str]] = {}
    for request in requests:
        parts = urlsplit(request.target)
        endpoint = f"{request.method} {parts.path}"
        named = found.setdefault(endpoint, {})
        if endpoint in BACKGROUND and named:
            continue
        fields = read_body(request)
        about = _about(fields)
        headers = _headers(request.headers, keys.setdefault(f"{endpoint} {about}", []))
        named[_not_in(named, about)] = {
            "headers": headers,
            "query": dict(parse_qsl(parts.query, keep_blank_values=True)),
            "body": _readable(_kept(endpoint, fields)),
        }
    return {endpoint: dict(sorted(named.items())) for endpoint, named in sorted(found.items())}


def _about(fields: Mapping[str, Any]) -> str:
    """What a request is about, in the words of its own ids."""
    if "request_id" in fields:
        return str(fields["request_id"])
    owners = ("model_id", "sampling_session_id", "session_id")
    numbers = ("sampling_session_seq_id", "model_seq_id", "seq_id")
    owner = next((str(fields[name]) for name in owners if name in fields), "")
    number = next((f" {name} {fields[name]}" for name in numbers if name in fields), "")
    return owner + number or "request"


def _not_in(named: Mapping[str, object], about: str) -> str:
    name, n = about, 1
    while name in named:
        n += 1
        name = f"{about}, time {n}"
    return name


def _headers(headers: Mapping[str, str], keys: list[str]) -> dict[str, object]:
    """The headers; ``keys`` are the idempotency keys that requests about the same thing had."""
    kept: dict[str, object] = {
        name: value for name, value in sorted(headers.items()) if name not in LEFT_OUT
    }
    if key := headers.get(IDEMPOTENCY_KEY):
        if key not in keys:
            keys.append(key)
        # A repeat under the same key is another matter than one under a new key.
        kept[IDEMPOTENCY_KEY] = {"form": _UUID.sub("<uuid>", key), "number": keys.index(key) + 1}
    if codings := headers.get("accept-encoding"):
        offered = [coding for coding in codings.split(", ") if coding not in OPTIONAL_CODINGS]
        kept["accept-encoding"] = ", ".join(offered)
    for name in kept.keys() & VARYING_HEADERS.keys():
        kept[name] = VARYING_HEADERS[name]
    if client := headers.get("user-agent"):
        kept["user-agent"] = _RUNTIME.sub("CPython/<version>", client)
    return kept


def _kept(endpoint: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields to compare: later telemetry events tell of troubles in the sender's own words."""
    return {**fields, "events": fields["events"][:1]} if endpoint == TELEMETRY else fields


def _readable(value: object, name: str = "") -> object:
    if name in VARYING_FIELDS:
        return VARYING_FIELDS[name]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: _readable(item, key) for key, item in sorted(fields.items())}
    if isinstance(value, list):
        return _shortened([_readable(item) for item in cast("list[object]", value)])
    # JSON has one kind of number: 1.0 and 1 are two ways to write the same one.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shortened(items: list[object]) -> list[object]:
    short: list[object] = []
    for item, equal in groupby(items):
        n = sum(1 for _ in equal)
        short += [{"times": n, "each": item}] if n > MAX_EQUAL else [item] * n
    return short
