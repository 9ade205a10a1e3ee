"""How many threads the matrix library of numpy uses while we compute.

The matrices here are small: OpenBLAS with two threads was no faster than with one on two free
cores (15,000 tokens/s), and five to twenty times slower when the cores were also wanted by others,
because its threads wait for each other by spinning. So we hold it to one thread and share whole
groups of examples out to threads of our own, which gives the same bits whatever their number.
"""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MAX_WORKERS = 8  # batches rarely hold more groups

_lock = threading.Lock()
_n_inside = 0
_n_threads_outside = 1


class ThreadControl(NamedTuple):
    """The library's two functions: how many threads it uses, and setting that."""

    get: Callable[[], int]
    set: Callable[[int], object]


def n_workers() -> int:
    """Return how many threads of ours may compute at once."""
    return min(os.cpu_count() or 1, MAX_WORKERS)


@contextmanager
def single_threaded_blas() -> Generator[None]:
    """Hold OpenBLAS to one thread meanwhile, in the whole process; other libraries are left alone.

    May be entered by many threads at once; the last to leave restores the number found by the
    first.
    """
    global _n_inside, _n_threads_outside  # noqa: PLW0603  # the library's number is global too
    control = openblas()
    with _lock:
        if control is not None and _n_inside == 0:
            _n_threads_outside = control.get()
            control.set(1)
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if control is not None and _n_inside == 0:
                control.set(_n_threads_outside)


@cache
def openblas() -> ThreadControl | None:
    """Find the OpenBLAS that numpy's own wheels carry, already loaded into this process."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in folder.glob("libscipy_openblas*"):
            library = ctypes.CDLL(str(path))
            suffix = "64_" if "openblas64" in path.name else ""
            get = getattr(library, f"scipy_openblas_get_num_threads{suffix}", None)
            put = getattr(library, f"scipy_openblas_set_num_threads{suffix}", None)
            if get is not None and put is not None:
                return ThreadControl(get, put)
    return None
