from __future__ import annotations

import contextlib
import threading

import pytest

from tinker_lite.local.blas import n_workers, openblas, single_threaded_blas


def test_the_matrix_library_runs_on_one_thread_meanwhile_and_as_before_after() -> None:
    """Nested and on an error too, the number of threads found at first comes back."""
    control = openblas()
    if control is None:
        pytest.skip("this numpy does not carry OpenBLAS")
    before = control.get()
    with contextlib.suppress(KeyError), single_threaded_blas():
        with single_threaded_blas():
            assert control.get() == 1
        assert control.get() == 1
        raise KeyError
    assert control.get() == before


def test_the_last_thread_to_leave_restores_the_number() -> None:
    """While one thread computes, another leaving does not give the library its threads back."""
    control = openblas()
    if control is None:
        pytest.skip("this numpy does not carry OpenBLAS")
    before, inside, leave = control.get(), threading.Event(), threading.Event()

    def compute() -> None:
        with single_threaded_blas():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=compute)
    thread.start()
    assert inside.wait(10)
    with single_threaded_blas():
        pass
    assert control.get() == 1
    leave.set()
    thread.join(10)
    assert not thread.is_alive()
    assert control.get() == before


def test_there_is_at_least_one_worker() -> None:
    """Whatever the machine says of its cores."""
    assert n_workers() >= 1
