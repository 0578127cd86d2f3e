"""What a study asks of the machine, and the numbers above which somebody has to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mixcompare.base.errors import OptionError
from mixcompare.base.machine import LONGEST, lasting, memory, most_workers, size
from mixcompare.study.file.load import Scenario, Study
from mixcompare.study.file.methods import Method, built_options
from mixcompare.study.run.plan import Plan

MOST_FITS: Final = 1_000_000
# What a fit, one of its starts and a draw take at the least, in seconds.
_FIT, _START, _DRAW = 1e-3, 1e-5, 2e-5
# Columns of a row beside its covariates and three for each outcome: unit, cell, time, order.
_COLUMNS: Final = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """What a study takes, at the least.

    Attributes
    ----------
    fits
        How many there are.
    memory
        Bytes of the largest data set and its fit, in all workers together.
    largest
        What is largest: the scenario and method that take it.
    seconds
        Of processor time.
    workers
        Processes.
    """

    fits: int
    memory: float
    largest: str
    seconds: float
    workers: int

    def table(self) -> list[dict[str, str]]:
        """Rows of what is asked and where the limit is, in words."""
        return [
            {"asked": name, "at least": asked, "limit": limit}
            for name, asked, limit in (
                ("fits", f"{self.fits:,}", f"{MOST_FITS:,}"),
                ("memory", f"{size(self.memory)} ({self.largest})", size(memory())),
                ("processor time", lasting(self.seconds), lasting(self._longest)),
                ("workers", f"{self.workers:,}", f"{most_workers():,}"),
            )
        ]

    @property
    def _longest(self) -> float:
        return LONGEST * max(1, min(self.workers, most_workers()))

    def exceeded(self) -> list[str]:
        """What is beyond its limit, in words."""
        limits = (
            self.fits > MOST_FITS,
            self.memory > memory(),
            self.seconds > self._longest,
            self.workers > most_workers(),
        )
        return [
            f"{row['asked']}: {row['at least']}, and the limit is {row['limit']}"
            for row, beyond in zip(self.table(), limits, strict=True)
            if beyond
        ]


def check_demand(plan: Plan, options: Mapping[str, Mapping[str, Any]], workers: int) -> Demand:
    """Refuse a study that nobody can mean, before anything of it is made.

    Parameters
    ----------
    options
        By backend, those of a quick run.
    workers
        How many processes of this machine; 0 for none but this one.

    Raises
    ------
    OptionError
        If something is beyond its limit: all that is.
    """
    asked = demand(plan, options, workers)
    exceeded = asked.exceeded()
    if exceeded:
        raise OptionError(
            f"the study asks for what this machine cannot give or nobody waits for: "
            f"{'; '.join(exceeded)}. Ask for less, or go on all the same with --yes "
            "(yes=True in Python); 'mixcompare plan' shows these limits."
        )
    return asked


def demand(plan: Plan, options: Mapping[str, Mapping[str, Any]], workers: int) -> Demand:
    """What a study takes, from its numbers alone; see `check_demand`."""
    study = plan.study
    seconds, largest, where = 0.0, 0.0, ""
    for scenario in study.scenarios:
        for name, count in plan.counts.items():
            method = study.methods[name]
            all_options = {**method.options, **options.get(method.backend, {})}
            seconds += count * _seconds(method, all_options)
            needed = _bytes(scenario, method, all_options)
            if needed > largest:
                largest = needed
                where = name if scenario.label == "all" else f"{name}, {scenario.label}"
    together = max(1, min(workers, plan.n_fits))
    return Demand(plan.n_fits, largest * together, where, seconds, workers)


def _seconds(method: Method, options: Mapping[str, Any]) -> float:
    """Processor time of a fit."""
    built = built_options(method.backend, options)
    draws = getattr(built, "chains", 0) * (getattr(built, "draws", 0) + getattr(built, "tune", 0))
    again = 0 if method.bootstrap is None else method.bootstrap[0]
    fits = max(1, len(method.choose))
    return (
        _FIT
        + fits * (_START * int(getattr(built, "starts", 0) or 0) + _DRAW * draws)
        + _START * again
    )


def _bytes(scenario: Scenario, method: Method, options: Mapping[str, Any]) -> float:
    """Memory of a data set and its fit; of a real panel's rows, which are read, nothing."""
    built = built_options(method.backend, options)
    rows, units, columns = _rows(scenario)
    k = max(method.spec(scenario.spec).n_components, *method.choose, 1)
    draws = getattr(built, "chains", 0) * getattr(built, "draws", 0)
    # A class, and a replicate of a bootstrap, is a named entry of some tables beside its numbers.
    values = rows * columns + k * units + draws * (units + k)
    again = 0 if method.bootstrap is None else method.bootstrap[0]
    return 8.0 * values + 500.0 * (k + again)


def _rows(scenario: Scenario) -> tuple[int, int, int]:
    """Rows, units and columns of a scenario's simulated data."""
    table = scenario.tables.simulate
    if table is None or table.units is None:
        return 0, 0, 0
    units = table.units
    most = table.periods[-1] if isinstance(table.periods, list) else table.periods
    rows = units * table.cells * most if table.design == "generated" else units
    return rows, units, _COLUMNS + len(table.covariates) + 3


def local_workers(study: Study, given: int | None, cores: int) -> int:
    """Processes that a study is run on: as given, its own number, or one for each core."""
    asked = study.tables.run.workers if given is None else given
    if asked is None:
        return 0 if study.is_real else cores
    return asked
