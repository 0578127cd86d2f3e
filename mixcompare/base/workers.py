"""Processes of this machine that share work, and the script that they must not run again."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from mixcompare.base.errors import MachineError

NO_START = (
    "the worker processes end before their first task. A worker imports the script that started "
    'it: put what the script runs under a line `if __name__ == "__main__":`, or do without workers '
    "(workers=0 in a study, workers=1 in select). If it has that line, look at what the workers "
    "have written above."
)


def start_processes(
    count: int, initializer: Callable[[], object] | None = None
) -> ProcessPoolExecutor:
    """A pool of processes, which are spawned: forks would inherit locks of threads they lack.

    Parameters
    ----------
    count
        How many, at the most.
    initializer
        What each does first.
    """
    end_if_imported_by_worker()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=initializer)


def end_if_imported_by_worker() -> None:
    """End a worker that is running its parent's script for want of a guard.

    It would do everything again that the script does, and start workers of its own.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit(1)


def ready() -> bool:
    """A first task, which every worker that has started can do."""
    return True


def check_start(first: Callable[[], object], deaths: tuple[type[BaseException], ...]) -> None:
    """Do a first task that cannot be at fault itself.

    Parameters
    ----------
    first
        Does `ready` on a worker.
    deaths
        What it raises if the worker died.

    Raises
    ------
    MachineError
        If the worker died.
    """
    try:
        first()
    except deaths:
        raise MachineError(NO_START) from None
