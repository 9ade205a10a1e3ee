"""Where the project's Python files are, by import name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGE_FOLDERS = {
    "tinker_lite": ROOT / "tinker_lite",
    "tinker_lite_urllib3": ROOT / "transports" / "tinker_lite_urllib3",
    "tinker_lite_h11": ROOT / "transports" / "tinker_lite_h11",
    "tinker_lite_conformance": ROOT / "conformance" / "tinker_lite_conformance",
}


def module_name(package: str, folder: Path, path: Path) -> str:
    """The import name of a file of a package; ``__init__.py`` names the package itself."""
    parts = [package, *path.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def library_files() -> dict[str, Path]:
    """Every module of the four packages: import name to file."""
    return {
        module_name(package, folder, path): path
        for package, folder in PACKAGE_FOLDERS.items()
        for path in sorted(folder.rglob("*.py"))
    }


def bare_environment(**settings: str) -> dict[str, str]:
    """The environment for a fresh interpreter: it finds the packages, and no setting of ours.

    Coverage of child processes is left out too: it would import modules of its own.
    """
    unwanted = ("TINKER_", "COVERAGE_", "PYTHON")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(unwanted) and not name.upper().endswith("_PROXY")
    }
    paths = dict.fromkeys(str(folder.parent) for folder in PACKAGE_FOLDERS.values())
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **settings}


def fresh_interpreter(code: str, *options: str) -> list[str]:
    """The command line that runs ``code`` in an interpreter of its own."""
    return [sys.executable, *options, "-c", code]
