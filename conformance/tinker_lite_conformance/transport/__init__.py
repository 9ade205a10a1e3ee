"""Numbered cases for a transport: the promises of the seam and HTTP/1.1, against a rude server."""

from __future__ import annotations

from .suites import AsyncTransportCases, TransportCases

__all__ = ["AsyncTransportCases", "TransportCases"]
