"""Files and folders of results that appear complete or not at all.

What is being made lies in a hidden folder of the target, each piece of work beside a lock file
that its process holds. The system gives the lock back when the process ends, however it ends:
what lies beside a lock that nobody holds was left over, and is finished or removed when
something is next written there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Buffer, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mixcompare.base.errors import OptionError

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows, where leftovers stay
    _LOCKS = False
else:
    _LOCKS = True

_UNFINISHED: Final = ".mixcompare-unfinished"
_LOCK: Final = ".lock"
# Inside a piece of work: what is to be published, what it replaces, and the mark that it is
# complete, or that it is being taken back.
_NEW: Final = "new"
_OLD: Final = "old"
_READY: Final = "ready"
_BACK: Final = "back"
_TRIES: Final = 100
# Errors of the disk, whoever meets them.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DISK: Final = _FULL | {errno.EROFS, errno.EIO}
# A folder that is called so was meant to be a file.
_OF_FILES: Final = frozenset({".html", ".htm", ".csv", ".nc", ".parquet", ".pdf", ".svg", ".json"})


@contextmanager
def staged(directory: Path, *, last: str) -> Iterator[Path]:
    """A temporary folder whose files move into `directory` on success and else vanish.

    Files of the same name are replaced, others in the folder stay. Folders that were made
    for nothing are removed. A process that is killed while files move leaves no file called
    `last`, neither the old nor the new one, and the next call for this folder moves the rest.

    Parameters
    ----------
    directory
        The folder; made if it does not exist.
    last
        Name of the file that is taken away first and moved last: where it is, everything is
        of one piece.

    Raises
    ------
    OptionError
        If the folder cannot be written, before anything else is done, or the disk is full.
    """
    missing = _absent(directory)
    try:
        with _workspace(directory) as work:
            (work / _NEW).mkdir()
            yield work / _NEW
            _publish(work, directory, last)
    except OSError as error:
        if error.errno in _DISK or _UNFINISHED in str(error.filename) or not directory.is_dir():
            raise _cannot_write("the output folder ", directory, error) from error
        raise
    finally:
        _remove_empty(missing)


def check_folder_name(directory: Path) -> None:
    """Refuse the name of a file, such as ``report.html``, for a folder of several files.

    Raises
    ------
    OptionError
        If there is no folder of this name yet.
    """
    if directory.suffix.lower() in _OF_FILES and not directory.is_dir():
        raise OptionError(
            f"cannot write the output folder {directory}: its name is that of a file, and several "
            f"files are written. Name a folder, such as {directory.with_suffix('')}."
        )


def check_file_name(path: Path) -> None:
    """Refuse what a file may not replace, such as ``/dev/null``, and what no file can be called.

    Raises
    ------
    OptionError
        If there is a folder, a device or a pipe of this name, or the name is not possible.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OptionError(
            f"cannot write {str(path)[:200]!r}: {why}. Choose another name."
        ) from error
    if stat.S_ISDIR(kind):
        raise OptionError(f"cannot write {path}: it is a folder. Name a file in it.")
    if not stat.S_ISREG(kind):
        raise OptionError(
            f"cannot write {path}: it is a device or a pipe, which a file would replace. Name a "
            "file."
        )


def write_whole(path: Path, *parts: Buffer) -> None:
    """Write a file under another name, see it safely on the disk, then rename it.

    Parameters
    ----------
    path
        The file; its folder is made if it does not exist.
    *parts
        Its bytes, one part after the other.

    Raises
    ------
    OptionError
        If it cannot be written; then what was there is still there.
    """
    check_file_name(path)
    missing = _absent(path.parent)
    try:
        with _workspace(path.parent) as work:
            unfinished = work / path.name
            with unfinished.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
    except OSError as error:
        raise _cannot_write("", path, error) from error
    finally:
        _remove_empty(missing)


def remove_leftovers(directory: Path) -> None:
    """Finish or remove what processes that have ended left in a folder.

    Files that were complete and on their way into the folder go there, unless newer ones have
    come since; everything else is removed. Work of processes that live is not touched, nor is
    anything that cannot be removed.
    """
    hidden = directory / _UNFINISHED
    if not _LOCKS or not hidden.is_dir() or hidden.is_symlink():
        return
    with contextlib.suppress(OSError):
        for lock in sorted(hidden.glob(f"*{_LOCK}")):
            with contextlib.suppress(OSError), _held(lock, wait=False):
                _finish(lock.with_suffix(""), directory)
        hidden.rmdir()


@contextmanager
def _workspace(directory: Path) -> Iterator[Path]:
    """A folder inside the target, so that files can be renamed and the right to write is proven."""
    directory.mkdir(parents=True, exist_ok=True)
    remove_leftovers(directory)
    hidden = directory / _UNFINISHED
    try:
        with _new_lock(hidden) as lock:
            work = lock.with_suffix("")
            work.mkdir()
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):
            hidden.rmdir()  # unless others work there


@contextmanager
def _new_lock(hidden: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        for _ in range(_TRIES):
            # Others may remove the folder, found empty, or the lock, found free.
            with contextlib.suppress(FileNotFoundError):
                hidden.mkdir(exist_ok=True)
                lock = hidden / f"{secrets.token_hex(8)}{_LOCK}"
                stack.enter_context(_held(lock, wait=True))
                break
        else:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(hidden))
        yield lock


@contextmanager
def _held(lock: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file, made for it if `wait`; it is removed at the end.

    Raises
    ------
    OSError
        If it is held by another process, or was removed meanwhile.
    """
    descriptor = os.open(lock, os.O_RDWR | (os.O_CREAT if wait else 0), 0o600)
    try:
        _acquire(descriptor, wait=wait)
        if os.stat(lock).st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(lock))
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, *, wait: bool) -> None:
    if not _LOCKS:
        return
    try:
        flock(descriptor, LOCK_EX | (0 if wait else LOCK_NB))
    except OSError:
        # A file system without locks: what is new needs none, what is there may be in use.
        if not wait:
            raise


def _finish(work: Path, directory: Path) -> None:
    """Move the files of a complete piece of work where they belong; remove the rest of it."""
    ready, new, old = work / _READY, work / _NEW, work / _OLD
    if any(path.is_symlink() for path in (work, new, old)):
        return  # not ours
    if ready.is_file():
        last = ready.read_text("utf-8")
        page = directory / last
        if not page.exists() or page.stat().st_mtime <= ready.stat().st_mtime:
            _move(work, directory, last)
    elif (work / _BACK).is_file():
        _put_back(old, directory)
    if work.is_dir():
        shutil.rmtree(work)


def _publish(work: Path, directory: Path, last: str) -> None:
    (work / _READY).write_text(last, "utf-8")
    _move(work, directory, last)


def _move(work: Path, directory: Path, last: str) -> None:
    """Put new files in the place of old ones, or everything back if one cannot be moved."""
    new, old = work / _NEW, work / _OLD
    names = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
    moved: list[Path] = []
    made: list[Path] = []
    try:
        if len(names) > 1:
            _set_aside(directory / last, old / last)
        for name in sorted(names, key=lambda name: name == Path(last)):
            made += _absent((directory / name).parent)
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            if len(names) > 1:
                _set_aside(directory / name, old / name)
            (new / name).replace(directory / name)
            moved.append(name)
    except BaseException:
        (work / _READY).replace(work / _BACK)
        for name in reversed(moved):
            (directory / name).replace(new / name)
        _put_back(old, directory)
        _remove_empty(made)
        raise


def _put_back(old: Path, directory: Path) -> None:
    for path in [path for path in old.rglob("*") if path.is_file()]:
        path.replace(directory / path.relative_to(old))


def _set_aside(path: Path, target: Path) -> None:
    """Rename a file if it is there; a folder stays, and is in the way."""
    if path.is_file() or path.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _absent(folder: Path) -> list[Path]:
    """A folder and those above it, as far as they do not exist."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _target(path: Path) -> Path:
    """Where a file will be, of one that is still in the hidden folder."""
    while _UNFINISHED in path.parts:
        place = path.parts.index(_UNFINISHED)
        path = Path(*path.parts[:place], *path.parts[place + 3 :])
    return path


def _cannot_write(what: str, path: Path, error: OSError) -> OptionError:
    culprit = _target(Path(str(error.filename2 or error.filename or path)))
    where = "" if culprit in (_target(path), _target(path).parent) else f" ({culprit})"
    remedy = "Free some space, or choose" if error.errno in _FULL else "Choose"
    return OptionError(
        f"cannot write {what}{_target(path)}: {error.strerror or error}{where}. {remedy} another "
        "folder."
    )
