"""Rules that answer items of the Bayesian analysis reporting guidelines."""

from __future__ import annotations

from typing import Final

from mixcompare.model.spec import Priors
from mixcompare.pages.formatting import count, fixed
from mixcompare.report import wording
from mixcompare.report.checklists.answers import Answer, Facts, author, automatic, not_applicable
from mixcompare.report.sections import AIMS
from mixcompare.reproduction.origin import Origin

_PRIOR: Final = "prior"


def aims(facts: Facts) -> Answer:
    """The study's own words, if it has any."""
    text = " ".join(Origin(study=facts.record["study"]).aims)
    return automatic(text, AIMS) if text else author("State the aims.")


def likelihood(facts: Facts) -> Answer:
    """Words and formula."""
    em = facts.em
    k = em.spec.n_components
    classes = f"{k} classes" if k > 1 else "one class"
    return automatic(
        f"A mixture of normal regressions with {classes} and {em.n_parameters} free parameters.",
        "model",
    )


def priors(facts: Facts) -> Answer:
    """What they are is known; why, only for the defaults."""
    if facts.em.spec.priors == Priors():
        return automatic(
            "The defaults: weakly informative, scaled to the data, and proper, so that no class "
            "can collapse.",
            "table-priors",
        )
    return author("All are listed; justify those that are not the defaults.", "table-priors")


def posterior_predictive(facts: Facts) -> Answer:
    """The observed data within the posterior's."""
    return automatic(wording.finding(facts.comparison, "model fit"), "fit")


def convergence(facts: Facts) -> Answer:
    """The largest R-hat."""
    worst = facts.comparison.estimates["r_hat"].max()
    return automatic(
        f"Largest R-hat after alignment of the labels {fixed(3)(worst)}; all are listed.",
        "table-convergence",
    )


def effective_samples(facts: Facts) -> Answer:
    """The smallest effective sample sizes."""
    table = facts.comparison.estimates
    bulk, tail = table["ess_bulk"].min(), table["ess_tail"].min()
    return automatic(
        f"Smallest effective sample size {count(bulk)} in the bulk and {count(tail)} in the "
        "tails; all are listed.",
        "table-convergence",
    )


def sensitivity(facts: Facts) -> Answer:
    """Stronger and weaker priors by power-scaling; EM is without one."""
    sentence = wording.sensitivity(facts.comparison)
    return automatic(f"Power-scaling: {sentence} EM's maximum is without a prior.", _PRIOR)


def informed_priors(facts: Facts) -> Answer:
    """Only for priors that are not the defaults."""
    if facts.em.spec.priors == Priors():
        return not_applicable("No prior is informed by other knowledge: all are the defaults.")
    return sensitivity(facts)


def code_and_data(facts: Facts) -> Answer:
    """Code is in the page, data only where they ship with the package."""
    data = facts.record["data"]
    if data["panel"] is not None:
        return automatic(
            f"Code is in this report; the data are the panel {data['panel']!r}, which "
            "mixcompare loads by its name.",
            "reproduction",
        )
    return author("Code is in this report; say where the data are.", "reproduction")
