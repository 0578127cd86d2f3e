"""``mixcompare run``, ``plan``, ``status``, ``rerun`` and ``export``: studies at the prompt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixcompare.base.errors import OptionError
from mixcompare.cli.arguments import Force, Trust, folder_option

if TYPE_CHECKING:
    from mixcompare.study.file.load import Study

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
Output = Annotated[
    Path | None,
    folder_option(help="Folder of the study's store and report, in place of its own."),
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Few starts and draws: shows that it runs, not what to conclude."),
]
Methods = Annotated[
    str | None, typer.Option(help="Names of the methods, separated by commas; all by default.")
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Go on beyond the limits that 'mixcompare plan' shows.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Root of the random numbers, for the study's own.")
]


def run_command(
    study: StudyFile,
    output: Output = None,
    methods: Methods = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Number of processes; 0: none but this one.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler, tcp://host:port. Other executors, such as that of MPI, are "
            "used from Python: see mixcompare.study.run.pools.ExecutorPool.",
        ),
    ] = None,
    quick: Quick = False,
    seed: Seed = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep finished tasks although the study has changed.")
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Forget finished tasks and begin anew.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run tasks that failed again.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Whether the report is written.")] = True,
    trust: Trust = False,
    yes: Yes = False,
) -> None:
    """Run what is not finished of a study, then write its report.

    A run that was interrupted, however, goes on where it ended.
    """
    from mixcompare.cli.study_output import print_finished
    from mixcompare.study.run.pools import DaskPool
    from mixcompare.study.run.run_study import run_study

    if keep and discard:
        raise OptionError("--keep and --discard exclude each other.")
    finished = run_study(
        study,
        output,
        methods=_names(methods),
        workers=workers,
        pool=None if scheduler is None else DaskPool(scheduler),
        quick=quick,
        seed=seed,
        on_change="keep" if keep else "discard" if discard else "error",
        retry=retry_failed,
        report=report,
        trust=trust,
        yes=yes,
    )
    print_finished(finished)


def plan_command(
    study: StudyFile,
    methods: Methods = None,
    pilot: Annotated[
        bool, typer.Option(help="Time a fit of each method to estimate the whole.")
    ] = True,
    quick: Quick = False,
    trust: Trust = False,
    yes: Yes = False,
) -> None:
    """Show a study's scenarios, replicates and methods, and what they will take."""
    from mixcompare.cli.study_output import print_demand, print_plan
    from mixcompare.study.file.load import load_study
    from mixcompare.study.run.demand import check_demand, demand, local_workers
    from mixcompare.study.run.plan import check_mechanisms, make_plan
    from mixcompare.study.run.plan import pilot as time_fits
    from mixcompare.study.run.pools import Here
    from mixcompare.study.run.run_study import QUICK, make_job

    loaded = load_study(study, yes=yes, trust=trust)
    plan = make_plan(loaded, _names(methods), quick=quick)
    options = QUICK if quick else {}
    workers = local_workers(plan.study, None, os.cpu_count() or 1)
    print_demand(demand(plan, options, workers))
    if not yes:
        check_demand(plan, options, workers)
    job = make_job(plan.study, plan.study.output, Here(), quick=quick, progress=False)
    check_mechanisms(plan, job)
    print_plan(plan, time_fits(plan, job) if pilot else None)


def status_command(
    study: StudyFile, output: Output = None, quick: Quick = False, trust: Trust = False
) -> None:
    """Show how far a study is, also while it runs elsewhere."""
    from mixcompare.cli.study_output import print_status
    from mixcompare.study.run.store import open_store

    loaded, path = _store(study, output, quick, trust)
    with open_store(path, create=False) as store:
        print_status(loaded, store)


def rerun_command(
    study: StudyFile,
    task: Annotated[int, typer.Option(help="Number of the task, as 'status' lists failures.")],
    save: Annotated[
        Path | None, typer.Option(metavar="FIT.nc", help="Where the fit is to be saved.")
    ] = None,
    output: Output = None,
    quick: Quick = False,
    seed: Seed = None,
    trust: Trust = False,
) -> None:
    """Repeat one fit of a study exactly, here, with its errors raised.

    Its seed and what the store has of it come first. There is no time limit.
    """
    from functools import partial

    from mixcompare.cli.study_output import print_again, print_earlier
    from mixcompare.study.run.rerun import rerun
    from mixcompare.study.run.store import open_store

    loaded, path = _store(study, output, quick, trust)
    with open_store(path, create=False) as store:
        announce = partial(print_earlier, loaded)
        again = rerun(loaded, store, task, quick=quick, seed=seed, announce=announce)
    if save is not None:
        again.fit.save(save)
    print_again(again)


def export_command(
    study: StudyFile,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the tables.")],
    output: Output = None,
    quick: Quick = False,
    force: Force = False,
    trust: Trust = False,
) -> None:
    """Write a study's tables as Parquet and CSV, performance measures included."""
    from mixcompare.study.measures.export import export

    loaded, path = _store(study, output, quick, trust)
    for name in export(loaded, path, directory, overwrite=force):
        typer.echo(name)


def _names(methods: str | None) -> list[str] | None:
    return None if methods is None else [name.strip() for name in methods.split(",")]


def _store(study: Path, output: Path | None, quick: bool, trust: bool) -> tuple[Study, Path]:
    from mixcompare.study.file.load import load_study
    from mixcompare.study.run.run_study import store_name

    # Whoever asks for what a run has left has said yes to it, if it needed that.
    loaded = load_study(study, yes=True, trust=trust)
    folder = loaded.output if output is None else output
    return loaded, folder / store_name(quick)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    example = "studies/separation.toml"
    for name, command, arguments in (
        ("run", run_command, "studies/gapminder.toml --output /tmp/try --quick"),
        ("plan", plan_command, example),
        ("status", status_command, example),
        ("rerun", rerun_command, f"{example} --task 17"),
        ("export", export_command, f"{example} tables"),
    ):
        app.command(name, epilog=f"Example: [cyan]mixcompare {name} {arguments}[/cyan]")(command)
