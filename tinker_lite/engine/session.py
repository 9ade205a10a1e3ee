"""A client's connection to the service: calls, submissions, the session and its heartbeat.

The session is made at the first call that needs one, once, however many callers wait for it; a
failure is raised to those callers and the next one tries anew.
"""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import anyio
import msgspec

from tinker_lite.engine.backlog import Backlog
from tinker_lite.engine.call import raise_for_status
from tinker_lite.engine.farewell import PATIENCE_S
from tinker_lite.engine.future import loop_poster, without_traceback
from tinker_lite.engine.passes import Offer, with_zstd
from tinker_lite.engine.performing import perform
from tinker_lite.engine.preparation import Args, Defaults, prepared
from tinker_lite.engine.retrieval import QueueReport, retrieve
from tinker_lite.engine.world import AnyioIO
from tinker_lite.errors import APIStatusError, NotFoundError, TinkerError
from tinker_lite.protocol import endpoints as rows
from tinker_lite.protocol.replies import Reply, read_reply
from tinker_lite.types import (
    ClientConfigRequest,
    ClientConfigResponse,
    ClientSessionFinishReason,
    CreateSessionRequest,
    FinishSessionRequest,
    SessionHeartbeatRequest,
    UntypedAPIFuture,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tinker_lite.config import Config
    from tinker_lite.engine.bodies import PassRequest
    from tinker_lite.engine.call import Call
    from tinker_lite.engine.future import APIFuture
    from tinker_lite.engine.runtime import Runtime
    from tinker_lite.http import AsyncTransport
    from tinker_lite.protocol.endpoint import Form
    from tinker_lite.wire.urls import QueryValue

__all__ = ["FinishReason", "Once", "Session", "Submitted"]

T = TypeVar("T")
FinishReason = Literal["success", "errored", "interrupted"]

logger = logging.getLogger("tinker_lite")

# Protocol section 8: first beat after 10 s, then 10 s after the previous one; silence of 120 s is
# worth a warning.
HEARTBEAT_S = 10.0
HEARTBEAT_WARNING_S = 120.0

# How long closing waits for the results of what has begun: a program that ends in order loses
# nothing, and one whose service has gone ends all the same.
CLOSE_PATIENCE_S = 600.0


class Once(Generic[T]):
    """A value that is made by the first who asks, while the others wait.

    A failure is raised to all who have waited for it; whoever asks later makes a new attempt. How
    to make it comes with the question, so that a client and its values form no reference cycle.
    """

    def __init__(self) -> None:
        self._made: list[T] = []
        self._attempt: _Attempt | None = None

    async def get(self, make: Callable[[], Awaitable[T]]) -> T:
        """The value, made now if it has to be."""
        while not self._made:
            if self._attempt is None:
                await self._make(make)
            elif (error := await self._attempt.outcome()) is not None:
                raise without_traceback(error) from error.__cause__
        return self._made[0]

    async def _make(self, make: Callable[[], Awaitable[T]]) -> None:
        attempt = self._attempt = _Attempt()
        try:
            self._made.append(await make())
        except Exception as error:
            attempt.error = error
            raise
        finally:  # one that was cancelled leaves no error, and another task makes the next
            self._attempt = None
            attempt.ended.set()

    @property
    def value(self) -> T | None:
        """The value if it has been made."""
        return self._made[0] if self._made else None


class _Attempt:
    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.error: Exception | None = None

    async def outcome(self) -> Exception | None:
        await self.ended.wait()
        return self.error


class Submitted(msgspec.Struct, Generic[T], frozen=True):
    """An accepted submission and how long accepting it took, in seconds."""

    row: rows.Submission[T]
    future: UntypedAPIFuture
    submit_s: float


class Session:
    """What all clients of one service client share.

    Args:
        config: Settings.
        transport: Sends every request.
        runtime: Hosts the operations.
        owns_transport: Whether closing the session closes the transport.
        user_metadata: Text by name, stored with the session.
        display_name: The session's name for people.
    """

    def __init__(
        self,
        config: Config,
        transport: AsyncTransport,
        runtime: Runtime,
        *,
        owns_transport: bool,
        user_metadata: Mapping[str, str] | None = None,
        display_name: str | None = None,
    ) -> None:
        self.config = config
        self.runtime = runtime
        self.transport = transport
        self.io = AnyioIO(transport)
        self.defaults = Defaults(config=config)
        self.backlog = Backlog()
        runtime.watch(self.backlog)
        self.closed = False
        self.finished = False
        self._has_begun = False
        self.next_model_seq_id = itertools.count().__next__
        self.next_sampling_seq_id = itertools.count().__next__
        self._owns_transport = owns_transport
        self._metadata = dict(user_metadata or {})
        self._display_name = display_name
        self._client_config: Once[ClientConfigResponse] = Once()
        self._session_id: Once[str] = Once()
        self._closing: APIFuture[None] | None = None
        self._closing_lock = threading.Lock()

    def check_open(self, operation: str) -> None:
        """Refuse new work once the service client is closed, or in a forked child."""
        self.runtime.check_usable()
        self._has_begun = True
        if self.closed:
            raise RuntimeError(
                f"{operation}: the ServiceClient of this client is closed; make a new one."
            )

    def move_to(self, runtime: Runtime) -> None:
        """Use another runtime; RuntimeError once there has been an operation."""
        if self._has_begun:
            raise RuntimeError("This client has begun to work and cannot move to another runtime.")
        self.runtime = runtime

    # Calls.

    async def reply(
        self,
        row: rows.Row[Any],
        body: object = None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a call and return its successful answer, undecoded."""
        args = Args(row=row, path=path or {}, query=query or {}, headers=headers or {}, body=body)
        call = await prepared(args, self.defaults, self.io)
        return raise_for_status(await perform(call, self.io), row.name)

    async def call(self, row: rows.Row[T], body: object = None, **parts: Any) -> T:
        """Make a call and return its decoded answer; ``parts`` are those of ``reply``."""
        reply = await self.reply(row, body, **parts)
        if row.response is None:  # it says nothing
            return cast("T", None)
        return read_reply(reply, cast("type[T]", row.response), row.name)

    async def submit(
        self, row: rows.Submission[T], body: object, headers: Mapping[str, str] | None = None
    ) -> Submitted[T]:
        """Send a submission and return the service's promise."""
        started = self.io.now()
        future = await self.call(row, body, headers=headers)
        return Submitted(row, future, self.io.now() - started)

    async def submit_pass(self, row: rows.Submission[T], body: PassRequest) -> Submitted[T]:
        """Send a training pass in the form that the server takes."""
        started = self.io.now()
        compress = (await self.client_config()).proto_compress_fwdbwd

        async def make(form: Form) -> Call:
            args: Args[UntypedAPIFuture] = Args(row=row, body=body)
            call = await prepared(args, self.defaults, self.io, form=form)
            return await with_zstd(call, self.io) if compress and form == "protobuf" else call

        offer = Offer(make, self.config, self.defaults.servers)
        reply = await perform(await offer.call(), self.io, offer)
        future = read_reply(raise_for_status(reply, row.name), UntypedAPIFuture, row.name)
        return Submitted(row, future, self.io.now() - started)

    async def result(self, submitted: Submitted[T], report: QueueReport | None = None) -> T:
        """Wait for the result of a submission."""
        row, request_id = submitted.row, submitted.future.request_id
        return await retrieve(
            request_id,
            row,
            self.defaults,
            self.io,
            report=report,
            submit_s=submitted.submit_s,
        )

    # The session.

    async def client_config(self) -> ClientConfigResponse:
        """The server's settings for its clients; defaults where it has no such route."""
        return await self._client_config.get(self._fetch_client_config)

    async def _fetch_client_config(self) -> ClientConfigResponse:
        request = ClientConfigRequest(sdk_version=self.config.sdk_version)
        try:
            return await self.call(rows.SERVICE_CLIENT_CONFIG, request)
        except APIStatusError as error:
            if error.status_code not in {404, 405, 501}:
                raise
            return ClientConfigResponse()

    async def session_id(self) -> str:
        """The session's id; the first caller makes the session."""
        return await self._session_id.get(self._create)

    async def _create(self) -> str:
        await self.client_config()
        request = CreateSessionRequest(
            tags=self.config.tags,
            user_metadata=self._metadata,
            sdk_version=self.config.sdk_version,
            project_id=self.config.project_id,
            display_name=self._display_name,
        )
        made = await self.call(rows.SERVICE_CREATE_SESSION, request)
        for level, message in (
            (logging.INFO, made.info_message),
            (logging.WARNING, made.warning_message),
            (logging.ERROR, made.error_message),
        ):
            if message:
                logger.log(level, "%s", message)
        self_ref: weakref.ref[Session] = weakref.ref(self)
        self.runtime.start(
            partial(_beat, self_ref, made.session_id), f"heartbeat of session {made.session_id}"
        )
        return made.session_id

    async def beat(self, session_id: str) -> bool:
        """Send one heartbeat; False when the session is over."""
        try:
            await self.reply(
                rows.SERVICE_SESSION_HEARTBEAT, SessionHeartbeatRequest(session_id=session_id)
            )
        except APIStatusError as error:
            if error.status_code != 410:
                raise
            return False
        return True

    def close(self, reason: FinishReason, detail: str | None = None) -> APIFuture[None]:
        """End the session; thread-safe. The first call decides how, later ones give its future."""
        with self._closing_lock:
            if self._closing is None:
                self.runtime.check_usable()
                self.closed = True
                self._closing = self.runtime.start(partial(self._finish, reason, detail), "close")
            return self._closing

    async def _finish(self, reason: FinishReason, detail: str | None) -> None:
        if reason == "success":
            try:
                await self._everything_settled()
                await self._tell_end(reason, detail)
            finally:
                await self._close_transport()
            return
        # A failed program is not kept waiting, and tells even while its own scope is cancelled.
        try:
            with anyio.move_on_after(PATIENCE_S, shield=True) as patience:
                await self._tell_end(reason, detail)
            if patience.cancelled_caught:
                raise TimeoutError(f"no answer within {PATIENCE_S:g} s")
        finally:
            await self._close_transport()

    async def _tell_end(self, reason: FinishReason, detail: str | None) -> None:
        """Tell the service why the session ends; a server without the route does not mind."""
        self.finished = True
        session_id = self._session_id.value
        try:
            if session_id is not None:
                await self.reply(
                    rows.SERVICE_FINISH_SESSION,
                    FinishSessionRequest(
                        reason=ClientSessionFinishReason(type=reason), detail=detail
                    ),
                    path={"session": session_id},
                )
        except NotFoundError:
            logger.debug("This server does not know how to finish a session")
        except TinkerError as error:  # a courtesy: the program has its results
            logger.warning("The service could not be told that the session ended: %s", error)

    async def _close_transport(self) -> None:
        if self._owns_transport:
            with anyio.CancelScope(shield=True):
                await self.transport.aclose()

    async def _everything_settled(self) -> None:
        """Wait for the results of everything begun, or until the patience for it runs out."""
        settled = anyio.Event()
        post = loop_poster()
        self.backlog.when_settled(lambda: post(settled.set))
        with anyio.move_on_after(CLOSE_PATIENCE_S) as patience:
            await settled.wait()
        if patience.cancelled_caught:
            logger.warning(
                "The client was closed before the results of these operations came: %s",
                ", ".join(self.backlog.unconfirmed()),
            )


async def _beat(session_ref: weakref.ref[Session], session_id: str) -> None:
    """Beat until the session is closed or collected; only a weak reference is held while asleep.

    No failure ends it: a long job must not lose its session because one beat went wrong.
    """
    last_success = anyio.current_time()
    while True:
        await anyio.sleep(HEARTBEAT_S)
        session = session_ref()
        if session is None or session.finished:
            return
        try:
            if not await session.beat(session_id):
                logger.error("The service has ended the session %s; make a new client", session_id)
                return
            last_success = anyio.current_time()
        except Exception as error:  # noqa: BLE001  no failure ends it
            silence_s = anyio.current_time() - last_success
            if silence_s > HEARTBEAT_WARNING_S:
                logger.warning("No heartbeat got through for %.0f s: %s", silence_s, error)
        del session
