"""A study's report: the ADEMP description, counts, measures, figures, reproduction."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mixcompare.base.files.csv_text import csv_text
from mixcompare.base.files.ownership import study_owner
from mixcompare.base.files.staging import staged
from mixcompare.pages import exports
from mixcompare.pages.formatting import duration
from mixcompare.pages.palette import style
from mixcompare.pages.rendering import Drawing
from mixcompare.pages.shell import QUICK_NOTICE, Section, Verdict, render_page
from mixcompare.study.file.load import Study
from mixcompare.study.measures.from_store import count_table
from mixcompare.study.report import study_tables as tables
from mixcompare.study.report import wording
from mixcompare.study.report.contents import Findings, findings
from mixcompare.study.report.figures import drawings
from mixcompare.study.run.store import FAILURES, Store

REPORT: Final = "report.html"


def write_study_report(study: Study, store: Store, folder: Path, *, quick: bool) -> Path:
    """Write ``report.html``, its tables and its figures into a folder.

    Parameters
    ----------
    study
        The study.
    store
        Its results, so far as they are.
    folder
        Files of an earlier report in it are replaced after all have been made.
    quick
        Whether they are of a quick run, which the page then says.

    Returns
    -------
    Path of the page.

    Raises
    ------
    OptionError
        If the folder cannot be written.
    """
    reported = findings(study, store)
    with style():
        figures = drawings(reported)
    sections = _sections(reported, figures)
    whole = {f"tables/{name}.csv": csv_text(frame) for name, frame in reported.measures.items()}
    with staged(folder, last=REPORT) as staging:
        exports.write_files(
            staging,
            {
                **exports.table_files(table for section in sections for table in section.tables),
                **whole,
                **exports.figure_files(figures.values()),
                REPORT: _render(reported, sections, store, quick=quick),
            },
        )
    return folder / REPORT


def _render(findings: Findings, sections: Sequence[Section], store: Store, *, quick: bool) -> str:
    study = findings.study
    verdicts = [
        _verdict(row) for row in count_table(findings.tasks, findings.methods).to_dict("records")
    ]
    planned, done = len(findings.tasks), int(findings.tasks["outcome"].notna().sum())
    failed = int(findings.tasks["outcome"].isin(FAILURES).sum())
    return render_page(
        "study.html",
        package=__package__,
        owner=study_owner(study.name),
        kind="mixcompare study",
        notice=QUICK_NOTICE if quick else "",
        further=[("reproduction", "Reproduction")],
        title=study.tables.study.title or study.name,
        conclusion=f"{done:,} of {planned:,} fits finished, {failed:,} failed, in "
        f"{len(study.scenarios)} scenario{'s' if len(study.scenarios) > 1 else ''}.",
        verdicts=verdicts,
        sections=sections,
        record=_record(findings, store),
        commands=_commands(study),
        text=study.text,
    )


def _verdict(row: Mapping[Any, Any]) -> Verdict:
    finished, converged = int(row["finished"]), int(row["converged"])
    share = converged / finished if finished else 0.0
    # Rounded down: all but one of 2,400 are not 100 %.
    percent = math.floor(1000 * share) / 10
    kind, sign = ("good", "✓") if share == 1 else ("unsure", "!") if share >= 0.9 else ("bad", "≠")
    reasons = ", ".join(
        f"{row[name.replace(' ', '_')]} {name}" for name in FAILURES if row[name.replace(" ", "_")]
    )
    waiting = int(row["planned"]) - finished
    statement = (
        f"{converged:,} of {finished:,} fits converged"
        + (f"; {int(row['not_converged']):,} did not" if row["not_converged"] else "")
        + (f"; failed: {reasons}" if reasons else "")
        + (f"; {waiting:,} are still to run" if waiting else "")
        + "."
    )
    return Verdict(str(row["method"]), f"{percent:g} %", "", statement, kind, sign, None)


def _sections(findings: Findings, figures: Mapping[str, Drawing]) -> list[Section]:
    study = findings.study
    drawings = tuple(figures.values())
    aims = study.tables.aims.text.split("\n\n") if study.tables.aims.text else ()
    sections = [
        Section("aims", "Aims", tuple(text.strip() for text in aims if text.strip())),
        Section(
            "mechanisms",
            "Data-generating mechanisms",
            tuple(wording.mechanism(study)),
            (),
            tables.scenarios(study),
        ),
        Section("methods", "Methods", (), (), (tables.methods(study),)),
        Section("counts", "Fits", tables.COUNTS_INTRO, (), (tables.counts(findings.measures),)),
    ]
    if len(findings.measures["performance"]):
        performance = tables.performance(findings.measures["performance"], findings.focus)
        sections.append(
            Section("performance", "Performance", tables.MEASURES_INTRO, drawings, performance)
        )
    elif len(findings.estimates):
        sections.append(Section("estimates", "Estimates", (), (), (tables.estimates(findings),)))
    sections.append(
        Section("fits", "Fits and classes", (), (), (tables.fits(findings.measures["fits"]),))
    )
    failures = tables.failures(findings.tasks)
    if failures is not None:
        sections.append(Section("failures", "Failures", (), (), (failures,)))
    return [s for s in sections if s.intro or s.drawings or s.tables]


def _record(findings: Findings, store: Store) -> dict[str, str]:
    done = findings.tasks[findings.tasks["outcome"].notna()]
    versions = [json.loads(text) for text in dict.fromkeys(done["versions"].dropna())]
    return {
        "Seed": str(findings.study.tables.run.seed),
        "Store": store.path.name,
        "Time of all fits": duration(float(done["seconds"].sum())),
        "Hosts": ", ".join(dict.fromkeys(done["host"].dropna())),
        **{
            f"Versions{'' if len(versions) == 1 else f' {i + 1}'}": ", ".join(
                f"{name} {version}" for name, version in packages.items()
            )
            for i, packages in enumerate(versions)
        },
        "Report written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commands(study: Study) -> str:
    name = "STUDY.toml" if study.path is None else study.path.name
    return "\n".join(
        (
            f"mixcompare run {name}               # goes on where it is",
            f"mixcompare status {name}            # how far it is",
            f"mixcompare rerun {name} --task N    # one fit again, exactly",
            f"mixcompare export {name} DIR        # every table as Parquet and CSV",
        )
    )
