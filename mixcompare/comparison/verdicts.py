"""The rules by which evidence becomes a verdict, all in one place.

Every rule reads numbers that the report shows, compares them with a threshold that the
user can set, and gives one of

``agree``
    the backends tell the same story;
``caution``
    nothing contradicts that, but the evidence is too weak to rely on;
``differ``
    they do not, with the likeliest reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from mixcompare.checking.sensitivity import sensitivity_sentence
from mixcompare.comparison.evidence import (
    APPROXIMATE,
    MODES,
    NOT_CONVERGED,
    PRIOR,
    SEVERAL,
    SKEWED,
    UNBOUNDED,
    UNLIKE,
    UNVISITED,
    WORSE_OPTIMUM,
    Evidence,
)
from mixcompare.comparison.several import side_by_side


@dataclass(frozen=True, slots=True)
class Verdict:
    """One section's verdict, the likeliest reason of a difference, and a statement."""

    section: str
    verdict: str
    reason: str
    statement: str


def judge(evidence: Evidence) -> pd.DataFrame:
    """Apply every rule; columns section, verdict, reason, statement."""
    rules = [*_RULES]
    if evidence.arranged.mode is not None:
        rules.append(judge_posterior_mode)
    if evidence.arranged.others:
        rules.append(judge_other_posteriors)
    return pd.DataFrame([asdict(rule(evidence)) for rule in rules])


def conclude(verdicts: pd.DataFrame) -> str:
    """All verdicts in one sentence, differences before cautions.

    Parameters
    ----------
    verdicts
        As `judge` gives them.
    """
    differ = verdicts[verdicts["verdict"] == "differ"]
    caution = verdicts[verdicts["verdict"] == "caution"]
    if len(differ):
        return f"EM and MCMC differ in {_listing(differ)}."
    if len(caution):
        return f"EM and MCMC do not contradict each other; caution on {_listing(caution)}."
    return "EM and MCMC agree in every section."


def _listing(verdicts: pd.DataFrame) -> str:
    """Sections with their reasons."""
    return "; ".join(
        f"{section} ({reason})" if reason else section
        for section, reason in zip(verdicts["section"], verdicts["reason"], strict=True)
    )


def judge_identity(e: Evidence) -> Verdict:
    """Both backends must compute the same log-likelihood at the same parameters."""
    error = e.scores.identity_error
    same = error <= e.thresholds.identity
    return Verdict(
        "likelihood identity",
        "agree" if same else "differ",
        "" if same else "the backends compute different likelihoods",
        f"At EM's estimate and at the best draw the two independent computations of the "
        f"log-likelihood differ by {error:.1e} relative (at most {e.thresholds.identity:.0e}).",
    )


def judge_optimum(e: Evidence) -> Verdict:
    """EM's maximum must not be beaten by a draw, and several starts should find it."""
    section = "EM optimum"
    if e.scores.restart is not None:
        above = (
            f"A draw has a log-likelihood {e.scores.excess:.4g} above EM's maximum"
            if e.scores.excess > 0
            else "No draw is above EM's maximum, but draws climb to a higher one"
        )
        return Verdict(
            section,
            "differ",
            WORSE_OPTIMUM,
            f"{above}; EM restarted from it reaches {e.scores.restart.log_likelihood:.4f} instead "
            f"of {e.scores.em_maximum:.4f}. Use more starts.",
        )
    if e.scores.collapsed:
        return Verdict(
            section,
            "caution",
            UNBOUNDED,
            f"A draw has a log-likelihood {e.scores.excess:.4g} above EM's maximum, but EM started "
            "from it shrinks a component onto a few rows, where the likelihood is unbounded: EM's "
            "maximum is the highest of the usable optima that were found. Ask for fewer classes, "
            "covariance_by='shared' or the mode of the posterior (estimator='map').",
        )
    if e.em.status != "converged":
        return Verdict(section, "caution", NOT_CONVERGED, f"EM: {e.em.message}.")
    at_best, total = int(e.optima["starts"].iloc[0]), e.em.tree["starts"].sizes["start"]
    optima = "1 optimum" if len(e.optima) == 1 else f"{len(e.optima)} distinct optima"
    found = (
        f"{at_best} of {total} starts reached the maximum {e.scores.em_maximum:.4f}; {optima}; "
        f"no draw is above it (highest {e.scores.best_draw:.4f})."
    )
    if e.em.spec.n_components > 1 and at_best < e.thresholds.starts_at_best:
        return Verdict(section, "caution", "few starts at the best optimum", found)
    return Verdict(section, "agree", "", found)


def judge_convergence(e: Evidence) -> Verdict:
    """Chains must agree with one another before they can be compared with anything."""
    if e.approximate:
        return Verdict(
            "MCMC convergence",
            "caution",
            APPROXIMATE,
            "The draws are from an approximation of the posterior; nothing shows how good it is.",
        )
    r_hat, ess = float(e.estimates["r_hat"].max()), float(e.estimates["ess_bulk"].min())
    invariant = ", ".join(f"{name} {value:.3f}" for name, value in e.invariant.items())
    found = (
        f"Largest R-hat after alignment {r_hat:.3f}, smallest bulk ESS {ess:.0f}, "
        f"{e.divergences} divergences; label-invariant R-hat: {invariant}."
    )
    if e.converged:
        return Verdict("MCMC convergence", "agree", "", found)
    if e.different_modes:
        return Verdict("MCMC convergence", "differ", MODES, found)
    return Verdict("MCMC convergence", "caution", NOT_CONVERGED, found)


def judge_modes(e: Evidence) -> Verdict:
    """Draws should belong to one mode, copies of which are only labels, and it should be EM's."""
    section, modes = "modes", e.modes
    climbed, count = modes.visited.size, int((modes.shares.sum(axis=1) > 0).sum())
    unfinished = float((modes.visited < 0).mean())
    lost = f"; from {unfinished:.1%} EM did not converge" if unfinished else ""
    found = (
        f"Of {climbed} draws, {modes.share_of_em:.1%} climb by EM to its estimate; they end at "
        f"{count} mode{'' if count == 1 else 's'} up to labels, {modes.share_of_others:.1%} of "
        f"them outside the commonest{lost}."
    )
    if e.worse_optimum:
        return Verdict(section, "differ", WORSE_OPTIMUM, found)
    if e.unvisited:
        return Verdict(section, "differ", UNVISITED, found)
    if e.different_modes:
        return Verdict(section, "differ", MODES, found)
    if e.several_modes:
        return Verdict(section, "caution", SEVERAL, f"{found} The chains agree on how often.")
    return Verdict(section, "agree", "", found)


def judge_estimates(e: Evidence) -> Verdict:
    """Posterior means must lie near the maximum, in posterior sds."""
    difference = e.estimates["difference"]
    worst = str(difference.abs().idxmax())
    limit = e.thresholds.difference
    beyond = int((difference.abs() > limit).sum())
    found = (
        f"{beyond} of {len(difference)} parameters differ by more than {limit:g} posterior sds; "
        f"the most is {difference[worst]:+.2f} sds for {worst}."
    )
    if beyond == 0:
        verdict = "agree" if e.converged else "caution"
        return Verdict("estimates", verdict, "" if e.converged else e.unconverged, found)
    reason, because = _likely_reason(e)
    verdict = "caution" if reason == e.unconverged else "differ"
    return Verdict("estimates", verdict, reason, f"{found} {because}")


def _likely_reason(e: Evidence) -> tuple[str, str]:
    """Why estimates or likelihoods differ, the most damning cause first."""
    if e.worse_optimum:
        return WORSE_OPTIMUM, "A draw has beaten EM's maximum, so EM's estimate is not the maximum."
    if e.different_modes:
        return MODES, "The chains have not mixed, so that their mean describes no mode."
    if e.unvisited:
        return UNVISITED, "No draw climbs to EM's estimate, so the backends describe other modes."
    if e.approximate:
        return APPROXIMATE, "An approximation of the posterior cannot settle a difference."
    if not e.converged:
        return NOT_CONVERGED, "The chains have not converged, so the difference may be noise."
    if e.several_modes:
        return SEVERAL, (
            f"{e.modes.share_of_others:.1%} of the draws belong to other modes than the "
            "commonest, and the posterior's mean lies between them."
        )
    if np.isnan(e.shift).any():
        without = "EM has no standard errors, so the prior's pull cannot be predicted."
        return _traced(e) or ("unknown", without)
    moves = "moves" if e.arranged.mode is not None else "should move"
    moved, left = _pull(e)
    if moved > e.thresholds.difference and left <= 0.5 * float(
        e.estimates["difference"].abs().max()
    ):
        return PRIOR, (
            f"The prior alone {moves} parameters by up to {moved:.3g} sds; what it does not "
            f"explain is at most {left:.3g} sds. If that is not wanted, weaken the prior or centre "
            "covariates that lie far from zero."
        )
    # Where the mode is known, the pull is measured and there is nothing left to trace.
    traced = _traced(e) if e.arranged.mode is None else None
    return traced or (
        SKEWED,
        f"The prior {moves} parameters by at most {moved:.3g} sds, which leaves up to "
        f"{left:.3g} sds: the posterior's mean is not near its mode.",
    )


def _traced(e: Evidence) -> tuple[str, str] | None:
    """The prior as reason, if the parameter that differs most moves when it is power-scaled."""
    worst = str(e.estimates["difference"].abs().idxmax())
    line = e.checks.sensitivity.T[worst]
    if not line["diagnosis"]:
        return None
    return PRIOR, (
        f"Power-scaling traces the largest difference to the prior of {line['source']} "
        f"({line['diagnosis']})."
    )


def _pull(e: Evidence) -> tuple[float, float]:
    """Largest move from maximum to mode, and from there to the mean, in posterior sds."""
    difference = e.estimates["difference"]
    moved = e.shift / e.estimates["posterior_sd"].where(lambda sd: sd > 0, 1.0).to_numpy()
    return float(np.abs(moved).max()), float((difference - moved).abs().max())


def judge_posterior_mode(e: Evidence) -> Verdict:
    """EM's mode of the posterior lies between the maximum and the mean; no draw is above it."""
    section, mode = "posterior mode", e.arranged.mode
    assert mode is not None
    moved, left = _pull(e)
    found = (
        f"From EM's maximum to its mode of the posterior, which is the prior's pull, parameters "
        f"move by up to {moved:.3g} posterior sds; from there to the posterior's mean, which is "
        f"its skewness, by up to {left:.3g}."
    )
    if mode.status != "converged":
        return Verdict(section, "caution", NOT_CONVERGED, f"{found} EM: {mode.message}.")
    limit = e.thresholds.difference
    if max(moved, left) <= limit:
        return Verdict(section, "agree", "", found)
    if not e.converged:
        return Verdict(section, "caution", NOT_CONVERGED, found)
    return Verdict(section, "differ", PRIOR if moved > limit else SKEWED, found)


def judge_other_posteriors(e: Evidence) -> Verdict:
    """Further posteriors must have the means of the first."""
    section = "other posteriors"
    table = side_by_side(e.arranged)
    sd = e.estimates["posterior_sd"].where(lambda v: v > 0, 1.0)
    names = list(e.arranged.named)
    first, others = names[-len(e.arranged.others) - 1], names[-len(e.arranged.others) :]
    apart = table[others].sub(table[first], axis=0).div(sd, axis=0)
    worst = float(apart.abs().max().max())
    each = "; ".join(
        f"{name}: {apart[name].abs().max():.2f} sds ({e.arranged.named[name].status})"
        for name in others
    )
    found = f"Largest difference of posterior means from {first}'s: {each}."
    if worst <= e.thresholds.difference:
        return Verdict(section, "agree", "", found)
    unfinished = [n for n in (first, *others) if e.arranged.named[n].status != "converged"]
    if unfinished:
        return Verdict(
            section, "caution", NOT_CONVERGED, f"{found} Not converged: {unfinished[0]}."
        )
    return Verdict(section, "differ", "samplers disagree", found)


def judge_prior(e: Evidence) -> Verdict:
    """The posterior should not move with the prior, or EM, which has none, must differ."""
    found = sensitivity_sentence(e.checks.sensitivity)
    flagged = e.checks.sensitivity["diagnosis"].loc[lambda diagnosis: diagnosis != ""]
    if flagged.empty:
        return Verdict("prior sensitivity", "agree", "", found)
    return Verdict("prior sensitivity", "caution", str(flagged.mode().iloc[0]), found)


def judge_likelihoods(e: Evidence) -> Verdict:
    """Draws should lie about d/2 below the maximum, where a posterior is near normal."""
    d = e.em.n_parameters
    mean, expected = float(e.scores.by_draw.mean()), e.scores.em_maximum - d / 2
    off = (mean - expected) / np.sqrt(d / 2)
    found = (
        f"The draws' mean log-likelihood {mean:.2f} is {off:+.2f} spreads from the {expected:.2f} "
        f"that a posterior near normal around EM's maximum would have.{_misfit(e, d)}"
    )
    if abs(off) <= e.thresholds.mean_log_likelihood:
        return Verdict("likelihoods", "agree", "", found)
    reason, _ = _likely_reason(e)
    verdict = "caution" if reason == e.unconverged else "differ"
    return Verdict("likelihoods", verdict, reason, found)


def _misfit(e: Evidence, d: int) -> str:
    """Agreement of two backends is no evidence that their common model fits."""
    effective, counts = e.checks.loo.p, e.em.panel.unit_weights
    # A unit of weight w is left out whole, which counts like w units at once.
    expected = d if counts is None else d * float(np.sum(counts**2) / np.sum(counts))
    if not effective > e.thresholds.misfit * expected:
        return ""
    return (
        f" Both may be wrong together: PSIS-LOO counts {effective:.0f} effective parameters where "
        f"{expected:.0f} are expected, so the model fits the units poorly and intervals are likely "
        "too short; EM's sandwich errors (standard_errors='sandwich') allow for dependence within "
        "units."
    )


def judge_fit(e: Evidence) -> Verdict:
    """Two backends that agree on a model may both describe data that it cannot produce."""
    check = e.checks.posterior
    if float(check.table["misfit"].mean()) <= e.thresholds.misfits:
        return Verdict("model fit", "agree", "", check.sentence)
    return Verdict("model fit", "caution", UNLIKE, check.sentence)


def judge_membership(e: Evidence) -> Verdict:
    """Units must be put into the same classes with like certainty."""
    same = float(e.agreement["value"]["units in the same class"])
    distance = float(e.agreement["value"]["mean distance"])
    index = float(e.agreement["value"]["adjusted Rand index"])
    found = (
        f"{same:.1%} of the units are in the same class (adjusted Rand index {index:.3f}); class "
        f"probabilities differ by {distance:.4f} on average."
    )
    if same >= e.thresholds.same_class and distance <= e.thresholds.distance:
        return Verdict("class membership", "agree", "", found)
    reason, _ = _likely_reason(e)
    if reason not in (WORSE_OPTIMUM, MODES, UNVISITED, APPROXIMATE, NOT_CONVERGED, SEVERAL):
        reason = "overlapping classes"
    return Verdict("class membership", "differ", reason, found)


def judge_switching(e: Evidence) -> Verdict:
    """Label switching does no harm if alignment undoes it."""
    before, after = float(e.estimates["r_hat_raw"].max()), float(e.estimates["r_hat"].max())
    found = (
        f"{e.moved.labellings} labelling(s) visited, {e.moved.switches.sum()} switches within "
        f"chains; largest R-hat {before:.3f} as sampled and {after:.3f} aligned."
    )
    if e.moved.labellings == 1:
        return Verdict("label switching", "agree", "", f"No label switching: {found}")
    if not after > e.thresholds.r_hat:
        return Verdict("label switching", "agree", "", f"Undone by alignment: {found}")
    reason = MODES if e.different_modes else NOT_CONVERGED
    return Verdict("label switching", "caution", reason, found)


_RULES: tuple[Callable[[Evidence], Verdict], ...] = (
    judge_identity,
    judge_optimum,
    judge_convergence,
    judge_modes,
    judge_estimates,
    judge_prior,
    judge_likelihoods,
    judge_fit,
    judge_membership,
    judge_switching,
)
