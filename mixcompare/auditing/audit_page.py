"""The audit as a page of HTML with its tables and figure beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mixcompare.auditing.audit_figure import FLOOR, plot_audit
from mixcompare.auditing.audit_result import Audit
from mixcompare.base.files.csv_text import csv_text
from mixcompare.base.files.ownership import Owner, check_folder, place_of
from mixcompare.base.files.staging import check_folder_name, staged
from mixcompare.pages import exports
from mixcompare.pages.formatting import (
    Column,
    Formatter,
    Table,
    clipped,
    counted,
    fixed,
    significant,
    table,
)
from mixcompare.pages.palette import style
from mixcompare.pages.rendering import Drawing, draw
from mixcompare.pages.shell import REPORT, Section, Verdict, render_page


def _error(value: float) -> str:
    return "0" if value <= FLOOR else significant(value)


_FINDINGS: Final = "findings"
_STEPS: Final = "steps"
# Further iterates are in the CSV file alone.
_MOST_ITERATES: Final = 60
_BADGES: Final = {"fault": ("bad", "≠"), "note": ("unsure", "!")}
_COLUMNS: Final[tuple[tuple[str, Column, Formatter], ...]] = (
    ("iteration", Column("iteration"), str),
    ("log_likelihood", Column("log-likelihood", "exact"), fixed(4)),
    ("change", Column("change", "of this step"), significant),
    ("exact_change", Column("exact change", "what the exact step would gain"), significant),
    ("falls", Column("falls", numeric=False), lambda falls: "falls" if falls else ""),
    ("responsibilities_error", Column("class probabilities", "largest difference"), _error),
    ("weights_error", Column("weights", "largest difference"), _error),
    ("coefficients_error", Column("coefficients", "in residual s.d.s"), _error),
    ("variance_ratio", Column("variance", "ratio to the exact one"), significant),
)


def write_audit(
    audit: Audit,
    directory: str | Path,
    title: str | None = None,
    *,
    file: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ``report.html``, the tables as CSV, Markdown and LaTeX, and the figure as SVG and PDF.

    Parameters
    ----------
    audit
        What is shown.
    directory
        The folder; made if it does not exist.
    title
        Heading.
    file
        Where the iterates were read from, if they were.
    overwrite
        Whether the folder's page may be of other iterates, or not ours.

    Returns
    -------
    Path of ``report.html``.

    Raises
    ------
    OptionError
        If the folder cannot be written or holds what may not be replaced.
    """
    directory = Path(directory)
    check_folder_name(directory)
    owner = _owner(audit, file)
    check_folder(directory, REPORT, owner, overwrite=overwrite, names=("tables", "figures"))
    with staged(directory, last=REPORT) as folder:
        drawing = _drawing(audit)
        sections = _sections(audit, drawing)
        page = render_page(
            owner=owner,
            kind="mixcompare audit: is each step of this EM the exact one?",
            title=title or "Audit of an EM",
            notice="",
            conclusion=_conclusion(audit),
            verdicts=_verdicts(audit),
            sections=sections,
            further=[],
        )
        whole = {"findings": audit.findings, "iterations": audit.iterations}
        exports.write_files(
            folder,
            {
                **exports.table_files(made for section in sections for made in section.tables),
                **{f"tables/{n}.csv": csv_text(frame) for n, frame in whole.items()},
                **exports.figure_files([drawing]),
                REPORT: page,
            },
        )
    return directory / REPORT


def _owner(audit: Audit, file: Path | None) -> Owner:
    trace = audit.trace
    digest = hashlib.sha256()
    for array in (trace.weights, trace.coefficients, trace.covariance):
        digest.update(np.ascontiguousarray(array).tobytes())
    place = () if file is None else (place_of(file),)
    words = f"{len(trace)} iterates" + ("" if file is None else f" of {file.name}")
    return Owner("audit", "", (digest.hexdigest(), *place), words)


def _conclusion(audit: Audit) -> str:
    kinds = audit.findings["kind"]
    faults, notes = int((kinds == "fault").sum()), int((kinds == "note").sum())
    falls, steps = int(audit.iterations["falls"].sum()), len(audit.trace) - 1
    blamed = counted(faults, "fault") if faults else "No fault"
    noted = f", {counted(notes, 'note')}" if notes else ""
    return f"{blamed} found{noted}; the log-likelihood " + (
        f"falls in {falls} of {steps} steps." if falls else f"never falls in {steps} steps."
    )


def _verdicts(audit: Audit) -> list[Verdict]:
    words = audit.findings[["cause", "kind", "part", "statement"]].astype(str)
    return [
        Verdict(cause[:1].upper() + cause[1:], kind, part, statement, *_BADGES[kind], _FINDINGS)
        for cause, kind, part, statement in words.itertuples(index=False)
    ] or [Verdict("Every step", "exact", "", audit.finding, "good", "✓", _STEPS)]


def _sections(audit: Audit, drawing: Drawing) -> list[Section]:
    made = (_findings(audit.findings),) if len(audit.findings) else ()
    what = "its rows less one" if audit.counts == "contrasts" else "all its rows"
    return [
        Section(
            _FINDINGS,
            "Findings",
            (
                *(() if made else ("None: every part of every step is the exact one.",)),
                "The audit judges steps. It does not say whether the iterations have converged, "
                "nor whether the maximum they lead to is the highest: that is for many starts "
                "to show.",
                f"Held against the likelihood of {audit.counts}: where effects are absorbed, a "
                f"cell counts {what}.",
            ),
            (),
            made,
        ),
        Section(
            _STEPS,
            "Step by step",
            (
                "Every iterate is scored with the exact likelihood, and every step compared with "
                "the exact E- and M-step from the same parameters. EM never lowers the "
                "likelihood, so that a fall proves a fault; a fault need not show as a fall.",
            ),
            (drawing,),
            (_iterations(audit.iterations),),
        ),
    ]


def _findings(frame: pd.DataFrame) -> Table:
    return table(
        "findings",
        "What is wrong, by how much, and what it costs",
        [
            (Column("cause", numeric=False), frame["cause"], str),
            (Column("part", "of the step", numeric=False), frame["part"], str),
            (Column("kind", numeric=False), frame["kind"], str),
            (Column("size"), frame["size"], significant),
            (Column("measure", numeric=False), frame["measure"], str),
            (Column("cost", "log-likelihood of a step, at most"), frame["cost"], significant),
            (Column("evidence", numeric=False), frame["evidence"], str),
        ],
    )


def _iterations(frame: pd.DataFrame) -> Table:
    first = frame.iloc[:_MOST_ITERATES]
    return table(
        "iterations",
        "Iterates and the steps that led to them, against the exact steps"
        + clipped(len(frame), _MOST_ITERATES),
        [(column, first[name], how) for name, column, how in _COLUMNS if name in frame],
    )


def _drawing(audit: Audit) -> Drawing:
    falls = audit.iterations.loc[audit.iterations["falls"], "change"].to_numpy()
    deepest = f" The deepest fall is {significant(-np.min(falls))}." if len(falls) else ""
    with style():
        return draw(
            plot_audit(audit),
            "audit",
            "The iterates and the parts of each step",
            "Above: the exact log-likelihood of every iterate, falls marked. Below: how far each "
            "part of a step is from the exact one; what lies under the dashed line, the tolerance, "
            "is the same up to rounding. A wrong E-step shows in all parts, a wrong part of the "
            "M-step in that part and those computed from it.",
            f"Log-likelihood and errors by iteration. {_conclusion(audit)}{deepest}",
        )
