"""Record anew what an official SDK sends: ``python -m tests.comparison.record 0.38.0 PYTHON``.

``PYTHON`` is the interpreter of an environment that holds that release and nothing of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.comparison.runs import recording_path, run_official

__all__ = ["main"]


def main(generation: str, python: str) -> Path:
    """Run the program there, write the recording, and give its place."""
    path = recording_path(generation)
    recorded = run_official(generation, python)
    text = json.dumps(recorded, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], sys.argv[2])}\n")
