"""``tinker-lite serve``: the embedded service over HTTP."""

from __future__ import annotations

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

    with open_service(data_dir or None) as service:
        try:
            run_server(
                service, host, port, on_listening=lambda url: _greet(url, host, data_dir or None)
            )
        except KeyboardInterrupt:  # the way to end it, so no failure
            click.echo("Stopped.")


def _greet(url: str, host: str, data_dir: str | None) -> None:
    from tinker_lite.local.base_models import base_model_names

    click.echo(f"Tinker service at {url}, for development and teaching. Ctrl-C ends it.")
    click.echo(f"  models   {', '.join(base_model_names())}")
    click.echo(f"  store    {data_dir or 'temporary (--data-dir DIR keeps one)'}")
    click.echo(f"  client   TINKER_BASE_URL={url}   or ServiceClient(base_url={url!r})")
    if host not in LOOPBACK:
        click.echo("  warning  it asks for no key: everyone who can reach this address can use it")
