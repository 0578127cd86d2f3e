"""The report as one page of HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from mixcompare.base.files.ownership import Owner
from mixcompare.comparison import Comparison
from mixcompare.comparison.calls import DATA
from mixcompare.comparison.remedies import Remedy
from mixcompare.fits.fit import Fit
from mixcompare.pages.formatting import Table, duration
from mixcompare.pages.shell import QUICK_NOTICE, REPORT, Section, Verdict, render_page
from mixcompare.report import wording
from mixcompare.report.provenance import code_again, code_reload, to_json
from mixcompare.report.sections import MEANINGS, place_of_verdict
from mixcompare.report.tables.verdicts import thresholds
from mixcompare.reproduction.carried import ELEMENT, SHOWN, embed, for_script, shown_digests

_BACKENDS: Final = {"em": "EM", "pymc": "posterior by PyMC"}
_BADGES: Final = {
    "agree": ("good", "="),
    "ok": ("good", "✓"),
    "caution": ("unsure", "!"),
    "differ": ("bad", "≠"),
    "not judged": ("neutral", "○"),
}


def render(
    comparison: Comparison,
    sections: Sequence[Section],
    checklists: Sequence[Table],
    *,
    title: str | None,
    record: dict[str, Any],
    saved: tuple[str, ...],
    owner: Owner,
    models: Sequence[Fit] = (),
) -> str:
    """The page without its record, for which `sealed` is.

    Parameters
    ----------
    shown
        From `mixcompare.report.sections.sections`.
    checklists
        Their tables.
    title
        Heading; by default the formula and the number of classes.
    record
        From `mixcompare.report.provenance.provenance`.
    saved
        Names of the files beside the page that hold the two fits, if they are there.
    owner
        What it is made from.
    models
        Fits of other models.
    """
    headline, _, beside = comparison.conclusion.partition(". ")
    return render_page(
        "comparison.html",
        package=__package__,
        owner=owner,
        kind="mixcompare report: do EM and MCMC agree?",
        title=title or wording.default_title(comparison),
        notice=QUICK_NOTICE if record["quick"] else "",
        conclusion=headline.removesuffix(".") + ".",
        beside=beside,
        verdicts=_verdicts(comparison),
        remedies=[_remedy(remedy, record) for remedy in comparison.remedies],
        sections=sections,
        further=[("checklists", "Checklists"), ("reproduction", "Reproduction")],
        checklists=checklists,
        thresholds=thresholds(comparison),
        record=record,
        record_id=ELEMENT,
        fits=_fits(record),
        page_name=REPORT,
        data_option=("" if record["data"]["panel"] else " --data FILE")
        + " --trust" * comparison.em.trust,
        code_again=code_again(comparison, models, (record["selection"] or {}).get("asked")),
        code_reload=code_reload(saved, trust=comparison.em.trust),
    )


def sealed(page: str, record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The page with its record, which says what the page shows; and that record."""
    whole = {**record, SHOWN: shown_digests(page)}
    return embed(page, for_script(to_json(whole))), whole


def _verdicts(comparison: Comparison) -> list[Verdict]:
    return [
        Verdict(
            f"{line['section'][:1].upper()}{line['section'][1:]}",
            line["verdict"],
            line["reason"],
            line["statement"],
            *_BADGES.get(line["verdict"], ("unsure", "•")),
            place_of_verdict(line["section"]),
            MEANINGS if line["reason"] else None,
        )
        for line in comparison.verdicts.astype(str).to_dict("records")
    ]


def _remedy(remedy: Remedy, record: dict[str, Any]) -> dict[str, str]:
    """What to run, in Python and, where it can be, in the study's file or at the prompt."""
    said = {"whose": _BACKENDS[remedy.backend], "text": remedy.reason.remedy}
    if record["study"]:
        where, prompt = "In the study file, of its method", remedy.toml
    else:
        # A line is broken between options, not within one.
        options = re.split(" (?=--)", remedy.command_on(record["data"]["file"] or DATA))
        unbroken = Markup(" ").join(Markup("<span>{}</span>").format(text) for text in options)
        where, prompt = "At the prompt", unbroken if remedy.command else ""
    return {**said, "python": remedy.python, "where": where, "prompt": prompt}


def _fits(record: dict[str, Any]) -> list[dict[str, Any]]:
    fits = {_BACKENDS.get(name, name): fit for name, fit in record["fits"].items()}
    fits |= record["models"]
    if record["restart"] is not None:
        fits["EM restarted from the highest draw"] = record["restart"]
    return [
        {
            **fit,
            "name": name,
            "time": duration(fit["seconds"]),
            "options": json.dumps(fit["options"]),
            "versions": _versions(fit["versions"], before),
        }
        for (name, fit), before in zip(fits.items(), [None, *fits.values()], strict=False)
    ]


def _versions(versions: dict[str, str], before: dict[str, Any] | None) -> str:
    if before is not None and versions == before["versions"]:
        return "versions as above"
    return ", ".join(f"{name} {version}" for name, version in versions.items())
