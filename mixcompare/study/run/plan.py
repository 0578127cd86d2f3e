"""What a study will do before it does it: tasks, time, and the Monte Carlo error to expect."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from mixcompare.base.errors import DataError, MixCompareError, OptionError
from mixcompare.base.suggest import did_you_mean
from mixcompare.fits.summary import LEVEL
from mixcompare.model.layout import Layout
from mixcompare.study.file.load import Study
from mixcompare.study.task.estimands import is_wanted, unknown_estimands
from mixcompare.study.task.task import Job, Task, data_of, fit_task, task_seed

_QUICK_REPLICATES: Final = 2
_QUICK_SCENARIOS: Final = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """The tasks of a study.

    Attributes
    ----------
    study
        The study, with the scenarios that are to run.
    counts
        Replicates by method, for the methods that are to run.
    """

    study: Study
    counts: Mapping[str, int]

    @property
    def labels(self) -> list[str]:
        """Labels of the scenarios."""
        return [scenario.label for scenario in self.study.scenarios]

    @property
    def n_fits(self) -> int:
        """Number of fits."""
        return len(self.study.scenarios) * sum(self.counts.values())

    def tasks(self) -> list[tuple[int, int, str]]:
        """(scenario, replicate, method) of every fit."""
        return [
            (scenario, replicate, method)
            for scenario in range(len(self.study.scenarios))
            for method, count in self.counts.items()
            for replicate in range(count)
        ]


def make_plan(study: Study, methods: Sequence[str] | None = None, *, quick: bool = False) -> Plan:
    """Count the tasks.

    Parameters
    ----------
    methods
        Names of those to run; None for all.
    quick
        Two replicates at most, of at most twelve scenarios, which lie evenly in the grid.

    Raises
    ------
    OptionError
        If there is no such method.
    """
    for name in methods or ():
        if name not in study.methods:
            raise OptionError(
                f"the study has no method {name!r}{did_you_mean(name, study.methods)}; it has: "
                f"{', '.join(study.methods)}."
            )
    counts = {
        name: method.replicates or study.tables.run.replicates
        for name, method in study.methods.items()
        if methods is None or name in methods
    }
    if quick:
        counts = {name: min(count, _QUICK_REPLICATES) for name, count in counts.items()}
        step = math.ceil(len(study.scenarios) / _QUICK_SCENARIOS)
        study = replace(study, scenarios=study.scenarios[::step])
    return Plan(study, counts)


def check_mechanisms(plan: Plan, job: Job) -> None:
    """Make the first data set of every scenario and show it to every method.

    Raises
    ------
    MixCompareError
        If a data set cannot be made or does not suit a method, the scenario is named; or if
        no method estimates what ``[estimands]`` or ``[report] focus`` name.
    """
    study = plan.study
    reported: dict[str, None] = {}
    for place, scenario in enumerate(study.scenarios):
        where = "" if scenario.label == "all" else f"scenario {scenario.label}: "
        try:
            data = data_of(job, place, 0)
            names: list[str] = []
            unknown = set(study.tables.estimands.parameters)
            for name in plan.counts:
                spec = study.methods[name].spec(scenario.spec)
                panel = data.panel(spec)
                parameters = Layout.of(spec, panel).parameters
                names += [p.name for p in parameters]
                wanted = study.tables.estimands.parameters
                of_model = [p for p in parameters if is_wanted(p, wanted, panel.covariate_names)]
                reported |= dict.fromkeys(p.name for p in of_model)
                unknown &= set(unknown_estimands([*unknown], parameters, panel.covariate_names))
        except MixCompareError as error:
            raise type(error)(f"{where}{error}" if where else str(error)) from error
        if unknown:
            raise DataError(
                f"{where}[estimands] parameters has {sorted(unknown)[0]!r}, which no method "
                f"estimates; there are: {', '.join(dict.fromkeys(names))}."
            )
    _check_focus(plan, list(reported))


def _check_focus(plan: Plan, reported: Sequence[str]) -> None:
    focus = plan.study.tables.report.focus
    whole = set(plan.counts) == set(plan.study.methods)
    if focus is not None and whole and focus not in reported:
        raise DataError(
            f"[report] focus = {focus!r}{did_you_mean(focus, reported)} is no estimand of the "
            f"study; there are: {', '.join(reported)}."
        )


def pilot(plan: Plan, job: Job) -> dict[str, float]:
    """Seconds of a fit by method: the mean of one in the first and one in the last scenario.

    Raises
    ------
    MixCompareError
        If a pilot fit fails.
    """
    places = sorted({0, len(plan.study.scenarios) - 1})
    seconds = {}
    for method in plan.counts:
        times = []
        for place in places:
            # Once for what is compiled or imported, once for the time.
            task = Task(0, place, 0, method)
            seed = task_seed(job, task)
            fit_task(job, task, seed)
            began = time.perf_counter()
            fit_task(job, task, seed)
            times.append(time.perf_counter() - began)
        seconds[method] = float(np.mean(times))
    return seconds


def plan_table(plan: Plan, seconds: Mapping[str, float] | None) -> pd.DataFrame:
    """One row per method.

    Returns
    -------
    Columns scenarios, replicates, fits; coverage_error: Monte Carlo standard error of a
    coverage of 95 % in percentage points; bias_error: that of a bias in empirical standard
    errors; with pilot fits seconds_per_fit and cpu_hours.
    """
    scenarios = len(plan.study.scenarios)
    rows = []
    for method, count in plan.counts.items():
        row = {
            "method": method,
            "scenarios": scenarios,
            "replicates": count,
            "fits": scenarios * count,
            "coverage_error": 100 * np.sqrt(LEVEL * (1 - LEVEL) / count),
            "bias_error": 1 / np.sqrt(count),
        }
        if seconds is not None:
            row["seconds_per_fit"] = seconds[method]
            row["cpu_hours"] = seconds[method] * scenarios * count / 3600
        rows.append(row)
    return pd.DataFrame(rows)


def replicates_for_coverage(half_width: float, coverage: float = LEVEL) -> int:
    """Replicates for a Monte Carlo standard error of a coverage (Morris et al. 2019, sec. 5.3).

    Parameters
    ----------
    half_width
        The standard error wanted, e.g. 0.01 for one percentage point.
    """
    # Rounded first, because 0.95 * 0.05 is not exactly 0.0475.
    return int(np.ceil(round(coverage * (1 - coverage) / half_width**2, 6)))
