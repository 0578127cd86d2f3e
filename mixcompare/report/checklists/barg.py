"""Rules that answer items of the Bayesian analysis reporting guidelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mixcompare.model.spec import Priors
from mixcompare.pages.formatting import count, fixed
from mixcompare.report import wording
from mixcompare.report.checklists.answers import (
    Answer,
    Facts,
    author,
    automatic,
    not_applicable,
)
from mixcompare.report.sections import AIMS
from mixcompare.reproduction.origin import Origin

_POSTERIOR_CHECK: Final = "fit"
_PRIOR: Final = "prior"
_NO_PROBABILITIES: Final = "No Bayes factor or model probability is reported."


def aims(facts: Facts) -> Answer:
    """The study's own words, if it has any."""
    text = " ".join(Origin(study=facts.record["study"]).aims)
    return automatic(text, AIMS) if text else author("State the aims.")


def likelihood(facts: Facts) -> Answer:
    """Words and formula."""
    em = facts.comparison.em
    k = em.spec.n_components
    classes = f"{k} classes" if k > 1 else "one class"
    return automatic(
        f"A mixture of normal regressions with {classes} and {em.n_parameters} free parameters.",
        "model",
    )


def priors(facts: Facts) -> Answer:
    """What they are is known; why, only for the defaults."""
    if facts.comparison.em.spec.priors == Priors():
        return automatic(
            "The defaults: weakly informative, scaled to the data, and proper, so that no class "
            "can collapse.",
            "table-priors",
        )
    return author("All are listed; justify those that are not the defaults.", "table-priors")


def prior_predictive(facts: Facts) -> Answer:
    """The observed data within the prior's."""
    return automatic(facts.comparison.prior_check.sentence, _PRIOR)


def posterior_predictive(facts: Facts) -> Answer:
    """The observed data within the posterior's."""
    return automatic(wording.finding(facts.comparison, "model fit"), _POSTERIOR_CHECK)


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
    if facts.comparison.em.spec.priors == Priors():
        return not_applicable("No prior is informed by other knowledge: all are the defaults.")
    return sensitivity(facts)


def model_probabilities(facts: Facts) -> Answer:
    """Marginal likelihoods, from which Bayes factors follow, if a choice of K has them."""
    if not _has_evidence(facts):
        return not_applicable(_NO_PROBABILITIES)
    return automatic(
        "Log marginal likelihoods by number of classes; the log Bayes factor of two numbers is "
        "their difference.",
        "table-selection-posterior",
    )


def model_threshold(facts: Facts) -> Answer:
    """Whether the author decides by one, and from which on."""
    if not _has_evidence(facts):
        return not_applicable(_NO_PROBABILITIES)
    return author("Say whether a number of classes is chosen by its probability, and by which.")


def model_probabilities_and_priors(facts: Facts) -> Answer:
    """Marginal likelihoods are given for one prior only."""
    if not _has_evidence(facts):
        return not_applicable(_NO_PROBABILITIES)
    return author(
        "Marginal likelihoods are under the priors listed: give them under others.", "table-priors"
    )


def _has_evidence(facts: Facts) -> bool:
    choice = facts.record["selection"]
    return choice is not None and bool({"bridge", "smc"} & set(choice["asked"]["posterior"]))


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


def same_chains(facts: Facts) -> Answer:
    """The seed and the fingerprint of the draws."""
    return automatic(
        f"Seed {facts.comparison.posterior_fit.seed}; the same versions and kind of processor give "
        f"the same draws to the bit (SHA-256 {facts.record['draws_sha256']['pymc'][:12]}…).",
        "reproduction",
    )


BARG_RULES: Final[Mapping[str, Callable[[Facts], Answer]]] = {
    rule.__name__: rule
    for rule in (
        aims,
        likelihood,
        priors,
        prior_predictive,
        posterior_predictive,
        convergence,
        effective_samples,
        sensitivity,
        informed_priors,
        model_probabilities,
        model_threshold,
        model_probabilities_and_priors,
        code_and_data,
        same_chains,
    )
}
