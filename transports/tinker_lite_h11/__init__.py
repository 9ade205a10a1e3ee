"""An async HTTP/1.1 transport for tinker_lite, on anyio (asyncio and trio) and h11."""

from __future__ import annotations

from .transport import H11Transport

__all__ = ["H11Transport"]
