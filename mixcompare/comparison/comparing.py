"""From fits of one model on the same data to their comparison."""

from __future__ import annotations

from collections.abc import Sequence

from mixcompare.backends.em.climbing import Climber
from mixcompare.backends.em.options import Options
from mixcompare.base.arrays import FloatArray
from mixcompare.base.checks import check_whole
from mixcompare.base.errors import OptionError
from mixcompare.base.suggest import kind_of
from mixcompare.comparison.classifications import agreement_table, membership_table
from mixcompare.comparison.comparison import Comparison
from mixcompare.comparison.estimates import estimates_table, predicted_shift
from mixcompare.comparison.evidence import Evidence, Thresholds
from mixcompare.comparison.heights import heights
from mixcompare.comparison.labelling import algorithms_table, label_draws
from mixcompare.comparison.likelihoods import likelihoods_table, score_likelihoods
from mixcompare.comparison.model_checks import check_model
from mixcompare.comparison.modes import Mode, Modes, em_optima, find_modes, modes_table
from mixcompare.comparison.optima import optima_table
from mixcompare.comparison.parties import Party, having, roles
from mixcompare.comparison.remedies import remedies
from mixcompare.comparison.runs import runs_table
from mixcompare.comparison.searches import Searches, hold_together, searches_table
from mixcompare.comparison.several import (
    align_draws,
    aligned_estimate,
    fits_table,
    side_by_side,
)
from mixcompare.comparison.switching import (
    invariant_r_hat,
    invariants_table,
    switching_table,
)
from mixcompare.comparison.verdicts import judge
from mixcompare.fits.fit import Fit, check_fit
from mixcompare.prepared.prior_table import prior_table

# A climb that takes longer is given up and counted as unfinished.
_MOST_ITERATIONS = 2000


def compare(
    *fits: Fit, thresholds: Thresholds | None = None, climbs: int = 100, refit: int = 0
) -> Comparison:
    """Compare EM fits with posteriors of the same model on the same data.

    Parameters
    ----------
    *fits
        In any order one or more fits with ``backend="em"``, of which the highest is the
        reference and the others show what other starts and stopping rules do, and one or
        more with ``backend="pymc"``, of which the first is compared in detail. One EM fit
        with ``estimator="map"`` may be among them: it tells the prior's pull, from the
        maximum to the mode, from the posterior's skewness, from the mode to the mean.
    thresholds
        The rules' thresholds.
    climbs
        From how many evenly spaced draws EM is run, to find the modes they belong to; at least
        one of each chain.
    refit
        If importance weights fail for at most so many units in cross-validation, the posterior
        is sampled again without each of them, see `mixcompare.checking.leave_one_out`.

    Raises
    ------
    DataError
        If the fits are not of these kinds, or their models or data differ.
    OptionError
        If what is compared is no fit, thresholds are something else, or `climbs` is no
        positive whole number.

    Examples
    --------
    >>> import mixcompare as mc
    >>> from mixcompare.datasets import load
    >>> spec = mc.MixtureSpec("lifeExp ~ t", unit="country", n_components=2)
    >>> few = {"draws": 200, "tune": 200, "chains": 2, "sampler": "pymc", "progress": False}
    >>> em = mc.fit(spec, load("gapminder"), starts=10, seed=1)
    >>> nuts = mc.fit(spec, load("gapminder"), backend="pymc", seed=1, **few)
    >>> comparison = mc.compare(em, nuts)
    >>> verdicts = comparison.verdicts.set_index("section")["verdict"]
    >>> verdicts["likelihood identity"], verdicts["EM optimum"]
    ('agree', 'ok')
    """
    for fit in fits:
        check_fit(fit, "compare")
    check_whole("climbs", climbs)
    if thresholds is not None and not isinstance(thresholds, Thresholds):
        raise OptionError(f"thresholds must be a Thresholds, not {kind_of(thresholds)}.")
    parties = roles(*fits)
    em, other = having(parties, "reference", "posterior").values()
    thresholds = thresholds or Thresholds()
    prepared = em.problem.factors
    reference = em.responsibilities.to_numpy()
    raw = other.posterior_as_sampled
    draws = align_draws(other, reference)
    permutation, aligned, mean = draws.permutation, draws.posterior, draws.responsibilities
    climber = Climber(em.spec, prepared, Options(max_iterations=_MOST_ITERATIONS), climbs)
    known = em_optima(em, climber)
    modes = find_modes(known, climber, other, climbs)
    searches = hold_together(em, other, climber, known)
    highest = max(_highest(modes, searches), key=lambda mode: mode.objective)
    scores = score_likelihoods(em, other, thresholds.excess, highest)
    labelling = label_draws(em, other, aligned, climber.unit_summaries, modes)
    checks = check_model(other, permutation, aligned, thresholds.sensitivity, refit)
    invariants = invariants_table(other)
    invariant = invariant_r_hat(invariants)
    estimates = estimates_table(em, raw, aligned)
    agreement = agreement_table(
        reference, mean, None if em.spec.unit_weights is None else em.replicated
    )
    moved, switching = switching_table(permutation, estimates, invariant)
    optima = optima_table(em)
    beside = side_by_side(parties, draws)
    evidence = Evidence(
        em=em,
        estimates=estimates,
        shift=_shift(parties),
        parties=parties,
        side_by_side=beside.estimates,
        scores=scores,
        heights=heights(em, other, thresholds.missed),
        checks=checks,
        agreement=agreement,
        optima=optima,
        moved=moved,
        modes=modes,
        searches=searches,
        invariant=invariant,
        divergences=int(other.draws.statistics["diverging"].sum()),
        thresholds=thresholds,
        approximate=other.kind == "approximation",
    )
    return Comparison(
        em=em,
        posterior_fit=other,
        parties=parties,
        permutation=permutation,
        aligned=aligned,
        posterior_responsibilities=em.responsibilities.copy(data=mean),
        climbed=modes,
        estimates=estimates,
        likelihoods=likelihoods_table(em, scores, checks.loo, evidence.unreliable),
        agreement=agreement,
        membership=membership_table(
            em.panel.unit_labels, reference, mean, labelling.instability, labelling.classes
        ),
        switching=switching,
        algorithms=algorithms_table(labelling, modes),
        invariants=invariants,
        modes=modes_table(em, modes, scores.by_draw),
        optima=optima,
        searches=searches_table(em, searches),
        priors=prior_table(em.problem),
        fits=fits_table(parties, beside, estimates["posterior_sd"].to_numpy()),
        side_by_side=beside.estimates,
        runs=runs_table(having(parties, "reference", "maximum")),
        sensitivity=checks.sensitivity,
        loo=checks.loo,
        prior_check=checks.prior,
        predictive_check=checks.posterior,
        verdicts=judge(evidence),
        remedies=remedies(evidence),
        thresholds=thresholds,
        restart=scores.restart,
        ordered_by=labelling.ordered_by,
    )


def _highest(modes: Modes, searches: Searches | None) -> list[Mode]:
    """The highest modes of draws and of the sampler's own search."""
    by_climbs = None if searches is None else searches.highest
    return [modes.highest] if by_climbs is None else [modes.highest, by_climbs]


def _shift(parties: Sequence[Party]) -> FloatArray:
    """(P,) move from the maximum to the posterior's mode: measured, or predicted."""
    em, *modes = having(parties, "reference", "mode").values()
    if not modes:
        return predicted_shift(em, em.problem.priors)
    reference = em.responsibilities.to_numpy()
    mode, maximum = (aligned_estimate(fit, reference)[0] for fit in (*modes, em))
    return mode - maximum
