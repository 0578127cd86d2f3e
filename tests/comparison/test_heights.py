"""How far a mode is above the highest draw: of normal draws, and of chains that were not there."""

import numpy as np
import pytest

import mixcompare as mc
from mixcompare.comparison.heights import heights
from mixcompare.fits.heights import allowance
from mixcompare.fits.summary import convergence
from mixcompare.prepared.compress import compress
from tests.em_cases import simulate
from tests.prior_density import log_prior_by_array
from tests.stand_in_posterior import stand_in


@pytest.mark.parametrize(("d", "n"), [(1, 50), (6, 400), (20, 30), (60, 1000)])
def test_normal_draws_exceed_the_allowance_as_often_as_said(d: int, n: int) -> None:
    """A tenth of the time: a binomial of 4,000 strays by more than 4.5 errors once in 150,000."""
    rng = np.random.default_rng(d)
    below_mode = rng.chisquare(d, size=(4000, n)).min(axis=1) / 2
    beyond = (below_mode > allowance(d, n, 0.1)).mean()
    assert beyond == pytest.approx(0.1, abs=4.5 * np.sqrt(0.1 * 0.9 / 4000))


def test_dependent_draws_exceed_it_no_more_often_by_their_effective_number() -> None:
    """Autoregressive normal draws in four chains, counted by the ESS of their log density."""
    rng = np.random.default_rng(1)
    d, chains, draws, replicates, phi = 8, 4, 100, 150, 0.8
    noise = rng.standard_normal((draws, replicates, chains, d))
    path = noise.copy()
    for t in range(1, draws):
        path[t] = phi * path[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    density = -0.5 * np.square(path).sum(axis=-1)  # (draw, replicate, chain)
    by_chain = np.moveaxis(density, 0, 2).transpose(1, 2, 0)
    effective = convergence(by_chain, ("ess_bulk",))["ess_bulk"]
    limits = [allowance(d, n, 0.1) for n in effective]
    beyond = (-by_chain.max(axis=(0, 1)) > limits).mean()
    assert beyond <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / replicates)


def test_fewer_draws_and_more_dimensions_allow_more() -> None:
    assert allowance(10, 10, 1e-4) > allowance(10, 1000, 1e-4)
    assert allowance(20, 100, 1e-4) > allowance(10, 100, 1e-4)
    # Not known, and less than one, are one draw: half the quantile itself.
    one = allowance(2, 1, 1e-4)
    assert one == pytest.approx(-np.log(1e-4))  # half a chi-squared of two is exponential
    assert allowance(2, np.nan, 1e-4) == allowance(2, 0.3, 1e-4) == one


SPEC = mc.MixtureSpec("y1 ~ x1 + x2", unit="unit", n_components=3)


@pytest.fixture(scope="module")
def em() -> mc.Fit:
    return mc.fit(SPEC, simulate(units=80, rows=(4, 9), seed=5), starts=40, seed=1)


def test_heights_are_likelihood_and_prior_at_the_estimate(em: mc.Fit) -> None:
    posterior = stand_in(em, draws=60, seed=1)
    high = heights(em, posterior, 1e-4)
    at = {name: values[None, None] for name, values in em.estimate.items()}
    prior = log_prior_by_array(SPEC, compress(em.panel), at)
    of_prior = sum(float(np.squeeze(value)) for value in prior.values())
    assert high.em == pytest.approx(em.log_likelihood + of_prior, rel=1e-10)
    drawn = posterior.log_likelihood_by_draw + sum(posterior.draws.log_prior.values())
    assert high.best_draw == drawn.max()
    assert not high.missed


def test_chains_that_were_never_at_a_higher_mode_are_the_culprit(em: mc.Fit) -> None:
    """Chains that stay ten standard errors off, from where EM would climb to its estimate."""
    offset = np.where([p.variable == "coefficients" for p in em.parameters], 10.0, 0.0)
    aside = stand_in(em, offset=offset * em.errors.each, draws=100, seed=2)
    comparison = mc.compare(em, aside, climbs=8)
    high = heights(em, comparison.posterior_fit, comparison.thresholds.missed)
    assert high.missed
    [remedy] = comparison.remedies
    said = f"the chains missed a mode {high.gap:.3g} higher"
    assert remedy.headline == said
    assert comparison.conclusion.startswith(f"EM and MCMC differ: {said}.")
    assert remedy.changes["init"] == "em"  # the search before the chains did not lead there
    verdicts = comparison.verdicts.set_index("section")
    assert verdicts["verdict"]["modes"] == "differ"
    assert verdicts["reason"]["modes"] == "chains missed a higher mode"
    assert verdicts["reason"]["estimates"] == "chains missed a higher mode"
    unjudged = verdicts.index[verdicts["verdict"] == "not judged"]
    assert list(unjudged) == ["prior sensitivity", "model fit", "label switching"]
