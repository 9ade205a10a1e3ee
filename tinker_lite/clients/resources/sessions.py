"""Sessions as the service keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Unpack

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
    import tinker_lite.types as t
    from tinker_lite.engine.options import CallOptions

F = TypeVar("F")
Fields: TypeAlias = Mapping[str, object]

__all__ = ["Sessions"]


class Sessions(Resource[F]):
    """Sessions, past and present."""

    with_raw_response: Views[Sessions[BlockingRaw], Sessions[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Sessions[BlockingStreamed], Sessions[AsyncStreamed]] = Views(
        "streamed"
    )

    @Operation
    def list(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: t.AccessScope = "owned",
        **options: Unpack[CallOptions],
    ) -> Args[t.ListSessionsResponse]:
        """A page of session ids, newest first."""
        query = {"limit": limit, "offset": offset, "access_scope": access_scope}
        return Args(row=rows.SESSIONS_LIST, query=query, options=options)

    @Operation
    def get(
        self,
        session_id: str,
        access_scope: t.AccessScope = "owned",
        **options: Unpack[CallOptions],
    ) -> Args[t.GetSessionResponse]:
        """One session."""
        return Args(
            row=rows.SESSIONS_GET,
            path={"session": session_id},
            query={"access_scope": access_scope},
            options=options,
        )

    @Operation
    def search(
        self, request: t.SessionSearchRequest | Fields, **options: Unpack[CallOptions]
    ) -> Args[t.SessionSearchResponse]:
        """A page of the sessions that a question finds."""
        return Args(row=rows.SESSIONS_SEARCH, body=request, options=options)

    @Operation
    def set_project(
        self,
        session_id: str,
        request: t.SetSessionProjectRequest | Fields,
        **options: Unpack[CallOptions],
    ) -> Args[None]:
        """Move a session to a project."""
        return Args(
            row=rows.SESSIONS_SET_PROJECT,
            path={"session": session_id},
            body=request,
            options=options,
        )

    @Operation
    def trace_export(
        self, session_id: str, **options: Unpack[CallOptions]
    ) -> Args[t.TraceExportResponse]:
        """Ask for a session's trace; asked again every few seconds until it is not pending."""
        return Args(row=rows.SESSIONS_TRACE_EXPORT, path={"session": session_id}, options=options)
