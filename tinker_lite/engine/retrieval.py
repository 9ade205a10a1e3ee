"""Waiting for the result of a submission: the poll loop around the machine of ``protocol.poll``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from msgspec.structs import replace

from tinker_lite.engine.performing import perform
from tinker_lite.engine.preparation import Args, prepared
from tinker_lite.errors import APIConnectionError, TransportError
from tinker_lite.protocol.endpoints import FUTURES_RETRIEVE, Submission
from tinker_lite.protocol.poll import Ask, Failed, Finished, PollState, after_error, after_reply
from tinker_lite.protocol.replies import PROTOBUF, has_protobuf, read_result
from tinker_lite.types import FutureRetrieveRequest, QueueState

if TYPE_CHECKING:
    from tinker_lite.engine.call_io import CallIO, R
    from tinker_lite.engine.preparation import Defaults

__all__ = ["QueueReport", "retrieve"]

T = TypeVar("T")

logger = logging.getLogger("tinker_lite")

# Delays grow to 30 s: after the first failure a warning comes about every five minutes.
TROUBLE_EVERY = 10

QueueReport: TypeAlias = Callable[[QueueState, str | None], None]


async def retrieve(
    request_id: str,
    row: Submission[T],
    defaults: Defaults,
    io: CallIO[R],
    *,
    report: QueueReport | None = None,
    submit_s: float | None = None,
) -> T:
    """Poll until the result is there, and return it.

    Args:
        request_id: The service's name for the operation.
        row: The submission's row of the table.
        defaults: As for any call; in which form results come is noted there.
        io: The world.
        report: Told the queue state of every pending answer that has one.
        submit_s: Seconds the submission took, which the first poll reports to the server.

    Raises:
        RetrievalError: The result will not come, or does not fit.
        ResultExpiredError: It was there and is gone.
        RequestFailedError: The operation failed on the server.
    """
    state = PollState()
    while True:
        match await _poll(state, request_id, row, defaults, io, submit_s):
            case Finished(reply=reply):
                result = read_result(reply, row, request_id)
                if defaults.config.wire == "auto" and has_protobuf(row.result):
                    defaults.servers.learn(defaults.config.base_url, results=reply.form)
                return result
            case Failed(error=error):
                raise error
            case Ask() as ask:
                if report is not None and ask.queue_state is not None:
                    report(ask.queue_state, ask.reason)
                state = ask.state
                if ask.delay_s:
                    _note_trouble(state, request_id, row.name)
                    await io.sleep(ask.delay_s)


def _note_trouble(state: PollState, request_id: str, operation: str) -> None:
    """Say that the service does not answer: at the first failure, and now and then."""
    if state.n_backoffs % TROUBLE_EVERY == 1:
        logger.warning(
            "%s: the service does not answer when asked for the result of request %s; "
            "asking again (failure %d in a row)",
            operation,
            request_id,
            state.n_backoffs,
        )


async def _poll(
    state: PollState,
    request_id: str,
    row: Submission[T],
    defaults: Defaults,
    io: CallIO[R],
    submit_s: float | None,
) -> Ask | Finished | Failed:
    headers = {
        "X-Tinker-Request-Type": row.request_type,
        "X-Tinker-Request-Iteration": str(state.iteration),
    }
    if submit_s is not None and state.iteration == 0:
        headers["X-Tinker-Create-Promise-Roundtrip-Time"] = f"{submit_s:.6f}"
    body = FutureRetrieveRequest(request_id=request_id, allow_metadata_only=not state.whole)
    # The server holds a poll for up to 40 s; a shorter limit meant for other calls must not cut it.
    args = Args(
        row=FUTURES_RETRIEVE,
        headers=headers,
        body=body,
        options={"timeout": FUTURES_RETRIEVE.timeout_s},
    )
    call = await prepared(args, defaults, io)
    try:
        reply = await perform(call, io)
    except APIConnectionError as error:
        cause = error.__cause__
        if not isinstance(cause, TransportError):
            raise
        return after_error(state, cause, request_id=request_id, operation=row.name)
    asked_protobuf = call.headers.get("accept") == PROTOBUF
    if reply.status == 406 and asked_protobuf and defaults.config.wire == "auto":
        defaults.servers.learn(defaults.config.base_url, results="json")
        return Ask(state=replace(state, iteration=state.iteration + 1))
    return after_reply(state, reply, request_id=request_id, operation=row.name)
