"""Cases that prove a transport or a server of your own."""

from __future__ import annotations
