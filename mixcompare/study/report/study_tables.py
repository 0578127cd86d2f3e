"""A study's tables as its report shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from mixcompare.pages.formatting import MISSING, Column, Table, count, significant, table
from mixcompare.study.file.load import Study
from mixcompare.study.report import wording
from mixcompare.study.report.contents import Findings
from mixcompare.study.report.performance_figures import LABELS, OF_ESTIMATES
from mixcompare.study.run.store import FAILURES

COUNTS_INTRO: Final = (
    "A fit has converged by its backend's own criterion. One that has not still has estimates; the "
    "measures below are given for all fits and for the converged ones. One that failed has none.",
)
MEASURES_INTRO: Final = (
    "Measures and their Monte Carlo standard errors, in brackets, as in Morris, White & Crowther "
    "(2019, table 6). Components of a fit are matched to the true classes by the assignment that "
    "brings its class probabilities nearest to them. Fits with another number of classes than the "
    "truth have no estimates.",
    "Every estimand, also for converged fits only, is in tables/performance.csv.",
)
type _Column = tuple[Column, Any, Any]

_MOST_FAILURES: Final = 50
# Longer tables are only in the folder ``tables``.
_MOST_ROWS: Final = 150


def scenarios(study: Study) -> tuple[Table, ...]:
    """The grid; nothing without one."""
    if len(study.scenarios) == 1:
        return ()
    names = list(dict.fromkeys(name for s in study.scenarios for name in s.factors))
    columns = [_texts("scenario", [s.label for s in study.scenarios])]
    for name in names:
        levels = [str(s.factors.get(name, MISSING)) for s in study.scenarios]
        columns.append((Column(name), levels, str))
    return (table("scenarios", "Scenarios", columns),)


def methods(study: Study) -> Table:
    """Every method with its backend and what is special about it."""
    stated = study.methods.values()
    counts = [m.replicates or study.tables.run.replicates for m in stated]
    return table(
        "methods",
        "Methods",
        [
            _texts("method", list(study.methods)),
            _texts("backend", [m.backend for m in stated]),
            (Column("replicates"), counts, count),
            _texts("options", [wording.method(m) for m in stated]),
        ],
    )


def _texts(name: str, values: Any) -> _Column:
    return Column(name, numeric=False), values, str


def counts(measures: Mapping[str, pd.DataFrame]) -> Table:
    """Fits by scenario and method."""
    frame = measures["counts"]
    columns = [_texts(name, frame[name]) for name in ("scenario", "method")]
    columns += [(Column(name.replace("_", " ")), frame[name], count) for name in frame.columns[2:]]
    return table("counts", "Fits by scenario and method", columns)


def performance(frame: pd.DataFrame, focus: str | None) -> tuple[Table, ...]:
    """A table for each sample: the focus for all and converged fits, then every estimand."""
    of_focus = frame[frame["estimand"] == focus]
    tables = [_wide("focus-all", f"{focus}, all fits", of_focus[of_focus["sample"] == "all"], [])]
    converged = of_focus[of_focus["sample"] == "converged"]
    same = converged["n"].to_numpy().tolist() == of_focus[of_focus["sample"] == "all"]["n"].tolist()
    if len(converged) and not same:
        tables.append(_wide("focus-converged", f"{focus}, converged fits", converged, []))
    every = frame[frame["sample"] == "all"]
    rows = len(every.groupby(["scenario", "method", "estimand"]))
    if set(every["estimand"]) - {focus} and rows <= _MOST_ROWS:
        tables.append(_wide("performance", "Every estimand, all fits", every, ["estimand"]))
    return tuple(tables)


def _wide(name: str, caption: str, frame: pd.DataFrame, more: list[str]) -> Table:
    groups = frame.groupby(["scenario", "method", *more], sort=False)
    number = (Column("n"), groups["n"].max(), count)
    measures = [m for m in OF_ESTIMATES if m in set(frame["measure"])]
    return table(name, caption, [*_keys(groups), number, *_measured(groups, measures)])


def _keys(groups: Any) -> list[_Column]:
    """A column for each name that groups are made by."""
    return [_texts(key, [place[i] for place, _ in groups]) for i, key in enumerate(groups.keys)]


def _measured(groups: Any, measures: list[str]) -> list[_Column]:
    """A column for each measure: its values, shown with their Monte Carlo standard errors."""
    columns: list[_Column] = []
    for measure in measures:
        by_group = [group[group["measure"] == measure] for _, group in groups]
        values = [group["value"].iloc[0] if len(group) else np.nan for group in by_group]
        errors = [group["error"].iloc[0] if len(group) else np.nan for group in by_group]
        texts = [_with_error(v, e) for v, e in zip(values, errors, strict=True)]
        columns.append((Column(LABELS.get(measure, measure.replace("_", " "))), values, texts))
    return columns


def _with_error(value: float, error: float) -> str:
    if not np.isfinite(value):
        return MISSING
    return significant(value, 3) + (f" ({significant(error, 2)})" if error > 0 else "")


def fits(frame: pd.DataFrame) -> Table:
    """Means over replicates of everything about a fit that is not an estimand."""
    all_fits = frame[frame["sample"] == "all"]
    groups = all_fits.groupby(["scenario", "method"], sort=False)
    measured = _measured(groups, list(dict.fromkeys(all_fits["measure"])))
    caption = "Means over replicates, with their Monte Carlo standard errors"
    return table("fits", caption, [*_keys(groups), *measured])


def estimates(findings: Findings) -> Table:
    """Estimates of a study without a truth, side by side."""
    frame = findings.estimates
    text = [
        f"{significant(e)} ({significant(s, 2)})"
        for e, s in zip(frame["estimate"], frame["standard_error"].fillna(np.nan), strict=True)
    ]
    wide = frame.assign(text=text).groupby(["estimand", "method"], sort=False)["text"].first()
    names = list(dict.fromkeys(frame["estimand"]))
    columns = [_texts("parameter", names)]
    for method in findings.methods:
        cells = [wide.get((name, method), MISSING) for name in names]
        columns.append((Column(method), cells, str))
    return table(
        "estimates",
        "Estimates (standard errors) of the first replicate; each fit numbers its components from "
        "the largest weight to the smallest",
        columns,
    )


def failures(tasks: pd.DataFrame) -> Table | None:
    """What failed and why; None if nothing did."""
    failed = tasks[tasks["outcome"].isin(FAILURES)]
    if failed.empty:
        return None
    listed = failed.head(_MOST_FAILURES)
    return table(
        "failures",
        f"{len(failed)} failures"
        + (f", the first {len(listed)}" if len(listed) < len(failed) else "")
        + "; 'mixcompare rerun' repeats one by its number",
        [
            (Column(name, numeric=name in ("task", "replicate")), listed[name], str)
            for name in ("task", "scenario", "replicate", "method", "outcome", "seed", "message")
        ],
    )
