"""What earlier runs of a study have left: fits to hold against the store, half-written files."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from mixcompare.backends import build_options
from mixcompare.base.errors import MixCompareError, OptionError
from mixcompare.base.files import staging
from mixcompare.fits.fit import load
from mixcompare.fits.storage import read_attributes
from mixcompare.study.run.lock import only_runner
from mixcompare.study.run.store import Store
from mixcompare.study.task.kept import digest_of
from mixcompare.study.task.task import Job, Task, task_file

# Names by the scenario's place, which earlier versions gave.
_BY_PLACE: Final = re.compile(r".+-s\d{3,}-r\d{5,}\.nc")
# They show a fit's way or share a machine and do not change its numbers.
_NO_NUMBERS: Final = {"progress", "cores"}


def lost_fits(job: Job, store: Store, tasks: Sequence[Task]) -> list[int]:
    """Numbers of finished tasks whose file does not hold the fit that the store tells of.

    Parameters
    ----------
    tasks
        Finished ones with a fit.
    """
    assert job.fits is not None
    kept, rows = store.kept_fits(), store.frame("tasks").set_index("task")
    heights = _log_likelihoods(store)
    lost = []
    for task in tasks:
        file, digest = kept.get(task.number, (task_file(job.study, task), ""))
        path = job.fits / task_file(job.study, task)
        if file == path.name and digest:
            if digest_of(path) != digest:
                lost.append(task.number)
        elif _is_of(path, job, task, str(rows["seed"][task.number]), heights.get(task.number)):
            store.keep_fit(task.number, path.name, digest_of(path))
        else:
            lost.append(task.number)
    return lost


def _log_likelihoods(store: Store) -> dict[int, float]:
    criteria = store.frame("criteria")
    heights = criteria[criteria["name"] == "log_likelihood"]
    return dict(zip(heights["task"].tolist(), heights["value"].tolist(), strict=True))


def _is_of(path: Path, job: Job, task: Task, seed: str, height: float | None) -> bool:
    """Whether a file of an earlier version, which kept no digest, holds a task's fit."""
    if not path.is_file():
        return False
    try:
        fit = load(path, trust=job.study.trust)
        return (
            str(fit.seed) == seed
            and fit.log_likelihood == height
            and _same_options(fit.options, job, task)
        )
    except (MixCompareError, KeyError, ValueError):
        return False


def _same_options(stored: Mapping[str, Any], job: Job, task: Task) -> bool:
    method = job.study.methods[task.method]
    options = {**method.options, **job.options.get(method.backend, {})}
    now = build_options(method.backend, options)
    names = [n for n in stored if n not in _NO_NUMBERS and hasattr(now, n)]
    wanted = {name: getattr(now, name) for name in names}
    plain = json.loads(json.dumps(wanted, default=lambda value: f"<{type(value).__name__}>"))
    return bool(plain == {name: stored[name] for name in names})


def rename_by_label(job: Job, store: Store, tasks: Sequence[Task]) -> None:
    """Give files that an earlier version named by the scenario's place their names.

    The seed in a file, which no other task has, tells whose fit it is; a file of none stays.

    Parameters
    ----------
    tasks
        Finished ones with a fit.
    """
    if job.fits is None or not job.fits.is_dir():
        return
    right = {task_file(job.study, task) for task in tasks}
    old = [
        path
        for path in job.fits.iterdir()
        if _BY_PLACE.fullmatch(path.name) and path.name not in right
    ]
    if not old:
        return
    rows = store.frame("tasks").set_index("task")
    by_seed = {str(rows["seed"][task.number]): task for task in tasks}
    heights = _log_likelihoods(store)
    for path, seed in _seeds(old):
        task = by_seed.get(seed)
        if task is None or (job.fits / task_file(job.study, task)).exists():
            continue
        if _is_of(path, job, task, seed, heights.get(task.number)):
            by_number = job.fits / task_file(job.study, task)
            os.replace(path, by_number)
            store.keep_fit(task.number, by_number.name, digest_of(by_number))


def _seeds(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        said = read_attributes(path)
        if said is not None:
            yield path, str(said.get("seed"))


def remove_leftovers(folder: Path, store: Path) -> None:
    """Finish or remove what runs that were killed left half written.

    Parameters
    ----------
    folder
        Of the report, which whole and quick runs share; nothing is removed while the other kind
        of run goes on there.
    store
        That of this run, whose lock is held.
    """
    others = [path for path in folder.glob("study*.sqlite") if path != store]
    try:
        with ExitStack() as stack:
            for other in others:
                stack.enter_context(only_runner(other))
            for name in (".", "fits", "fits-quick", "selection", "selection-quick"):
                staging.remove_leftovers(folder / name)
                # As earlier versions named them.
                for part in (folder / name).glob("*.nc.*.part"):
                    part.unlink(missing_ok=True)
                for half in (folder / name).glob(".mixcompare-????????"):
                    shutil.rmtree(half, ignore_errors=True)
    except OptionError:
        return
