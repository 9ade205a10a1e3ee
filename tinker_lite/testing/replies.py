"""Scripted replies, held against the endpoint table before anybody is answered with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tinker_lite.errors import DecodeError, TransportError
from tinker_lite.testing.fake import FakeReply
from tinker_lite.types import QueueState, RequestFailedResponse, TryAgainResponse, UntypedAPIFuture
from tinker_lite.wire.json import decode_json

if TYPE_CHECKING:
    from tinker_lite.protocol.endpoints import Endpoint

__all__ = ["BACKGROUND", "Pending", "Promise", "Step", "checked_reply", "checked_result"]

# What a transport does with one request: answer it, or raise.
Step: TypeAlias = FakeReply | TransportError
Pending: TypeAlias = QueueState | FakeReply | TransportError

# What clients ask by themselves, as often and when they like, and the plain answer to it.
BACKGROUND: Mapping[str, FakeReply] = {
    "service.client_config": FakeReply(),
    "service.client_dynamic_config": FakeReply(),
    "service.create_session": FakeReply({"session_id": "scripted-session"}),
    "service.session_heartbeat": FakeReply(),
    "service.finish_session": FakeReply(),
}


def checked_reply(endpoint: Endpoint, value: object) -> Step:
    """The immediate answer of an endpoint.

    Args:
        endpoint: The row.
        value: A ``TransportError``, a ``FakeReply``, or a struct or plain values for its body.

    Raises:
        ValueError: It is a success that no client could decode; the text names endpoint and field.
    """
    return _checked(endpoint.name, "answer", endpoint.response, value)


def checked_result(endpoint: Endpoint, value: object) -> Step:
    """What the future of a submission comes to; also a ``RequestFailedResponse``.

    Raises:
        ValueError: The endpoint gives no future, or no client could decode the result.
    """
    if endpoint.result is None:
        raise ValueError(f"{endpoint.name} answers at once and has no result; script its reply.")
    type_ = RequestFailedResponse if _is_failure(value) else endpoint.result
    return _checked(endpoint.name, "result", type_, value)


def _is_failure(value: object) -> bool:
    return isinstance(value, RequestFailedResponse) or (
        isinstance(value, Mapping) and "error" in value
    )


def _checked(name: str, what: str, type_: type | None, value: object) -> Step:
    if isinstance(value, TransportError):
        return value
    reply = value if isinstance(value, FakeReply) else FakeReply(value)
    raw = _encoded(name, what, reply)
    if type_ is None or reply.broken_by is not None or not 200 <= reply.status < 300:
        return reply
    wanted: type[object] = type_
    try:
        decode_json(raw, wanted)
    except DecodeError as error:
        raise ValueError(f"{name} cannot have this {what}: {error}") from error
    return reply


def _encoded(name: str, what: str, reply: FakeReply) -> bytes:
    try:
        return reply.encoded()[1]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot have this {what}: {error}") from error


class Promise:
    """The future of one scripted submission.

    Args:
        endpoint: The submission's row.
        request_id: The future's name.
        result: What it comes to, however often it is asked for then.
        pending: What the polls before that are answered, or how many there are.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request_id: str,
        result: Step,
        pending: int | Sequence[Pending] = 0,
    ) -> None:
        self.endpoint = endpoint
        self.request_id = request_id
        self.is_fetched = False
        self._result = result
        self._pending: Iterator[Pending] = iter(
            [QueueState.ACTIVE] * pending if isinstance(pending, int) else pending
        )

    def poll(self) -> Step:
        """The answer to the next poll."""
        step = next(self._pending, None)
        if step is None:
            self.is_fetched = True
            return self._result
        if isinstance(step, QueueState):
            return FakeReply(TryAgainResponse(request_id=self.request_id, queue_state=step))
        return step

    def accepted(self) -> FakeReply:
        """The answer to the submission."""
        return FakeReply(UntypedAPIFuture(request_id=self.request_id))
