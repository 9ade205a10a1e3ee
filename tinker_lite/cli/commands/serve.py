"""``tinker-lite serve``: the embedded service over HTTP."""

from __future__ import annotations

import asyncio
import signal
from typing import cast

import click

__all__ = ["command"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    metavar="N",
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--data-dir",
    envvar="TINKER_LITE_DATA",
    show_envvar=True,
    metavar="DIR",
    help="Where checkpoints are kept; without it they are gone when the service ends.",
)
def command(host: str, port: int, data_dir: str | None) -> None:
    """Offer the embedded service over HTTP, until Ctrl-C.

    It is for development and teaching: small models, one machine, no accounts.
    """
    from tinker_lite.local import open_service
    from tinker_lite.local.server import run_server

    def greet(url: str) -> None:
        _end_on_sigterm()
        _greet(url, host, data_dir)

    with open_service(data_dir or None) as service:
        try:
            run_server(service, host, port, on_listening=greet)
        except (KeyboardInterrupt, asyncio.CancelledError):  # how it is meant to end, so no failure
            click.echo("Stopped.")
        except OSError as error:
            raise click.ClickException(
                f"Cannot listen on {host}, port {port}: {error.strerror}. "
                "Another --port may be free; 0 takes one that is."
            ) from error


def _end_on_sigterm() -> None:
    """Have the running task end when a process manager says so.

    It is not done by SIGINT, which the background jobs of a script ignore.
    """
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[object]", asyncio.current_task())
    signal.signal(signal.SIGTERM, lambda _number, _frame: loop.call_soon_threadsafe(task.cancel))


def _greet(url: str, host: str, data_dir: str | None) -> None:
    from tinker_lite.local.base_models import base_model_names

    click.echo(f"Tinker service at {url}, for development and teaching. Ctrl-C ends it.")
    click.echo(f"  models  {', '.join(base_model_names())}")
    click.echo(f"  store   {data_dir or 'temporary; --data-dir DIR keeps one'}")
    click.echo(f"  client  ServiceClient(base_url={url!r}), or TINKER_BASE_URL={url}")
    if host not in LOOPBACK:
        click.echo("  note    it asks for no key: whoever reaches this address can use it")
