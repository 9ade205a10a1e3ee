"""``tinker-lite version``."""

from __future__ import annotations

import click

from tinker_lite._version import __version__

__all__ = ["command"]


@click.command("version")
def command() -> None:
    """Print the version."""
    click.echo(f"tinker-lite {__version__}")
