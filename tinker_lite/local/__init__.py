"""The embedded service: the Tinker protocol answered in process by a small numpy language model.

It is for development, tests and teaching, not for production: see ``LocalService`` for its limits.
``open_service`` gives the process's service, and the transports put it behind the seam that every
client sends through. The same service over HTTP is in ``tinker_lite.local.server``.
"""

from __future__ import annotations

try:
    from tinker_lite.local.async_transport import AsyncLocalTransport
    from tinker_lite.local.exchange import Reply
    from tinker_lite.local.registry import open_service
    from tinker_lite.local.service import LocalService
    from tinker_lite.local.settings import ServiceSettings
    from tinker_lite.local.transport import LocalTransport
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"numpy", "safetensors"}:
        raise
    message = "The embedded service needs numpy and safetensors: install tinker-lite[local]."
    raise ImportError(message, name=error.name) from error

__all__ = [
    "AsyncLocalTransport",
    "LocalService",
    "LocalTransport",
    "Reply",
    "ServiceSettings",
    "open_service",
]
