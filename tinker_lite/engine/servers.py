"""What the servers of a client have shown of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tinker_lite.protocol.negotiation import Learned

if TYPE_CHECKING:
    from tinker_lite.protocol.endpoint import Form

__all__ = ["Servers"]


class Servers:
    """What each server has shown, by base URL."""

    def __init__(self) -> None:
        self._learned: dict[str, Learned] = {}

    def shown_by(self, base_url: str) -> Learned:
        """What is known of a server so far."""
        return self._learned.get(base_url, Learned())

    def learn(self, base_url: str, **shown: Form) -> None:
        """Note what a server has just shown."""
        self._learned[base_url] = replace(self.shown_by(base_url), **shown)
