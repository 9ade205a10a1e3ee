"""Training passes in the form that the server takes, which is found out by offering them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tinker_lite.engine.performing import Turn
from tinker_lite.http import Headers
from tinker_lite.protocol.negotiation import after_refusals, pass_forms
from tinker_lite.wire.content import zstd_frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tinker_lite.config import Config
    from tinker_lite.engine.call import Call
    from tinker_lite.engine.call_io import CallIO
    from tinker_lite.engine.servers import Servers
    from tinker_lite.protocol.endpoint import Form
    from tinker_lite.protocol.replies import Reply

__all__ = ["Offer", "with_zstd"]

logger = logging.getLogger("tinker_lite")


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


class Offer:
    """One pass, offered in one form after the other; see ``protocol.negotiation`` for the rules.

    Args:
        make: Makes the call in a form; asked once for each.
        config: The client's settings.
        servers: What is known, and what is learnt here.
    """

    def __init__(
        self, make: Callable[[Form], Awaitable[Call]], config: Config, servers: Servers
    ) -> None:
        self._make, self._config, self._servers = make, config, servers
        self._forms = self._forms_now()
        self._made: dict[Form, Call] = {}
        self._refusals: list[Reply] = []
        self._position = 0

    def _forms_now(self) -> tuple[Form, ...]:
        return pass_forms(self._config.wire, self._servers.shown_by(self._config.base_url))

    @property
    def _form(self) -> Form:
        return self._forms[self._position % len(self._forms)]

    async def call(self) -> Call:
        """The call in the form whose turn it is."""
        form = self._form
        if form not in self._made:
            self._made[form] = await self._make(form)
        return self._made[form]

    def keep(self, call: Call) -> None:
        """Send this one when the form is offered again: it has a key now."""
        self._made[self._form] = call

    def accepted(self) -> None:
        """Note that the server takes the form that it was just offered."""
        if self._config.wire == "auto":
            logger.debug("This server takes training passes as %s", self._form)
            self._servers.learn(self._config.base_url, passes=self._form)

    async def after(self, reply: Reply) -> Turn | None:
        """What to do after an answer that is no success; None is what is done with any."""
        if len(self._forms) == 1:
            return None
        self._refusals[self._position :] = [reply]
        known = self._servers.shown_by(self._config.base_url).passes
        statuses = [refusal.status for refusal in self._refusals]
        # Another pass may have found the form in the meantime, and it may be the other one.
        is_known = known is not None and known == self._forms[0]
        match after_refusals(statuses, is_known=is_known):
            case "other" | "again":
                self._position += 1
                return Turn(reply, await self.call())
            case "wait":
                broken = next(refusal for refusal in self._refusals if refusal.status == 500)
                self._forms, self._position = self._forms_now(), 0
                return Turn(broken, await self.call(), is_at_once=False)
            case "first":
                return Turn(self._refusals[0])
            case "second":
                return Turn(self._refusals[1])
            case "usual":
                return None
