"""What keeps a worker in bounds: one thread, a time limit, and an end with its parent."""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Final

from threadpoolctl import threadpool_limits

THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# After the limit a fit is interrupted; if it does not listen so long, its process is ended.
GRACE: Final = 5.0


class FitTimeoutError(KeyboardInterrupt):
    """A fit has used up its time; an interrupt, so that whatever it runs cleans up and ends."""


@contextmanager
def pinned_environment() -> Iterator[None]:
    """One thread for BLAS and numba in every process that is started inside."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_worker() -> None:
    """What a worker process does first: pin its threads, ignore Ctrl-C, follow its parent."""
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot tell its workers, which would wait for tasks for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def time_limit(seconds: float | None, *, expendable: bool) -> Iterator[None]:
    """Interrupt what runs inside after so many seconds.

    Parameters
    ----------
    seconds
        Wall time; None for no limit.
    expendable
        Whether this process may be ended if it does not listen to the interrupt within
        `GRACE`. Compiled code that never returns to Python can be ended in no other way.

    Raises
    ------
    FitTimeoutError
        After the time.
    """
    if seconds is None:
        yield
        return
    with open(os.devnull, "w") as nowhere:
        if expendable:
            # A timer in C, which needs no lock of the interpreter's.
            faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
        try:
            with _interrupt_after(seconds):
                yield
        finally:
            if expendable:
                faulthandler.cancel_dump_traceback_later()


def _interrupt_after(seconds: float) -> AbstractContextManager[None]:
    in_main = threading.current_thread() is threading.main_thread()
    return _signal(seconds) if in_main and hasattr(signal, "SIGALRM") else _message(seconds)


@contextmanager
def _signal(seconds: float) -> Iterator[None]:
    """Interrupt the main thread, also in what waits for the system."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise FitTimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _message(seconds: float) -> Iterator[None]:
    """Interrupt a thread, such as a Dask worker's, when it next runs Python."""
    thread = ctypes.c_ulong(threading.get_ident())
    lock, over = threading.Lock(), threading.Event()

    def interrupt() -> None:
        with lock:
            if not over.is_set():
                raise_in(thread, ctypes.py_object(FitTimeoutError))

    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over.set()
        timer.cancel()
        # One that came too late to be raised inside must not be raised after.
        raise_in(thread, None)
