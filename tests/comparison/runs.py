"""Running the program in a process of its own, against a service that records it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.comparison.recording_server import Recorder, recording_server
from tests.comparison.scripted_service import ScriptedService
from tests.comparison.traffic import BACKGROUND, Traffic, traffic
from tests.rules.sources import bare_environment

__all__ = ["GENERATIONS", "OUR_OPTIONS", "RECORDED", "recording_path", "run_official", "run_ours"]

PROGRAM = Path(__file__).with_name("program.py")
RECORDED = Path(__file__).with_name("recorded")
MAX_RUN_S = 120

# How we are told to speak as each release does: 0.38 is what we speak without being told.
OUR_OPTIONS: dict[str, dict[str, Any]] = {
    "0.38.0": {},
    "0.6.3": {"wire": "json", "sdk_version": "0.6.3"},
}
GENERATIONS = sorted(OUR_OPTIONS)
# The last request of the program.
HELD_TARGET = "/api/v1/samplers/last"
SETTINGS = {
    "TINKER_API_KEY": "tml-comparison",
    "TINKER_PROJECT_ID": "project-1",
    "TINKER_TAGS": "one-tag",
}


def recording_path(generation: str) -> Path:
    """Where the recording of the official SDK is checked in."""
    return RECORDED / f"official-{generation}.json"


def run(
    python: str,
    module: str,
    generation: str,
    options: dict[str, Any],
    *,
    awaited: Collection[str] = (),
    settings: dict[str, str] | None = None,
) -> Traffic:
    """What the program sends.

    Args:
        python: The interpreter of the environment.
        module: What it imports as the SDK.
        generation: Which release's operations it uses, and which service answers it.
        options: Further arguments of ``ServiceClient``.
        awaited: Endpoints of background traffic to wait for before the program may end.
        settings: Further environment variables.

    Raises:
        AssertionError: The program failed; the text holds what it printed.
    """
    recorder = Recorder(ScriptedService(generation).answer, HELD_TARGET, awaited)
    with recording_server(recorder) as url:
        done = subprocess.run(
            [python, str(PROGRAM), module, generation, json.dumps(options)],
            env=bare_environment(**SETTINGS, **(settings or {}), TINKER_BASE_URL=url),
            capture_output=True,
            text=True,
            timeout=MAX_RUN_S,
            check=False,
        )
    # The last line says what happened; a traceback would quote somebody else's source.
    error = done.stderr.strip().rpartition("\n")[2]
    assert done.returncode == 0, f"The program with {module} {generation} failed: {error}"
    return traffic(recorder.requests)


def run_ours(generation: str, awaited: Collection[str] = ()) -> Traffic:
    """What we send, told to speak as that release does."""
    return run(sys.executable, "tinker_lite", generation, OUR_OPTIONS[generation], awaited=awaited)


def run_official(generation: str, python: str) -> Traffic:
    """What the official SDK in that environment sends, its background traffic included."""
    # Our packages must not be found there.
    settings = {"PYTHONPATH": ""}
    return run(python, "tinker", generation, {}, awaited=BACKGROUND, settings=settings)
