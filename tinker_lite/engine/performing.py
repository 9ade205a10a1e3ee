"""Making a call: send, read, decide, repeat. One coroutine for every colour.

The coroutine takes its I/O as an argument and touches neither threads nor an event loop, so the
blocking client can drive it with a single ``send(None)`` and the async ones can await it. It must
not know who drives it; it must not sleep, read a clock or draw a random number but through
``CallIO``.
"""

from __future__ import annotations

import logging
import warnings
from typing import Generic, Protocol

import msgspec

from tinker_lite.engine.call import IDEMPOTENCY_KEY, Call, error_of
from tinker_lite.engine.call_io import CallIO, R
from tinker_lite.engine.sending import Opened, attempt
from tinker_lite.errors import TransportError
from tinker_lite.http import Headers
from tinker_lite.protocol.replies import Reply
from tinker_lite.protocol.retry import delay_after_error, delay_after_status
from tinker_lite.safety import Follow, follow, is_public

__all__ = ["Forms", "Turn", "perform", "perform_open"]

logger = logging.getLogger("tinker_lite")

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 section 9.2.2
_NOT_DONE = frozenset({425, 429, 503})


class Turn(msgspec.Struct, frozen=True):
    """What follows a refusal of one form of a call.

    Attributes:
        reply: The answer to go by.
        call: What is sent next; None ends the call with ``reply``.
        is_at_once: It is sent without delay; otherwise after the one that ``reply`` has.
    """

    reply: Reply
    call: Call | None = None
    is_at_once: bool = True


class Forms(Protocol):
    """A call that can be made in several forms; the first one is being made."""

    def keep(self, call: Call) -> None:
        """Send this one when its form is offered again: it has a key now."""
        ...

    async def after(self, reply: Reply) -> Turn | None:
        """What to do after an answer that is no success; None is what is done with any."""
        ...

    def accepted(self) -> None:
        """Note that the form that was just offered is taken."""
        ...


async def perform(call: Call, io: CallIO[R], forms: Forms | None = None) -> Reply:
    """Make a call, repeating it as the policy says, and return the final answer, read whole.

    Any status is an answer; ``status_error`` turns an unwelcome one into an exception.

    Args:
        call: The call.
        io: The world.
        forms: Other forms of the call, for a server that refuses this one.

    Raises:
        APIConnectionError: No answer came, and no further attempt is allowed.
    """
    outcome = await _perform(call, io, forms, stays_open=False)
    assert isinstance(outcome, Reply)
    return outcome


async def perform_open(call: Call, io: CallIO[R], forms: Forms | None = None) -> Reply | Opened[R]:
    """Like ``perform``, but a success is returned with its body unread."""
    return await _perform(call, io, forms, stays_open=True)


async def _perform(
    call: Call, io: CallIO[R], forms: Forms | None, *, stays_open: bool
) -> Reply | Opened[R]:
    run = _Run(call, io, forms)
    while True:
        outcome = await attempt(run.call, io, run.n_retries + run.n_offers, stays_open)
        if isinstance(outcome, Opened):
            return await _announced(outcome, io, forms)
        if isinstance(outcome, Reply) and outcome.ok:
            return run.ended(outcome)
        outcome, delay_s = await run.after(outcome)
        if delay_s is None:
            return run.ended(outcome)
        if delay_s:
            await io.sleep(delay_s)


class _Run(Generic[R]):
    """One call under way.

    Attributes:
        call: What is sent next.
        n_retries: Repeats after failures.
        n_offers: Repeats in another form.
    """

    def __init__(self, call: Call, io: CallIO[R], forms: Forms | None) -> None:
        self.n_retries = self.n_offers = self._n_redirects = 0
        self._io, self._forms = io, forms
        self._started_s = io.now()
        self.call = _keyed(call, io, forms)

    async def after(
        self, outcome: Reply | TransportError
    ) -> tuple[Reply | TransportError, float | None]:
        """What to go by, and after how many seconds ``call`` is sent; None ends with it."""
        step = _redirect(outcome, self.call, self._n_redirects)
        if step is not None:
            self.call = _followed(self.call, step)
            self._n_redirects += 1
            return outcome, 0.0
        delay_s = self._delay(outcome)
        turn = await _turn(outcome, delay_s, self._forms)
        if turn is not None and turn.call is None:
            return turn.reply, None
        if turn is not None and turn.call is not None:
            self.call = _keyed(turn.call, self._io, self._forms)
            if turn.is_at_once:
                self.n_offers += 1
                return turn.reply, 0.0
            outcome, delay_s = turn.reply, self._delay(turn.reply)
        if delay_s is not None:
            self._repeated(outcome, delay_s)
        return outcome, delay_s

    def _delay(self, outcome: Reply | TransportError) -> float | None:
        elapsed_s = self._io.now() - self._started_s
        return _delay(outcome, self.call, self._io, self.n_retries, elapsed_s)

    def _repeated(self, outcome: Reply | TransportError, delay_s: float) -> None:
        if self.n_retries == 0 and delay_s:
            _note_retry(outcome, self.call, delay_s)
        self.n_retries += 1

    def ended(self, outcome: Reply | TransportError) -> Reply:
        """The final answer; raises ``APIConnectionError`` if there is none."""
        if not isinstance(outcome, Reply):
            raise error_of(outcome, self.call, self.n_retries + self.n_offers) from outcome
        if self._forms is not None and outcome.ok:
            self._forms.accepted()
        _note_deprecation(outcome.headers, self.call, self._io)
        return outcome


def _keyed(call: Call, io: CallIO[R], forms: Forms | None) -> Call:
    """The call with its key, which all attempts in one form share."""
    if call.is_keyed and call.method != "GET" and IDEMPOTENCY_KEY not in call.headers:
        key = (IDEMPOTENCY_KEY, f"tinker-lite-{io.new_id()}")
        call = msgspec.structs.replace(call, headers=call.headers.merged([key]))
    if forms is not None:
        forms.keep(call)
    return call


async def _turn(
    outcome: Reply | TransportError, delay_s: float | None, forms: Forms | None
) -> Turn | None:
    if forms is None or not isinstance(outcome, Reply) or outcome.ok:
        return None
    # What is repeated anyway is repeated in the same form, but for a 500.
    return await forms.after(outcome) if delay_s is None or outcome.status == 500 else None


async def _announced(opened: Opened[R], io: CallIO[R], forms: Forms | None) -> Opened[R]:
    if forms is not None:
        forms.accepted()
    try:
        _note_deprecation(opened.response.headers, opened.call, io)
    except BaseException:  # warnings may be errors
        await io.close(opened.response)
        raise
    return opened


def _redirect(outcome: Reply | TransportError, call: Call, n_redirects: int) -> Follow | None:
    if not isinstance(outcome, Reply) or outcome.status < 300 or call.endpoint.answers_by_redirect:
        return None
    step = follow(
        call.method,
        call.url,
        outcome.status,
        outcome.headers.get("location"),
        n_redirects=n_redirects,
        leads_to_storage=call.endpoint.leads_to_storage,
    )
    return None if step is not None and step.with_body and not call.is_repeatable else step


def _followed(call: Call, step: Follow) -> Call:
    headers = call.headers
    if not step.with_secrets:  # callers' own headers may hold some too
        headers = Headers(pair for pair in headers if is_public(pair[0]))
    elif not step.with_body and call.body:  # what described the body goes with it
        headers = Headers(pair for pair in headers if not pair[0].lower().startswith("content-"))
    return msgspec.structs.replace(
        call,
        method=step.method,
        url=step.url,
        headers=headers,
        body=call.body if step.with_body else b"",
    )


def _note_retry(outcome: Reply | TransportError, call: Call, delay_s: float) -> None:
    """Say once that a call is being repeated; back-pressure is no news."""
    if isinstance(outcome, Reply):
        if outcome.status in {408, 429}:
            return
        what = f"answered {outcome.status}"
    else:
        what = str(outcome)
    logger.warning("%s: %s; trying again in %.1f s", call.endpoint.name, what, delay_s)


def _note_deprecation(headers: Headers, call: Call, io: CallIO[R]) -> None:
    """Say once per client and endpoint what the service says of it (protocol section 1.8)."""
    note = headers.get("x-deprecation-note")
    if note is None or not io.is_news(f"{call.endpoint.name} is deprecated"):
        return
    text = f"{call.endpoint.name} is deprecated: {note}"
    if headers.get("x-deprecation-level", "").lower() == "error":
        logger.error("%s", text)
    else:
        # Not DeprecationWarning, which Python hides: the program's users have to hear of it.
        warnings.warn(text, FutureWarning, stacklevel=2)


def _delay(
    outcome: Reply | TransportError, call: Call, io: CallIO[R], n_retries: int, elapsed_s: float
) -> float | None:
    if not call.is_repeatable or not _is_safe_again(outcome, call):
        return None
    if isinstance(outcome, TransportError):
        return delay_after_error(
            outcome,
            policy=call.retry,
            retry_class=call.endpoint.retry,
            n_retries=n_retries,
            elapsed_s=elapsed_s,
            random=io.random(),
        )
    if outcome.ok:
        return None
    return delay_after_status(
        outcome.status,
        outcome.headers,
        policy=call.retry,
        retry_class=call.endpoint.retry,
        n_retries=n_retries,
        elapsed_s=elapsed_s,
        random=io.random(),
    )


def _is_safe_again(outcome: Reply | TransportError, call: Call) -> bool:
    """Whether a repeat cannot apply twice, or the first attempt did not apply."""
    if call.method in _IDEMPOTENT or IDEMPOTENCY_KEY in call.headers:
        return True
    if isinstance(outcome, Reply):
        return outcome.status in _NOT_DONE
    return not outcome.may_have_arrived
