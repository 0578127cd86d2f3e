"""What keeps a worker in bounds: one thread, a time limit, and an end with its parent."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def _interrupt_after(seconds: float) -> Iterator[None]:
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "SIGALRM"):
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise FitTimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
