"""From a study to its store and its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare.base.checks import check_seed
from mixcompare.base.errors import DataError, MachineError
from mixcompare.base.files.ownership import check_folder, page_owner, study_owner
from mixcompare.base.files.staging import staged
from mixcompare.base.machine import paragraphs
from mixcompare.base.workers import end_if_imported_by_worker
from mixcompare.comparison import compare
from mixcompare.comparison.remedies import Remedy
from mixcompare.fits.fit import load
from mixcompare.fits.kinds import DRAWN
from mixcompare.report.write_comparison import write_comparison
from mixcompare.study.file.load import Study, load_study
from mixcompare.study.file.methods import allowed_options
from mixcompare.study.measures.from_store import count_table
from mixcompare.study.run.demand import check_demand, local_workers
from mixcompare.study.run.lock import only_runner
from mixcompare.study.run.plan import Plan, check_mechanisms, make_plan
from mixcompare.study.run.pools import Here, LocalPool, Pool
from mixcompare.study.run.progress import progress_bar
from mixcompare.study.run.recovery import lost_fits, remove_leftovers, rename_by_label
from mixcompare.study.run.runner import run_tasks
from mixcompare.study.run.select_k import choose
from mixcompare.study.run.signature import check_unchanged, signature
from mixcompare.study.run.store import FAILURES, Store, open_store
from mixcompare.study.task.kept import fits_folder
from mixcompare.study.task.task import Job, Task, task_file

QUICK: Final[dict[str, dict[str, Any]]] = {
    "em": {"starts": 10},
    "pymc": {"draws": 300, "tune": 300, "chains": 2},
}
_GO_ON: Final = (
    "No fit is at fault and none is stored as failed: what is finished is kept, and the same "
    "command runs the rest."
)
# What methods may change and still be models of the same rows.
_MODELS: Final = {"n_components", "covariance", "covariance_by", "common", "membership", "priors"}


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What a run leaves behind.

    Attributes
    ----------
    report
        The HTML report; everything else lies in the same folder. None if it was not asked for.
    store
        The study's store; None if there is none.
    verdicts
        The comparison's verdicts (section, verdict, reason, statement) where the study
        compares EM with PyMC on a real panel.
    conclusion, remedies
        Which side has failed and by how much, and what to run, see
        `mixcompare.comparison.Comparison`.
    counts
        Fits by method: done, converged, failed.
    cautions
        What should be known about each fit that is compared, by its name.
    renewed
        Names of methods that ran again because the file of their fit was lost or held another.
    """

    report: Path | None
    store: Path | None = None
    verdicts: pd.DataFrame | None = None
    conclusion: str = ""
    remedies: tuple[Remedy, ...] = ()
    counts: pd.DataFrame | None = None
    cautions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    renewed: tuple[str, ...] = ()


def run_study(
    study: str | Path | Study,
    output: str | Path | None = None,
    *,
    methods: Sequence[str] | None = None,
    workers: int | None = None,
    pool: Pool | None = None,
    quick: bool = False,
    seed: int | None = None,
    progress: bool | None = None,
    on_change: str = "error",
    retry: bool = False,
    report: bool = True,
    trust: bool = False,
    yes: bool = False,
) -> Finished:
    """Run a study's tasks that are not finished yet, then write its report.

    Parameters
    ----------
    study
        The study, or its file.
    output
        Folder of store and report, in place of the study's own.
    methods
        Names of those to run; None for all.
    workers
        Number of processes; 0 runs everything in this one. None: the study's own number, or as
        many as there are cores. A real panel is fitted in this process unless it is given.
    pool
        Other workers, see `mixcompare.study.run.pools`.
    quick
        Few starts, draws, replicates and scenarios, to see whether a study runs at all.
    seed
        Root of the random numbers, in place of the study's own.
    progress
        Whether progress is shown; None: on a terminal.
    on_change
        If the study, its data or a version has changed since tasks were finished:
        ``"error"``, ``"keep"`` the finished ones, or ``"discard"`` them.
    retry
        Whether tasks that failed run again.
    report
        Whether the report is written.
    trust
        Whether a study file may hold formulas of any Python and name functions that run, see
        `load_study`.
    yes
        Whether numbers beyond the limits that ``mixcompare plan`` shows are meant.

    Raises
    ------
    MixCompareError
        If the study, its data or the output folder cannot be used; then nothing is written.
    MachineError
        If the machine does not let it end, as when a disk is full or workers cannot start; what
        is finished is kept, and what is not runs next time.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from tempfile import mkdtemp
    >>> study = mc.build_study(
    ...     {
    ...         "study": {"name": "small"},
    ...         "model": {"formula": "y ~ 1", "n_components": 2},
    ...         "simulate": {
    ...             "units": 50,
    ...             "weights": [0.6, 0.4],
    ...             "covariance": 1.0,
    ...             "coefficients": {"Intercept": [0.0, 5.0]},
    ...         },
    ...         "methods": {"em": {"backend": "em", "starts": 3}},
    ...         "run": {"replicates": 2, "workers": 0},
    ...     }
    ... )
    >>> counts = mc.run_study(study, mkdtemp(), report=False).counts
    >>> int(counts["finished"].sum())
    2
    """
    end_if_imported_by_worker()
    if not isinstance(study, Study):
        study = load_study(study, trust=trust, yes=yes)
    plan = make_plan(study, methods, quick=quick)
    study = plan.study
    if not yes:
        used_here = 0 if pool else local_workers(study, workers, os.cpu_count() or 1)
        check_demand(plan, QUICK if quick else {}, used_here)
    folder = study.output if output is None else Path(output)
    if report and not any(folder.glob("*.sqlite")):
        owner, page = study_owner(study.name), folder / "report.html"
        anew = on_change == "discard" or page_owner(page) is None
        check_folder(folder, page.name, owner, overwrite=anew)
    with paragraphs("the run has stopped", _GO_ON, [folder]):
        used = pool or _pool(study, workers)
        try:
            job = make_job(study, folder, used, quick=quick, seed=seed, progress=progress)
            check_mechanisms(plan, job)
            path = folder / store_name(quick)
            with open_store(path, create=True) as store, only_runner(path):
                remove_leftovers(folder, path)
                parts = signature(study, job.seed, QUICK if quick else {})
                renewed = _prepare(store, plan, job, parts, on_change, retry=retry)
                _run(store, plan, job, used, progress)
                counts = count_table(store.frame("tasks"), list(plan.counts))
                finished = Finished(None, path, counts=counts, renewed=renewed)
                if not report:
                    return finished
                return _report(plan, job, store, folder, finished, QUICK if quick else {})
        finally:
            used.close()


def store_name(quick: bool) -> str:
    """Name of the store in the study's folder."""
    return "study-quick.sqlite" if quick else "study.sqlite"


def make_job(
    study: Study,
    folder: Path,
    pool: Pool,
    *,
    quick: bool = False,
    seed: int | None = None,
    progress: bool | None = None,
) -> Job:
    """The study as its workers need it.

    Parameters
    ----------
    folder
        Of the report.
    pool
        Where the tasks will run.
    quick, seed, progress
        See `run_study`.

    Raises
    ------
    OptionError
        If the seed is out of range, or the study names functions and is not trusted.
    """
    check_seed(0 if seed is None else seed)
    study.check_functions()
    keep = study.tables.run.keep_fits
    fits = fits_folder(study, folder, quick=quick)
    return Job(
        study,
        study.tables.run.seed if seed is None else seed,
        study.tables.run.seconds_per_fit,
        fits.resolve() if keep or study.is_real else None,
        pool.expendable,
        {
            backend: _own_options(study, backend, pool, quick, progress)
            for backend in {method.backend for method in study.methods.values()}
        },
    )


def _own_options(
    study: Study, backend: str, pool: Pool, quick: bool, progress: bool | None
) -> dict[str, Any]:
    allowed = allowed_options(backend)
    options = dict(QUICK.get(backend, {})) if quick else {}
    here = isinstance(pool, Here)
    if "progress" in allowed and not (here and study.is_real and progress is None):
        options["progress"] = bool(progress and here and study.is_real)
    given = any("cores" in m.options for m in study.methods.values() if m.backend == backend)
    if "cores" in allowed and not here and not given:
        options["cores"] = 1  # the workers share the machine
    return options


def _pool(study: Study, workers: int | None) -> Pool:
    count = local_workers(study, workers, os.cpu_count() or 1)
    return LocalPool(count) if count else Here()


def _prepare(
    store: Store, plan: Plan, job: Job, parts: Mapping[str, str], on_change: str, *, retry: bool
) -> tuple[str, ...]:
    """Make the store ready for what is to run; methods whose fits have to run again."""
    if on_change == "discard":
        store.reset()
        store.set("signature", "{}")
    check_unchanged(store, parts, keep=on_change == "keep")
    study = plan.study
    store.set("name", study.name)
    store.set("text", study.text)
    store.plan([(s.label, s.factors) for s in study.scenarios], plan.tasks())
    if retry or study.is_real:
        store.reset(FAILURES)
    if job.fits is None:
        return ()
    failed = store.frame("tasks").set_index("task")["outcome"].isin(FAILURES)
    unfinished = store.tasks(plan.labels, plan.counts, unfinished=True)
    left = {task.number for task in unfinished} | set(failed[failed].index)
    tasks = [
        task
        for task in store.tasks(plan.labels, plan.counts, unfinished=False)
        if task.number not in left
    ]
    rename_by_label(job, store, tasks)
    # What simulated fits leave in the store suffices for their report; files may be missing.
    lost = lost_fits(job, store, tasks) if study.is_real else []
    store.forget(lost)
    return tuple(dict.fromkeys(task.method for task in tasks if task.number in lost))


def _run(store: Store, plan: Plan, job: Job, pool: Pool, progress: bool | None) -> None:
    tasks = store.tasks(plan.labels, plan.counts, unfinished=True)
    if job.fits is not None:
        job.fits.mkdir(parents=True, exist_ok=True)
    wanted = sys.stderr.isatty() if progress is None else progress
    visible = wanted and bool(tasks) and not plan.study.is_real
    total = plan.n_fits
    try:
        with progress_bar(total, total - len(tasks), show=visible) as advance:
            run_tasks(job, tasks, pool, store, advance)
    except MachineError as error:
        raise MachineError(f"the run has stopped: {error} {_GO_ON}") from None


def _report(
    plan: Plan,
    job: Job,
    store: Store,
    folder: Path,
    finished: Finished,
    options: Mapping[str, Mapping[str, Any]],
) -> Finished:
    from mixcompare.study.report.study_page import (
        write_study_report,  # matplotlib is slow to import
    )

    study = plan.study
    if study.text:
        with staged(folder, last="study.toml") as staging:
            (staging / "study.toml").write_text(study.text, encoding="utf-8")
    names, others = _comparable(study, plan)
    if not names:
        page = write_study_report(study, store, folder, quick=bool(options))
        return replace(finished, report=page)
    assert job.fits is not None
    tasks = store.frame("tasks")
    for task in tasks[tasks["outcome"].isin(FAILURES)].itertuples():
        raise DataError(f"method {task.method} failed: {task.message}")
    fits, models = (
        [
            load(job.fits / task_file(study, Task(0, 0, 0, name)), trust=study.trust)
            for name in group
        ]
        for group in (names, others)
    )
    comparison = compare(*fits)
    report = write_comparison(
        comparison,
        folder,
        title=study.tables.study.title or None,
        origin=replace(study.origin, quick=bool(options)),
        answers=study.tables.checklist,
        models=models,
        selection=choose(
            study.tables.select, study.methods, comparison, folder, seed=job.seed, options=options
        ),
        # Where there is a file, the page knows that it is of a study, whose folder is its own.
        **({} if study.text else {"overwrite": True}),
    )
    cautions = {name: fit.cautions for name, fit in zip(names, fits, strict=True)}
    return replace(
        finished,
        report=report,
        verdicts=comparison.verdicts,
        conclusion=comparison.conclusion,
        remedies=comparison.remedies,
        cautions=cautions,
    )


def _comparable(study: Study, plan: Plan) -> tuple[list[str], list[str]]:
    """Names of the methods that `mixcompare.compare` takes, and of those of other models.

    Both are empty if the methods cannot be reported in this way.
    """
    methods = {name: study.methods[name] for name in plan.counts}
    single = study.is_real and plan.n_fits == len(methods)
    alike = not any(m.within or m.choose or m.changes.keys() - _MODELS for m in methods.values())
    unchanged = {name: m for name, m in methods.items() if not m.changes}
    kinds = [m.kind for m in unchanged.values()]
    fits = "maximum" in kinds and kinds.count("mode") <= 1 and any(k in DRAWN for k in kinds)
    if not (single and alike and fits):
        return [], []
    return list(unchanged), [name for name in methods if name not in unchanged]
