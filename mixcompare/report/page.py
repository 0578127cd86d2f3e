"""The report as one page of HTML."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from mixcompare.comparison import Comparison
from mixcompare.fit import Fit
from mixcompare.ownership import META, Owner
from mixcompare.report import tables, wording
from mixcompare.report.formatting import Table, duration
from mixcompare.report.provenance import code_again, code_reload, to_json
from mixcompare.report.sections import Section, place_of_verdict
from mixcompare.reproduction.carried import ELEMENT, SHOWN, embed, for_script, shown_digests

REPORT: Final = "report.html"
QUICK_NOTICE: Final = (
    "This is a quick run, of few starts and draws: it shows that everything works. Do not draw "
    "conclusions from it."
)
_BACKENDS: Final = {"em": "EM", "pymc": "posterior by PyMC"}
_BADGES: Final = {
    "agree": ("good", "✓"),
    "caution": ("unsure", "!"),
    "cannot tell": ("unsure", "?"),
    "differ": ("bad", "≠"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the summary box."""

    section: str
    verdict: str
    reason: str
    statement: str
    kind: str
    sign: str
    place: str | None


def render(
    comparison: Comparison,
    shown: Sequence[Section],
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
    return render_page(
        "template.html",
        owner=owner,
        kind="mixcompare report: do EM and MCMC agree?",
        title=title or wording.default_title(comparison),
        notice=QUICK_NOTICE if record["quick"] else "",
        conclusion=comparison.conclusion,
        verdicts=_verdicts(comparison),
        sections=shown,
        further=[("checklists", "Checklists"), ("reproduction", "Reproduction")],
        checklists=checklists,
        thresholds=tables.thresholds(comparison),
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


def render_page(template: str, *, owner: Owner, **values: Any) -> str:
    """A page that extends ``base.html``, with our style sheet and script and no other.

    Parameters
    ----------
    template
        Its file name in this package.
    owner
        What the page is made from.
    **values
        What ``base.html`` shows (kind, title, conclusion, verdicts, sections, and `further`
        entries of the contents as pairs of anchor and heading) and the template's own.
    """
    script = _own_text("script.js")
    return (
        environment()
        .get_template(template)
        .render(
            style=style_sheet(),
            script=Markup(script),  # our own text
            policy=_policy(script),
            made_from=(META, owner.to_json()),
            **values,
        )
    )


def environment() -> jinja2.Environment:
    """The pages' templates, ``macros.html`` for tables and drawings among them."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["Markup"] = Markup
    return made


def style_sheet() -> Markup:
    """The pages' style sheet."""
    return Markup(_own_text("style.css"))


def _own_text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _policy(script: str) -> str:
    """Content security policy: nothing from outside, and no script but ours."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _verdicts(comparison: Comparison) -> list[Verdict]:
    lines = []
    for line in comparison.verdicts.to_dict("records"):
        kind, sign = _BADGES.get(str(line["verdict"]), ("unsure", "•"))
        section = str(line["section"])
        lines.append(
            Verdict(
                section=section[:1].upper() + section[1:],
                verdict=str(line["verdict"]),
                reason=str(line.get("reason", "")),
                statement=str(line["statement"]),
                kind=kind,
                sign=sign,
                place=place_of_verdict(section),
            )
        )
    return lines


def _fits(record: dict[str, Any]) -> list[dict[str, Any]]:
    fits = {_BACKENDS.get(name, name): fit for name, fit in record["fits"].items()}
    fits |= record["models"]
    if record["restart"] is not None:
        fits["EM restarted from the highest draw"] = record["restart"]
    return [
        {
            "name": name,
            "status": fit["status"],
            "message": fit["message"],
            "seed": fit["seed"],
            "time": duration(fit["seconds"]),
            "created": fit["created"],
            "options": json.dumps(fit["options"]),
            "versions": _versions(fit["versions"], before),
        }
        for (name, fit), before in zip(fits.items(), [None, *fits.values()], strict=False)
    ]


def _versions(own: dict[str, str], before: dict[str, Any] | None) -> str:
    if before is not None and own == before["versions"]:
        return "versions as above"
    return ", ".join(f"{name} {version}" for name, version in own.items())
