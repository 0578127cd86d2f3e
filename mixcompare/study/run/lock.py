"""One process at a time runs a study."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixcompare.base.errors import OptionError
from mixcompare.study.run.store_errors import explained


@contextmanager
def only_runner(path: Path) -> Iterator[None]:
    """Hold the right to run a study; ended by the system with the process that holds it.

    Raises
    ------
    OptionError
        If another process has it.
    """
    file = path.with_name(f".{path.name}.lock")
    lock = sqlite3.connect(file, isolation_level=None, timeout=0)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise explained(error, file) or error from error
            raise OptionError(
                f"{path} is being run by another process. Wait for it, or look at it with "
                "'mixcompare status'."
            ) from error
        yield
    finally:
        lock.close()
