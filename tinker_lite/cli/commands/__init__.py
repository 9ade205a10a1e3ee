"""The commands, one module each; a module is imported when its command runs or shows its help."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import click

__all__ = ["SUMMARIES", "load"]

# Name, which is also the module's, and the line that ``tinker-lite --help`` shows for it.
SUMMARIES = {
    "conformance": "Prove a transport of your own, case by case.",
    "demo": "Train, sample, save and load a small language model.",
    "serve": "Offer the embedded service over HTTP.",
    "version": "Print the version.",
}


def load(name: str) -> click.Command:
    """The command of that name, from the module of that name."""
    return cast("click.Command", importlib.import_module(f"{__name__}.{name}").command)
