"""One task: one method on one data set, from its seed to the rows that are kept."""

from __future__ import annotations

import json
import pickle
import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare.base.errors import MachineError, MixCompareError
from mixcompare.base.machine import describe, fault
from mixcompare.fits.environment import versions
from mixcompare.fits.fit import Fit
from mixcompare.study.file.load import Study
from mixcompare.study.file.methods import fit_method
from mixcompare.study.mechanism.generate import DataSet, generate
from mixcompare.study.task.extract import Kept, keep
from mixcompare.study.task.kept import fit_file, save_fit
from mixcompare.study.task.limits import FitTimeoutError, time_limit
from mixcompare.study.task.seeds import data_stream, fit_seed

_MESSAGE_LENGTH = 2000
# Outcome of a task that the machine did not let end; it is not stored, since the fit is not at
# fault and is to run again.
STOPPED: Final = "stopped"
_NOTHING: Final = Kept((), {}, {})


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be fitted.

    Attributes
    ----------
    number
        Its key in the store.
    scenario, replicate, method
        Place of the scenario in the study's list, replicate from 0, the method's name.
    """

    number: int
    scenario: int
    replicate: int
    method: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a task leaves, as plain values that travel between machines.

    Attributes
    ----------
    number
        The task's key.
    outcome
        The fit's status (``"converged"``, ...), or ``"error"``, ``"timeout"``,
        ``"worker died"``; `STOPPED`.
    message
        The outcome in a sentence.
    seconds
        Wall time of the fit, from the panel to the result.
    seed
        Of the fit's random numbers.
    kept
        What is stored of the fit.
    file, digest
        Name and SHA-256 of the file in which the fit is kept; empty if it is not.
    """

    number: int
    outcome: str
    message: str
    seconds: float
    seed: int
    host: str = ""
    versions: str = "{}"
    kept: Kept = _NOTHING
    file: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A study as the workers need it.

    Attributes
    ----------
    study
        What is fitted.
    seed
        Root of all random numbers.
    seconds_per_fit
        Time limit; None for none.
    fits
        Folder of the fits; None if they are not kept.
    expendable
        Whether the worker's process may be ended to end a fit.
    options
        Options by backend that take precedence over the methods' own.
    """

    study: Study
    seed: int
    seconds_per_fit: float | None = None
    fits: Path | None = None
    expendable: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def packed(self) -> bytes:
        """The job as bytes, the same for all batches, so that a worker unpacks it once."""
        return pickle.dumps(self)


def run_batch(packed: bytes, tasks: Sequence[Task]) -> list[Result]:
    """Run tasks one after another, up to one that the machine stops; what a worker is sent.

    Parameters
    ----------
    packed
        `Job.packed`.
    """
    job = _unpack(packed)
    results = []
    for task in tasks:
        results.append(run_task(job, task))
        if results[-1].outcome == STOPPED:
            break
    return results


@lru_cache(maxsize=2)
def _unpack(packed: bytes) -> Job:
    job = pickle.loads(packed)
    assert isinstance(job, Job)
    return job


def run_task(job: Job, task: Task) -> Result:
    """Run one task; whatever happens to it is a result.

    Parameters
    ----------
    job, task
        What to fit.
    """
    began = time.perf_counter()
    seed = task_seed(job, task)
    try:
        with time_limit(job.seconds_per_fit, expendable=job.expendable):
            return _finished(job, task, seed)
    except FitTimeoutError:
        outcome, message = "timeout", f"interrupted after {job.seconds_per_fit:g} s"
        message += " (seconds_per_fit)"
    except (Exception, SystemExit) as error:
        outcome, message = "error", f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]
        stopped = fault(error)
        if stopped is not None:
            folders = [] if job.fits is None else [job.fits]
            outcome, message = STOPPED, describe(stopped, folders)
    return Result(task.number, outcome, message, time.perf_counter() - began, seed, *_where())


def _finished(job: Job, task: Task, seed: int) -> Result:
    _check_data(job.study)
    fitted, data, seconds = fit_task(job, task, seed)
    file = digest = ""
    if job.fits is not None:
        file = task_file(job.study, task)
        digest = _saved(fitted, job.fits / file)
    kept = keep(fitted, data, job.study.tables.estimands.parameters)
    return Result(
        task.number,
        fitted.status,
        fitted.message,
        seconds,
        seed,
        *_where(),
        kept,
        file,
        digest,
    )


def _check_data(study: Study) -> None:
    """See that the table can be read here, as it could when the study was begun."""
    if study.tables.data is not None:
        try:
            _reader(study)()
        except MixCompareError as error:
            raise MachineError(f"a worker cannot read the data: {error}") from error


def _saved(fit: Fit, path: Path) -> str:
    try:
        return save_fit(fit, path)
    except MixCompareError as error:
        if fault(error) is None:  # the file cannot be written, and the fit is sound
            raise MachineError(str(error)) from error
        raise


def fit_task(job: Job, task: Task, seed: int) -> tuple[Fit, DataSet, float]:
    """The task's fit, its data set and the fit's wall time; errors are raised.

    Parameters
    ----------
    seed
        From `task_seed`.

    Raises
    ------
    MixCompareError
        If the data do not suit the method.
    """
    study = job.study
    data = data_of(job, task.scenario, task.replicate)
    method = study.methods[task.method]
    scenario = study.scenarios[task.scenario]
    spec = method.spec(scenario.spec)
    options = job.options.get(method.backend, {})
    began = time.perf_counter()
    fitted = fit_method(method, spec, data.panel(spec), seed, options)
    return fitted, data, time.perf_counter() - began


def task_seed(job: Job, task: Task) -> int:
    """Seed of a task's fit."""
    label = job.study.scenarios[task.scenario].label
    return fit_seed(job.seed, label, task.replicate, task.method)


def task_file(study: Study, task: Task) -> str:
    """Name of the file in which a task's fit is kept."""
    return fit_file(study, task.scenario, task.replicate, task.method)


def data_of(job: Job, scenario: int, replicate: int) -> DataSet:
    """A replicate's data, which its methods share; kept until the next replicate's."""
    return _data_set(job.study, job.seed, scenario, replicate)


@lru_cache(maxsize=1)
def _data_set(study: Study, seed: int, scenario: int, replicate: int) -> DataSet:
    drawn_from = study.scenarios[scenario]
    return generate(drawn_from, _reader(study), data_stream(seed, drawn_from.label, replicate))


@lru_cache(maxsize=1)
def _reader(study: Study) -> Callable[[], pd.DataFrame]:
    """The study's table, read once in a process."""
    return cache(study.read_data)


@cache
def _where() -> tuple[str, str]:
    return socket.gethostname() or platform.node(), json.dumps(versions(), sort_keys=True)
