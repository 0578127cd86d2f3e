"""A backend whose fits go wrong in the way that a study's option says, and studies of it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mixcompare.backends import BACKENDS
from mixcompare.study.run.store import open_store
from tests.study_cases import content

NAME = "faulty"


@dataclass(frozen=True)
class Options:
    """What goes wrong."""

    kind: ClassVar[str] = "maximum"
    fault: str = "none"
    progress: object = None


def supports(_spec: object, _options: Options) -> tuple[str, ...]:
    """Everything."""
    return ()


def run(_problem: object, options: Options, _seed: int) -> None:
    """Fail."""
    if options.fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while options.fault == "endless":
        time.sleep(0.01)
    if options.fault == "sleep":
        time.sleep(600)
    if options.fault == "deaf":
        # A C function that holds the interpreter's lock and never returns to Python.
        ctypes.PyDLL(None).sleep(600)
    raise RuntimeError("a fault of its own")


@contextmanager
def known(folder: Path) -> Iterator[None]:
    """The backend is known to this process and to those that it starts inside.

    Parameters
    ----------
    folder
        An empty one.
    """
    # Imported before anything else in every process whose path has it.
    (folder / "sitecustomize.py").write_text(
        f"import mixcompare.backends as b\nb.BACKENDS[{NAME!r}] = {__name__!r}\n"
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKENDS, NAME, __name__)
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        yield


def faulty_tables(fault: str, **changes: Any) -> dict[str, Any]:
    """The small study with one fit of this backend among the sound ones of method ``one``."""
    tables = content(methods__bad={"backend": NAME, "fault": fault, "replicates": 1}, **changes)
    del tables["grid"], tables["methods"]["five"]
    return tables


def outcomes(store: Path) -> dict[tuple[str, int], tuple[str, str]]:
    """Outcome and message by method and replicate."""
    with open_store(store, create=False) as opened:
        frame = opened.frame("tasks")
    return {
        (t.method, t.replicate): (t.outcome, t.message)  # type: ignore[misc]
        for t in frame.itertuples()
    }
