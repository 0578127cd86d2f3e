"""From a store's rows to tables of performance measures."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mixcompare.base.maxima import same_within
from mixcompare.fits.kinds import Kind
from mixcompare.study.file.load import Study
from mixcompare.study.measures.modes import at_best_mode
from mixcompare.study.measures.performance import Replicates, mean, measures, relative_precision
from mixcompare.study.run.store import FAILURES, Store

SAMPLES: Final = ("all", "converged")


def measure_tables(study: Study, store: Store) -> dict[str, pd.DataFrame]:
    """The tables that a study reports.

    Returns
    -------
    ``performance``: scenario, method, estimand, sample (all fits, or converged ones), measure,
    value, error (Monte Carlo standard error), n. ``fits``: the same without estimand, means of
    criteria, diagnostics and seconds over replicates. ``counts``: fits by scenario and method.
    """
    tasks = planned_tasks(study, store)
    frames = (store.frame(name) for name in ("estimates", "criteria", "diagnostics"))
    rows, *others = (frame[frame["task"].isin(tasks["task"])] for frame in frames)
    numbers = pd.concat([*others, _seconds(tasks)])
    numbers = pd.concat([numbers, *_best_found(study, numbers)])
    baseline = study.tables.report.baseline or next(iter(study.methods))
    return {
        "performance": _performance(rows, baseline, study.tables.estimands.null),
        "fits": _fits(numbers),
        "counts": count_table(tasks, list(study.methods), by_scenario=True),
    }


def planned_tasks(study: Study, store: Store) -> pd.DataFrame:
    """Those tasks of a store that the study has as it is now, finished or not."""
    tasks = store.frame("tasks")
    counts = {
        name: method.replicates or study.tables.run.replicates
        for name, method in study.methods.items()
    }
    labels = {scenario.label for scenario in study.scenarios}
    wanted = tasks["replicate"] < tasks["method"].map(counts)
    return tasks[wanted & tasks["scenario"].isin(labels)]


def count_table(
    tasks: pd.DataFrame, methods: list[str], *, by_scenario: bool = False
) -> pd.DataFrame:
    """Fits by method: planned, finished, converged, not converged, failed by kind."""
    outcome = tasks["outcome"]
    marks = {
        "planned": outcome.notna() | outcome.isna(),
        "finished": outcome.notna(),
        "converged": outcome == "converged",
        "not_converged": outcome.notna() & (outcome != "converged") & ~outcome.isin(FAILURES),
        **{name.replace(" ", "_"): outcome == name for name in FAILURES},
    }
    keys = ["scenario", "method"] if by_scenario else ["method"]
    marked = tasks.assign(**marks)[tasks["method"].isin(methods)]
    counted = marked.groupby(keys, sort=False)[list(marks)].sum()
    return counted.astype(int).reset_index()


def _seconds(tasks: pd.DataFrame) -> pd.DataFrame:
    done = tasks[tasks["outcome"].notna()]
    keys = ["task", "scenario", "replicate", "method", "outcome"]
    return done[keys].assign(name="seconds", value=done["seconds"])


def _best_found(study: Study, numbers: pd.DataFrame) -> list[pd.DataFrame]:
    """Whether fits are at the best that any method of the same model found."""
    models: dict[str, dict[str, Kind]] = {}
    for name, method in study.methods.items():
        if not (method.within or method.choose):
            models.setdefault(repr(sorted(method.changes.items())), {})[name] = method.kind
    reached = []
    for kinds in models.values():
        of_model = numbers[numbers["method"].isin(kinds)]
        maxima = [name for name, kind in kinds.items() if kind == "maximum"]
        if len(maxima) > 1:
            reached.append(_best_optimum(of_model[of_model["method"].isin(maxima)]))
        reached.append(at_best_mode(of_model))
    return reached


def _best_optimum(numbers: pd.DataFrame) -> pd.DataFrame:
    """Whether an EM fit has the highest log-likelihood that any EM found."""
    heights = numbers[numbers["name"] == "log_likelihood"]
    best = heights.groupby(["scenario", "replicate"])["value"].transform("max")
    reached = best - heights["value"] <= same_within(best)
    return heights.assign(name="best_optimum_found", value=reached.astype(float))


def _performance(rows: pd.DataFrame, baseline: str, null: float) -> pd.DataFrame:
    lines = []
    known = rows[rows["truth"].notna()]
    for sample in SAMPLES:
        of_sample = known if sample == "all" else known[known["outcome"] == "converged"]
        for (scenario, estimand), group in of_sample.groupby(["scenario", "estimand"], sort=False):
            reference = _errors(group[group["method"] == baseline])
            for method, of_method in group.groupby("method", sort=False):
                measured = measures(_replicates(of_method), null)
                if method != baseline and len(reference):
                    pair = pd.concat(
                        [_errors(of_method), reference], axis=1, join="inner"
                    ).to_numpy()
                    measured["relative_precision"] = relative_precision(pair[:, 0], pair[:, 1])
                key = (scenario, method, estimand, sample)
                lines += [(*key, name, *measure) for name, measure in measured.items()]
    columns = ["scenario", "method", "estimand", "sample", "measure", "value", "error", "n"]
    return pd.DataFrame(lines, columns=columns)


def _replicates(rows: pd.DataFrame) -> Replicates:
    names = ("truth", "estimate", "standard_error", "lower", "upper")
    return Replicates(*(rows[name].to_numpy(dtype=np.float64) for name in names))


def _errors(rows: pd.DataFrame) -> pd.Series:
    """Errors by replicate."""
    return pd.Series(
        rows["estimate"].to_numpy(dtype=np.float64) - rows["truth"].to_numpy(dtype=np.float64),
        index=rows["replicate"].to_numpy(),
    )


def _fits(numbers: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for sample in SAMPLES:
        of_sample = numbers if sample == "all" else numbers[numbers["outcome"] == "converged"]
        for (scenario, method, name), group in of_sample.groupby(
            ["scenario", "method", "name"], sort=False
        ):
            measure = mean(group["value"].to_numpy(dtype=np.float64))
            lines.append((scenario, method, sample, name, *measure))
    columns = ["scenario", "method", "sample", "measure", "value", "error", "n"]
    return pd.DataFrame(lines, columns=columns)
