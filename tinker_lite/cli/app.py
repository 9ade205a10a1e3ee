"""The group of all commands: loads the one asked for, and turns failures into exit codes."""

from __future__ import annotations

from typing import Any

import click

from tinker_lite.cli import EXIT_INTERRUPTED
from tinker_lite.cli.commands import SUMMARIES, load
from tinker_lite.errors import TinkerError

__all__ = ["app"]

SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}

# What is told in one line instead of a traceback: our own errors, values that cannot work, files
# and sockets, and missing extras.
FAILURES = (TinkerError, ValueError, OSError, ImportError)


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing anything."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        return load(cmd_name) if cmd_name in SUMMARIES else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The names and their summaries, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a failure becomes one line and exit code 1, Ctrl-C exit code 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except FAILURES as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=LazyGroup, context_settings=SETTINGS)
def app() -> None:
    """A light client for the Tinker fine-tuning API."""
