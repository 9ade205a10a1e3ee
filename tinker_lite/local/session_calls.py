"""Handlers: sessions (protocol section 2.4)."""

from __future__ import annotations

import uuid

import tinker_lite.types as t
from tinker_lite.local.exchange import MAX_PAGE, Call, Refusal, Reply, json_reply
from tinker_lite.local.state import Handlers, Session, State

__all__ = ["SESSION_HANDLERS"]


def create_session(state: State, call: Call) -> Reply:
    """Open a session."""
    request = call.read(t.CreateSessionRequest)
    session = Session(f"s{uuid.uuid4().hex[:16]}", request.user_metadata, request.display_name)
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


def list_sessions(state: State, call: Call) -> Reply:
    """List the sessions of this life of the service, newest first."""
    limit = call.count("limit", 20, least=0, most=MAX_PAGE)
    offset = call.count("offset", 0, least=0, most=2**63)
    with state.lock:
        ids = list(reversed(state.sessions))
    return json_reply(t.ListSessionsResponse(sessions=ids[offset : offset + limit]))


def get_session(state: State, call: Call) -> Reply:
    """Say what a session, open or finished, holds."""
    session_id = call.values["session"]
    with state.lock:
        session = state.sessions.get(session_id)
        models = [m.model_id for m in state.models.values() if m.session_id == session_id]
        samplers = [s.sampler_id for s in state.samplers.values() if s.session_id == session_id]
    if session is None:
        raise Refusal(404, f"There is no session {session_id!r} here.")
    return json_reply(
        t.GetSessionResponse(
            training_run_ids=models,
            sampler_ids=samplers,
            user_metadata=dict(session.user_metadata),
            display_name=session.display_name,
        )
    )


SESSION_HANDLERS: Handlers = {
    "service.create_session": create_session,
    "service.session_heartbeat": session_heartbeat,
    "service.finish_session": finish_session,
    "sessions.list": list_sessions,
    "sessions.get": get_session,
}
