"""SQLite's complaints in the words of somebody whose study they stop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pandas.errors import DatabaseError

from mixcompare.base.errors import DataError, MachineError, MixCompareError, OptionError


def explained(error: BaseException, path: Path) -> MixCompareError | None:
    """An error in one paragraph that stands for one of SQLite's; None for any other.

    Parameters
    ----------
    error
        SQLite's, or pandas' in whose place it is raised.
    path
        The store.
    """
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:  # Python's own, such as that for a connection that is closed
        return None
    # The higher bits tell kinds of one error apart.
    return _EXPLAIN.get(code & 0xFF, _no_store)(path, str(cause))


def damaged(path: Path, details: str) -> DataError:
    """The error for a file that is partly overwritten or lost."""
    return DataError(
        f"{path} is damaged ({details}). Take a copy of it from before, or rescue what can be read "
        f"with 'sqlite3 {path.name} .recover', or move the file away and run the study anew."
    )


def _full(path: Path, details: str) -> MachineError:
    return MachineError(
        f"{path} cannot be written: {details}. What is in it is kept; make room on the disk of "
        f"{path.parent} and run again, which goes on from there."
    )


def _read_only(path: Path, details: str) -> OptionError:
    if not path.exists():
        return OptionError(
            f"cannot write the output folder {path.parent}: {details}. Choose another."
        )
    return OptionError(
        f"{path} is read-only ({details}): copy its folder to a place of your own and run it there "
        "with --output, or look at it with 'mixcompare status'."
    )


def _locked(path: Path, details: str) -> OptionError:
    return OptionError(
        f"{path} is locked by another program ({details}), such as a database browser with changes "
        "that are not saved. Close it there and run again."
    )


def _no_store(path: Path, details: str) -> DataError:
    return DataError(f"{path} is not the store of a study: {details}.")


_EXPLAIN: Final[dict[int, Callable[[Path, str], MixCompareError]]] = {
    sqlite3.SQLITE_FULL: _full,
    sqlite3.SQLITE_IOERR: _full,
    sqlite3.SQLITE_CORRUPT: damaged,
    sqlite3.SQLITE_READONLY: _read_only,
    sqlite3.SQLITE_CANTOPEN: _read_only,
    sqlite3.SQLITE_PERM: _read_only,
    sqlite3.SQLITE_BUSY: _locked,
    sqlite3.SQLITE_LOCKED: _locked,
}
