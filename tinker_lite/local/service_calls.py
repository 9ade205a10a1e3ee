"""Handlers: the service itself, and sessions (protocol sections 2.1 to 2.4)."""

from __future__ import annotations

import uuid

import tinker_lite.types as t
from tinker_lite.local.base_models import base_model_names, load_base_model
from tinker_lite.local.exchange import Call, Reply, json_reply
from tinker_lite.local.state import Handlers, Session, State

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
    """Choose no setting for the client; each has its default then."""
    del state
    call.read(t.ClientConfigRequest)
    return json_reply({})


def create_session(state: State, call: Call) -> Reply:
    """Open a session."""
    call.read(t.CreateSessionRequest)
    session = Session(f"s{uuid.uuid4().hex[:16]}")
    with state.lock:
        state.sessions[session.session_id] = session
    return json_reply(t.CreateSessionResponse(session_id=session.session_id, type="create_session"))


def session_heartbeat(state: State, call: Call) -> Reply:
    """Answer a heartbeat; 410 ends the client's (protocol section 8).

    A session that falls silent is not ended: in process, nobody else needs its memory, and a
    program stopped in a debugger finds everything as it was.
    """
    request = call.read(t.SessionHeartbeatRequest)
    with state.lock:
        state.session(request.session_id)
    return json_reply(t.SessionHeartbeatResponse(type="session_heartbeat"))


def finish_session(state: State, call: Call) -> Reply:
    """End a session; the first reason given stays. Accepted work is still done."""
    request = call.read(t.FinishSessionRequest)
    session_id = call.values["session"]
    with state.lock:
        known = state.sessions.get(session_id)
        if known is None or known.finished is None:
            state.session(session_id).finished = request.reason.type
            state.release(session_id)
    return json_reply({})


SERVICE_HANDLERS: Handlers = {
    "service.health_check": health_check,
    "service.get_server_capabilities": capabilities,
    "service.client_config": client_config,
    "service.client_dynamic_config": client_config,
    "service.create_session": create_session,
    "service.session_heartbeat": session_heartbeat,
    "service.finish_session": finish_session,
}
