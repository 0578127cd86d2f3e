"""What the machine has, and what it did: memory, full disks, folders that vanished."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from mixcompare.base.errors import MachineError, MixCompareError, OptionError

_FULL: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
}
# Errors of libraries that hand on the system's words and not its number.
_WORDS: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.ENOMEM))
# With less than this a disk counts as full.
_ROOM: Final = 1 << 20
# Seconds, a month: what takes longer at the least, nobody means.
LONGEST: Final = 30 * 86_400.0
_UNITS: Final = {
    "years": 365 * 86_400.0,
    "days": 86_400.0,
    "hours": 3600.0,
    "minutes": 60.0,
    "seconds": 0.05,
}
# Of a machine that does not say: no machine is refused what it may have.
_UNKNOWN: Final = 1 << 40
_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def memory() -> int:
    """Bytes of memory that this process may have: the machine's, or its container's."""
    limits = [_UNKNOWN]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in _LIMITS:
        try:
            limits.append(int(Path(name).read_text()))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return min(limit for limit in limits if limit > 0)


def size(count: float) -> str:
    """Bytes in words: ``75 TB``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000 or unit == "PB":
            return f"{count:,.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def check_memory(needed: float, what: str) -> None:
    """Refuse what cannot be held in memory, before any of it is taken.

    Parameters
    ----------
    needed
        Bytes; rather too few than too many.
    what
        The option and its value, as in ``starts=1000``.

    Raises
    ------
    OptionError
        If it is more than this machine has.
    """
    if needed > memory():
        raise OptionError(
            f"{what} would take at least {size(needed)} of memory; this machine has "
            f"{size(memory())}. Ask for less."
        )


def check_time(seconds: float, what: str) -> None:
    """Refuse what cannot end in a time that anybody waits for.

    Parameters
    ----------
    seconds
        Of processor time; rather too few than too many.
    what
        The option and its value.

    Raises
    ------
    OptionError
        If it is more than `LONGEST`.
    """
    if seconds > LONGEST:
        raise OptionError(
            f"{what} would take at least {lasting(seconds)}; more than {lasting(LONGEST)} are "
            "refused. Ask for less."
        )


def check_workers(count: int, option: str = "workers") -> None:
    """Refuse more processes or threads than a machine of this size can use.

    Parameters
    ----------
    count
        How many.
    option
        What asks for them.

    Raises
    ------
    OptionError
        If they are more than `most_workers`.
    """
    if count > most_workers():
        raise OptionError(
            f"{option} = {count}: at most {most_workers()} are of use on this machine, which has "
            f"{os.cpu_count() or 1} cores. Ask for fewer."
        )


def most_workers() -> int:
    """How many processes may share work here: some for each core, since many wait."""
    return max(64, 4 * (os.cpu_count() or 1))


def lasting(seconds: float) -> str:
    """A time in words, in the unit that suits it: ``25 ms``, ``3 minutes``, ``2,000 years``."""
    for unit, length in _UNITS.items():
        if seconds >= 2 * length:
            count = seconds / (1.0 if unit == "seconds" else length)
            return f"{count:,.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
    return f"{max(seconds, 0) * 1000:.0f} ms"


def killed_for_memory() -> int:
    """How many processes the system has ended for want of memory; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("oom_kill", 0))


def fault(error: BaseException) -> BaseException | None:
    """What the machine did that an error comes from; None if it did nothing."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (OSError, MemoryError, MachineError)):
            return seen
        if any(words in str(seen) for words in _WORDS):
            return seen
        seen = seen.__cause__
    return None


def describe(error: BaseException, folders: Iterable[Path] = ()) -> str:
    """The machine's fault in words: what is full, and where.

    Parameters
    ----------
    error
        From `fault`.
    folders
        Where something was written, beside the folder of temporary files.
    """
    if isinstance(error, MachineError):
        return str(error).removesuffix(".")
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({str(error) or type(error).__name__})"
    number = error.errno if isinstance(error, OSError) else None
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    words = _FULL.get(number or 0) or str(reason).splitlines()[0].removesuffix(".")
    named = getattr(error, "filename", None)
    places = [str(named)] if named else [str(folder) for folder in _crowded(folders)]
    return f"{words}: {', '.join(places)}" if places else words


def _crowded(folders: Iterable[Path]) -> Iterator[Path]:
    """Folders without room."""
    for folder in dict.fromkeys((*folders, Path(_temporary()))):
        try:
            if shutil.disk_usage(folder).free < _ROOM:
                yield folder
        except OSError:
            continue


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # there is none that can be written
        return os.environ.get("TMPDIR", "/tmp")


@contextmanager
def paragraphs(doing: str, remedy: str, folders: Iterable[Path] = ()) -> Iterator[None]:
    """What the machine does to the work inside becomes an error in one paragraph.

    Parameters
    ----------
    doing
        What is not done, as in ``the report was not written``.
    remedy
        What to do then.
    folders
        Where something is written.

    Raises
    ------
    MachineError
        In place of an error of the system's.
    """
    try:
        yield
    except MixCompareError:
        raise
    except Exception as error:
        cause = fault(error)
        if cause is None:
            raise
        raise MachineError(f"{doing}: {describe(cause, folders)}. {remedy}") from error
