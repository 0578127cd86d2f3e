"""The report's files: complete or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mixcompare.base.files.csv_text import csv_text
from mixcompare.base.files.staging import check_folder_name, staged
from mixcompare.comparison import Comparison
from mixcompare.fits.fit import Fit
from mixcompare.fits.storage import read_attributes
from mixcompare.pages import exports
from mixcompare.pages.formatting import Table
from mixcompare.pages.shell import REPORT, Section
from mixcompare.report.checklists import check_answers, checklists
from mixcompare.report.comparison_page import render, sealed
from mixcompare.report.folder import check_report_folder, owner_of
from mixcompare.report.models_section import named_fits, other_models
from mixcompare.report.provenance import FITS, provenance, to_json
from mixcompare.report.sections import aims, drawings, sections
from mixcompare.report.selection_section import choice_of_k
from mixcompare.report.tables import verdicts
from mixcompare.reproduction.origin import Origin
from mixcompare.selection import Selection


def write_comparison(
    comparison: Comparison,
    directory: str | Path,
    title: str | None = None,
    *,
    origin: Origin | None = None,
    answers: Mapping[str, str] | None = None,
    selection: Selection | None = None,
    models: Sequence[Fit] = (),
    overwrite: bool = False,
) -> Path:
    """Write a comparison's report into a folder.

    Writes ``report.html``, which needs nothing else, and beside it ``tables/`` as CSV,
    Markdown and LaTeX, ``figures/`` as SVG and PDF, and ``provenance.json``. Files of an
    earlier report of the same model and data are replaced after everything has been made;
    other files in the folder stay.

    Parameters
    ----------
    comparison
        What to report.
    directory
        The folder; made if it does not exist.
    title
        Heading; by default the formula and the number of classes.
    origin
        Study and data, so that the report can be made again from itself.
    answers
        The author's answers to items of the checklists, such as ``{"GRoLTS 3a": "..."}``.
    selection
        The same model with other numbers of classes, see `mixcompare.select`.
    models
        Fits of other specifications to the same rows, by EM and by PyMC: they are ranked by
        criteria and by prediction beside the one that is compared.
    overwrite
        Whether the folder's report may be of another model or other data, or not ours.

    Returns
    -------
    Path of ``report.html``.

    Raises
    ------
    OptionError
        If the folder cannot be written, holds what may not be replaced, or an answer is to no
        item of the checklists.
    DataError
        If the selection is of another model or of other data, or other models are not of
        the same units, outcomes and rows.
    """
    directory, origin = Path(directory), origin or Origin()
    check_folder_name(directory)
    check_answers(answers or {})
    owner = owner_of(comparison.em.spec, comparison.em.fingerprint, origin)
    # A study's folder is its own: `run_study` has looked whose it is.
    check_report_folder(directory, owner, overwrite=overwrite or bool(origin.study))
    with staged(directory, last=REPORT) as folder:
        record = provenance(comparison, origin, named_fits(models), selection)
        figures = drawings(comparison)
        filled = [*aims(origin.aims), *sections(comparison, figures)]
        if selection is not None:
            filled.append(choice_of_k(comparison, selection))
        if models:
            filled.append(other_models(comparison, models))
        lists = checklists(comparison, filled, record, answers or {})
        saved = _saved_fits(comparison, directory)
        page = render(
            comparison,
            filled,
            lists,
            title=title,
            record=record,
            saved=saved,
            owner=owner,
            models=models,
        )
        page, record = sealed(page, record)
        whole = verdicts.frames(comparison)
        exports.write_files(
            folder,
            {
                **exports.table_files([*_tables(comparison, filled), *lists]),
                **{f"tables/{n}.csv": csv_text(frame) for n, frame in whole.items()},
                **exports.figure_files(d for section in filled for d in section.drawings),
                "provenance.json": to_json(record),
                REPORT: page,
            },
        )
    return directory / REPORT


def _tables(comparison: Comparison, filled: Sequence[Section]) -> list[Table]:
    leading = [verdicts.verdicts(comparison), verdicts.thresholds(comparison)]
    return leading + [table for section in filled for table in section.tables]


def _saved_fits(comparison: Comparison, directory: Path) -> tuple[str, ...]:
    """Names of files in the folder that hold EM's fit and the posterior."""
    fits = {"em": comparison.em, "pymc": comparison.posterior_fit}
    saved = [_saved(fit, directory, FITS[name]) for name, fit in fits.items()]
    return tuple(name for name in saved if name is not None)


def _saved(fit: Fit, directory: Path, usual: str) -> str | None:
    keys = ("backend", "created", "spec_hash", "seed", "options")
    wanted = {key: fit.tree.attrs[key] for key in keys}
    preferred = directory / usual
    # Quick runs of a study keep theirs apart.
    files = [*directory.glob("*.nc"), *directory.glob("fits-quick/*.nc")]
    candidates = sorted(files, key=lambda path: (path != preferred, path.name))
    for path in candidates:
        said = read_attributes(path) or {}
        if all(str(said.get(key)) == str(value) for key, value in wanted.items()):
            return path.relative_to(directory).as_posix()
    return None
