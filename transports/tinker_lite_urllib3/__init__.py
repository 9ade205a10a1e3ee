"""A blocking HTTP/1.1 transport for tinker_lite, on urllib3's connections."""

from __future__ import annotations

from .transport import Urllib3Transport

__all__ = ["Urllib3Transport"]
