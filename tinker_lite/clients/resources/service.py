"""The service itself: health, settings, credentials, sessions being made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

import tinker_lite.types as t
from tinker_lite.clients.faces import (
    AsyncRaw,
    AsyncStreamed,
    BlockingRaw,
    BlockingStreamed,
    Operation,
    Resource,
    Views,
)
from tinker_lite.engine.preparation import Args
from tinker_lite.protocol import endpoints as rows

if TYPE_CHECKING:
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["Service"]


class Service(Resource[F]):
    """The service itself, and the sessions a client makes with it."""

    with_raw_response: Views[Service[BlockingRaw], Service[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Service[BlockingStreamed], Service[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def health_check(self, **options: Unpack[CallOptions]) -> Args[t.HealthResponse]:
        """Ask whether the service is up."""
        return Args(row=rows.SERVICE_HEALTH_CHECK, options=options)

    @Operation
    def get_server_capabilities(
        self, **options: Unpack[CallOptions]
    ) -> Args[t.GetServerCapabilitiesResponse]:
        """Ask which models there are."""
        return Args(row=rows.SERVICE_GET_SERVER_CAPABILITIES, options=options)

    @Operation
    def client_config(
        self, request: t.ClientConfigRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.ClientConfigResponse]:
        """Ask for the settings that the service wants its clients to use."""
        return Args(row=rows.SERVICE_CLIENT_CONFIG, body=request, options=options)

    @Operation
    def client_dynamic_config(
        self, request: t.ClientConfigRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.ClientDynamicConfigResponse]:
        """Ask for the settings that may change while a client runs."""
        return Args(row=rows.SERVICE_CLIENT_DYNAMIC_CONFIG, body=request, options=options)

    @Operation
    def auth_token(self, **options: Unpack[CallOptions]) -> Args[t.AuthTokenResponse]:
        """Exchange the credential for a token that lasts a while."""
        return Args(row=rows.SERVICE_AUTH_TOKEN, body=t.AuthTokenRequest(), options=options)

    @Operation
    def create_session(
        self, request: t.CreateSessionRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.CreateSessionResponse]:
        """Make a session, which holds models and samplers."""
        return Args(row=rows.SERVICE_CREATE_SESSION, body=request, options=options)

    @Operation
    def session_heartbeat(
        self, request: t.SessionHeartbeatRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.SessionHeartbeatResponse]:
        """Say that a session is still wanted; it is never repeated by itself."""
        return Args(row=rows.SERVICE_SESSION_HEARTBEAT, body=request, options=options)

    @Operation
    def finish_session(
        self,
        session_id: str,
        request: t.FinishSessionRequest | Fields,
        **options: Unpack[CallOptions],
    ) -> Args[None]:
        """End a session and say why; the first reason counts."""
        return Args(
            row=rows.SERVICE_FINISH_SESSION,
            path={"session": session_id},
            body=request,
            options=options,
        )

    @Operation
    def create_sampling_session(
        self, request: t.CreateSamplingSessionRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.CreateSamplingSessionResponse]:
        """Make a sampling session of a base model or of saved weights."""
        return Args(row=rows.SERVICE_CREATE_SAMPLING_SESSION, body=request, options=options)

    @Operation
    def join_sampling_session(
        self, request: t.JoinSamplingSessionRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.JoinSamplingSessionResponse]:
        """Become another client of a sampling session, with a number of one's own."""
        return Args(row=rows.SERVICE_JOIN_SAMPLING_SESSION, body=request, options=options)

    @Operation
    def create_custom_loss(
        self, request: t.CreateCustomLossRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.UntypedAPIFuture]:
        """Upload a loss; its future comes to a ``CreateCustomLossResponse``."""
        return Args(row=rows.SERVICE_CREATE_CUSTOM_LOSS, body=request, options=options)
