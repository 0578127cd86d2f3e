"""Rules on what both backends estimate: do they agree, and if not, why?"""

from __future__ import annotations

import numpy as np

from mixcompare.comparison.evidence import Evidence, Verdict
from mixcompare.comparison.glossary import (
    APPROXIMATE,
    DIVERGENT,
    LITTLE_MASS,
    MISSED_MODE,
    MODES,
    NOT_CONVERGED,
    ORDERED,
    OVERLAP,
    PRIOR,
    SADDLE,
    SAMPLERS,
    SEVERAL,
    SKEWED,
    SPURIOUS,
    UNFINISHED,
    UNVISITED,
    WORSE_OPTIMUM,
    Entry,
    Word,
)
from mixcompare.comparison.reasons import likely_reason, pull


def judge_estimates(e: Evidence) -> Verdict:
    """Posterior means must lie near the maximum, in posterior sds."""
    difference = e.estimates["difference"]
    worst = str(difference.abs().idxmax())
    limit = e.thresholds.difference
    beyond = int((difference.abs() > limit).sum())
    differ = "differs" if beyond == 1 else "differ"
    statement = (
        f"{beyond} of {len(difference)} parameters {differ} by more than {limit:g} posterior sds; "
        f"the most is {difference[worst]:+.2f} sds for {worst}."
    )
    if beyond == 0:
        return _near(e, "estimates", statement)
    reason, because = likely_reason(e)
    return _apart(e, "estimates", reason, f"{statement} {because}")


def _near(e: Evidence, section: str, statement: str) -> Verdict:
    """Agreement, but with draws that can be relied on only."""
    word: Word = "agree" if e.unreliable is None else "caution"
    return Verdict(section, word, e.unreliable, statement)


def _apart(e: Evidence, section: str, reason: Entry, statement: str) -> Verdict:
    """A difference, but for what may be noise of the chains."""
    return Verdict(section, "caution" if reason == e.unconverged else "differ", reason, statement)


def judge_posterior_mode(e: Evidence) -> Verdict:
    """EM's mode of the posterior lies between the maximum and the mean; no draw is above it."""
    section, [mode] = "posterior mode", e.fits("mode").values()
    moved, left = pull(e)
    statement = (
        f"From EM's maximum to its mode of the posterior, which is the prior's pull, parameters "
        f"move by up to {moved:.3g} posterior sds; from there to the posterior's mean, which is "
        f"its skewness, by up to {left:.3g}."
    )
    if mode.status != "converged":
        return Verdict(section, "caution", UNFINISHED, f"{statement} EM: {mode.message}.")
    limit = e.thresholds.difference
    if max(moved, left) <= limit:
        return _near(e, section, statement)
    if e.unreliable is not None:
        return Verdict(section, "caution", e.unreliable, statement)
    return Verdict(section, "differ", PRIOR if moved > limit else SKEWED, statement)


def judge_other_posteriors(e: Evidence) -> Verdict:
    """Further posteriors must have the means of the first."""
    section = "other posteriors"
    table = e.side_by_side
    sd = e.estimates["posterior_sd"].where(lambda v: v > 0, 1.0)
    (first, posterior), *_ = e.fits("posterior").items()
    others = e.fits("further posterior")
    apart = table[list(others)].sub(table[first], axis=0).div(sd, axis=0)
    worst = float(apart.abs().max().max())
    each = "; ".join(
        f"{name}: {apart[name].abs().max():.2f} sds ({fit.status})" for name, fit in others.items()
    )
    statement = f"Largest difference of posterior means from {first}'s: {each}."
    if worst <= e.thresholds.difference:
        return Verdict(section, "agree", None, statement)
    beyond = [n for n in others if float(apart[n].abs().max()) > e.thresholds.difference]
    if all(others[n].options.get("ordered_by") is not None for n in beyond):
        overlap = "The ordering constraint mixes up classes that overlap in what it sorts."
        return Verdict(section, "caution", ORDERED, f"{statement} {overlap}")
    both = {first: posterior, **others}
    unfinished = [name for name, fit in both.items() if fit.status != "converged"]
    if unfinished:
        return Verdict(
            section, "caution", NOT_CONVERGED, f"{statement} Not converged: {unfinished[0]}."
        )
    return Verdict(section, "differ", SAMPLERS, statement)


def judge_likelihoods(e: Evidence) -> Verdict:
    """Draws should lie about d/2 below the maximum, where a posterior is near normal."""
    d = e.em.n_parameters
    mean, expected = float(e.scores.by_draw.mean()), e.scores.em_maximum - d / 2
    off = (mean - expected) / np.sqrt(d / 2)
    statement = (
        f"The draws' mean log-likelihood is {mean:.2f}; were the posterior normal around EM's "
        f"maximum, it would be {expected:.2f}, {abs(off):.2f} standard deviations of the draws' "
        f"log-likelihoods away.{_misfit(e, d)}"
    )
    if abs(off) <= e.thresholds.mean_log_likelihood:
        return _near(e, "likelihoods", statement)
    reason, _ = likely_reason(e)
    return _apart(e, "likelihoods", reason, statement)


def _misfit(e: Evidence, d: int) -> str:
    """Agreement of two backends is no evidence that their common model fits."""
    if e.unreliable is not None:
        return ""
    effective, counts = e.checks.loo.p, e.em.replicated
    # A unit of weight w is left out whole, which counts like w units at once.
    expected = d * float(np.sum(counts**2) / np.sum(counts))
    if not effective > e.thresholds.misfit * expected:
        return ""
    return (
        f" Both may be wrong together: PSIS-LOO counts {effective:.0f} effective parameters where "
        f"{expected:.0f} are expected, so the model fits the units poorly and intervals are likely "
        "too short; EM's sandwich errors (standard_errors='sandwich') allow for dependence within "
        "units."
    )


def judge_membership(e: Evidence) -> Verdict:
    """Units must be put into the same classes with like certainty."""
    same = float(e.agreement["value"]["share of units in the same class"])
    distance = float(e.agreement["value"]["mean distance"])
    index = float(e.agreement["value"]["adjusted Rand index"])
    statement = (
        f"{same:.1%} of the units are in the same class (adjusted Rand index {index:.3f}); class "
        f"probabilities differ by {distance:.4f} on average."
    )
    if same >= e.thresholds.same_class and distance <= e.thresholds.distance:
        return _near(e, "class membership", statement)
    reason, _ = likely_reason(e)
    if reason not in (
        WORSE_OPTIMUM,
        SPURIOUS,
        SADDLE,
        MISSED_MODE,
        MODES,
        UNVISITED,
        LITTLE_MASS,
        APPROXIMATE,
        NOT_CONVERGED,
        DIVERGENT,
        SEVERAL,
    ):
        reason = OVERLAP
    return _apart(e, "class membership", reason, statement)
