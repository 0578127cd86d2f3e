"""The report as one page of HTML."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison import Comparison
from mixcompare.report import tables, tables_checks, wording
from mixcompare.report.formatting import Table, duration
from mixcompare.report.palette import style
from mixcompare.report.plots_checks import prior_data, replicated
from mixcompare.report.plots_data import class_means
from mixcompare.report.plots_em import ascent
from mixcompare.report.plots_membership import responsibilities
from mixcompare.report.plots_parameters import forest, ranks, traces
from mixcompare.report.plots_switching import co_clustering, permutations
from mixcompare.report.provenance import code_again, code_reload
from mixcompare.report.rendering import Drawing

_BADGES: Final = {
    "agree": ("good", "✓"),
    "caution": ("unsure", "!"),
    "cannot tell": ("unsure", "?"),
    "differ": ("bad", "≠"),
}
# Where a verdict's evidence lies, by the first word that its section's name contains.
_PLACES: Final = (
    ("identity", "likelihoods"),
    ("optimum", "optima"),
    ("modes", "modes"),
    ("prior", "prior"),
    ("model fit", "fit"),
    ("starts", "optima"),
    ("convergence", "convergence"),
    ("estimates", "estimates"),
    ("likelihood", "likelihoods"),
    ("membership", "membership"),
    ("switching", "convergence"),
)


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


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: its introduction, figures and tables, in this order."""

    anchor: str
    title: str
    intro: tuple[str, ...]
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()


def drawings(comparison: Comparison) -> dict[str, Drawing]:
    """Every figure by its name."""
    makers: tuple[Callable[[Comparison], Drawing], ...] = (
        class_means,
        forest,
        responsibilities,
        co_clustering,
        traces,
        permutations,
        ranks,
        ascent,
        prior_data,
        replicated,
    )
    with style():
        made = [make(comparison) for make in makers if _shows_something(make, comparison)]
    return {drawing.name: drawing for drawing in made}


def _shows_something(make: Callable[[Comparison], Drawing], comparison: Comparison) -> bool:
    """Ranks compare chains, and one class has no labels to exchange."""
    chains, _, k = comparison.permutation.shape
    if make is ranks:
        return bool(chains > 1)
    return bool(k > 1 or make not in (co_clustering, permutations))


def render(
    comparison: Comparison,
    figures: dict[str, Drawing],
    *,
    title: str | None,
    record: dict[str, Any],
    saved: tuple[str, ...],
) -> str:
    """The page.

    Parameters
    ----------
    figures
        From `drawings`.
    title
        Heading; by default the formula and the number of classes.
    record
        From `mixcompare.report.provenance.provenance`.
    saved
        Names of the files beside the page that hold the two fits, if they are there.
    """
    return (
        environment()
        .get_template("template.html")
        .render(
            title=title or wording.default_title(comparison),
            style=style_sheet(),
            conclusion=comparison.conclusion,
            verdicts=_verdicts(comparison),
            words=[*wording.data_in_words(comparison), *wording.model_in_words(comparison)],
            formula=wording.model_formula(comparison),
            spec=comparison.em.spec,
            priors=tables.priors(comparison),
            sections=_sections(comparison, figures),
            thresholds=tables.thresholds(comparison),
            record=record,
            fits=_fits(record),
            code_again=code_again(comparison),
            code_reload=code_reload(saved),
        )
    )


def environment() -> jinja2.Environment:
    """The pages' templates, ``macros.html`` for tables and drawings among them."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["Markup"] = Markup
    return made


def _template(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def style_sheet() -> Markup:
    """The pages' style sheet."""
    return Markup(_template("style.css"))  # our own text


def _verdicts(comparison: Comparison) -> list[Verdict]:
    lines = []
    for line in comparison.verdicts.to_dict("records"):
        kind, sign = _BADGES.get(str(line["verdict"]), ("unsure", "•"))
        section = str(line["section"])
        lines.append(
            Verdict(
                section=section,
                verdict=str(line["verdict"]),
                reason=str(line.get("reason", "")),
                statement=str(line["statement"]),
                kind=kind,
                sign=sign,
                place=next((place for word, place in _PLACES if word in section), None),
            )
        )
    return lines


def _fits(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "status": fit["status"],
            "message": fit["message"],
            "seed": fit["seed"],
            "time": duration(fit["seconds"]),
            "created": fit["created"],
            "options": json.dumps(fit["options"]),
            "versions": ", ".join(f"{k} {v}" for k, v in fit["versions"].items()),
        }
        for name, fit in record["fits"].items()
    ]


def _sections(comparison: Comparison, figures: dict[str, Drawing]) -> list[Section]:
    def chosen(*names: str) -> tuple[Drawing, ...]:
        return tuple(figures[name] for name in names if name in figures)

    return [
        Section("classes", "What the classes mean", (), chosen("class-means")),
        Section(
            "estimates",
            "Estimates side by side",
            _estimates_intro(comparison),
            chosen("forest"),
            (tables.estimates(comparison),),
        ),
        Section(
            "likelihoods",
            "Likelihoods",
            (
                "All constants are in, so the values compare across backends and with other "
                "packages. No draw can beat the maximum unless EM missed it.",
                f"Cross-validation leaves out one unit at a time. {comparison.loo.sentence}",
            ),
            (),
            (
                tables.quantities("likelihoods", "Likelihoods", comparison.likelihoods),
                tables_checks.left_out(comparison),
            ),
        ),
        Section(
            "prior",
            "What the prior does",
            (comparison.prior_check.sentence, sensitivity_sentence(comparison.sensitivity)),
            chosen("prior-data"),
            (tables_checks.prior_check(comparison), tables_checks.sensitivity(comparison)),
        ),
        Section(
            "fit",
            "Does the model produce such data?",
            (
                "Agreement of two backends is no evidence that their common model fits. "
                + comparison.predictive_check.sentence,
            ),
            chosen("replicated"),
            (tables_checks.predictive_check(comparison),),
        ),
        Section(
            "membership",
            "Class membership",
            ("Posterior probabilities are averages over the aligned draws.",),
            chosen("responsibilities", "co-clustering"),
            (
                tables.quantities("agreement", "Agreement of the classes", comparison.agreement),
                tables.class_sizes(comparison),
                tables.membership(comparison),
            ),
        ),
        Section(
            "convergence",
            "Label switching and convergence",
            (
                "The likelihood does not know one label from another, so draws as sampled may "
                "carry any labelling; R-hat before alignment then says nothing about "
                "convergence. What still disagrees after alignment is real multimodality or a "
                "chain that is too short.",
            ),
            chosen("traces", "permutations", "ranks"),
            (
                tables.quantities("switching", "Label switching", comparison.switching),
                tables.invariants(comparison),
                tables.algorithms(comparison),
                tables.convergence(comparison),
            ),
        ),
        Section(
            "modes",
            "Modes",
            (
                "A draw belongs to the optimum that EM climbs to from it. Copies of one optimum "
                "under other labels count as one, so several rows are several modes of the "
                "likelihood, whatever the labels. A small gap and a small distance mean that two "
                "are hardly different fits. From draws of no mode EM did not converge, mostly "
                "because a class emptied.",
            ),
            (),
            (tables.modes(comparison),),
        ),
        Section(
            "optima",
            "EM's starts and optima",
            (f"EM: {comparison.em.message}.",),
            chosen("em-log-likelihood"),
            (tables.optima(comparison), tables.statuses(comparison)),
        ),
        Section(
            "sampler",
            "Sampler diagnostics",
            (f"Sampler: {comparison.posterior_fit.message}",),
            (),
            (tables.sampler(comparison),),
        ),
    ]


def _estimates_intro(comparison: Comparison) -> tuple[str, ...]:
    reason = str(comparison.em.tree["standard_errors"].attrs.get("reason", ""))
    first = (
        "Components are numbered by EM from the largest weight to the smallest; the draws were "
        "renumbered to match."
    )
    return (first, f"EM's standard errors are withheld: {reason}") if reason else (first,)
