"""One process at a time: the lock on a lasting store."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tinker_lite.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["StoreLock"]


class StoreLock:
    """Holds a folder until it is closed or the process ends, however it ends.

    The operating system keeps the lock, so that none is left behind by a process that was killed;
    the number in the file only tells the next one who holds it.

    Args:
        folder: The folder, which must exist.

    Raises:
        ConfigError: Another process holds it, or the lock file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"The data folder {folder} cannot be used: {error}.") from error
        try:
            _lock(self._file)
        except OSError as error:
            holder = os.read(self._file, 64).decode("ascii", "replace").strip() or "unknown"
            self.close()
            raise ConfigError(
                f"The data folder {folder} is in use by process {holder}. One process at a time "
                "may use it: stop that one, give another folder, or have both talk to one "
                "`tinker-lite serve`."
            ) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let the next process in. After a fork, in the child: forget the parent's lock."""
        os.close(self._file)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        # The byte is far from the holder's number, which others must be able to read.
        os.lseek(file, 4096, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
