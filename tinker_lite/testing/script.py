"""What is expected of a client, and what it is answered: the logic of the scripted transports.

A request is looked up in this order: the polls of a promised result; the next expectation, if it
fits; what is always answered; what clients ask by themselves. Anything else is a mistake, raised
as AssertionError where it was sent and again at the end, since a client's background work may
swallow it.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tinker_lite.errors import DecodeError, TransportError
from tinker_lite.testing.captured import CapturedCall, capture, row
from tinker_lite.testing.differences import differences
from tinker_lite.testing.fake import AsyncCheckedTransport, CheckedTransport, FakeReply
from tinker_lite.testing.replies import (
    BACKGROUND,
    Pending,
    Promise,
    Step,
    checked_reply,
    checked_result,
)
from tinker_lite.types import FutureRetrieveRequest, UntypedAPIFuture
from tinker_lite.wire.json import decode_json, to_plain

if TYPE_CHECKING:
    from tinker_lite.http import Request
    from tinker_lite.protocol.endpoints import Endpoint

__all__ = ["AsyncScriptedTransport", "Check", "Script", "ScriptedTransport"]

# Says whether a call is the one meant: a mapping of some of its fields, or a function that returns
# something true (or raises AssertionError itself).
Check: TypeAlias = Mapping[str, object] | Callable[[CapturedCall], object]

# An answer, or what makes one from the call; the second half is for the checkers of lambdas.
Scripted: TypeAlias = object | Callable[[CapturedCall], object]


@dataclass(frozen=True)
class _Line:
    """One line of a script: which call, and what it is answered."""

    endpoint: Endpoint
    check: Check | None
    reply: Callable[[CapturedCall], Step] | None
    result: Callable[[CapturedCall], Step] | None
    pending: int | Sequence[Pending]

    def complaints(self, call: CapturedCall) -> list[str]:
        """Why a call is not the one meant, one line for each reason."""
        if call.endpoint is not self.endpoint:
            return [f"expected {self.endpoint.name}", f"came     {call.name}"]
        if self.check is None:
            return []
        if callable(self.check):
            name = getattr(self.check, "__name__", "its check")
            return [] if self.check(call) else [f"{self.endpoint.name}: {name} refuses it"]
        found = differences(to_plain(self.check), call.fields(), partial=True)
        return [f"{self.endpoint.name}: {line}" for line in found]


class Script:
    """Expectations in order, standing answers, and what has come of them; thread-safe.

    Args:
        background: Answer what clients ask by themselves (configuration, session, heartbeats)
            plainly, where nothing is scripted for it.
    """

    def __init__(self, *, background: bool = True) -> None:
        self._expected: deque[_Line] = deque()
        self._n_expected = 0
        self._standing: dict[str, list[_Line]] = {}
        self._promises: dict[str, Promise] = {}
        self._awaited: list[Promise] = []
        self._complaints: list[str] = []
        self._numbers = itertools.count(1)
        self._background = BACKGROUND if background else dict[str, FakeReply]()
        self._lock = threading.RLock()

    def expect(
        self,
        name: str,
        reply: Scripted = None,
        *,
        result: Scripted = None,
        pending: int | Sequence[Pending] = 0,
        request: Check | None = None,
        times: int = 1,
    ) -> None:
        """Expect a call, after all that have been expected before.

        Args:
            name: The endpoint's name in the table, such as ``"models.create"``.
            reply: Its answer: a struct or plain values, a ``FakeReply`` (for another status, say),
                a ``TransportError`` to be raised, or a function from the ``CapturedCall`` to one
                of these. May be left out where there is a result, or nothing to answer.
            result: For a submission, what its future comes to, in the same forms; a
                ``RequestFailedResponse`` is a failed operation. The polls need no expectation.
            pending: How many polls come before the result, or what each of them is answered: a
                ``QueueState``, a ``FakeReply`` or a ``TransportError``.
            request: A mapping of fields that the call must have, at any depth, or a function of
                the ``CapturedCall``.
            times: How often in a row.

        Raises:
            ValueError: There is no such endpoint, or no client could decode the answer; the text
                names the endpoint and the field.
        """
        line = _line(name, reply, result, pending, request)
        with self._lock:
            self._expected.extend([line] * times)
            self._n_expected += times

    def always(
        self,
        name: str,
        reply: Scripted = None,
        *,
        result: Scripted = None,
        pending: int | Sequence[Pending] = 0,
        request: Check | None = None,
    ) -> None:
        """Answer a call whenever it comes and is not the next one expected.

        Args and errors are those of ``expect``. Of several lines that fit, the latest counts.
        """
        line = _line(name, reply, result, pending, request)
        with self._lock:
            self._standing.setdefault(name, []).insert(0, line)

    def answer(self, request: Request) -> FakeReply:
        """Answer one request.

        Raises:
            AssertionError: The script has no place for it; the text says what it was waiting for.
            TransportError: As scripted.
            ValueError: A function of the script made an answer that no client could decode.
        """
        with self._lock:
            try:
                step = self._step(capture(request))
            except DecodeError as error:  # what was sent is wrong, not the script
                self._complaints.append(str(error))
                raise AssertionError(str(error)) from error
            except (AssertionError, ValueError) as error:
                self._complaints.append(str(error))
                raise
        if isinstance(step, TransportError):
            raise copy(step)  # it may be raised again, and an error collects tracebacks
        return step

    def _step(self, call: CapturedCall) -> Step:
        if isinstance(call.body, FutureRetrieveRequest) and call.body.request_id in self._promises:
            return self._promises[call.body.request_id].poll()
        complaints = self._expected[0].complaints(call) if self._expected else []
        if self._expected and not complaints:
            return self._played(self._expected.popleft(), call, is_awaited=True)
        for line in self._standing.get(call.name, ()):
            if not line.complaints(call):
                return self._played(line, call, is_awaited=False)
        if call.name in self._background:
            return self._background[call.name]
        raise AssertionError(self._out_of_place(call, complaints))

    def _played(self, line: _Line, call: CapturedCall, *, is_awaited: bool) -> Step:
        reply = None if line.reply is None else line.reply(call)
        if line.result is None:
            return FakeReply() if reply is None else reply
        request_id = _promised_id(reply) or f"{line.endpoint.name}-{next(self._numbers)}"
        promise = Promise(line.endpoint, request_id, line.result(call), line.pending)
        self._promises[request_id] = promise
        if is_awaited:
            self._awaited.append(promise)
        return promise.accepted() if reply is None else reply

    def _out_of_place(self, call: CapturedCall, complaints: Sequence[str]) -> str:
        if not complaints:
            return f"The script expects nothing more, but {call.name} came."
        number = self._n_expected - len(self._expected) + 1
        head = f"{call.name} is not what the script expects ({number} of {self._n_expected}):"
        return "\n  ".join([head, *complaints])

    def assert_done(self) -> None:
        """Check that all expected calls came, and nothing else.

        Raises:
            AssertionError: The text names what is still expected, which results were never fetched,
                and repeats every mistake.
        """
        with self._lock:
            lines = [*self._complaints]
            if self._expected:
                lines.append(f"{len(self._expected)} of {self._n_expected} calls did not come:")
                lines.extend(f"  {line.endpoint.name}" for line in self._expected)
            lines.extend(
                f"The result of {promise.request_id} was never fetched."
                for promise in self._awaited
                if not promise.is_fetched
            )
        if lines:
            raise AssertionError("\n".join(lines))


def _line(
    name: str,
    reply: object,
    result: object,
    pending: int | Sequence[Pending],
    request: Check | None,
) -> _Line:
    endpoint = row(name)
    if reply is None and result is None and endpoint.response is not None:
        wanted = (endpoint.result or endpoint.response).__name__
        what = "reply" if endpoint.result is None else "result"
        raise ValueError(f"{name} needs a {what}: {wanted}, as a struct or as plain values.")
    if pending and result is None:
        raise ValueError(f"{name}: pending polls lead to a result, and there is none.")
    return _Line(
        endpoint=endpoint,
        check=request,
        reply=None if reply is None else _checking(checked_reply, endpoint, reply),
        result=None if result is None else _checking(checked_result, endpoint, result),
        pending=pending,
    )


def _checking(
    check: Callable[[Endpoint, object], Step], endpoint: Endpoint, value: object
) -> Callable[[CapturedCall], Step]:
    """What answers a call: a value is checked now, what a function returns when it does."""
    if callable(value):
        return lambda call: check(endpoint, value(call))
    step = check(endpoint, value)
    return lambda _: step


def _promised_id(reply: Step | None) -> str | None:
    if not isinstance(reply, FakeReply) or reply.status >= 300:
        return None
    return decode_json(reply.encoded()[1], UntypedAPIFuture).request_id


class ScriptedTransport(Script, CheckedTransport):
    """A blocking transport that expects calls in order and answers them as scripted.

    As a context manager it ends with ``assert_done``.

    Args:
        background: See ``Script``.

    Attributes:
        requests: What was asked, in order; ``captured`` has it decoded.
    """

    def __init__(self, *, background: bool = True) -> None:
        Script.__init__(self, background=background)
        CheckedTransport.__init__(self, self.answer)


class AsyncScriptedTransport(Script, AsyncCheckedTransport):
    """The async form of ``ScriptedTransport``, with an ``async with`` of its own."""

    def __init__(self, *, background: bool = True) -> None:
        Script.__init__(self, background=background)
        AsyncCheckedTransport.__init__(self, self.answer)
