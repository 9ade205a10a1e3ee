"""What an answer to ``/retrieve_future`` means, and when to ask again.

The rules, from protocol section 4.2:

* 408, and a success whose JSON says ``try_again``, mean not yet: ask again at once, since the
  server has already held the request.
* A success with ``error`` is the operation's own failure; it is final.
* ``complete_metadata`` means the result is large: ask again for the whole, once.
* A success that is not protobuf is looked at as JSON, whatever its content type says (1.8).
* 400 may come from a proxy on the way: three more tries, unless its body has a ``detail``, which is
  how self-hosted servers report a failed operation (section 12.3).
* 429, 5xx and broken connections wait 1, 2, 4 ... 30 s. Departure: the official client repeats 5xx
  without any pause, which hammers a server that is already down.
* 410 means that the result is gone; other 4xx are final.

Nothing here limits the whole wait: an operation may take hours, and the caller's own deadline
decides.
"""

from __future__ import annotations

import msgspec

from tinker_lite.errors import (
    DecodeError,
    RequestFailedError,
    ResultExpiredError,
    RetrievalError,
    TransportError,
    status_error_class,
)
from tinker_lite.protocol.replies import Reply, body_text
from tinker_lite.protocol.retry import FINAL_ERRORS
from tinker_lite.safety import without_credentials
from tinker_lite.types import FutureReply, QueueState, RequestErrorCategory
from tinker_lite.wire.json import decode_json

__all__ = ["Ask", "Failed", "Finished", "PollState", "after_error", "after_reply"]

MAX_DELAY_S = 30.0
MAX_BAD_REQUESTS = 3


class PollState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the polling of one future stands.

    Attributes:
        iteration: Polls answered or failed so far.
        n_backoffs: Consecutive failures, for the delay.
        n_bad_requests: 400s since the last proper answer.
        whole: Whether to insist on the whole result.
    """

    iteration: int = 0
    n_backoffs: int = 0
    n_bad_requests: int = 0
    whole: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Ask again after ``delay_s`` seconds; the queue state is what the server said, if it did."""

    state: PollState
    delay_s: float = 0.0
    queue_state: QueueState | None = None
    reason: str | None = None


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The result is here, still encoded."""

    reply: Reply


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The result will not come; raise ``error``."""

    error: RetrievalError


def after_reply(
    state: PollState, reply: Reply, *, request_id: str, operation: str
) -> Ask | Finished | Failed:
    """What to do after an answer."""
    base = PollState(iteration=state.iteration + 1, whole=state.whole)
    if reply.status == 408:
        return _pending(base, _peek(reply))
    if 200 <= reply.status < 300:
        return _after_success(base, reply, request_id, operation)
    if reply.status == 429 or reply.status >= 500:
        return _backed_off(state)
    if reply.status == 400:
        bad = msgspec.structs.replace(base, n_bad_requests=state.n_bad_requests + 1)
        return _after_bad_request(bad, reply, request_id, operation)
    return _refused(reply, request_id, operation)


def after_error(
    state: PollState, error: TransportError, *, request_id: str, operation: str
) -> Ask | Failed:
    """What to do after a poll that got no answer."""
    if isinstance(error, FINAL_ERRORS):
        final = RetrievalError(
            f"{operation}: the result of request {request_id} cannot be fetched: {error}",
            request_id,
            operation,
        )
        final.__cause__ = error
        return Failed(error=final)
    return _backed_off(state)


def _backed_off(state: PollState) -> Ask:
    delay_s = min(2.0 ** min(state.n_backoffs, 10), MAX_DELAY_S)
    return Ask(
        state=msgspec.structs.replace(
            state, iteration=state.iteration + 1, n_backoffs=state.n_backoffs + 1
        ),
        delay_s=delay_s,
    )


def _peek(reply: Reply) -> FutureReply:
    try:
        return decode_json(reply.body, FutureReply)
    except DecodeError:
        return FutureReply()


def _pending(state: PollState, said: FutureReply) -> Ask:
    queue_state = None if said.queue_state is None else QueueState(str(said.queue_state))
    reason = None if said.queue_state_reason is None else str(said.queue_state_reason)
    return Ask(state=state, queue_state=queue_state, reason=reason)


def _after_success(
    state: PollState, reply: Reply, request_id: str, operation: str
) -> Ask | Finished | Failed:
    if "application/x-protobuf" in reply.headers.get("content-type", ""):
        return Finished(reply=reply)
    said = _peek(reply)
    if said.type == "try_again":
        return _pending(state, said)
    if said.status == "complete_metadata":
        if state.whole:
            return Failed(error=_never_whole(request_id, operation))
        return Ask(state=msgspec.structs.replace(state, whole=True))
    if said.error is not None:
        return Failed(error=_operation_failed(said, str(said.error), request_id, operation))
    return Finished(reply=reply)


def _never_whole(request_id: str, operation: str) -> RetrievalError:
    return RetrievalError(
        f"{operation}: the server says that the result of request {request_id} is large, but does "
        "not give it when asked for the whole; report it to whoever runs the server.",
        request_id,
        operation,
    )


def _operation_failed(
    said: FutureReply, text: str, request_id: str, operation: str
) -> RequestFailedError:
    category = RequestErrorCategory(str(said.category))
    return RequestFailedError(
        f"{operation} failed on the server ({category} error): {without_credentials(text)}",
        request_id,
        category.value,
        operation,
    )


def _after_bad_request(
    state: PollState, reply: Reply, request_id: str, operation: str
) -> Ask | Failed:
    said = _peek(reply)
    if said.detail is not None:
        return Failed(error=_operation_failed(said, str(said.detail), request_id, operation))
    if state.n_bad_requests > MAX_BAD_REQUESTS:
        return _refused(reply, request_id, operation)
    return Ask(state=state)


def _refused(reply: Reply, request_id: str, operation: str) -> Failed:
    text = body_text(reply.body)
    cls = ResultExpiredError if reply.status == 410 else RetrievalError
    error = cls(
        f"{operation}: asking for the result of request {request_id} was answered with "
        f"{reply.status}: {text}",
        request_id,
        operation,
    )
    error.__cause__ = status_error_class(reply.status)(
        f"Error code: {reply.status} - {text}", reply.head(), text
    )
    return Failed(error=error)
