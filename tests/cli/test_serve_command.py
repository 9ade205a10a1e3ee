"""``tinker-lite serve`` as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

import pytest

import tinker_lite as tl

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.slow  # a process that imports numpy takes a second


@contextmanager
def serving(
    program: list[str], environment: dict[str, str], *options: str
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it says once it listens; killed if the test does not end it."""
    process = subprocess.Popen(
        [*program, "serve", "--port", "0", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            output = cast("IO[str]", process.stdout)
            yield process, "".join(output.readline() for _ in range(4))
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_told_to_end(
    ending: signal.Signals, program: list[str], environment: dict[str, str]
) -> None:
    """It says where it is and what it offers, answers there, and ends with exit code 0."""
    with serving(program, environment) as (process, said):
        url = re.search(r"Tinker service at (http://127\.0\.0\.1:\d+),", said)
        assert url is not None
        assert f"TINKER_BASE_URL={url[1]}\n" in said
        with tl.Tinker(base_url=url[1]) as tinker:
            offer = tinker.service.get_server_capabilities()
        assert f"models  {', '.join(offer.model_names)}\n" in said
        process.send_signal(ending)
        rest, errors = process.communicate(timeout=15)
        assert (process.returncode, rest, errors) == (0, "Stopped.\n", "")


def test_a_background_job_of_a_script_ends_too(
    program: list[str], environment: dict[str, str]
) -> None:
    """Shells have such jobs ignore SIGINT; SIGTERM ends them as it ends others."""
    job = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *program]
    with serving(job, environment) as (process, _):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=15)
    assert (process.returncode, rest, errors) == (0, "Stopped.\n", "")


def test_the_data_folder_comes_from_the_environment_too(
    program: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """TINKER_LITE_DATA stands in for --data-dir."""
    data_dir = tmp_path / "store"
    with serving(program, {**environment, "TINKER_LITE_DATA": str(data_dir)}) as (_, said):
        assert f"store   {data_dir}\n" in said
        assert data_dir.is_dir()


def test_a_port_in_use_is_one_line(program: list[str], environment: dict[str, str]) -> None:
    """The error names the address and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*program, "serve", "--port", port],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Cannot listen on 127.0.0.1, port {port}: ")
    assert done.stderr.count("\n") == 1
