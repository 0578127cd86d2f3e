"""Everything that a study's report is made of, read from its store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mixcompare.study.file.load import Study
from mixcompare.study.measures.from_store import measure_tables, planned_tasks
from mixcompare.study.run.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What a report is made of.

    Attributes
    ----------
    study
        The study.
    tasks, estimates, ranks
        Rows of the store; ranks of the truth among the draws, where it was drawn from the prior.
    measures
        Tables of `mixcompare.study.measures.from_store.measure_tables`.
    methods
        Names of those that have finished fits, in the study's order.
    focus
        The estimand of the plots that show one; None without estimates.
    baseline
        The method that others are compared with.
    """

    study: Study
    tasks: pd.DataFrame
    estimates: pd.DataFrame
    ranks: pd.DataFrame
    measures: Mapping[str, pd.DataFrame]
    methods: list[str]
    focus: str | None
    baseline: str


def findings(study: Study, store: Store) -> Findings:
    """Read a store.

    Parameters
    ----------
    study
        The study.
    store
        Its results, so far as they are.
    """
    tasks = planned_tasks(study, store)
    estimates = store.frame("estimates")
    estimates = estimates[estimates["task"].isin(tasks["task"])]
    finished = set(tasks.loc[tasks["outcome"].notna(), "method"])
    methods = [name for name in study.methods if name in finished]
    named = list(dict.fromkeys(estimates["estimand"]))
    focus = study.tables.report.focus or _first_coefficient(named)
    baseline = study.tables.report.baseline or next(iter(study.methods))
    measures = measure_tables(study, store)
    numbers = store.frame("diagnostics")
    ranked = numbers["name"].str.startswith("rank_") & numbers["task"].isin(tasks["task"])
    return Findings(study, tasks, estimates, numbers[ranked], measures, methods, focus, baseline)


def _first_coefficient(names: list[str]) -> str | None:
    """A slope rather than an intercept or a weight: what most studies are about."""
    slopes = [n for n in names if n.startswith("coefficients") and "Intercept" not in n]
    return next(iter(slopes or names), None)
