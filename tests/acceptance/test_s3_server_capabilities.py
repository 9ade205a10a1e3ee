"""Section S3: what a server says it can do."""

from __future__ import annotations

import inspect
import json
from typing import Any

import anyio
import pytest

import tinker_lite as tl
from tinker_lite import types as t
from tinker_lite.wire.json import decode_json, encode_json
from tinker_lite_conformance.transport.adversary import Adversary
from tinker_lite_conformance.transport.peer import Peer, ok

KEY = "tml-0123456789"
MODELS: list[Any] = [
    {
        "model_name": "B",
        "max_context_length": 32768,
        "trainable": True,
        "sampleable": False,
        "features": ["vision"],
        "price": {"input": 0.5, "output": None},
    },
    {"model_name": "C"},
]


async def asked_of(models: list[Any]) -> list[t.GetServerCapabilitiesResponse]:
    """What both forms of the call give when a server on loopback lists these models."""
    body = json.dumps({"supported_models": models}).encode()

    def answer(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(ok(body, "Content-Type: application/json"))

    with Adversary(answer) as server:
        client = tl.ServiceClient(base_url=server.url(""), api_key=KEY)
        try:
            blocking = await anyio.to_thread.run_sync(client.get_server_capabilities)
            return [blocking, await client.get_server_capabilities_async()]
        finally:
            await anyio.to_thread.run_sync(lambda: client.close().result(10))


async def test_s3_1_capabilities_type() -> None:
    """S3.1: the answer has an exported type, and both forms of the call give it."""
    assert tl.GetServerCapabilitiesResponse is t.GetServerCapabilitiesResponse
    for capabilities in await asked_of(MODELS):
        assert type(capabilities) is t.GetServerCapabilitiesResponse


def test_s3_2_supported_model_type() -> None:
    """S3.2: a model has an exported type, made by keyword."""
    assert t.SupportedModel(model_name="B", trainable=True).trainable is True
    assert inspect.getdoc(t.SupportedModel)


async def test_s3_3_every_element_is_a_supported_model() -> None:
    """S3.3: a list of models, as many as the server names."""
    for capabilities in await asked_of(MODELS):
        assert isinstance(capabilities.supported_models, list)
        assert [type(m) for m in capabilities.supported_models] == [t.SupportedModel] * 2


async def test_s3_4_model_name() -> None:
    """S3.4: each has its name; None where the server does not tell."""
    for capabilities in await asked_of([*MODELS, {"trainable": True}]):
        assert [m.model_name for m in capabilities.supported_models] == ["B", "C", None]


async def test_s3_5_context_limit() -> None:
    """S3.5: the context limit is there; None where the server does not tell."""
    for capabilities in await asked_of(MODELS):
        assert [m.max_context_length for m in capabilities.supported_models] == [32768, None]


async def test_s3_6_features_and_other_fields() -> None:
    """S3.6: fields that this version has no name for can be read from the model."""
    for capabilities in await asked_of(MODELS):
        rich, plain = capabilities.supported_models
        assert rich.extra["features"] == ["vision"]
        assert rich.extra["price"] == {"input": 0.5, "output": None}
        assert dict(plain.extra) == {}


def test_s3_7_metadata_survives() -> None:
    """S3.7: decoded and encoded again, the JSON equals the input."""
    plain = {"supported_models": MODELS, "region": {"name": "x"}}
    capabilities = decode_json(json.dumps(plain).encode(), t.GetServerCapabilitiesResponse)
    assert json.loads(encode_json(capabilities)) == plain
    assert capabilities.extra["region"] == {"name": "x"}


async def test_x3_1_bare_strings_are_names() -> None:
    """X3.1: older servers name models by bare strings, beside objects."""
    for capabilities in await asked_of(["A", {"model_name": "B", "new": 1}]):
        named, rich = capabilities.supported_models
        assert named == t.SupportedModel(model_name="A")
        assert (rich.model_name, rich.extra["new"]) == ("B", 1)


async def test_x3_2_nulls_are_skipped() -> None:
    """X3.2: an element that is null is none; another wrong one is an error with its path."""
    for capabilities in await asked_of([None, "A", None]):
        assert capabilities.supported_models == [t.SupportedModel(model_name="A")]
    with pytest.raises(tl.APIResponseValidationError, match=r"at `\$\.supported_models\[1\]`"):
        await asked_of(["A", 5])


async def test_x3_3_names() -> None:
    """X3.3: the names alone, without those that are not told."""
    for capabilities in await asked_of([*MODELS, {}, "A"]):
        assert capabilities.model_names == ["B", "C", "A"]
