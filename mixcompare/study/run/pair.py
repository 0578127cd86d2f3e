"""From a table to two fits, one of each backend, and the report of their comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixcompare.backends import fit
from mixcompare.base.files.staging import staged
from mixcompare.comparison import compare
from mixcompare.data.panel import Missing, build_panel
from mixcompare.fits.fit import Fit
from mixcompare.model.spec import MixtureSpec
from mixcompare.report.folder import check_report_folder, owner_of
from mixcompare.report.write_comparison import write_comparison
from mixcompare.reproduction.origin import Origin
from mixcompare.study.file.methods import Method
from mixcompare.study.run.run_study import QUICK, Finished


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
    origin: Origin | None = None,
    overwrite: bool = False,
) -> Finished:
    """Fit one specification by EM and by PyMC, compare, and write fits and report.

    Parameters
    ----------
    spec, data, missing, seed
        See `mixcompare.fit`.
    methods
        Two named methods, one of each backend, EM's first; each fit is saved under its method's
        name. Chains with ``init="em"`` start near EM's fit.
    output
        Folder of the report. It appears, or its files are replaced, only when everything
        has succeeded; other files in it stay.
    quick, progress
        See `run_study`.
    origin, overwrite
        See `mixcompare.report.write_report`.

    Raises
    ------
    MixCompareError
        If something cannot be used; then nothing is written.
    """
    options = {name: _options(method, quick, progress) for name, method in methods.items()}
    for name, method in methods.items():
        # Before any fit, or a slip in the second method would show after the first has run.
        started: dict[str, Any] = {"initial": {}} if _near_em(options[name]) else {}
        Method(method.backend, {**options[name], **started}).check()
    panel = build_panel(spec, data, missing=missing)
    output, origin = Path(output), origin or Origin()
    owner = owner_of(spec, panel.fingerprint, origin)
    check_report_folder(output, owner, overwrite=overwrite, fits=True)
    with staged(output, last="report.html") as folder:
        fits: dict[str, Fit] = {}
        for name, method in methods.items():
            near = {"initial": next(iter(fits.values()))} if _near_em(options[name]) else {}
            given = {**options[name], **near}
            fitted = fit(spec, panel, backend=method.backend, seed=seed, **given)
            fitted.save(folder / f"{name}.nc")
            fits[name] = fitted
        comparison = compare(*fits.values())
        report = write_comparison(comparison, folder, origin=replace(origin, quick=quick))
    cautions = {name: fitted.cautions for name, fitted in fits.items()}
    return Finished(
        output / report.name,
        verdicts=comparison.verdicts,
        conclusion=comparison.conclusion,
        remedies=comparison.remedies,
        cautions=cautions,
    )


def _near_em(options: Mapping[str, Any]) -> bool:
    """Whether chains start near EM's fit, which is made before them."""
    return options.get("init") == "em"


def _options(method: Method, quick: bool, progress: bool | None) -> dict[str, Any]:
    return {
        **method.options,
        **(QUICK[method.backend] if quick else {}),
        **({} if progress is None else {"progress": progress}),
    }
