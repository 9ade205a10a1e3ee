"""How many connections a transport may hold; part of the configuration."""

from __future__ import annotations

from typing import NamedTuple

from tinker_lite.errors import ConfigError

__all__ = ["PoolSize"]


class PoolSize(NamedTuple):
    """Bounds on the connections of one transport; None is no bound.

    Attributes:
        max_connections: Most open connections, whatever they lead to.
        max_connections_per_host: Most open connections to one origin.
        max_idle_per_host: Most unused connections kept for one origin.
        idle_expiry_s: Seconds after which an unused connection is not used again.
    """

    max_connections: int | None
    max_connections_per_host: int | None
    max_idle_per_host: int | None
    idle_expiry_s: float

    def checked(self) -> PoolSize:
        """The same bounds, if a pool can keep them.

        Raises:
            ConfigError: One of them is too small; the text names it.
        """
        least = {"max_connections": 1, "max_connections_per_host": 1, "max_idle_per_host": 0}
        for name, smallest in least.items():
            bound = getattr(self, name)
            if bound is not None and bound < smallest:
                raise ConfigError(f"{name} must be at least {smallest}, not {bound}")
        if not self.idle_expiry_s >= 0:
            raise ConfigError(f"idle_expiry_s must be 0 or more, not {self.idle_expiry_s}")
        return self
