"""The resident set of a process, where the system is Linux; None elsewhere."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

__all__ = ["peak_bytes", "reset_peak"]

_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


def peak_bytes(process: int | str = "self") -> int | None:
    """The largest resident set of a process since it started, or since the mark was reset.

    ``getrusage`` would do for no child: it counts what the parent had when it forked.
    """
    try:
        match = _PEAK.search(Path(f"/proc/{process}/status").read_text(encoding="ascii"))
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def reset_peak() -> None:
    """Set this process's mark to what is resident now, where the system allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
