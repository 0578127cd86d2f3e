"""One fit of a study again: what the store has of it, and whether the numbers are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mixcompare.fits.fit import Fit
from mixcompare.study.file.load import Study
from mixcompare.study.run.pools import Here
from mixcompare.study.run.run_study import QUICK, make_job
from mixcompare.study.run.signature import changes, signature
from mixcompare.study.run.store import TABLES, Store
from mixcompare.study.task.extract import Estimate, Kept, keep
from mixcompare.study.task.task import Task, fit_task, task_seed

# What no two runs have alike.
_TIME: Final = "search_seconds: value"
_PLACE: Final = ["task", "scenario", "replicate", "method", "outcome"]


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """A task and what the store has of it.

    Attributes
    ----------
    task, seed
        The task, and the seed of its fit as it is now.
    outcome, message
        None where it has not run.
    numbers
        Everything that was kept, by name; NaN for what there was not.
    changed
        What the results depend on that has changed since, in words.
    """

    task: Task
    seed: int
    outcome: str | None
    message: str | None
    numbers: dict[str, float]
    changed: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """The fit beside what the store has of it.

    Attributes
    ----------
    fit
        The fit.
    compared
        How many numbers the store has, wall times left out.
    differing
        Names of the numbers that differ from the store's by so much as a bit.
    """

    fit: Fit
    compared: int
    differing: list[str]


def rerun(
    study: Study,
    store: Store,
    number: int,
    *,
    quick: bool,
    seed: int | None,
    announce: Callable[[Earlier], None],
) -> Again:
    """Repeat one fit, in this process, without a time limit; its errors are raised.

    Parameters
    ----------
    number
        The task's key in the store.
    quick, seed
        As the study was run with.
    announce
        Called before the fit, which may fail or never end.

    Raises
    ------
    OptionError
        If there is no such task.
    """
    task = store.task(number, [scenario.label for scenario in study.scenarios])
    job = make_job(study, Path(), Here(), quick=quick, seed=seed, progress=False)
    parts = signature(study, job.seed, QUICK if quick else {})
    tasks = store.frame("tasks").set_index("task")
    finished = tasks["outcome"].notna()[number]
    earlier = Earlier(
        task,
        task_seed(job, task),
        str(tasks["outcome"][number]) if finished else None,
        str(tasks["message"][number]) if finished else None,
        _stored(store, number),
        changes(store, parts),
    )
    announce(earlier)
    fitted, data, _ = fit_task(job, task, earlier.seed)
    now = _numbers(keep(fitted, data, study.tables.estimands.parameters))
    before = earlier.numbers
    names = [name for name in {**before, **now} if name != _TIME]
    differing = [name for name in names if not _same(before.get(name), now.get(name))]
    return Again(fitted, len(before.keys() - {_TIME}), differing)


def _stored(store: Store, number: int) -> dict[str, float]:
    by_label: dict[str, float] = {}
    for table in TABLES[1:]:
        frame = store.frame(table)
        of_task = frame[frame["task"] == number].drop(columns=_PLACE)
        names, values = of_task[of_task.columns[0]], of_task[of_task.columns[1:]]
        for name, row in zip(names, values.to_numpy(np.float64).tolist(), strict=True):
            labels = (f"{name}: {column}" for column in values.columns)
            by_label |= dict(zip(labels, row, strict=True))
    return by_label


def _numbers(kept: Kept) -> dict[str, float]:
    columns = Estimate._fields[1:]
    estimates = {
        f"{estimate.estimand}: {column}": value
        for estimate in kept.estimates
        for column, value in zip(columns, estimate[1:], strict=True)
    }
    others = {**kept.criteria, **kept.diagnostics}
    return {**estimates, **{f"{name}: value": value for name, value in others.items()}}


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return False
    return first == second or (np.isnan(first) and np.isnan(second))
