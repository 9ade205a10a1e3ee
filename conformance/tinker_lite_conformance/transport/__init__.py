"""Numbered cases for a transport: the promises of the seam and HTTP/1.1, against a rude server.

The two classes of cases are imported when they are first used: they need pytest, which the module
of a transport that only takes ``Options`` should not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .capabilities import CAPABILITIES
from .options import Options

if TYPE_CHECKING:
    from .suites import AsyncTransportCases, TransportCases

__all__ = ["CAPABILITIES", "AsyncTransportCases", "Options", "TransportCases"]


def __getattr__(name: str) -> object:
    if name in {"AsyncTransportCases", "TransportCases"}:
        cases: object = getattr(importlib.import_module(f"{__name__}.suites"), name)
        return cases
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
