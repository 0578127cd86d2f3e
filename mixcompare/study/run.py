"""From a study, or a table and a specification, to two fits and their report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mixcompare.backends import BACKENDS, build_options, fit
from mixcompare.comparison import Comparison, compare
from mixcompare.errors import OptionError
from mixcompare.fit import Fit
from mixcompare.panel import Missing, build_panel
from mixcompare.reproduction.origin import Origin
from mixcompare.spec import MixtureSpec
from mixcompare.staging import staged
from mixcompare.study.schema import Study, load_study

QUICK: Final[dict[str, dict[str, Any]]] = {
    "em": {"starts": 10},
    "pymc": {"draws": 300, "tune": 300, "chains": 2},
}


@dataclass(frozen=True, slots=True)
class Method:
    """A backend with its options."""

    backend: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What a run leaves behind.

    Attributes
    ----------
    report
        The HTML report; everything else lies in the same folder.
    verdicts
        The comparison's verdicts: columns section, verdict, reason, statement.
    """

    report: Path
    verdicts: pd.DataFrame


def run_study(
    path: str | Path,
    output: str | Path | None = None,
    *,
    quick: bool = False,
    seed: int | None = None,
    progress: bool | None = None,
) -> Finished:
    """Run a study file: fit its EM and its PyMC method, compare them, write the report.

    Parameters
    ----------
    path
        The study file.
    output
        Folder of the report, in place of the study's own.
    quick
        Few starts and draws, to see whether a study runs at all.
    seed
        Root of the random numbers, in place of the study's own.
    progress
        Whether the backends show their progress; None leaves it to them.

    Raises
    ------
    MixCompareError
        If the study, its data or the output folder cannot be used; then nothing is written.
    """
    study = load_study(path)
    methods = _pair(study)
    return fit_and_report(
        study.spec,
        study.read_data(),
        methods,
        study.output if output is None else output,
        seed=study.tables.run.seed if seed is None else seed,
        missing=study.tables.data.missing,
        quick=quick,
        progress=progress,
        title=study.tables.study.title or None,
        origin=study.origin,
        answers=study.tables.checklist,
    )


def fit_and_report(
    spec: MixtureSpec,
    data: Any,
    methods: Mapping[str, Method],
    output: str | Path,
    *,
    seed: int = 0,
    missing: Missing = "error",
    quick: bool = False,
    progress: bool | None = None,
    title: str | None = None,
    origin: Origin | None = None,
    answers: Mapping[str, str] | None = None,
) -> Finished:
    """Fit one specification by EM and by PyMC, compare, and write fits and report.

    Parameters
    ----------
    spec, data, missing, seed
        See `mixcompare.fit`.
    methods
        Two named methods, one of each backend; each fit is saved under its method's name.
    output
        Folder of the report. It appears, or its files are replaced, only when everything
        has succeeded; other files in it stay.
    quick, progress
        See `run_study`.
    title, origin, answers
        See `mixcompare.report.write_report`; the study file is copied beside the report.

    Raises
    ------
    MixCompareError
        If something cannot be used; then nothing is written.
    """
    options = {name: _options(method, quick, progress) for name, method in methods.items()}
    panel = build_panel(spec, data, missing=missing)
    output = Path(output)
    with staged(output, last="report.html") as folder:
        fits: dict[str, Fit] = {}
        for name, method in methods.items():
            fitted = fit(spec, panel, backend=method.backend, seed=seed, **options[name])
            fitted.save(folder / f"{name}.nc")
            fits[method.backend] = fitted
        if origin is not None and origin.study:
            (folder / "study.toml").write_text(origin.study, encoding="utf-8")
        comparison = _compare(fits["em"], fits["pymc"])
        report = comparison.report(folder, title=title, origin=origin, answers=answers)
    return Finished(output / report.name, comparison.verdicts)


def _pair(study: Study) -> dict[str, Method]:
    methods = {
        name: Method(table.backend, table.options) for name, table in study.tables.methods.items()
    }
    found = sorted(method.backend for method in methods.values())
    if found != sorted(BACKENDS):
        listing = ", ".join(f"{name} ({method.backend})" for name, method in methods.items())
        raise OptionError(
            f"{study.path}: [methods] must have exactly one method with backend 'em' and one "
            f"with backend 'pymc', since the two are compared; it has {listing}."
        )
    return methods


def _options(method: Method, quick: bool, progress: bool | None) -> dict[str, Any]:
    options = {
        **method.options,
        **(QUICK[method.backend] if quick else {}),
        **({} if progress is None else {"progress": progress}),
    }
    # Before any fit, or a slip in the second method would show after the first has run.
    build_options(method.backend, options)
    return options


def _compare(em: Fit, posterior: Fit) -> Comparison:
    return compare(em, posterior)
