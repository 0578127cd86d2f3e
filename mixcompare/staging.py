"""Folders of results that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixcompare.errors import OptionError


@contextmanager
def staged(directory: Path, *, last: str) -> Iterator[Path]:
    """A temporary folder whose files move into `directory` on success and else vanish.

    Files of the same name are replaced, others in the folder stay. Folders that were made
    for nothing are removed.

    Parameters
    ----------
    directory
        The folder; made if it does not exist.
    last
        Name of the file that is moved last: where it is new, so is everything else.

    Raises
    ------
    OptionError
        If the folder cannot be written, before anything else is done.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that files can be renamed and the right to write is proven.
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=".mixcompare-"))
    except OSError as error:
        _remove_empty(missing)
        raise _cannot_write(directory, error) from error
    try:
        yield staging
        try:
            _publish(staging, directory, last)
        except OSError as error:
            raise _cannot_write(directory, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(missing)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _publish(staging: Path, directory: Path, last: str) -> None:
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: path.name == last):
        target = directory / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def _cannot_write(directory: Path, error: OSError) -> OptionError:
    return OptionError(
        f"cannot write the output folder {directory}: {error.strerror or error}. "
        "Choose another folder."
    )
