"""Handlers: the service itself, and its telemetry (protocol sections 2.1 to 2.3, and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tinker_lite.types as t
from tinker_lite.local.base_models import base_model_names, load_base_model
from tinker_lite.local.exchange import Call, Reply, json_reply

if TYPE_CHECKING:
    from tinker_lite.local.state import Handlers, State

__all__ = ["SERVICE_HANDLERS"]


def health_check(state: State, call: Call) -> Reply:
    """Say that the service answers."""
    del state, call
    return json_reply(t.HealthResponse(status="ok"))


def capabilities(state: State, call: Call) -> Reply:
    """List the base models."""
    del state, call
    models = [
        t.SupportedModel(
            model_name=name,
            max_context_length=load_base_model(name).shape.context_length,
            trainable=True,
            sampleable=True,
        )
        for name in base_model_names()
    ]
    return json_reply(t.GetServerCapabilitiesResponse(supported_models=models))


def client_config(state: State, call: Call) -> Reply:
    """Choose the settings of the client that are not to have their defaults."""
    call.read(t.ClientConfigRequest)
    return json_reply(
        {"proto_compress_fwdbwd": True} if state.settings.proto_compress_fwdbwd else {}
    )


def client_dynamic_config(state: State, call: Call) -> Reply:
    """Choose no changing setting for the client; each has its default then."""
    del state
    call.read(t.ClientConfigRequest)
    return json_reply({})


def send_telemetry(state: State, call: Call) -> Reply:
    """Accept events and throw them away; some clients send a refused batch for ever."""
    del state, call
    return json_reply(t.TelemetryResponse(status="accepted"))


SERVICE_HANDLERS: Handlers = {
    "service.health_check": health_check,
    "service.get_server_capabilities": capabilities,
    "service.client_config": client_config,
    "service.client_dynamic_config": client_dynamic_config,
    "telemetry.send": send_telemetry,
}
