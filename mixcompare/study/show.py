"""What the study commands print."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mixcompare.comparison.verdicts import conclude
from mixcompare.study.measures import planned_tasks
from mixcompare.study.plan import Plan, plan_table, replicates_for_coverage
from mixcompare.study.store import FAILURES, Store
from mixcompare.study.task import Job, Task, task_seed

if TYPE_CHECKING:
    from mixcompare.fit import Fit
    from mixcompare.study.load import Study
    from mixcompare.study.run import Finished

_LISTED_FAILURES: Final = 10


def console() -> Console:
    """Standard output; a pipe gets wide lines."""
    # A pipe has no width; the 80 columns that rich assumes would fold every row.
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def as_table(frame: pd.DataFrame, title: str) -> Table:
    """A data frame as a table for the terminal."""
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        numeric = frame[column].dtype.kind in "iuf"
        table.add_column(str(column), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(plain(value) for value in row))
    return table


def plain(value: object) -> str:
    """Text of a value in which rich sees no markup, as it would in ``weights[1]``."""
    return escape(f"{value:.5g}" if isinstance(value, float) else str(value))


def print_finished(finished: Finished) -> None:
    """Verdicts or counts, and where the report lies."""
    out = console()
    if finished.verdicts is not None:
        out.print(as_table(finished.verdicts, "Verdicts"))
        out.print(conclude(finished.verdicts), markup=False, soft_wrap=True)
    elif finished.counts is not None:
        out.print(as_table(finished.counts, "Fits"))
    if finished.report is not None:
        out.print(f"Report: {finished.report}", markup=False, soft_wrap=True)


def print_plan(plan: Plan, seconds: Mapping[str, float] | None) -> None:
    """Scenarios, and what each method will take."""
    out = console()
    study = plan.study
    scenarios = [{"scenario": s.label} for s in study.scenarios]
    out.print(as_table(pd.DataFrame(scenarios), f"{study.name}: {len(scenarios)} scenarios"))
    table = plan_table(plan, seconds).rename(
        columns={
            "coverage_error": "Monte Carlo SE of a coverage of 95 %, points",
            "bias_error": "of a bias, empirical SEs",
        }
    )
    out.print(as_table(table, f"{plan.n_fits} fits"))
    if seconds is not None:
        hours = float(table["cpu_hours"].sum())
        out.print(f"About {hours:.2g} hours on one core, half on two.", markup=False)
    wanted = replicates_for_coverage(0.01)
    out.print(
        f"For a Monte Carlo standard error of 1 point of a coverage of 95 %: {wanted} replicates.",
        markup=False,
    )


def print_status(study: Study, store: Store) -> None:
    """Counts, rate, time left, and the first failures."""
    out = console()
    tasks = planned_tasks(study, store)
    done = tasks["outcome"].notna()
    failed = tasks[tasks["outcome"].isin(FAILURES)]
    table = (
        tasks.assign(
            finished=done,
            converged=tasks["outcome"] == "converged",
            failed=tasks["outcome"].isin(FAILURES),
        )
        .groupby("method", sort=False)
        .agg(
            planned=("task", "size"),
            finished=("finished", "sum"),
            converged=("converged", "sum"),
            failed=("failed", "sum"),
            seconds_per_fit=("seconds", "mean"),
        )
        .reset_index()
    )
    out.print(as_table(table, f"{study.name}: {int(done.sum())} of {len(tasks)} fits"))
    out.print(_pace(tasks[done], int((~done).sum())), markup=False)
    for task in failed.head(_LISTED_FAILURES).itertuples():
        out.print(
            f"task {task.task} ({task.scenario}, replicate {task.replicate}, {task.method}): "
            f"{task.outcome}: {task.message}",
            markup=False,
            soft_wrap=True,
        )
    if len(failed) > _LISTED_FAILURES:
        out.print(f"and {len(failed) - _LISTED_FAILURES} more failures", markup=False)


def _pace(done: pd.DataFrame, left: int) -> str:
    """Rate over the last hundred fits, and the time left at it."""
    times = sorted(datetime.fromisoformat(t) for t in done["finished"].dropna())[-100:]
    span = (times[-1] - times[0]).total_seconds() if len(times) > 1 else 0.0
    if not span:
        return f"{left} fits left."
    rate = (len(times) - 1) / span
    return (
        f"{left} fits left; the last {len(times)} came at {rate:.2g} per second, which would take "
        f"{left / rate / 60:.1f} minutes; last at {times[-1].isoformat(timespec='seconds')}."
    )


def print_rerun(
    study: Study, job: Job, task: Task, fitted: Fit, before: tuple[str | None, float | None]
) -> None:
    """The fit, its seed, and what the store has of it."""
    out = console()
    scenario = study.scenarios[task.scenario]
    outcome, stored = before
    facts: dict[str, Any] = {
        "task": f"{task.number}: {scenario.label}, replicate {task.replicate}, {task.method}",
        "seed": task_seed(job, task),
        "status": f"{fitted.status}: {fitted.message}",
        "log-likelihood": repr(fitted.log_likelihood),
        "in the store": f"{outcome or 'not run yet'}, log-likelihood {stored!r}",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(name, plain(value))
    out.print(grid)
    out.print(as_table(fitted.summary().reset_index(), "Parameters"))
