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
from typing import Any

import pandas as pd

from mixcompare.environment import versions
from mixcompare.fit import Fit
from mixcompare.study.extract import Estimate, keep
from mixcompare.study.generate import DataSet, generate
from mixcompare.study.limits import FitTimeoutError, time_limit
from mixcompare.study.load import Study
from mixcompare.study.methods import fit_method
from mixcompare.study.seeds import data_stream, fit_seed

_MESSAGE_LENGTH = 2000


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
        ``"worker died"``.
    message
        The outcome in a sentence.
    seconds
        Wall time of the fit, from the panel to the result.
    seed
        Of the fit's random numbers.
    """

    number: int
    outcome: str
    message: str
    seconds: float
    seed: int
    host: str = ""
    versions: str = "{}"
    estimates: tuple[Estimate, ...] = ()
    criteria: Mapping[str, float] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)


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
    """Run tasks one after another; what a worker is sent.

    Parameters
    ----------
    packed
        `Job.packed`.
    """
    job = _unpack(packed)
    return [run_task(job, task) for task in tasks]


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
            fitted, data, seconds = fit_task(job, task, seed)
            if job.fits is not None:
                fitted.save(job.fits / fit_file(job.study, task))
            kept = keep(fitted, data, job.study.tables.estimands.parameters)
            return Result(
                task.number,
                fitted.status,
                fitted.message,
                seconds,
                seed,
                *_where(),
                kept.estimates,
                kept.criteria,
                kept.diagnostics,
            )
    except FitTimeoutError:
        seconds = time.perf_counter() - began
        message = f"interrupted after {job.seconds_per_fit:g} s (seconds_per_fit)"
        return Result(task.number, "timeout", message, seconds, seed, *_where())
    except Exception as error:
        seconds = time.perf_counter() - began
        message = f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]
        return Result(task.number, "error", message, seconds, seed, *_where())


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


def fit_file(study: Study, task: Task) -> str:
    """Name of the file in which a task's fit is kept."""
    if study.is_real and study.tables.run.replicates == 1 and len(study.scenarios) == 1:
        return f"{task.method}.nc"
    return f"{task.method}-s{task.scenario + 1:03d}-r{task.replicate + 1:05d}.nc"


def data_of(job: Job, scenario: int, replicate: int) -> DataSet:
    """A replicate's data, which its methods share; kept until the next replicate's."""
    key = (job.seed, id(job.study), scenario, replicate)
    kept = _KEPT.get(key)
    if kept is None:
        chosen = job.study.scenarios[scenario]
        stream = data_stream(job.seed, chosen.label, replicate)
        kept = job.study, generate(chosen, _reader(job.study), stream)
        _KEPT.clear()
        _KEPT[key] = kept
    return kept[1]


# Studies are kept with what belongs to them, so that their ids stay their own.
_KEPT: dict[Any, tuple[Study, DataSet]] = {}
_READERS: dict[int, tuple[Study, Callable[[], pd.DataFrame]]] = {}


def _reader(study: Study) -> Callable[[], pd.DataFrame]:
    """The study's table, read once in a process."""
    kept = _READERS.get(id(study))
    if kept is None:
        kept = study, cache(study.read_data)
        _READERS.clear()
        _READERS[id(study)] = kept
    return kept[1]


@cache
def _where() -> tuple[str, str]:
    return socket.gethostname() or platform.node(), json.dumps(versions(), sort_keys=True)
