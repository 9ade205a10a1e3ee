"""The command ``tinker-lite``. It needs click, an extra, so nothing here imports it at the top."""

from __future__ import annotations

import importlib
import importlib.util
import sys

__all__ = ["main"]

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count it


def main() -> None:
    """Run the command line of this process, and leave it with an exit code.

    0 is success, 1 a failure (``Error: ...`` on standard error), 2 wrong usage, 130 Ctrl-C.
    """
    if importlib.util.find_spec("click") is None:
        print(
            "Error: the command needs click and rich. Install them with: "
            "python -m pip install 'tinker-lite[cli]'",
            file=sys.stderr,
        )
        sys.exit(EXIT_FAILURE)
    try:
        importlib.import_module("tinker_lite.cli.app").app(prog_name="tinker-lite")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
