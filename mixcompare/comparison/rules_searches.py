"""Rules on the searches themselves: EM's starts and the chains.

They come before all others, since a maximum that was missed and chains that have not mixed
explain every other difference.
"""

from __future__ import annotations

from mixcompare.comparison.evidence import Evidence, Verdict, not_judged
from mixcompare.comparison.glossary import (
    APPROXIMATE,
    FEW_STARTS,
    IDENTITY,
    LITTLE_MASS,
    MISSED_BY_SEARCH,
    MISSED_MODE,
    MODES,
    OTHER_BEST,
    SADDLE,
    SEPARATION,
    SEVERAL,
    SPURIOUS,
    UNBOUNDED,
    UNCLIMBED,
    UNFINISHED,
    UNVISITED,
    WORSE_OPTIMUM,
)
from mixcompare.comparison.searches import above


def judge_identity(e: Evidence) -> Verdict:
    """Both backends must compute the same log-likelihood at the same parameters."""
    error = e.scores.identity_error
    same = error <= e.thresholds.identity
    return Verdict(
        "likelihood identity",
        "agree" if same else "differ",
        None if same else IDENTITY,
        "At EM's estimate and at the best draw the two independent computations of the "
        + (
            f"log-likelihood differ by {error:.1e} relative (at most {e.thresholds.identity:.0e})."
            if error > 0
            else "log-likelihood agree in every digit."
        ),
    )


def judge_optimum(e: Evidence) -> Verdict:
    """EM's maximum must not be beaten by a draw, and several starts should find it."""
    section = "EM optimum"
    if e.scores.restart is not None:
        higher = (
            "draws climb to a higher one"
            if above(e.modes.highest, e.scores.em_maximum)
            else "the sampler's own search leads to a higher one"
        )
        beaten = (
            f"A draw has a log-likelihood {e.scores.excess:.4g} above EM's maximum"
            if e.scores.excess > 0
            else f"No draw is above EM's maximum, but {higher}"
        )
        return Verdict(
            section,
            "differ",
            WORSE_OPTIMUM,
            f"{beaten}; EM restarted from it reaches {e.scores.restart.log_likelihood:.4f} instead "
            f"of {e.scores.em_maximum:.4f}.",
        )
    if e.saddle:
        return Verdict(section, "caution", SADDLE, " ".join(e.em.cautions))
    if e.spurious:
        return Verdict(section, "caution", SPURIOUS, " ".join(e.em.cautions))
    if e.scores.spurious is not None:
        return Verdict(
            section,
            "caution",
            SPURIOUS,
            f"A draw has a log-likelihood {e.scores.excess:.4g} above EM's maximum, but EM started "
            "from it ends at a spurious maximum, a class of a few rows that are close together by "
            f"chance: {' '.join(e.scores.spurious.cautions)}",
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
    if e.separated:
        return Verdict(section, "caution", SEPARATION, " ".join(e.em.cautions))
    if e.em.status != "converged":
        return Verdict(section, "caution", UNFINISHED, f"EM: {e.em.message}.")
    at_best, total = int(e.optima["starts"].iloc[0]), len(e.em.search.ends["optimum"])
    optima = "1 optimum" if len(e.optima) == 1 else f"{len(e.optima)} distinct optima"
    statement = (
        f"{at_best} of {total} starts reached the maximum {e.scores.em_maximum:.4f}; {optima}; "
        f"no draw is above it (highest {e.scores.best_draw:.4f}).{_spurious_ones(e)}"
        f"{_found_by_both(e)}"
    )
    if e.em.spec.n_components > 1 and at_best < e.thresholds.starts_at_best:
        return Verdict(section, "caution", FEW_STARTS, statement)
    return Verdict(section, "ok", None, statement)


def _spurious_ones(e: Evidence) -> str:
    """The highest spurious optimum above EM's estimate, and whether draws climb to any."""
    above = e.optima[e.optima["spurious"] & (e.optima["gap"] < 0)]
    share = e.modes.share_of_spurious
    climb = f" {share:.1%} of the draws climb to a spurious maximum." if share > 0 else ""
    if above.empty:
        return climb
    gap, rows = -above["gap"].iloc[0], above["spurious_rows"].iloc[0]
    passed = f" A spurious maximum {gap:.3g} higher, of {rows:.3g} rows, was passed over."
    return passed + climb


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
    statement = (
        f"Largest R-hat after alignment {r_hat:.3f}, smallest bulk ESS {ess:.0f}, "
        f"{e.divergences} divergences; label-invariant R-hat: {invariant}."
    )
    if e.different_modes:
        return Verdict("MCMC convergence", "differ", MODES, statement)
    if not e.converged:
        return Verdict("MCMC convergence", "caution", e.unconverged, statement)
    if e.missed_mode:
        among = f"{statement} That is how far the chains agree with one another, on a lower mode."
        return Verdict("MCMC convergence", "caution", MISSED_MODE, among)
    return Verdict("MCMC convergence", "ok", None, statement)


def judge_modes(e: Evidence) -> Verdict:
    """Draws should belong to one mode, copies of which are only labels, and it should be EM's."""
    section, statement = "modes", _climbs(e)
    if e.worse_optimum:
        return Verdict(section, "differ", WORSE_OPTIMUM, statement)
    if e.missed_mode:
        high = e.heights
        above = (
            f" EM's estimate has a log posterior density {high.gap:.4g} above the highest draw's; "
            f"around it draws would come within {high.allowed:.3g}."
        )
        return Verdict(section, "differ", MISSED_MODE, statement + above)
    if (e.modes.visited < 0).all():
        return Verdict(section, "caution", UNCLIMBED, statement)
    if e.unvisited and e.searches is not None and e.searches.little_mass:
        return Verdict(section, "differ", LITTLE_MASS, statement)
    if e.unvisited:
        return Verdict(section, "differ", UNVISITED, statement)
    if e.different_modes:
        return Verdict(section, "differ", MODES, statement)
    if e.several_modes:
        return Verdict(section, "caution", SEVERAL, f"{statement} The chains agree on how often.")
    return Verdict(section, "agree", None, statement)


def _climbs(e: Evidence) -> str:
    """Where draws climb to, in words."""
    modes = e.modes
    climbed, count = modes.visited.size, int((modes.shares.sum(axis=1) > 0).sum())
    unfinished = float((modes.visited < 0).mean())
    if unfinished == 1:
        return f"EM converged from none of {climbed} draws, so that their modes are not known."
    lost = f"; from {unfinished:.1%} EM did not converge" if unfinished else ""
    return (
        f"Of {climbed} draws, {modes.share_of_em:.1%} climb by EM to its estimate; they end at "
        f"{count} mode{'' if count == 1 else 's'} up to labels, {modes.share_of_others:.1%} of "
        f"them outside the commonest{lost}."
    )


def judge_searches(e: Evidence) -> Verdict:
    """EM's starts and the climbs of the sampler's own search must have one best optimum."""
    section, searches = "searches", e.searches
    assert searches is not None
    starts, climbs = int(e.optima["starts"].iloc[0]), searches.climbs_at_best
    statement = (
        f"EM's best optimum was reached by {starts} of {len(e.em.search.ends['optimum'])} starts, "
        f"and by {climbs} of {searches.optima.n_climbs} climbs of the sampler's own search, which "
        "knows nothing of EM."
    )
    if e.scores.restart is not None and above(searches.highest, e.scores.em_maximum):
        return Verdict(section, "differ", WORSE_OPTIMUM, f"{statement} That search leads higher.")
    if climbs:
        return Verdict(section, "agree", None, statement)
    if e.spurious:
        return Verdict(section, "caution", SPURIOUS, statement)
    by = searches.missed_by
    if by > 0:
        higher = f"{statement} It is {by:.4g} above that search's best in log posterior density."
        return Verdict(section, "differ", MISSED_BY_SEARCH, higher)
    return Verdict(section, "caution", OTHER_BEST, statement)


def _found_by_both(e: Evidence) -> str:
    """Whether the sampler's own search ended there as well, if there was one."""
    if e.searches is None:
        return ""
    climbs, total = e.searches.climbs_at_best, e.searches.optima.n_climbs
    if not climbs:
        return " The sampler's own search did not find it."
    return f" The sampler's own search found it, too, by {climbs} of {total} climbs."


def judge_switching(e: Evidence) -> Verdict:
    """Label switching does no harm if alignment undoes it."""
    section = "label switching"
    if e.unreliable is not None:
        return not_judged(section, e.unreliable)
    before, after = float(e.estimates["r_hat_raw"].max()), float(e.estimates["r_hat"].max())
    visited, switches = e.moved.labellings, e.moved.switches.sum()
    statement = (
        f"{visited} labelling{'s' * (visited > 1)} visited, {switches} switches within chains; "
        f"largest R-hat {before:.3f} as sampled and {after:.3f} aligned."
    )
    undone = "No label switching" if visited == 1 else "Undone by alignment"
    return Verdict(section, "ok", None, f"{undone}: {statement}")
