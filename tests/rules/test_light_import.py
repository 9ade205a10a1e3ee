"""``import tinker_lite`` loads msgspec and the standard library at most, and starts nothing."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from tests.rules.sources import bare_environment, fresh_interpreter

# What any typed module needs. Beyond this, an import may bring in only modules of our own.
BASELINE = """
import msgspec
import abc, array, base64, collections.abc, contextlib, dataclasses, datetime, enum, functools
import importlib, itertools, json, math, os, re, types, typing, urllib.parse, warnings, weakref
"""

HEAVY = {
    "anyio", "asyncio", "click", "h11", "http.client", "logging.handlers", "numpy", "rich",
    "socket", "ssl", "torch", "trio", "urllib3",
}  # fmt: skip

REPORT = """
import sys
before = set(sys.modules)
{imports}
loaded = sorted(set(sys.modules) - before)
import json, logging, threading
loggers = [logging.root, *logging.root.manager.loggerDict.values()]
n_handlers = sum(len(getattr(logger, "handlers", ())) for logger in loggers)
print(json.dumps(dict(loaded=loaded, n_threads=threading.active_count(), n_handlers=n_handlers)))
"""


class Traces(msgspec.Struct):
    """What imports left behind in a fresh interpreter."""

    loaded: set[str]
    n_threads: int
    n_handlers: int

    @property
    def ours(self) -> set[str]:
        """The modules of this distribution."""
        return {name for name in self.loaded if name.startswith("tinker_lite")}


def traces(imports: str) -> Traces:
    """Run imports in a fresh interpreter and tell what they left behind."""
    done = subprocess.run(
        fresh_interpreter(REPORT.format(imports=imports), "-W", "error"),
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Traces)


@pytest.fixture(scope="module")
def baseline() -> set[str]:
    """The modules that are loaded by msgspec and the parts of the standard library named above."""
    loaded = traces(BASELINE).loaded
    assert not loaded & HEAVY
    return loaded


@pytest.mark.parametrize("module", ["tinker_lite", "tinker_lite.types"])
def test_an_import_is_light(module: str, baseline: set[str]) -> None:
    """Only our own modules come on top of the baseline: none that does I/O, computes or serves."""
    found = traces(f"import {module}")
    assert module in found.ours
    assert found.loaded - found.ours - baseline == set()
    layers = {".".join(name.split(".")[:2]) for name in found.ours}
    assert not layers & {"tinker_lite.engine", "tinker_lite.clients", "tinker_lite.local"}
    assert {name.partition(".")[0] for name in found.ours} == {"tinker_lite"}


@pytest.mark.parametrize(
    "imports",
    [
        "import tinker_lite",
        "import tinker_lite.types",
        "import tinker_lite\nfor name in tinker_lite.__all__: getattr(tinker_lite, name)",
    ],
)
def test_an_import_starts_nothing(imports: str) -> None:
    """No thread, no logging handler, no numeric library, even when every public name is read."""
    found = traces(imports)
    assert found.n_threads == 1
    assert found.n_handlers == 0
    assert not found.loaded & {"click", "numpy", "rich", "torch", "trio"}


def test_the_report_sees_what_imports_do() -> None:
    """A heavy module, a thread and a handler would each be noticed."""
    found = traces(
        "import asyncio, logging, threading\n"
        "logging.basicConfig()\n"
        "threading.Thread(target=threading.Event().wait, args=(5,), daemon=True).start()"
    )
    assert "asyncio" in found.loaded
    assert found.n_threads == 2
    assert found.n_handlers == 1
