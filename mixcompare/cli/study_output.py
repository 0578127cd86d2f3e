"""What the study commands print."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Final

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mixcompare.base.machine import lasting
from mixcompare.study.measures.from_store import count_table, planned_tasks
from mixcompare.study.run.pace import pace
from mixcompare.study.run.plan import Plan, plan_table, replicates_for_coverage
from mixcompare.study.run.store import FAILURES, Store

if TYPE_CHECKING:
    from mixcompare.comparison.remedies import Remedy
    from mixcompare.study.file.load import Study
    from mixcompare.study.run.demand import Demand
    from mixcompare.study.run.rerun import Again, Earlier
    from mixcompare.study.run.run_study import Finished

_LISTED_FAILURES: Final = 10
_LISTED_NUMBERS: Final = 5
_LISTED_SCENARIOS: Final = 100


def console() -> Console:
    """Standard output; a pipe gets wide lines."""
    # A pipe has no width; the 80 columns that rich assumes would fold every row.
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def say(text: str) -> None:
    """A line of its own, in which rich sees no markup and breaks no words."""
    console().print(text, markup=False, soft_wrap=True)


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Names and texts in two columns."""
    grid = Table.grid(padding=(0, 2))
    for name, text in facts:
        grid.add_row(name, plain(text))
    return grid


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


def print_finished(finished: Finished, data: Path | None = None) -> None:
    """Verdicts or counts, what to run where one side has failed, and where the report lies.

    Parameters
    ----------
    data
        The file that was fitted; None where a study says what is.
    """
    out = console()
    if finished.verdicts is not None:
        out.print(as_table(finished.verdicts, "Verdicts"))
        say(finished.conclusion)
        for remedy in finished.remedies:
            say(_what_to_run(remedy, data))
        for caution in _cautions(finished.cautions):
            say(caution)
    elif finished.counts is not None:
        out.print(as_table(finished.counts, "Fits"))
    if finished.renewed:
        say(
            f"Fitted again, because the file of the fit was lost or held another: "
            f"{', '.join(finished.renewed)}."
        )
    if finished.report is not None:
        say(f"Report: {finished.report}")


def _what_to_run(remedy: Remedy, data: Path | None) -> str:
    """The remedy in a sentence, and as a command, lines of the study file or Python."""
    typed = remedy.toml if data is None else remedy.command_on(str(data))
    return f"What to run: {remedy.reason.remedy}\n{indent(typed or remedy.python, '    ')}"


def _cautions(by_fit: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Each caution once, with the fits that it is about unless it is about all."""
    texts = dict.fromkeys(text for cautions in by_fit.values() for text in cautions)
    about = {text: [name for name, said in by_fit.items() if text in said] for text in texts}
    return [
        f"Caution{'' if len(names) == len(by_fit) else f' ({", ".join(names)})'}: {text}"
        for text, names in about.items()
    ]


def print_plan(plan: Plan, seconds: Mapping[str, float] | None) -> None:
    """Scenarios, and what each method will take."""
    out = console()
    study = plan.study
    scenarios = [{"scenario": s.label} for s in study.scenarios]
    listed = scenarios[:_LISTED_SCENARIOS]
    if len(scenarios) > len(listed):
        listed.append({"scenario": f"and {len(scenarios) - len(listed):,} more"})
    several = "" if len(scenarios) == 1 else "s"
    title = f"{study.name}: {len(scenarios):,} scenario{several}"
    out.print(as_table(pd.DataFrame(listed), title))
    table = plan_table(plan, seconds).rename(
        columns={
            "coverage_error": "Monte Carlo SE of a coverage of 95 %, points",
            "bias_error": "of a bias, empirical SEs",
        }
    )
    printed = table
    if seconds is not None:
        printed = table.assign(
            cpu_hours=(table["cpu_hours"] * 3600).map(lasting),
            seconds_per_fit=table["seconds_per_fit"].map(lasting),
        ).rename(columns={"seconds_per_fit": "a fit", "cpu_hours": "processor time"})
    out.print(as_table(printed, f"{plan.n_fits:,} fits"))
    if seconds is not None:
        total = float((table["seconds_per_fit"] * table["fits"]).sum())
        say(f"About {lasting(max(total, 0.1))} on one core, half on two.")
    wanted = replicates_for_coverage(0.01)
    say(f"For a Monte Carlo standard error of 1 point of a coverage of 95 %: {wanted} replicates.")


def print_demand(demand: Demand) -> None:
    """What the study asks at the least, beside the limits."""
    console().print(as_table(pd.DataFrame(demand.table()), "Demand"))


def print_status(study: Study, store: Store) -> None:
    """Counts, rate, time left, and the first failures."""
    tasks = planned_tasks(study, store)
    failed = tasks[tasks["outcome"].isin(FAILURES)]
    counts = count_table(tasks, list(study.methods)).set_index("method")
    table = counts[["planned", "finished", "converged"]].assign(
        failed=failed.groupby("method").size().reindex(counts.index, fill_value=0),
        seconds_per_fit=tasks.groupby("method")["seconds"].mean(),
    )
    title = f"{study.name}: {table['finished'].sum()} of {len(tasks)} fits"
    console().print(as_table(table.reset_index(), title))
    say(_left(tasks))
    for task in failed.head(_LISTED_FAILURES).itertuples():
        say(
            f"task {task.task} ({task.scenario}, replicate {task.replicate}, {task.method}): "
            f"{task.outcome}: {task.message}"
        )
    if len(failed) > _LISTED_FAILURES:
        say(f"and {len(failed) - _LISTED_FAILURES} more failures")


def _left(tasks: pd.DataFrame) -> str:
    count, speed = int(tasks["outcome"].isna().sum()), pace(tasks)
    if speed is None:
        return f"{count} fits left."
    return (
        f"{count} fits left; the last {speed.recent} came at {speed.rate:.2g} per second, and at "
        f"this pace {lasting(speed.seconds_left)} are left; last at "
        f"{speed.last.isoformat(timespec='seconds')}."
    )


def print_earlier(study: Study, earlier: Earlier) -> None:
    """A task that is to be repeated: its seed, and what the store has of it."""
    task = earlier.task
    label = study.scenarios[task.scenario].label
    facts = {
        "task": f"{task.number}: {label}, replicate {task.replicate}, {task.method}",
        "seed": str(earlier.seed),
        "in the store": "not run yet"
        if earlier.outcome is None
        else f"{earlier.outcome}: {earlier.message}",
    }
    if earlier.changed:
        facts["changed since"] = ", ".join(earlier.changed)
    if earlier.outcome == "timeout":
        facts["now"] = "without a time limit; Ctrl-C ends it"
    console().print(facts_table(facts.items()))


def print_again(again: Again) -> None:
    """The fit, and whether it has the store's numbers."""
    facts = {
        "status": f"{again.fit.status}: {again.fit.message}",
        "log-likelihood": repr(again.fit.log_likelihood),
        "numbers": _agreement(again),
    }
    console().print(facts_table(facts.items()))
    console().print(as_table(again.fit.summary().reset_index(), "Parameters"))


def _agreement(again: Again) -> str:
    if not again.compared:
        return "none in the store to compare with"
    if not again.differing:
        return f"all {again.compared} as in the store, to the bit"
    named = ", ".join(again.differing[:_LISTED_NUMBERS])
    more = ", ..." if len(again.differing) > _LISTED_NUMBERS else ""
    return f"{len(again.differing)} are not the store's: {named}{more}"
