"""Training passes in the form that the server takes, which is found out by offering them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tinker_lite.http import Headers
from tinker_lite.protocol.negotiation import Learned, is_refusal, pass_forms
from tinker_lite.protocol.replies import Reply
from tinker_lite.protocol.retry import delay_after_status
from tinker_lite.wire.content import zstd_frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tinker_lite.config import Config
    from tinker_lite.engine.call import Call, Opened
    from tinker_lite.engine.call_io import CallIO
    from tinker_lite.http import AsyncResponse, Response
    from tinker_lite.protocol.endpoint import Form

__all__ = ["Servers", "offered", "with_zstd"]

Outcome = TypeVar("Outcome", bound="Reply | Opened[Any]")

logger = logging.getLogger("tinker_lite")


class Servers:
    """What the servers of a client have shown, by base URL."""

    def __init__(self) -> None:
        self._learned: dict[str, Learned] = {}

    def shown_by(self, base_url: str) -> Learned:
        """What is known of a server so far."""
        return self._learned.get(base_url, Learned())

    def learn(self, base_url: str, **shown: Form | None) -> None:
        """Note what a server has just shown."""
        self._learned[base_url] = replace(self.shown_by(base_url), **shown)


async def with_zstd(call: Call, io: CallIO[Any]) -> Call:
    """A call whose body is compressed, where this Python can (protocol section 1.9)."""
    body = call.body
    pieces = [body] if isinstance(body, bytes) else [*body]
    frame = await io.run(lambda: zstd_frame(pieces, sum(map(len, pieces))))
    if frame is None:
        return call
    pairs = [pair for pair in call.headers if pair[0].lower() != "content-length"]
    headers = Headers([*pairs, ("Content-Encoding", "zstd")])
    return replace(call, body=frame, headers=headers)


async def offered(
    make: Callable[[Form], Awaitable[Call]],
    send: Callable[[Call], Awaitable[Outcome]],
    config: Config,
    servers: Servers,
    io: CallIO[Any],
) -> Outcome:
    """Send a pass in the form that the server takes; see ``protocol.negotiation`` for the rules.

    Args:
        make: Makes the call in a form.
        send: Makes the call, repeating it as its policy says.
        config: The client's settings.
        servers: What is known, and what is learnt here.
        io: The world.
    """
    form, *others = pass_forms(config.wire, servers.shown_by(config.base_url))
    if not others:
        outcome = await send(await make(form))
        if config.wire != "auto" or _head(outcome).status != 415:
            return outcome
        servers.learn(config.base_url, passes=None)
    started_s, n_retries = io.now(), 0
    while True:
        outcome, is_broken = await _offered_once(make, send, config, servers)
        if not is_broken:
            return outcome
        # A server that fails for another reason than the form may recover.
        delay_s = delay_after_status(
            500,
            _head(outcome).headers,
            policy=config.retry,
            retry_class="standard",
            n_retries=n_retries,
            elapsed_s=io.now() - started_s,
            random=io.random(),
        )
        if delay_s is None:
            return outcome
        await io.sleep(delay_s)
        n_retries += 1


async def _offered_once(
    make: Callable[[Form], Awaitable[Call]],
    send: Callable[[Call], Awaitable[Outcome]],
    config: Config,
    servers: Servers,
) -> tuple[Outcome, bool]:
    """The answer to a first contact, and whether it may be another one later."""
    refusals: list[Outcome] = []
    for form in pass_forms(config.wire, servers.shown_by(config.base_url)):
        call = await make(form)
        outcome = await send(replace(call, endpoint=replace(call.endpoint, retry="probe")))
        status = _head(outcome).status
        if not is_refusal(status):
            if 200 <= status < 300:
                servers.learn(config.base_url, passes=form)
                logger.debug("This server takes training passes as %s", form)
            return outcome, False
        if servers.shown_by(config.base_url).passes == form:  # another call was faster
            return outcome, False
        refusals.append(outcome)
    # What refuses the form says less than what refuses the content.
    refusal = min(refusals, key=lambda outcome: _head(outcome).status in {415, 500})
    return refusal, any(_head(outcome).status == 500 for outcome in refusals)


def _head(outcome: Reply | Opened[Any]) -> Reply | Response | AsyncResponse:
    return outcome if isinstance(outcome, Reply) else outcome.response
