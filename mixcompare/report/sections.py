"""The report's sections, in order. `register_section` adds one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mixcompare.base.registry import register
from mixcompare.comparison import Comparison
from mixcompare.pages.formatting import Table
from mixcompare.pages.palette import style
from mixcompare.pages.rendering import Drawing
from mixcompare.pages.shell import Section, known
from mixcompare.report import wording
from mixcompare.report.figures.bound import lower_bound
from mixcompare.report.figures.checks import prior_data, replicated
from mixcompare.report.figures.data import class_means
from mixcompare.report.figures.em import ascent, weights_by_iteration
from mixcompare.report.figures.membership import responsibilities
from mixcompare.report.figures.optima import optima_map
from mixcompare.report.figures.parameters import forest, ranks, traces
from mixcompare.report.figures.paths import class_paths
from mixcompare.report.figures.runs import starts_and_stops
from mixcompare.report.figures.switching import co_clustering, permutations
from mixcompare.report.tables import checks, data, draws, em, estimates, membership, verdicts

AIMS: Final = "aims"
MEANINGS: Final = "meanings"

type Figures = Mapping[str, tuple[Drawing, ...]]


@dataclass(frozen=True, slots=True)
class Outline:
    """What makes a section of a comparison.

    Attributes
    ----------
    anchor, title
        Its id in the page and its heading.
    intro
        Makes the paragraphs at its head.
    lead
        Makes markup of its own that follows them.
    figures, tables
        Make what is shown, in this order; None where a comparison has nothing to show. A
        section without anything is left out.
    evidence
        Verdicts whose evidence is here, by the names of their sections.
    """

    anchor: str
    title: str
    intro: Callable[[Comparison], Iterable[str]] = lambda _: ()
    lead: Callable[[Comparison], str] = lambda _: ""
    figures: tuple[Callable[[Comparison], Drawing | None], ...] = ()
    tables: tuple[Callable[[Comparison], Table | None], ...] = ()
    evidence: tuple[str, ...] = ()

    def section(self, comparison: Comparison, drawings: tuple[Drawing, ...]) -> Section:
        """The section with figures that have been drawn."""
        intro, lead = tuple(self.intro(comparison)), self.lead(comparison)
        tables = known(make(comparison) for make in self.tables)
        return Section(self.anchor, self.title, intro, drawings, tables, lead)


SECTIONS: Final = [
    Outline(
        MEANINGS,
        "What the verdicts mean",
        intro=lambda _: wording.MEANINGS,
        tables=(verdicts.meanings,),
    ),
    Outline(
        "model",
        "Data and model",
        intro=lambda c: (*wording.data_in_words(c), *wording.model_in_words(c)),
        lead=wording.model_formula,
        tables=(data.variables, data.priors),
    ),
    Outline("classes", "What the classes mean", figures=(class_means, class_paths)),
    Outline(
        "estimates",
        "Estimates side by side",
        intro=wording.estimates_intro,
        figures=(forest,),
        tables=(estimates.estimates, estimates.fits, estimates.side_by_side),
        evidence=("estimates", "posterior mode", "other posteriors", "standard errors"),
    ),
    Outline(
        "likelihoods",
        "Likelihoods",
        intro=lambda c: (*wording.LIKELIHOODS, wording.left_out(c)),
        tables=(estimates.likelihoods, checks.left_out),
        evidence=("likelihood identity", "likelihoods"),
    ),
    Outline(
        "prior",
        "What the prior does",
        intro=lambda c: (c.prior_check.sentence, wording.sensitivity(c)),
        figures=(prior_data,),
        tables=(checks.prior_check, checks.sensitivity),
        evidence=("prior", "prior and data", "prior sensitivity"),
    ),
    Outline(
        "fit",
        "Does the model produce such data?",
        intro=wording.fit_intro,
        figures=(replicated,),
        tables=(checks.predictive_check,),
        evidence=("model fit",),
    ),
    Outline(
        "membership",
        "Class membership",
        intro=lambda _: wording.MEMBERSHIP,
        figures=(responsibilities, co_clustering),
        tables=(membership.agreement, membership.class_sizes, membership.membership),
        evidence=("class membership",),
    ),
    Outline(
        "switching",
        "Label switching",
        intro=lambda _: wording.SWITCHING,
        figures=(traces, permutations),
        tables=(draws.switching, draws.invariants, draws.algorithms),
        evidence=("label switching",),
    ),
    Outline(
        "modes", "Modes", intro=lambda _: wording.MODES, tables=(draws.modes,), evidence=("modes",)
    ),
    Outline(
        "sampler",
        "Sampler diagnostics",
        intro=lambda c: (f"Sampler: {c.posterior_fit.message}",),
        figures=(ranks,),
        tables=(draws.convergence, draws.sampler),
        evidence=("MCMC convergence",),
    ),
    Outline(
        "optima",
        "Starts, searches and optima",
        intro=wording.starts_intro,
        figures=(ascent, lower_bound, weights_by_iteration, optima_map),
        tables=(em.optima, em.searches, em.statuses),
        evidence=("EM optimum", "searches"),
    ),
    Outline(
        "runs",
        "Starts and stopping rules",
        intro=wording.runs_intro,
        figures=(starts_and_stops,),
        tables=(em.runs,),
    ),
]


def register_section(outline: Outline) -> None:
    """Add a section to the end of every comparison's report.

    Raises
    ------
    OptionError
        If another section has its anchor.
    """
    known = {section.anchor: section for section in SECTIONS}
    register(known, "section with the anchor", outline.anchor, outline)
    SECTIONS[:] = known.values()


def drawings(comparison: Comparison) -> Figures:
    """Every section's figures by its anchor."""
    with style():
        return {o.anchor: known(make(comparison) for make in o.figures) for o in SECTIONS}


def sections(comparison: Comparison, figures: Figures) -> tuple[Section, ...]:
    """The sections that have something to show."""
    made = (o.section(comparison, figures[o.anchor]) for o in SECTIONS)
    return tuple(s for s in made if s.intro or s.lead or s.drawings or s.tables)


def aims(paragraphs: tuple[str, ...]) -> list[Section]:
    """The section that says what a study is to find out, if it says so."""
    return [Section(AIMS, "Aims", paragraphs)] if paragraphs else []


def place_of_verdict(section: str) -> str | None:
    """Anchor of the section in which a verdict's evidence lies."""
    return next((o.anchor for o in SECTIONS if section in o.evidence), None)
